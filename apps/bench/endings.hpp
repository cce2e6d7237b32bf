// SPDX-License-Identifier: BSD-3-Clause
// `teardown`: a mix of the ways in which connections end, at a rate.
//
// The first octet of a request says how its connection is to end; the server then does its part:
//   active        the server replies and closes first
//   passive       the client closes when it has its reply
//   simultaneous  both send FIN while the other's is under way: the client shuts down in the turn
//                 in which the server, on the same lcore, closes (elsewhere they may not cross)
//   reset         the client aborts when it has its reply
//   half_close    the client shuts down behind its request; the server replies after that FIN
//   orphan        the client closes when it has its reply; the server waits 50 ms before it
//                 follows, and the client's end waits in FIN_WAIT_2 with nobody holding it
#pragma once

#include <deque>

#include "ends.hpp"

namespace bench {

enum class ending : std::uint8_t { active, passive, simultaneous, reset, half_close, orphan };
inline constexpr std::uint32_t ending_count = 6;

class ending_server : public server_base {
  public:
    ending_server(load& l, unsigned worker)
        : server_base(l, worker), reply_(text_of("ok", l.reply_octets)) {}
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event&);
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now);

  private:
    struct waiting {
        std::chrono::microseconds until;
        lastack::conn_id id;
    };
    std::vector<std::byte> reply_;
    std::deque<waiting> held_;
    lastack::conn_id marked_{};  // the last that is to have its reply after its FIN
    std::chrono::microseconds now_{};
};

class ending_client : public client_base {
  public:
    ending_client(load& l, unsigned worker)
        : client_base(l, worker), request_(text_of("", l.request_octets)) {}
    void on_opened(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_ended(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now);
    void on_drain(lastack::local_stack&) { draining_ = true; }

  private:
    static constexpr std::uint32_t turns_to_cross = 2;
    std::vector<std::byte> request_;
    std::uint32_t next_ = 0;
    std::uint64_t turn_ = 0;
    std::deque<std::pair<std::uint64_t, std::uint32_t>> crossing_;  // turn, slot
    double allowance_ = 0;
    std::chrono::microseconds last_{};
};

}  // namespace bench
