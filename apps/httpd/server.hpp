// SPDX-License-Identifier: BSD-3-Clause
// The HTTP server of one core: a handler for lastack::runtime in the callback style.
//
// Each connection (client) is one cache line: what is being sent, and how much of it is out. A
// client reads only while it has nothing to send, so one that does not take its answers is not
// asked for more requests, and its window closes. A request that has not arrived whole is kept in
// one of a few `begun` buffers; a request that came whole, which is the rule, is parsed where
// receive() put it, in a buffer that all clients share.
//
//   reading --request--> writing --all queued--> reading, or the end:
//   the end: close(), whose FIN rides on the answer; or `parting`: the client's FIN is waited for,
//   and what still comes is thrown away. Parting is for --close client, and for a client that may
//   still be sending, whose answer a reset would destroy (R06, R07).
//
// Time-outs are one FIFO list: all clients wait equally long, so the one that moved last waits
// longest. A client moves when it opens, begins a request, takes some of its answer, or has it all;
// not with each octet of a header, or a slow one could hold its place for ever.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http.hpp"
#include "lastack/local_stack.hpp"
#include "site.hpp"

namespace httpd {

enum class close_first : std::uint8_t { server, client };

struct settings {
    std::vector<lastack::endpoint> listen{};
    close_first who_closes = close_first::server;
    std::chrono::milliseconds idle_timeout{60000};
    std::size_t connections = 0;  // a core; 0: as many as its stack can hold
    std::size_t begun = 4096;     // requests that have arrived in part, a core
};

// Written by one core only; the main program adds them up when the cores have stopped.
struct alignas(64) counts {
    std::uint64_t connections = 0;
    std::uint64_t requests = 0;
    std::array<std::uint64_t, 6> by_class{};  // of status / 100
    std::uint64_t octets = 0;                 // queued, heads included
    std::uint64_t timed_out = 0;
    std::uint64_t refused = 0;  // reset at once: all `connections` were taken
    std::uint64_t lost = 0;     // ended by themselves: reset by the peer, timed out, ...
};

class server {
  public:
    // `files` and `counted` must outlive the server.
    server(const settings& options, const site& files, counts& counted);

    lastack::result<bool, std::string> on_start(lastack::local_stack& s);
    void on_opened(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_writable(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_ended(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now);
    // Idle clients are closed now, the others behind the answer to their request.
    void on_drain(lastack::local_stack& s);

  private:
    static constexpr std::uint32_t none = ~0u;
    enum class phase : std::uint8_t { reading, writing, parting };

    struct client {
        lastack::conn_id id{};   // the default while the place is free
        response out;            // while writing
        std::uint64_t sent = 0;  // octets of `out` that are queued
        std::uint32_t begun = none;
        std::uint16_t begun_octets = 0;
        phase doing = phase::reading;
        bool may_send_more = false;  // the answer is an error to a request not read to its end
        std::uint32_t older = none;  // of the list of time-outs
        std::uint32_t younger = none;
        std::uint32_t moved = 0;  // when, in milliseconds
    };
    static_assert(sizeof(client) <= 64);

    client* client_of(const lastack::event& e);
    std::span<char> begun_buffer(const client& c);
    void read(lastack::local_stack& s, client& c);
    bool take_requests(lastack::local_stack& s, client& c, std::string_view text);
    bool keep(client& c, std::string_view rest);
    response answer_to(const request& r);
    bool answer(lastack::local_stack& s, client& c, const response& out);
    bool write(lastack::local_stack& s, client& c);
    bool send(lastack::local_stack& s, client& c, std::string_view text, std::uint64_t begin);
    bool answered(lastack::local_stack& s, client& c);
    void discard(lastack::local_stack& s, client& c);
    void expire(lastack::local_stack& s, client& c);
    void close(lastack::local_stack& s, client& c);
    void lose(lastack::local_stack& s, client& c);
    void release(client& c);
    void release_begun(client& c);
    void moved(client& c);
    void unlink(client& c);
    std::uint32_t index_of(const client& c) const {
        return static_cast<std::uint32_t>(&c - clients_.data());
    }

    settings options_;
    bool draining_ = false;
    const site* site_;
    std::vector<client> clients_;  // reserved, never moved
    std::vector<std::uint32_t> free_clients_;
    std::unique_ptr<char[]> begun_;  // options_.begun buffers of header_octets_max
    std::vector<std::uint32_t> free_begun_;
    std::array<char, header_octets_max> input_;
    std::array<char, header_octets_max> path_;
    std::array<char, head_octets_max + fields_octets_max> output_;
    std::uint32_t oldest_ = none;
    std::uint32_t youngest_ = none;
    std::uint32_t now_ = 0;     // milliseconds, wrapping
    std::uint32_t second_ = 0;  // of Unix time
    std::int64_t second_ends_ = 0;
    date_cache dates_;
    counts* counts_;
};

}  // namespace httpd
