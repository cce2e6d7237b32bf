// SPDX-License-Identifier: BSD-3-Clause
// A segment for a connection: RFC 9293 3.10.7.3 and 3.10.7.4.
//
// teardown::classify() judges; the close FSM says what a disqualified segment is answered; an
// acceptable one goes through ACK, text and FIN here, in this order, each in the state the one
// before has left. The common segments skip the judging (header prediction): in sequence, inside
// the window, nothing but ACK, PSH and FIN, on a connection that is open or whose FIN is out.
#include <rte_mbuf.h>

#include "tcp/engine.hpp"

namespace lastack::tcp {

namespace flags = wire::tcp_flags;
using teardown::event;
using teardown::state;

bool engine::predicted(const tcb& c, const wire::tcp_segment& s) const {
    const bool open = c.st == state::established;
    const bool closing = c.st == state::fin_wait_1 && s.payload_length == 0 && !c.syn_unacked;
    constexpr auto harmless = static_cast<std::uint8_t>(~(flags::psh | flags::fin));
    if (!(open || closing) || (s.flags & harmless) != flags::ack || s.seq != c.rcv_nxt ||
        c.reassembly != npos || c.recovery != recovery_state::open || s.options.sack_count != 0 ||
        s.ack < c.snd_una || s.ack > c.snd_nxt || s.options.has_timestamps != c.timestamps) {
        return false;
    }
    if (distance(c.rcv_nxt + s.length(), c.rcv_edge) < 0) {
        return false;
    }
    return !c.timestamps || static_cast<std::int32_t>(s.options.tsval - c.ts_recent) >= 0;
}

// RFC 7323 5.5: after 24 days without a segment TS.Recent proves nothing (R72).
bool engine::ts_recent_valid(const tcb& c) const {
    constexpr std::uint32_t days_24 = 24 * 86400;
    return now_s_ - c.ts_recent_s <= days_24;
}

teardown::connection_view engine::view_of(const tcb& c) const {
    teardown::connection_view v;
    v.st = c.st;
    v.iss = c.snd_una;
    v.snd_una = c.snd_una;
    v.snd_nxt = c.snd_nxt;
    v.snd_wnd_max = c.snd_wnd_max;
    v.rcv_nxt = c.rcv_nxt;
    const std::int32_t window = distance(c.rcv_nxt, c.rcv_edge);
    v.rcv_wnd = window > 0 ? static_cast<std::uint32_t>(window) : 0;
    v.ts_recent = c.ts_recent;
    v.last_ack_sent = c.last_ack_sent;
    v.sack_right_edge = c.rcv_nxt;
    if (c.reassembly != npos) {
        const reassembly& r = reassemblies_[c.reassembly];
        for (std::uint8_t i = 0; i < r.block_count; ++i) {
            v.sack_right_edge = max(v.sack_right_edge, r.blocks[i].right);
        }
    }
    v.timestamps = c.timestamps;
    v.ts_recent_valid = ts_recent_valid(c);
    v.ts_strict = c.ts_strict;
    v.fin_sent = c.fin_sent;
    v.fin_received = c.fin_received;
    const socket* const s = c.socket == npos ? nullptr : &sockets_[c.socket];
    v.syn_unacked = c.syn_unacked;
    v.unreadable = c.detached || (s != nullptr && s->read_shut && c.fin_queued);
    return v;
}

void engine::connection_input(arrival& a, std::uint32_t index) {
    tcb& c = tcbs_[index];
    if (c.st == state::syn_sent) {
        syn_sent_input(a, index);
        return;
    }
    teardown::verdict v;
    if (predicted(c, a.segment)) {
        v.update_ts_recent = c.timestamps;
        v.acks_fin = c.fin_sent && c.snd_una != c.snd_nxt && a.segment.ack == c.snd_nxt;
        v.fin = a.segment.has(flags::fin);
    } else {
        v = teardown::classify(view_of(c), a.segment);
    }
    if (v.what == event::rx_acceptable) {
        accept_segment(a, index, v);
    } else {
        disqualified(c, a, v);
    }
}

void engine::disqualified(tcb& c, const arrival& a, const teardown::verdict& v) {
    note_drop(v.what);
    switch (v.what) {
        case event::rx_paws_reject:
            counters_.add(counter::paws_estab);
            break;
        case event::rx_rst_outside:
            counters_.add(counter::rst_ignored);
            break;
        case event::rx_ack_missing:
            counters_.add(counter::ack_missing);
            break;
        case event::rx_ack_too_old:
            counters_.add(counter::ack_too_old);
            break;
        case event::rx_ack_unsent:
            counters_.add(counter::ack_unsent);
            break;
        case event::rx_ts_missing:
            counters_.add(counter::ts_missing);
            break;
        case event::rx_syn:
        case event::rx_syn_newer:
        case event::rx_syn_ack:
        case event::rx_syn_fin:
            if (c.st != state::syn_received || v.what != event::rx_syn) {
                counters_.add(counter::syn_challenge);  // else a SYN that came again
            }
            break;
        default:
            break;
    }
    apply(c, v.what, &a);
}

// RFC 7323 4.3: only from a segment that covers what we acknowledged last (R70).
void engine::note_timestamp(tcb& c, const wire::tcp_segment& s) {
    if (s.seq <= c.last_ack_sent) {
        c.ts_recent = s.options.tsval;
        c.ts_recent_s = now_s_;
    }
}

void engine::accept_segment(arrival& a, std::uint32_t index, const teardown::verdict& v) {
    tcb& c = tcbs_[index];
    const wire::tcp_segment& s = a.segment;
    c.last_received = now_tick_;
    c.keepalive_sent = 0;
    if (v.update_ts_recent) {
        note_timestamp(c, s);
    }
    acknowledge(c, s, v);
    if (v.acks_syn) {
        c.syn_unacked = false;
        if (!apply(c, event::rx_ack_of_syn, &a)) {
            return;
        }
    }
    if (v.acks_fin && !apply(c, event::rx_ack_of_fin, &a)) {
        return;
    }
    if (v.unreadable_text) {
        apply(c, event::rx_data_unreadable, &a);
        return;
    }
    if (s.payload_length > v.trim_front + v.trim_back) {
        accept_text(c, a, v);
    }
    if (v.ack_now) {  // text or FIN was cut off: a zero-window probe, or an overlap
        c.ack_now = true;
        make_ready(c);
    }
    if (v.fin) {
        const seq32 fin_seq = s.seq + s.length() - 1;
        if (fin_seq != c.rcv_nxt) {
            note_early_fin(c, fin_seq);
            c.ack_now = true;
            make_ready(c);
        }
    }
    if ((v.fin && s.seq + s.length() - 1 == c.rcv_nxt) || fin_is_next(c)) {
        c.rcv_nxt += 1;
        c.rcv_edge = max(c.rcv_edge, c.rcv_nxt);
        c.fin_received = true;
        drop_reassembly(c);
        if (!apply(c, event::rx_fin, &a)) {
            return;
        }
    }
    if (v.acks_fin && c.st == state::fin_wait_2) {
        enter_fin_wait_2(c);
    }
}

}  // namespace lastack::tcp
