// SPDX-License-Identifier: BSD-3-Clause
// What one connection is made of, and who owns which part.
//
//   socket      what the application holds: handle, unread data, outcome. 72 B. Outlives the tcb.
//   tcb         the protocol's part. Gone as soon as the connection is in TIME_WAIT or CLOSED.
//   syn_record  a connection still in SYN_RECEIVED after a SYN to a listener: a flood of SYNs can
//               take these, never tcbs.
//   reassembly  what a connection with a gap needs besides; likewise `loss_record` for one whose
//               peer has sacked something, and `record_ends` for one that sends records. Taken from
//               a pool only then.
//
// A tcb without a socket is an orphan. All live in fixed pools and are named by index; nothing
// holds a pointer to one across a call that may free it.
#pragma once

#include <array>
#include <cstdint>

#include "base/index_pool.hpp"
#include "base/seq32.hpp"
#include "base/time.hpp"
#include "flow/key.hpp"
#include "flow/port_owners.hpp"
#include "lastack/connection_options.hpp"
#include "lastack/event.hpp"
#include "lastack/outcome.hpp"
#include "tcp/congestion.hpp"
#include "tcp/rtt.hpp"
#include "tcp/scoreboard.hpp"
#include "tcp/send_queue.hpp"
#include "teardown/state.hpp"
#include "timer/wheel.hpp"
#include "wire/tcp.hpp"

struct rte_mbuf;

namespace lastack::tcp {

struct socket {
    std::uint32_t generation = 0;     // outlives the socket's reuse: an old handle must not match
    std::uint32_t connection = npos;  // its tcb; npos once the connection has ended
    std::uint64_t user = 0;
    rte_mbuf* rx_head = nullptr;  // unread payload, one chain of segments
    rte_mbuf* rx_tail = nullptr;
    std::uint32_t rx_octets = 0;  // unread
    std::uint32_t rx_memory = 0;  // buffer memory of the chain, in octets
    flow::key4 key{};
    listener_id listener{};
    std::uint8_t pending = 0;  // event_bits not yet taken
    close_outcome outcome = close_outcome::none;
    bool held = false;           // a handle is out (or will be, with `opened`)
    bool in_event_ring = false;  // outlives the socket's reuse: the ring entry is still there
    bool end_of_stream = false;  // the peer's FIN is behind rx
    bool read_shut = false;      // SHUT_RD
    bool app_closed = false;     // close() or abort() was called
    bool wants_completion = false;
    bool told_ended = false;
    bool wants_writable = false;  // send() came back short
    bool unreachable = false;     // it timed out, and an ICMP error had said why
};

// Why a connection wants the wheel; each kind has one deadline in the tcb.
namespace deadline_bits {
inline constexpr std::uint8_t retransmit = 1;  // RTO, persist and others: see rtx_kind
inline constexpr std::uint8_t delayed_ack = 2;
inline constexpr std::uint8_t keepalive = 4;  // also an orphan's FIN_WAIT_2 beyond its record
inline constexpr std::uint8_t cork = 8;       // a corked or Nagled rest goes out at last
inline constexpr std::uint8_t linger = 16;  // close() completes, though the end has not come (R13)
}  // namespace deadline_bits

enum class rtx_kind : std::uint8_t { rto, loss_probe, reorder, persist };

// RFC 6582, RFC 6675: `loss` after a retransmission timeout, `recovery` after duplicate ACKs.
enum class recovery_state : std::uint8_t { open, recovery, loss };

struct tcb {
    // What every segment touches.
    flow::key4 key{};
    std::uint32_t socket = npos;
    std::uint64_t hash = 0;
    seq32 snd_una;
    seq32 snd_nxt;  // highest sent + 1, a sent FIN included
    seq32 rcv_nxt;
    seq32 rcv_edge;  // right edge of the window ever advertised
    seq32 snd_wl1;
    seq32 snd_wl2;
    std::uint32_t snd_wnd = 0;  // octets, scaled
    std::uint32_t snd_wnd_max = 0;
    std::uint32_t ts_recent = 0;
    std::uint32_t ts_recent_s = 0;  // when it was, in seconds, which outlast a tick
    std::uint32_t ts_offset = 0;
    seq32 last_ack_sent;
    teardown::state st = teardown::state::closed;
    recovery_state recovery = recovery_state::open;
    rtx_kind rtx = rtx_kind::rto;
    std::uint8_t deadlines = 0;   // deadline_bits that are running
    std::uint8_t snd_wscale = 0;  // the peer's shift
    std::uint8_t rcv_wscale = 0;  // ours
    // Octets, not bits, which would be read before they are written, and in words that may have
    // parts still on their way to memory.
    bool timestamps = false;
    bool sack = false;
    bool wscale = false;       // negotiated
    bool ts_strict = false;    // R69
    bool syn_unacked = false;  // our SYN is out: snd_una is its number
    bool fin_queued = false;   // FIN follows the send queue
    bool fin_sent = false;
    bool fin_received = false;
    bool ack_now = false;
    bool ack_pending = false;    // something received is not yet acknowledged
    bool in_ready_ring = false;  // outlives the tcb's reuse: the ring entry is still there
    bool no_delay = false;
    bool corked = false;
    bool keepalive = false;
    bool detached = false;          // orphan: close() was called
    bool accepted_waiting = false;  // counts in its listener's accept queue
    bool fragmentable = false;      // the path is narrower than the smallest MSS
    bool probing = false;           // a tail loss probe is out, and it was a retransmission
    bool push_now = false;          // the cork's time is over: send a short segment
    bool more_follows = false;      // MSG_MORE: a short rest waits for the next call or ACK
    bool rtt_timing = false;        // rtt_seq is being timed
    bool oow_acked = false;         // last_oow_ack is meaningful
    bool challenged = false;        // last_challenge is meaningful
    bool window_shut = false;       // being probed since first_retry
    bool rcv_fixed = false;         // rcv_limit was asked for (SO_RCVBUF) and does not grow
    bool fast_open = false;         // our SYN has RFC 7413's option, or will have it
    bool syn_held = false;          // our SYN waits for the first text
    bool syn_text_acked = false;    // the SYN-ACK acknowledged all text of our SYN
    flow::port_sharing sharing{};

    // Sending.
    send_queue snd;
    new_reno cc;
    rtt_estimator rtt;
    std::uint16_t mss = 536;       // octets of payload a segment may hold, options taken off
    std::uint16_t mss_base = 536;  // the same before options: the peer's offer and the path
    std::uint16_t mss_max = 0;     // TCP_MAXSEG; 0: no limit of ours
    std::uint8_t backoff = 0;
    std::uint8_t retries = 0;  // timeouts since the last progress
    std::uint8_t dupacks = 0;
    std::uint8_t quick_acks = 0;        // segments still to be acknowledged without delay
    std::uint8_t unacked_segments = 0;  // received since our last ACK
    std::uint8_t soft_error = 0;        // an ICMP error since the last progress (R68)
    std::uint8_t ttl = 0;               // 0: ip_default_ttl
    std::uint8_t tos = 0;
    std::uint8_t syn_retries = 0;   // 0: tcp_syn_retries
    std::uint32_t rtt_sent_us = 0;  // low 32 bits of the instant at which rtt_seq was sent
    seq32 rtt_seq;                  // end of the segment being timed
    seq32 snd_small;                // end of the last segment below the MSS (Nagle, Minshall)
    seq32 snd_push;                 // end of the last write that was not to be continued (PSH)
    seq32 snd_last;                 // where the last new segment began
    seq32 probe_end;                // SND.NXT when the tail loss probe went out (RFC 8985 7)
    seq32 recover;                  // SND.NXT when the recovery began
    seq32 high_rxt;                 // next to consider for retransmission
    std::uint32_t loss = npos;      // index of the loss_record
    std::uint32_t records = npos;   // index of the record_ends
    tick first_retry;               // when what is now retried, or probed for, began to wait

    // Receiving.
    std::uint32_t reassembly = npos;  // index
    std::uint32_t rcv_limit = 0;      // octets of buffer memory
    seq32 rcv_tune;                   // end of the window being watched for growth
    std::uint32_t rcv_read = 0;       // octets the application took since
    listener_id listener{};

    // Time.
    // Of the wheel's node, which hangs no later than any of those below. Both outlive the tcb's
    // reuse: the node still hangs there.
    timer::timer_link link;
    tick deadline;
    tick rtx_at;
    tick ack_at;
    tick keepalive_at;
    tick cork_at;
    tick linger_at;
    tick last_received;              // for keepalive
    tick last_sent_data;             // for restart after idle
    tick last_oow_ack;               // R37
    tick last_challenge;             // R36
    std::uint32_t snd_limit = 0;     // octets of buffer memory (SO_SNDBUF); 0: by tcp_wmem
    std::uint32_t time_wait_ms = 0;  // its listener's; 0: lastack.time_wait_ms
    std::uint32_t user_timeout_ms = 0;
    std::uint32_t keepalive_idle_ms = 0;
    std::uint32_t keepalive_interval_ms = 0;
    std::uint8_t keepalive_probes = 0;
    std::uint8_t keepalive_sent = 0;
    std::int32_t linger2_s = 0;
    std::int32_t linger_s = -1;                   // SO_LINGER; -1: off
    close_outcome outcome = close_outcome::none;  // decided by the FSM, told at the end
    tick state_since;                             // when it entered its state
    std::uint64_t taken = 0;  // the states it went through, four bits each, the latest lowest
};

struct syn_record {
    flow::key4 key{};
    seq32 iss;
    std::uint64_t hash = 0;
    seq32 irs;
    std::uint32_t ts_recent = 0;
    std::uint32_t ts_offset = 0;
    std::uint16_t window = 0;      // of the SYN, unscaled
    std::uint16_t mss = 536;       // the peer's offer
    std::uint16_t rcv_window = 0;  // that our SYN-ACK told, and its shift: settings may change
    std::uint8_t rcv_wscale = 0;
    std::uint8_t wscale = 0;
    bool has_wscale : 1 = false;
    bool timestamps : 1 = false;
    bool sack : 1 = false;
    bool ts_strict : 1 = false;
    bool reopened : 1 = false;  // a parked TIME_WAIT record stands behind it (R49)
    bool rate_stamped : 1 = false;
    bool in_use : 1 = false;
    std::uint8_t retries = 0;
    listener_id listener{};
    std::uint32_t sent_us = 0;  // low 32 bits of the instant of the first SYN-ACK
    tick last_oow_ack;
    timer::timer_link link;  // these two outlive the record's reuse, as a tcb's do
    tick deadline;
};

// Out-of-order payload: a node a segment, in order of sequence; and what SACK says of it.
struct ofo_node {
    rte_mbuf* payload = nullptr;
    seq32 left;
    std::uint32_t octets = 0;
    std::uint32_t next = npos;
};

struct reassembly {
    std::uint32_t head = npos;
    std::uint32_t tail = npos;
    std::uint32_t memory = 0;  // octets of buffer memory
    seq32 fin_seq;             // of a FIN that arrived early
    bool fin_seen = false;
    std::uint8_t block_count = 0;
    std::array<wire::sack_block, 4> blocks{};  // most recent first (RFC 2018 section 4)
};

struct loss_record {
    scoreboard sacked;
    seq32 late;  // holes below it are lost: what came after them is here for a reordering window
};

// A local port that is bound; if `listening`, also for SYNs.
struct listener {
    ip_address address{};  // the any-address: all of the stack's
    std::uint16_t port = 0;
    std::uint16_t generation = 0;
    std::uint16_t next = 0;  // on the same port: its index + 1
    bool open = false;
    bool listening = false;
    flow::port_sharing sharing{};
    connection_options connections{};
    std::uint32_t time_wait_ms = 0;    // 0: lastack.time_wait_ms
    bool hold_until_accepted = false;  // `opened` is not yet accept()
    std::uint32_t backlog = 0;
    std::uint32_t syn_received = 0;  // records
    std::uint32_t waiting = 0;       // established, `opened` not yet taken
};

}  // namespace lastack::tcp
