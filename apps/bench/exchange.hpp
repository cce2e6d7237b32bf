// SPDX-License-Identifier: BSD-3-Clause
// Requests and replies: the load of `cps`, `rps` and `latency`.
//
// cps: each connection carries one request; the server's reply and its FIN are one segment, so the
// server is the one to keep TIME_WAIT. rps, latency: connections stay and carry one request after
// the other, at once or, at a rate, when it is due; a latency is counted from the moment at which
// the request was due, so that one slow reply does not hide those that had to wait behind it.
// The server's reply is fixed and begins as an HTTP one, so any HTTP client is an honest peer.
#pragma once

#include <rte_cycles.h>

#include <algorithm>
#include <vector>

#include "load.hpp"

namespace bench {

// What both ends of every load do about the reporter.
class end_base {
  public:
    end_base(load& l, end which) : load_(&l), tally_(&l.new_tally(which)) {}

    void on_start_end(lastack::local_stack& s);
    // Now and then, what the reporter may not ask the stack itself.
    void publish(lastack::local_stack& s, std::chrono::microseconds now);
    // The last word, when the lcore has left its loop.
    void leave();

  protected:
    load* load_;
    tally* tally_;

  private:
    std::chrono::microseconds next_{};
};

class exchange_server : public end_base {
  public:
    explicit exchange_server(load& l);
    lastack::result<bool, std::string> on_start(lastack::local_stack& s);
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event&);
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event&) {
        (void)s.close(id);
    }
    void on_ended(lastack::local_stack& s, lastack::conn_id id, const lastack::event&) {
        (void)s.close(id);
    }
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now) { publish(s, now); }

  private:
    std::vector<std::byte> reply_;
};

class exchange_client : public end_base {
  public:
    exchange_client(load& l, unsigned worker);
    lastack::result<bool, std::string> on_start(lastack::local_stack& s) {
        on_start_end(s);
        return true;
    }
    void on_opened(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_ended(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now);
    void on_drain(lastack::local_stack& s);

  private:
    struct slot {
        lastack::conn_id id{};
        std::uint64_t due = 0;  // cycle counter at which the request was, or is, due
        std::uint32_t received = 0;
        bool waiting = false;  // for a reply
        bool open = false;
    };
    void open(lastack::local_stack& s);
    void ask(lastack::local_stack& s, slot& at, std::uint64_t due);
    void ask_when_due(lastack::local_stack& s);

    tuples tuples_;
    std::vector<std::byte> request_;
    std::vector<slot> slots_;
    std::vector<std::uint32_t> free_;  // slots without a connection
    std::vector<std::uint32_t> idle_;  // slots that wait for their next request, at a rate
    std::uint64_t begun_ = 0;
    std::uint64_t next_due_ = 0;
    bool draining_ = false;
};

}  // namespace bench
