// SPDX-License-Identifier: BSD-3-Clause
#include "stack/inspect.hpp"

#include <algorithm>

namespace lastack::stack {
namespace {

using table = table_position::table;
using teardown::state;

constexpr std::uint32_t syn_bit = 0x80000000u;
// Most that one step of a walk over records finds.
constexpr std::uint32_t step_max = flow::time_wait_table<flow::key4>::walk_step;

std::uint32_t left_ms(const tcp::engine& e, tick until) {
    return static_cast<std::uint32_t>(std::max(distance(e.now().to_tick(), until), 0));
}

std::uint16_t port_of(const tcp::engine& e, listener_id id) {
    const auto all = e.listener_table();
    const bool open =
        id.index < all.size() && all[id.index].open && all[id.index].generation == id.generation;
    return open ? all[id.index].port : std::uint16_t{0};
}

connection_row row_of(const tcp::listener& l) {
    connection_row r;
    r.st = state::listen;
    r.key.local = l.address.is_any() ? ipv4_address{} : l.address.v4();
    r.key.local_port = l.port;
    r.recv_q = l.waiting;
    r.send_q = l.backlog;
    return r;
}

void put_timer(const tcp::engine& e, const tcp::tcb& c, connection_row& r) {
    using namespace tcp::deadline_bits;
    if ((c.deadlines & retransmit) != 0) {
        const bool persist = c.rtx == tcp::rtx_kind::persist;
        r.timer = persist ? timer_kind::persist : timer_kind::on;
        r.remaining_ms = left_ms(e, c.rtx_at);
        r.tries = c.retries;
    } else if ((c.deadlines & keepalive) != 0) {
        r.timer = timer_kind::keepalive;
        r.remaining_ms = left_ms(e, c.keepalive_at);
        r.tries = c.keepalive_sent;
    }
}

connection_row row_of(const tcp::engine& e, const tcp::tcb& c) {
    connection_row r;
    r.st = c.st;
    r.key = c.key;
    if (const auto* s = e.socket_of(c)) {
        r.recv_q = s->rx_octets;
    }
    const bool fin_unacked =
        c.st == state::fin_wait_1 || c.st == state::closing || c.st == state::last_ack;
    r.send_q = c.snd.octets() + (c.syn_unacked ? 1 : 0) + (fin_unacked ? 1 : 0);
    put_timer(e, c, r);
    r.orphan = c.detached;
    r.has_age = true;
    r.age_ms = static_cast<std::uint32_t>(std::max(distance(c.state_since, e.now().to_tick()), 0));
    r.listener_port = port_of(e, c.listener);
    return r;
}

connection_row row_of(const tcp::engine& e, const tcp::syn_record& s) {
    connection_row r;
    r.st = state::syn_received;
    r.key = s.key;
    r.timer = timer_kind::on;
    r.remaining_ms = left_ms(e, s.deadline);
    r.tries = s.retries;
    r.listener_port = port_of(e, s.listener);
    return r;
}

connection_row row_of(const tcp::engine& e, flow::time_wait_slot slot) {
    const auto entry = e.time_wait().read(slot);
    connection_row r;
    r.st = entry.fin_wait_2 ? state::fin_wait_2 : state::time_wait;
    r.key = entry.key;
    r.timer = timer_kind::timewait;
    r.remaining_ms =
        static_cast<std::uint32_t>(e.time_wait().remaining(slot, e.now().to_tick()).count());
    r.orphan = entry.fin_wait_2;
    return r;
}

// One table's part of a walk: where it goes on, and what it may still look at and find.
struct walk {
    const tcp::engine& e;
    const row_filter& filter;
    std::uint32_t budget;
    std::span<connection_row> into;
    std::size_t found = 0;

    bool full() const { return into.size() - found < step_max; }
    void take(const connection_row& r) {
        if (filter.matches(r)) {
            into[found++] = r;
        }
    }
    // Looks at places [from, size) with look(i); returns where it stopped.
    template <class F>
    std::uint32_t places(std::uint32_t from, std::uint32_t size, F&& look) {
        for (; from < size && budget > 0 && !full(); ++from, --budget) {
            look(from);
        }
        return from;
    }
};

// Moves `next` over one table; true when the table is through.
bool walk_table(walk& w, table which, std::uint32_t& next) {
    const tcp::engine& e = w.e;
    switch (which) {
        case table::listeners: {
            const auto all = e.listener_table();
            const auto size = static_cast<std::uint32_t>(all.size());
            next = w.places(next, size, [&](std::uint32_t i) {
                if (all[i].listening) {
                    w.take(row_of(all[i]));
                }
            });
            return next >= size;
        }
        case table::connections: {
            const auto size = e.connections() == 0 ? 0 : e.tcbs().capacity();
            next = w.places(next, size, [&](std::uint32_t i) {
                if (const auto& c = e.tcbs()[i]; c.st != state::closed && w.filter.wants(c.st)) {
                    w.take(row_of(e, c));
                }
            });
            return next >= size;
        }
        case table::syn_records: {
            const auto size = e.syn_records() == 0 ? 0 : e.syn_table().capacity();
            next = w.places(next, size, [&](std::uint32_t i) {
                if (e.syn_record_in_use(i)) {
                    w.take(row_of(e, e.syn_table()[i]));
                }
            });
            return next >= size;
        }
        default: {
            bool through = e.time_wait().size() == 0;
            while (!through && w.budget > 0 && !w.full()) {
                next = static_cast<std::uint32_t>(e.time_wait().walk(
                    next, 1, [&](flow::time_wait_slot slot) { w.take(row_of(e, slot)); }));
                through = next == 0;
                --w.budget;
            }
            return through;
        }
    }
}

bool may_hold(table which, const row_filter& f) {
    switch (which) {
        case table::listeners:
            return f.wants(state::listen);
        case table::syn_records:
            return f.wants(state::syn_received);
        case table::time_wait:
            return f.wants(state::time_wait) || f.wants(state::fin_wait_2);
        default:
            return true;
    }
}

}  // namespace

std::size_t list_rows(const core& k, table_position& at, const row_filter& filter,
                      std::uint32_t budget, std::span<connection_row> into) {
    walk w{k.tcp(), filter, budget, into};
    while (!at.at_end() && w.budget > 0 && !w.full()) {
        if (!may_hold(at.which, filter) || walk_table(w, at.which, at.next)) {
            at.which = static_cast<table>(static_cast<std::uint8_t>(at.which) + 1);
            at.next = 0;
        }
    }
    return w.found;
}

explanation explain(const core& k, const flow::key4& key) {
    const tcp::engine& e = k.tcp();
    explanation x;
    x.now_us = e.now().us;
    const auto index = e.find_connection(key);
    if (index == npos) {
        if (const auto slot = e.find_record(key)) {
            x.found = explanation::found_as::record;
            x.row = row_of(e, slot);
            x.parked = e.time_wait().read(slot).parked;
        }
    } else if ((index & syn_bit) != 0) {
        x.found = explanation::found_as::syn_record;
        x.row = row_of(e, e.syn_table()[index & ~syn_bit]);
    } else {
        const tcp::tcb& c = e.tcbs()[index];
        x.found = explanation::found_as::connection;
        x.row = row_of(e, c);
        x.taken = c.taken;
        x.rto_ms = e.rto_ms(c);
        x.peer_window = c.snd_wnd;
        x.user_timeout_ms = c.user_timeout_ms;
        x.unsent = c.snd.octets();
        x.fin_sent = c.fin_sent;
        x.held = e.socket_of(c) != nullptr && !c.detached;
        x.soft_error = c.soft_error != 0;
    }
    x.closes_found = static_cast<std::uint8_t>(e.closes().find(key, x.closes));
    return x;
}

}  // namespace lastack::stack
