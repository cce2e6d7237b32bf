// SPDX-License-Identifier: BSD-3-Clause
// The vocabulary of the close FSM: states, decided facts, and what a transition makes happen.
//
// An event is a *decided fact*: all sequence arithmetic is behind it (classify.hpp). The table that
// joins these is in fsm.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lastack::teardown {

// RFC 9293 3.3.2, all eleven.
enum class state : std::uint8_t {
    closed,
    listen,
    syn_sent,
    syn_received,
    established,
    fin_wait_1,
    fin_wait_2,
    close_wait,
    closing,
    last_ack,
    time_wait,
};
inline constexpr std::size_t state_count = 11;

enum class event : std::uint8_t {
    // Calls.
    app_listen,        // passive OPEN
    app_connect,       // active OPEN
    app_shutdown_wr,   // FIN behind what is queued; the application stays
    app_close,         // the same, and nobody reads any more (orphan)
    app_close_unread,  // close() with received data unread (R06)
    app_abort,         // abort(), or close() with linger {on, 0}; everything queued is sent (R12)
    app_abort_unsent,  // the same, with text or FIN queued and not yet sent (R12)

    // A segment, in the order of RFC 9293 3.10.7.4. Exactly one of the disqualifying facts, or
    // rx_acceptable followed by any of rx_ack_of_syn, rx_ack_of_fin, rx_data_unreadable, rx_fin.
    // In CLOSED, LISTEN and SYN_SENT the one fact is the whole answer.
    rx_out_of_window,     // SEG.SEQ not acceptable, not RST (R37)
    rx_paws_reject,       // TSval < TS.Recent, not RST (R37, R71)
    rx_rst_outside,       // R29
    rx_rst_exact,         // SEG.SEQ == RCV.NXT, or one of R32's (R30)
    rx_rst_in_window,     // R31; TIME_WAIT: exact, but tcp_rfc1337 is set (R46)
    rx_rst_refused,       // while opening: RST with an acceptable ACK (R41), or ICMP says the same
    rx_syn,               // SYN without ACK: opens (LISTEN), crosses (SYN_SENT), comes again
                          // (SYN_RECEIVED), is refused (TIME_WAIT, R47, R48), else R34
    rx_syn_ack,           // SYN_SENT: SYN with an acceptable ACK; elsewhere: SYN with ACK (R34)
    rx_syn_fin,           // SYN and FIN together (R40, R50)
    rx_ack_missing,       // R26
    rx_ack_unacceptable,  // CLOSED to SYN_RECEIVED: answered by RST (R27, R39 to R41)
    rx_ack_too_old,       // SEG.ACK < SND.UNA - MAX.SND.WND (R35)
    rx_ack_unsent,        // SEG.ACK > SND.NXT (R35)
    rx_ts_missing,        // timestamps were negotiated and are strict here (R69)
    rx_acceptable,        // process ACK, text and FIN
    rx_ack_of_syn,        // our SYN is acknowledged (SYN_SENT: by a segment without SYN)
    rx_ack_of_fin,        // our FIN is acknowledged
    rx_data_unreadable,   // text beyond RCV.NXT that nobody can read (R07, R10)
    rx_fin,               // the peer's FIN is next in sequence

    rx_syn_newer,      // a SYN other than the one that opened: TIME_WAIT: it may open a new
                       // incarnation (R47, R48); SYN_RECEIVED: it is challenged
    rx_old_duplicate,  // TIME_WAIT: anything else that must be answered (R45)

    // Time.
    connect_timeout,     // tcp_syn_retries or tcp_synack_retries exhausted (R65)
    retransmit_timeout,  // tcp_retries2 exhausted (R65)
    probe_timeout,       // zero-window probes exhausted
    orphan_timeout,      // tcp_orphan_retries exhausted (R62)
    user_timeout,        // R66
    keepalive_timeout,   // R67
    fin_wait_2_expired,  // R59
    time_wait_expired,   // R42

    // Resources and outside facts.
    orphan_limit,       // R63
    orphan_dropped,     // the same, of one that has been idle for so long that it goes silently
    time_wait_refused,  // the TIME_WAIT table is at its cap (R54)
    evicted,            // a TIME_WAIT record made room for another (R54)
    listener_closed,    // R05
    linger2_negative,   // our FIN is acknowledged and TCP_LINGER2 < 0 (R61)
    unreachable,        // the peer cannot be reached while opening
    stack_stopped,      // drain time is over
};
inline constexpr std::size_t event_count = static_cast<std::size_t>(event::stack_stopped) + 1;

// What the one who applies a transition does, in the order of these bits.
enum class action : std::uint32_t {
    none = 0,
    send_syn = 1u << 0,
    send_syn_ack = 1u << 1,
    queue_fin = 1u << 2,           // FIN goes out behind what is queued
    detach = 1u << 3,              // nobody reads any more; the connection is an orphan
    send_ack = 1u << 4,            // at once
    send_challenge_ack = 1u << 5,  // RFC 5961 7: throttled (R36)
    send_duplicate_ack = 1u << 6,  // throttled for segments without text and FIN (R37)
    send_reset = 1u << 7,    // <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK> with options (R06, R12)
    answer_reset = 1u << 8,  // the no-socket RST for the segment at hand
    process = 1u << 9,       // go on with the segment: ACK, text, FIN
    tell_opened = 1u << 10,
    tell_peer_closed = 1u << 11,   // end of stream
    enter_fin_wait_2 = 1u << 12,   // start FIN_WAIT_2's limit if an orphan (R59)
    enter_time_wait = 1u << 13,    // make the record, free the connection
    restart_time_wait = 1u << 14,  // 2MSL anew
    finish = 1u << 15,             // free the connection; the outcome is in the cell
};
constexpr action operator|(action a, action b) {
    return static_cast<action>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr bool has(action set, action one) {
    return (static_cast<std::uint32_t>(set) & static_cast<std::uint32_t>(one)) != 0;
}

}  // namespace lastack::teardown
