// SPDX-License-Identifier: BSD-3-Clause
// How a connection ended, and why a call was refused: the closed lists an application sees.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace lastack {

// One per connection that ever existed; counted, and given to the application with `ended`.
enum class close_outcome : std::uint8_t {
    none,                      // it has not ended
    clean_active,              // we sent the first FIN; ended in TIME_WAIT
    clean_passive,             // the peer sent the first FIN; our FIN was acknowledged in LAST_ACK
    clean_simultaneous,        // the FINs crossed (CLOSING); ended in TIME_WAIT
    reset_by_peer,             // an acceptable RST in a synchronized state
    refused,                   // RST answered our SYN
    timed_out_connecting,      // tcp_syn_retries exhausted
    timed_out_retransmit,      // tcp_retries2 exhausted
    timed_out_probe,           // zero-window probes unanswered
    timed_out_orphan,          // tcp_orphan_retries exhausted after close()
    timed_out_user,            // TCP_USER_TIMEOUT
    timed_out_keepalive,       // keepalive probes unanswered
    timed_out_fin_wait_2,      // the peer never sent its FIN to a closed connection
    aborted_by_application,    // abort(), or close() with linger {on, 0}
    aborted_unread_data,       // close() while received data lay unread (R06)
    aborted_data_after_close,  // data arrived that nobody could read any more (R07, R10)
    aborted_linger2,           // TCP_LINGER2 < 0 (R61)
    aborted_listener_closed,   // established but not yet taken when its listener closed (R05)
    aborted_orphan_limit,      // tcp_max_orphans (R63)
    aborted_no_memory,         // a resource ran out
    aborted_shutdown,          // the stack was stopped and its drain time was over
    closed_before_open,        // close() in SYN_SENT (R03)
    host_unreachable,          // no answer from the next hop, or ICMP, while connecting
};
inline constexpr std::size_t close_outcome_count =
    static_cast<std::size_t>(close_outcome::host_unreachable) + 1;

struct close_outcome_row {
    close_outcome outcome;
    std::string_view name;
    std::string_view sentence;
};

inline constexpr std::array<close_outcome_row, close_outcome_count> close_outcomes{{
    {close_outcome::none, "none", "the connection has not ended"},
    {close_outcome::clean_active, "clean_active", "both sides closed, this side first"},
    {close_outcome::clean_passive, "clean_passive", "both sides closed, the peer first"},
    {close_outcome::clean_simultaneous, "clean_simultaneous", "both sides closed at the same time"},
    {close_outcome::reset_by_peer, "reset_by_peer", "the peer sent a RST"},
    {close_outcome::refused, "refused", "the peer refused the connection"},
    {close_outcome::timed_out_connecting, "timed_out_connecting", "no answer to the SYN"},
    {close_outcome::timed_out_retransmit, "timed_out_retransmit",
     "retransmitted data stayed unacknowledged (tcp_retries2)"},
    {close_outcome::timed_out_probe, "timed_out_probe", "zero-window probes stayed unanswered"},
    {close_outcome::timed_out_orphan, "timed_out_orphan",
     "a closed connection's data or FIN stayed unacknowledged (tcp_orphan_retries)"},
    {close_outcome::timed_out_user, "timed_out_user", "TCP_USER_TIMEOUT ran out"},
    {close_outcome::timed_out_keepalive, "timed_out_keepalive",
     "keepalive probes stayed unanswered"},
    {close_outcome::timed_out_fin_wait_2, "timed_out_fin_wait_2",
     "the peer did not close within tcp_fin_timeout"},
    {close_outcome::aborted_by_application, "aborted_by_application",
     "the application aborted it, or closed it with linger {on, 0}"},
    {close_outcome::aborted_unread_data, "aborted_unread_data",
     "closed while received data lay unread"},
    {close_outcome::aborted_data_after_close, "aborted_data_after_close",
     "data arrived after close, so nobody could read it"},
    {close_outcome::aborted_linger2, "aborted_linger2", "closed with TCP_LINGER2 < 0"},
    {close_outcome::aborted_listener_closed, "aborted_listener_closed",
     "its listener closed before it was accepted"},
    {close_outcome::aborted_orphan_limit, "aborted_orphan_limit", "tcp_max_orphans was reached"},
    {close_outcome::aborted_no_memory, "aborted_no_memory", "memory ran out"},
    {close_outcome::aborted_shutdown, "aborted_shutdown", "the stack was stopped"},
    {close_outcome::closed_before_open, "closed_before_open", "closed before it was established"},
    {close_outcome::host_unreachable, "host_unreachable", "the peer could not be reached"},
}};

constexpr std::string_view name(close_outcome o) {
    return close_outcomes[static_cast<std::size_t>(o)].name;
}
constexpr std::string_view sentence(close_outcome o) {
    return close_outcomes[static_cast<std::size_t>(o)].sentence;
}
constexpr bool is_clean(close_outcome o) {
    return o == close_outcome::clean_active || o == close_outcome::clean_passive ||
           o == close_outcome::clean_simultaneous;
}
constexpr bool is_timeout(close_outcome o) {
    return o >= close_outcome::timed_out_connecting && o <= close_outcome::timed_out_fin_wait_2;
}
constexpr bool is_abort(close_outcome o) {
    return o >= close_outcome::aborted_by_application && o <= close_outcome::aborted_shutdown;
}

static_assert(
    [] {
        for (std::size_t i = 0; i < close_outcomes.size(); ++i) {
            if (static_cast<std::size_t>(close_outcomes[i].outcome) != i) {
                return false;
            }
        }
        return true;
    }(),
    "close_outcomes must be in the order of the enumeration");

// Why a call was refused. The errno a socket API gives for it stands beside each.
enum class call_error : std::uint8_t {
    stale_handle,           // EBADF: the handle's connection is gone
    not_connected,          // ENOTCONN
    would_block,            // EAGAIN
    closed_for_sending,     // EPIPE: shutdown(write), close() or the end came first
    connection_reset,       // ECONNRESET
    connection_refused,     // ECONNREFUSED
    timed_out,              // ETIMEDOUT
    host_unreachable,       // EHOSTUNREACH: no route
    address_in_use,         // EADDRINUSE
    address_not_available,  // EADDRNOTAVAIL: not ours, or no local port is left
    invalid_argument,       // EINVAL
    no_memory,              // ENOBUFS: connections or mbufs have run out
};
constexpr std::string_view name(call_error e) {
    constexpr std::array<std::string_view, 12> names{
        "stale_handle",     "not_connected",         "would_block",      "closed_for_sending",
        "connection_reset", "connection_refused",    "timed_out",        "host_unreachable",
        "address_in_use",   "address_not_available", "invalid_argument", "no_memory"};
    return names[static_cast<std::size_t>(e)];
}

}  // namespace lastack
