// SPDX-License-Identifier: BSD-3-Clause
// A stand-in for the stack behind local_stack, so that what is written against the public headers
// can be tested without one: the test plays the peer and the wire.
//
// local_stack's functions are defined in fake_stack.cpp instead of in lib/stack, so do not link the
// stack. Only what the public headers promise is modelled: the send queue has a room that the test
// sets, `writable` follows a short send, `ended` is owed only to who asked for it or has not
// closed, unread data at close() means reset (R06).
#pragma once

#include <rte_mbuf.h>

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lastack/local_stack.hpp"

namespace lastack::stack {

// Data segments of 2 KiB from a pool of DPDK's own, in ordinary memory.
rte_mempool* fake_mbufs();
buffer fake_buffer(std::string_view text);

struct fake_connection {
    conn_id id{};
    std::uint64_t user = 0;
    std::deque<std::string> rx;  // unread segments
    std::string tx;              // all that was ever queued
    std::size_t room = 1 << 20;  // octets the send queue still takes
    std::uint8_t what = 0;       // events of the next poll
    bool connecting = false;
    bool wants_writable = false;
    bool peer_fin = false;
    bool fin_sent = false;
    bool rst_sent = false;
    bool handle_dead = false;
    bool ended_owed = true;
    close_outcome outcome = close_outcome::none;
    int sends = 0;  // calls of send() that queued something
};

class core {
  public:
    std::uint32_t coroutine_pool_empty = 0;

    // --- what the peer and the wire do ---
    conn_id accept() {
        const conn_id id = add();
        at(id).what |= event_bits::opened;
        return id;
    }
    void established(conn_id id) {
        at(id).connecting = false;
        at(id).what |= event_bits::opened;
    }
    void data(conn_id id, std::string_view text) {
        at(id).rx.emplace_back(text);
        at(id).what |= event_bits::readable;
    }
    void fin(conn_id id) {
        at(id).peer_fin = true;
        at(id).what |= event_bits::peer_closed | event_bits::readable;
        if (at(id).fin_sent) {
            end(id, close_outcome::clean_active);
        }
    }
    void reset(conn_id id) { end(id, close_outcome::reset_by_peer); }
    void room(conn_id id, std::size_t octets) {
        at(id).room = octets;
        if (octets > 0 && std::exchange(at(id).wants_writable, false)) {
            at(id).what |= event_bits::writable;
        }
    }
    void end(conn_id id, close_outcome how) {
        fake_connection& c = at(id);
        c.outcome = how;
        c.what |= event_bits::ended;
    }
    // One batch of events, dispatched to the handler; `user` is as it was when the batch was made.
    template <class Handler>
    void poll(local_stack& s, Handler& handler) {
        std::vector<event> batch;
        for (fake_connection& c : connections) {
            std::uint8_t what = std::exchange(c.what, std::uint8_t{0});
            if (c.handle_dead && !((what & event_bits::ended) != 0 && c.ended_owed)) {
                continue;
            }
            if (what != 0) {
                batch.push_back({c.id, c.user, {}, what, c.outcome});
            }
            if ((what & event_bits::ended) != 0) {
                c.ended_owed = false;
            }
        }
        for (const event& e : batch) {
            dispatch(s, handler, e);
        }
    }

    fake_connection& at(conn_id id) { return connections.at(id.index); }
    conn_id add() {
        connections.push_back({});
        connections.back().id = {static_cast<std::uint32_t>(connections.size() - 1), 7};
        return connections.back().id;
    }
    // nullptr for a handle that is dead.
    fake_connection* live(conn_id id) {
        if (id.index >= connections.size() || connections[id.index].handle_dead) {
            return nullptr;
        }
        return &connections[id.index];
    }

    std::deque<fake_connection> connections;
    bool refuse_connect = false;
    bool refuse_listen = false;
};

}  // namespace lastack::stack
