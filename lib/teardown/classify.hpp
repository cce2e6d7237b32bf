// SPDX-License-Identifier: BSD-3-Clause
// From a segment to a decided fact: the only place where sequence numbers are judged.
//
// RFC 9293 3.10.7.2 to 3.10.7.4, RFC 5961 3 to 5, RFC 7323 5.3. Pure: looks at a view of the
// connection and at the segment, changes nothing, asks no clock.
#pragma once

#include <cstdint>

#include "base/seq32.hpp"
#include "teardown/state.hpp"
#include "wire/tcp.hpp"

namespace lastack::teardown {

// What judging a segment needs to know of a connection. Windows in octets, scaled.
struct connection_view {
    state st = state::closed;
    seq32 iss;  // SYN_SENT, SYN_RECEIVED
    seq32 snd_una;
    seq32 snd_nxt;                  // highest sent + 1, a sent FIN included
    std::uint32_t snd_wnd_max = 0;  // MAX.SND.WND (RFC 5961 5.2)
    seq32 rcv_nxt;
    std::uint32_t rcv_wnd = 0;  // from RCV.NXT to the right edge ever advertised
    std::uint32_t ts_recent = 0;
    seq32 last_ack_sent;           // Last.ACK.sent (RFC 7323 4.3): the ACK field we sent last
    seq32 sack_right_edge;         // of the highest SACK block we have sent (R32); rcv_nxt if none
    bool timestamps = false;       // negotiated
    bool ts_recent_valid = false;  // false after 24 days idle (R72)
    bool ts_strict = false;        // R69
    bool syn_unacked = false;      // FIN_WAIT_1 after R04: our SYN is not acknowledged yet
    bool fin_sent = false;         // snd_nxt counts our FIN
    bool fin_received = false;     // rcv_nxt counts the peer's FIN
    bool unreadable = false;       // closed, or both directions shut down (R07, R10)
};

// The fact, and what rx_acceptable leaves to be done. The fields below `what` mean something with
// rx_acceptable only, but for update_ts_recent and trim_back, which SYN_SENT and LISTEN set too.
struct verdict {
    event what = event::rx_acceptable;
    bool acks_syn = false;          // rx_ack_of_syn follows
    bool acks_fin = false;          // rx_ack_of_fin follows
    bool unreadable_text = false;   // rx_data_unreadable follows
    bool fin = false;               // FIN is in the window; rx_fin once all before it is in
    bool update_ts_recent = false;  // TS.Recent = TSval (RFC 7323 4.3)
    bool ack_now = false;           // text or FIN was cut off: answer with an ACK at once
    std::uint32_t trim_front = 0;   // octets of text before RCV.NXT
    std::uint32_t trim_back = 0;    // octets of text beyond the window or behind the peer's FIN
};

// For every state but TIME_WAIT, which has a record and a function of its own.
verdict classify(const connection_view& view, const wire::tcp_segment& segment);

// LISTEN and CLOSED need no view: the segment's flags say all.
event classify_listen(const wire::tcp_segment& segment);
event classify_closed(const wire::tcp_segment& segment);

// A TIME_WAIT (or orphaned FIN_WAIT_2) record, as far as a verdict needs it.
struct time_wait_view {
    seq32 snd_nxt;
    seq32 rcv_nxt;
    std::uint32_t ts_recent = 0;
    bool timestamps = false;    // the connection had them
    bool fin_wait_2 = false;    // our FIN is acknowledged, the peer's is still to come (R60)
    bool listener = false;      // somebody listens for this 4-tuple now (R47)
    std::uint32_t rcv_wnd = 0;  // octets last advertised; asked for in FIN_WAIT_2 only
    bool ts_strict = false;     // a new incarnation must have timestamps (R69)
};

struct time_wait_policy {
    bool rfc1337 = true;     // tcp_rfc1337 (R46)
    bool timestamps = true;  // tcp_timestamps != 0 for new connections
};

enum class time_wait_answer : std::uint8_t { none, ack, throttled_ack, reset };

// What a segment does to a record: the cell of `what` in TIME_WAIT's row (or FIN_WAIT_2's), with
// the throttle decided and the record's own bookkeeping. At most one of kill, reopen,
// become_time_wait.
struct time_wait_verdict {
    event what = event::rx_old_duplicate;
    time_wait_answer answer = time_wait_answer::none;
    bool restart = false;           // 2MSL anew
    bool kill = false;              // remove the record
    bool reopen = false;            // SYN may open a new incarnation (R47, R48)
    bool ts_strict = false;         // with reopen: what the new incarnation is (R69)
    bool become_time_wait = false;  // FIN_WAIT_2 got its FIN
    bool update_ts_recent = false;
    bool paws_rejected = false;
    seq32 new_rcv_nxt;  // with become_time_wait: the octet behind the FIN
};

time_wait_verdict classify_time_wait(const time_wait_view& view, const wire::tcp_segment& segment,
                                     const time_wait_policy& policy);

// RFC 6528, R47: an ISN for a new incarnation that is beyond everything the old one sent.
constexpr seq32 isn_after_time_wait(seq32 old_snd_nxt) {
    const seq32 next = old_snd_nxt + 65535 + 2;
    return next.raw == 0 ? seq32{1} : next;
}

}  // namespace lastack::teardown
