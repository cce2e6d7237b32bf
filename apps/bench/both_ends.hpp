// SPDX-License-Identifier: BSD-3-Clause
// One handler type for the two ends of a wire: runtime::run() makes handlers of one type.
#pragma once

#include <optional>

#include "load.hpp"

namespace bench {

// An end answers to leave() when its lcore has left the loop, and may lack any other function.
template <class Server, class Client>
class either_end {
  public:
    either_end(load& l, lastack::place where) {
        const bool serves = l.here == role::server || (l.here == role::both && where.port == 0);
        if (serves) {
            server_.emplace(l, where.worker);
        } else {
            client_.emplace(l, where.worker);
        }
    }
    ~either_end() {
        with([](auto& end) { end.leave(); });
    }
    either_end(const either_end&) = delete;

    lastack::result<bool, std::string> on_start(lastack::local_stack& s) {
        return server_ ? server_->on_start(s) : client_->on_start(s);
    }
    void on_opened(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        with([&](auto& end) {
            if constexpr (requires { end.on_opened(s, id, e); }) {
                end.on_opened(s, id, e);
            }
        });
    }
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        with([&](auto& end) { end.on_readable(s, id, e); });
    }
    void on_writable(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        with([&](auto& end) {
            if constexpr (requires { end.on_writable(s, id, e); }) {
                end.on_writable(s, id, e);
            }
        });
    }
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        with([&](auto& end) { end.on_peer_closed(s, id, e); });
    }
    void on_ended(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e) {
        with([&](auto& end) { end.on_ended(s, id, e); });
    }
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now) {
        with([&](auto& end) { end.on_turn(s, now); });
    }
    void on_drain(lastack::local_stack& s) {
        with([&](auto& end) {
            if constexpr (requires { end.on_drain(s); }) {
                end.on_drain(s);
            }
        });
    }

  private:
    template <class F>
    void with(F&& f) {
        if (server_) {
            f(*server_);
        } else {
            f(*client_);
        }
    }
    std::optional<Server> server_;
    std::optional<Client> client_;
};

template <class Server, class Client>
int run_both(lastack::runtime& rt, load& l) {
    return rt.run([&](lastack::place where) { return either_end<Server, Client>(l, where); });
}

}  // namespace bench
