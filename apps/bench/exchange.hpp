// SPDX-License-Identifier: BSD-3-Clause
// Requests and replies: the load of `cps`, `rps` and `latency`.
//
// cps: each connection carries one request; the server's reply and its FIN are one segment, so the
// server is the one to keep TIME_WAIT. rps, latency: connections stay and carry one request after
// the other, at once or, at a rate, when it is due; a latency is counted from the moment at which
// the request was due, so that one slow reply does not hide those that had to wait behind it.
// The server's reply is fixed and begins as an HTTP one, so any HTTP client is an honest peer.
#pragma once

#include "ends.hpp"

namespace bench {

class exchange_server : public server_base {
  public:
    exchange_server(load& l, unsigned worker);
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event&);

  private:
    std::vector<std::byte> reply_;
};

class exchange_client : public client_base {
  public:
    exchange_client(load& l, unsigned worker);
    void on_opened(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now);
    void on_drain(lastack::local_stack& s);

  private:
    void ask(lastack::local_stack& s, slot& at, std::uint64_t due);
    void ask_when_due(lastack::local_stack& s);

    std::vector<std::byte> request_;
    std::vector<std::uint32_t> idle_;  // slots that wait for their next request, at a rate
    std::uint64_t next_due_ = 0;
};

}  // namespace bench
