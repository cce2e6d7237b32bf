// SPDX-License-Identifier: BSD-3-Clause
// The built-in client (--client N): short connections to the server, from the other end of a wire
// whose two ends lie in this process (drivers_config/net_ring.toml).
//
// A handful of coroutines on each core count down what is still to fetch. Each opens a connection,
// asks for /, compares the answer with the page that it must be, closes, and begins again. Whoever
// the server expects to close first does.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "lastack/coroutine.hpp"
#include "server.hpp"

namespace httpd {

// What the clients of all cores are to do together, and how far they are.
struct fetches {
    std::uint64_t wanted = 0;
    lastack::endpoint server{};
    std::string_view page{};  // what / must give
    close_first who_closes = close_first::server;
    std::atomic<std::uint64_t> begun{0};
    std::atomic<std::uint64_t> ended{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<bool> stopping{false};  // no more is begun
};

class client {
  public:
    // `all` must outlive the client.
    explicit client(fetches& all) : all_(&all) {}

    lastack::result<bool, std::string> on_start(lastack::local_stack& s);
    void on_opened(lastack::local_stack&, lastack::conn_id, const lastack::event& e) { deliver(e); }
    void on_readable(lastack::local_stack&, lastack::conn_id, const lastack::event& e) {
        deliver(e);
    }
    void on_writable(lastack::local_stack&, lastack::conn_id, const lastack::event& e) {
        deliver(e);
    }
    void on_peer_closed(lastack::local_stack&, lastack::conn_id, const lastack::event& e) {
        deliver(e);
    }
    void on_ended(lastack::local_stack&, lastack::conn_id, const lastack::event& e) { deliver(e); }
    void on_drain(lastack::local_stack& s) {
        all_->stopping = true;
        s.drain();  // a SYN that nobody listens for any more would be sent again
    }

  private:
    static void deliver(const lastack::event& e) { lastack::coroutine_context::deliver(e); }

    fetches* all_;
    std::optional<lastack::coroutine_context> context_;
};

// A handler that is the server at one end of the wire and a client at the other: runtime::run()
// makes handlers of one type.
class either_end {
  public:
    explicit either_end(server s) : end_(std::move(s)) {}
    explicit either_end(fetches& all) : end_(std::in_place_type<client>, all) {}

    lastack::result<bool, std::string> on_start(lastack::local_stack& s) {
        return std::visit([&](auto& end) { return end.on_start(s); }, end_);
    }
    void on_opened(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        std::visit([&](auto& end) { end.on_opened(s, id, e); }, end_);
    }
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        std::visit([&](auto& end) { end.on_readable(s, id, e); }, end_);
    }
    void on_writable(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        std::visit([&](auto& end) { end.on_writable(s, id, e); }, end_);
    }
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        std::visit([&](auto& end) { end.on_peer_closed(s, id, e); }, end_);
    }
    void on_ended(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        std::visit([&](auto& end) { end.on_ended(s, id, e); }, end_);
    }
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now) {
        if (auto* serving = std::get_if<server>(&end_)) {
            serving->on_turn(s, now);
        }
    }
    void on_drain(lastack::local_stack& s) {
        std::visit([&](auto& end) { end.on_drain(s); }, end_);
    }

  private:
    std::variant<server, client> end_;
};

}  // namespace httpd
