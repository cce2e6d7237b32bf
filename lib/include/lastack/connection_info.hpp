// SPDX-License-Identifier: BSD-3-Clause
// What the stack knows of a connection, for whoever looks at one: Linux's TCP_INFO and the like.
//
// Names are Linux's (tcpi_...) where the meaning is exactly Linux's, so segments are counted where
// it counts segments. What the stack does not keep is not here, rather than guessed.
#pragma once

#include <cstdint>

namespace lastack {

// RFC 9293 3.3.2, in the RFC's order.
enum class connection_state : std::uint8_t {
    closed,  // or TIME_WAIT, or FIN_WAIT_2 of a handle that is closed: only a record is left
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

// As Linux's TCP_CA_ values.
enum class recovery_phase : std::uint8_t { open = 0, disorder = 1, recovery = 3, loss = 4 };

struct connection_info {
    connection_state state = connection_state::closed;
    recovery_phase recovery = recovery_phase::open;
    bool timestamps = false;
    bool sack = false;
    bool window_scaling = false;
    bool syn_data = false;         // the SYN-ACK acknowledged data of our SYN, all of it
    std::uint8_t snd_wscale = 0;   // the peer's shift
    std::uint8_t rcv_wscale = 0;   // ours
    std::uint8_t retransmits = 0;  // timeouts since the last progress
    std::uint8_t probes = 0;       // zero-window or keepalive probes unanswered
    std::uint8_t backoff = 0;
    std::uint32_t rto_us = 0;  // with back-off
    std::uint32_t ato_us = 0;  // delayed ACK
    std::uint32_t rtt_us = 0;  // smoothed; 0: not yet measured
    std::uint32_t rttvar_us = 0;
    std::uint32_t snd_mss = 0;  // octets of text in a segment
    std::uint32_t advmss = 0;   // what we offered
    std::uint32_t pmtu = 0;
    std::uint32_t snd_cwnd = 0;           // octets
    std::uint32_t snd_ssthresh = 0;       // octets; ~0: none yet
    std::uint32_t snd_wnd = 0;            // the peer's window, octets
    std::uint32_t rcv_wnd = 0;            // ours as last advertised, octets
    std::uint32_t in_flight = 0;          // sequence numbers sent and not acknowledged
    std::uint32_t sacked = 0;             // octets of them that SACK covers
    std::uint32_t outstanding = 0;        // numbers written and not acknowledged, FIN included
    std::uint32_t not_sent = 0;           // octets written and not sent
    std::uint32_t last_data_sent_ms = 0;  // ago
    std::uint32_t last_received_ms = 0;   // ago, any segment
};

}  // namespace lastack
