// SPDX-License-Identifier: BSD-3-Clause
// What the two ends of every load have in common: listening, opening, and telling the reporter.
#pragma once

#include <string_view>
#include <vector>

#include "load.hpp"
#include "tuples.hpp"

namespace bench {

class end_base {
  public:
    end_base(load& l, end which, unsigned worker)
        : load_(&l), tally_(&l.new_tally(which, worker)) {}
    // The last word, when the lcore has left its loop.
    void leave();

  protected:
    void know(lastack::local_stack& s);
    // Now and then, what the reporter may not ask the stack itself.
    void publish(lastack::local_stack& s, std::chrono::microseconds now);
    // Octets that begin with `head`.
    static std::vector<std::byte> text_of(std::string_view head, std::size_t octets);

    load* load_;
    tally* tally_;

  private:
    std::chrono::microseconds next_{};
};

class server_base : public end_base {
  public:
    server_base(load& l, unsigned worker) : end_base(l, end::server, worker) {}
    lastack::result<bool, std::string> on_start(lastack::local_stack& s);
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event&) {
        (void)s.close(id);
    }
    void on_ended(lastack::local_stack& s, lastack::conn_id id, const lastack::event&) {
        (void)s.close(id);
    }
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now) { publish(s, now); }
};

// Keeps as many connections open as are wanted, each in a slot whose index is the event's `user`.
class client_base : public end_base {
  public:
    client_base(load& l, unsigned worker);
    lastack::result<bool, std::string> on_start(lastack::local_stack& s);
    // Counts the connection and frees its slot.
    void on_ended(lastack::local_stack& s, lastack::conn_id id, const lastack::event& e);

  protected:
    struct slot {
        lastack::conn_id id{};
        std::uint64_t due = 0;  // cycle counter at which the request was, or is, due
        std::uint32_t received = 0;
        std::uint32_t kind = 0;  // the load's own
        bool waiting = false;    // for a reply
        bool open = false;
    };
    // Opens what is missing, at most `most` connections in this turn.
    void open_missing(lastack::local_stack& s, std::uint32_t most);

    std::vector<slot> slots_;
    bool draining_ = false;

  private:
    void open(lastack::local_stack& s);
    // From now on connections whose other end is there; anywhere, where there is no such.
    void keep_other_end(const lastack::stack::core* server);

    tuples tuples_;
    bool other_end_known_ = false;     // of ends that are to be apart
    std::vector<std::uint32_t> free_;  // slots without a connection
    std::uint64_t begun_ = 0;
};

}  // namespace bench
