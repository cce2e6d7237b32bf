// SPDX-License-Identifier: BSD-3-Clause
// Looking at one core's tables from its own lcore, a slice at a time.
//
// list_rows() walks listeners, connections, SYN records and TIME_WAIT records, in this order, and
// is the one way by which lists, histograms and the watch over CLOSE_WAIT see them. A position is
// good at any later time: what moves in between (TIME_WAIT records do, when a bucket is full) may
// be missed or met twice. Nothing here allocates, changes a table or reads a clock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "flow/key.hpp"
#include "stack/core.hpp"
#include "tcp/close_log.hpp"
#include "teardown/state.hpp"

namespace lastack::stack {

// As `ss -o` tells timers apart.
enum class timer_kind : std::uint8_t { off, on, keepalive, timewait, persist };

// A line of `ss`, and what the histograms need besides.
struct connection_row {
    teardown::state st = teardown::state::closed;
    flow::key4 key{};          // LISTEN: only the local side
    std::uint32_t recv_q = 0;  // octets unread; LISTEN: waiting to be accepted
    std::uint32_t send_q = 0;  // numbers unacknowledged; LISTEN: the backlog
    timer_kind timer = timer_kind::off;
    std::uint32_t remaining_ms = 0;  // of the timer
    std::uint8_t tries = 0;          // retransmissions or probes so far
    bool orphan = false;
    bool has_age = false;             // age_ms is known: records and listeners do not keep it
    std::uint32_t age_ms = 0;         // in this state
    std::uint16_t listener_port = 0;  // which accepted it; 0: none, or it is closed
};

struct row_filter {
    static constexpr std::uint16_t every_state = (1u << teardown::state_count) - 1;
    std::uint16_t states = every_state;  // a bit a teardown::state
    std::uint16_t local_port = 0;        // 0: any
    std::uint16_t remote_port = 0;

    bool wants(teardown::state s) const { return (states >> static_cast<unsigned>(s) & 1) != 0; }
    bool matches(const connection_row& r) const {
        return wants(r.st) && (local_port == 0 || r.key.local_port == local_port) &&
               (remote_port == 0 || r.key.remote_port == remote_port);
    }
};

struct table_position {
    enum class table : std::uint8_t { listeners, connections, syn_records, time_wait, end };
    table which = table::listeners;
    std::uint32_t next = 0;
    bool at_end() const { return which == table::end; }
};

// Looks at up to `budget` places from `at` on, which moves there, and puts what matches into
// `into`; returns how many. Stops early when `into` could overflow, so it must hold 8 at least.
std::size_t list_rows(const core&, table_position& at, const row_filter&, std::uint32_t budget,
                      std::span<connection_row> into);

// All there is to say about one 4-tuple.
struct explanation {
    enum class found_as : std::uint8_t { nothing, connection, syn_record, record };
    found_as found = found_as::nothing;
    connection_row row;
    std::uint64_t taken = 0;  // states so far (close_log.hpp); records: 0
    std::uint32_t rto_ms = 0;
    std::uint32_t peer_window = 0;
    std::uint32_t user_timeout_ms = 0;
    std::uint32_t unsent = 0;  // octets not yet acknowledged, FIN not counted
    bool fin_sent = false;
    bool held = false;  // the application has a handle
    bool soft_error = false;
    bool parked = false;
    std::int64_t now_us = 0;
    std::uint8_t closes_found = 0;
    std::array<tcp::close_entry, 4> closes{};  // latest first
};
explanation explain(const core&, const flow::key4& key);

}  // namespace lastack::stack
