// SPDX-License-Identifier: BSD-3-Clause
// The close FSM's vocabulary in words: for the documentation, telemetry and messages of tests.
#pragma once

#include <array>
#include <string_view>

#include "teardown/state.hpp"

namespace lastack::teardown {

// As RFC 9293 3.3.2 writes them, with '_' for '-'.
inline constexpr std::array<std::string_view, state_count> state_names{
    "CLOSED",     "LISTEN",     "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1",
    "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING",  "LAST_ACK",     "TIME_WAIT"};

struct event_row {
    event id;
    std::string_view name;
    std::string_view sentence;
};

inline constexpr std::array<event_row, event_count> event_rows{{
    {event::app_listen, "app_listen", "passive open"},
    {event::app_connect, "app_connect", "active open"},
    {event::app_shutdown_wr, "app_shutdown_wr",
     "the application will send no more; FIN goes behind what is queued"},
    {event::app_close, "app_close", "the application will neither send nor read any more"},
    {event::app_close_unread, "app_close_unread", "close while received data lies unread"},
    {event::app_abort, "app_abort",
     "abort, or close with linger {on, 0}, with everything queued sent"},
    {event::app_abort_unsent, "app_abort_unsent",
     "the same, with text or FIN queued and not yet sent"},
    {event::rx_out_of_window, "rx_out_of_window", "segment outside the window, not RST"},
    {event::rx_paws_reject, "rx_paws_reject", "timestamp older than the last one, not RST"},
    {event::rx_rst_outside, "rx_rst_outside", "RST that counts for nothing"},
    {event::rx_rst_exact, "rx_rst_exact", "RST at exactly the sequence number expected"},
    {event::rx_rst_in_window, "rx_rst_in_window",
     "RST in the window, not exact (TIME_WAIT: exact, but tcp_rfc1337 is set)"},
    {event::rx_rst_refused, "rx_rst_refused", "RST (or ICMP error) that refuses our SYN"},
    {event::rx_syn, "rx_syn", "SYN without ACK"},
    {event::rx_syn_ack, "rx_syn_ack", "SYN with ACK"},
    {event::rx_syn_fin, "rx_syn_fin", "SYN and FIN together"},
    {event::rx_ack_missing, "rx_ack_missing", "segment without ACK"},
    {event::rx_ack_unacceptable, "rx_ack_unacceptable",
     "ACK of something never sent while opening"},
    {event::rx_ack_too_old, "rx_ack_too_old", "ACK of something older than any window"},
    {event::rx_ack_unsent, "rx_ack_unsent", "ACK of something not sent yet"},
    {event::rx_ts_missing, "rx_ts_missing", "timestamp missing where it is required"},
    {event::rx_acceptable, "rx_acceptable", "segment to be processed"},
    {event::rx_ack_of_syn, "rx_ack_of_syn", "our SYN is acknowledged"},
    {event::rx_ack_of_fin, "rx_ack_of_fin", "our FIN is acknowledged"},
    {event::rx_data_unreadable, "rx_data_unreadable", "new text that nobody can read any more"},
    {event::rx_fin, "rx_fin", "the peer's FIN (TIME_WAIT: again)"},
    {event::rx_syn_newer, "rx_syn_newer",
     "SYN of another incarnation (TIME_WAIT: one that may open)"},
    {event::rx_old_duplicate, "rx_old_duplicate", "anything else that must be answered"},
    {event::connect_timeout, "connect_timeout",
     "SYN or SYN-ACK given up (tcp_syn_retries, tcp_synack_retries)"},
    {event::retransmit_timeout, "retransmit_timeout", "retransmission given up (tcp_retries2)"},
    {event::probe_timeout, "probe_timeout", "zero-window probes given up"},
    {event::orphan_timeout, "orphan_timeout",
     "retransmission for a closed connection given up (tcp_orphan_retries)"},
    {event::user_timeout, "user_timeout", "TCP_USER_TIMEOUT ran out"},
    {event::keepalive_timeout, "keepalive_timeout", "keepalive probes stayed unanswered"},
    {event::fin_wait_2_expired, "fin_wait_2_expired", "tcp_fin_timeout ran out"},
    {event::time_wait_expired, "time_wait_expired", "2MSL are over"},
    {event::orphan_limit, "orphan_limit",
     "too many closed connections still ending (tcp_max_orphans)"},
    {event::orphan_dropped, "orphan_dropped",
     "the same, of one whose peer has long been silent: no RST"},
    {event::time_wait_refused, "time_wait_refused",
     "no TIME_WAIT record is to be had (tcp_max_tw_buckets)"},
    {event::evicted, "evicted", "the record made room for another"},
    {event::listener_closed, "listener_closed",
     "the listener closed before it handed the connection over"},
    {event::linger2_negative, "linger2_negative",
     "our FIN is acknowledged and TCP_LINGER2 is negative"},
    {event::unreachable, "unreachable", "the peer cannot be reached"},
    {event::stack_stopped, "stack_stopped", "the stack stops and its drain time is over"},
}};

struct action_row {
    action id;
    std::string_view sentence;
};

// In the order in which they are taken.
inline constexpr std::array<action_row, 16> action_rows{{
    {action::send_syn, "send SYN"},
    {action::send_syn_ack, "send SYN-ACK"},
    {action::queue_fin, "queue FIN"},
    {action::detach, "orphan it"},
    {action::send_ack, "send ACK"},
    {action::send_challenge_ack, "send challenge ACK"},
    {action::send_duplicate_ack, "send duplicate ACK"},
    {action::send_reset, "send RST"},
    {action::answer_reset, "answer with RST"},
    {action::process, "process ACK, text, FIN"},
    {action::tell_opened, "tell: opened"},
    {action::tell_peer_closed, "tell: peer closed"},
    {action::enter_fin_wait_2, "limit FIN_WAIT_2 if an orphan"},
    {action::enter_time_wait, "make the TIME_WAIT record"},
    {action::restart_time_wait, "restart 2MSL"},
    {action::finish, "free it"},
}};

constexpr std::string_view name(state s) {
    return state_names[static_cast<std::size_t>(s)];
}
constexpr std::string_view name(event e) {
    return event_rows[static_cast<std::size_t>(e)].name;
}

static_assert(
    [] {
        for (std::size_t i = 0; i < event_count; ++i) {
            if (static_cast<std::size_t>(event_rows[i].id) != i) {
                return false;
            }
        }
        for (std::size_t i = 0; i < action_rows.size(); ++i) {
            if (static_cast<std::uint32_t>(action_rows[i].id) != 1u << i) {
                return false;
            }
        }
        return static_cast<std::uint32_t>(action::finish) == 1u << (action_rows.size() - 1);
    }(),
    "event_rows and action_rows must be in the order of the enumerations");

}  // namespace lastack::teardown
