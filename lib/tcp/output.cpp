// SPDX-License-Identifier: BSD-3-Clause
// What is due at the end of a turn: retransmissions, new data, FIN, ACK.
//
// PSH stands on the segment that holds the end of a write, or ends a record. What leaves in one go
// is also cut into groups of full segments, each of which ends with PSH: Linux sends such a group
// as one large segment and marks it, so that a receiver that gathers segments hands them on at
// once.
//
// A connection with something due is in the ready ring, at most once. It is served here, after the
// application has answered the turn's events, so that ACK and FIN ride on data. `room` is the
// number of segments with text that this turn may still send; what does not fit stays in the ring,
// of which no turn sees more than what has room and some that may have an ACK to send.
#include <algorithm>

#include "tcp/engine.hpp"

namespace lastack::tcp {
namespace {

namespace flags = wire::tcp_flags;
using teardown::state;

// Connections served in a turn after its room is gone, for the ACKs among them; one that still has
// text to send goes to the end of the ring. Their ACKs fit the room that text leaves free.
constexpr std::uint32_t visits_without_room = 64;

// Octets of text in flight (a FIN in flight is not text).
std::uint32_t text_in_flight(const tcb& c) {
    return std::min(static_cast<std::uint32_t>(distance(c.snd_una, c.snd_nxt)), c.snd.octets());
}

bool fin_to_send(const tcb& c) {
    return c.fin_queued && !c.fin_sent;
}

}  // namespace

void engine::make_ready(tcb& c) {
    if (c.in_ready_ring) {
        return;
    }
    c.in_ready_ring = true;
    auto* ring = reinterpret_cast<std::uint32_t*>(ready_.data());
    std::uint32_t at = ready_head_ + ready_count_;
    at = at >= tcbs_.capacity() ? at - tcbs_.capacity() : at;
    ring[at] = tcbs_.index_of(c);
    ++ready_count_;
}

bool engine::output(std::uint32_t room) {
    const auto* ring = reinterpret_cast<const std::uint32_t*>(ready_.data());
    std::uint32_t visits = visits_without_room;
    for (std::uint32_t left = ready_count_; left > 0 && (room > 0 || visits > 0); --left) {
        visits -= room > 0 ? 0 : 1;
        tcb& c = tcbs_[ring[ready_head_]];
        ready_head_ = ready_head_ + 1 == tcbs_.capacity() ? 0 : ready_head_ + 1;
        --ready_count_;
        c.in_ready_ring = false;
        if (c.st != state::closed) {
            transmit(c, room);
        }
    }
    flush();
    return ready_count_ > 0;
}

bool engine::may_send(const tcb& c) const {
    if (c.syn_unacked) {
        return false;  // R04: a FIN waits for the handshake
    }
    switch (c.st) {
        case state::established:
        case state::close_wait:
        case state::fin_wait_1:
        case state::closing:
        case state::last_ack:
            return true;
        default:
            return false;
    }
}

void engine::transmit(tcb& c, std::uint32_t& room) {
    if (may_send(c)) {
        const seq32 before = c.snd_nxt;
        group_ = 0;
        bool more = true;
        while (more && room > 0) {
            more = retransmit_next(c, true) || send_next(c);
            room -= more ? 1 : 0;
        }
        if (more) {
            make_ready(c);  // next turn
        }
        if (c.snd_nxt != before && c.rtx == rtx_kind::loss_probe) {
            disarm(c, deadline_bits::retransmit);  // RFC 8985 7.2: the probe follows what is new
        }
        arm_after_send(c);
    } else {
        send_held_syn(c);
    }
    if (c.ack_now) {
        if (!send_ack(c)) {
            make_ready(c);
        }
    } else if (c.ack_pending && (c.deadlines & deadline_bits::delayed_ack) == 0) {
        arm(c, deadline_bits::delayed_ack, now_tick_ + settings_.delayed_ack_ms);
    }
}

// An acknowledgement is due; whether it is due at once has been decided by the caller.
void engine::ack_soon(tcb& c) {
    c.ack_pending = true;
    if (c.unacked_segments >= 2 || c.quick_acks > 0) {
        c.ack_now = true;  // RFC 5681 4.2: at least every second segment
    }
    make_ready(c);
}

// How much of `unsent` the window and the MSS allow now. RFC 9293 3.8.6.2.1: no silly window.
std::uint32_t engine::sendable(const tcb& c, std::uint32_t unsent) const {
    const std::int32_t window = distance(c.snd_nxt, c.snd_una + c.snd_wnd);
    if (window <= 0) {
        return 0;
    }
    const auto usable = static_cast<std::uint32_t>(window);
    const seq32 end = record_bound(c, c.snd_nxt, c.snd_nxt + unsent);
    const std::uint32_t most =
        std::min(text_max(c), static_cast<std::uint32_t>(distance(c.snd_nxt, end)));
    const std::uint32_t n = std::min(most, usable);
    const bool window_limited = n < most;
    return window_limited && n < c.snd_wnd_max / 2 ? 0 : n;
}

// Nagle (RFC 9293 3.7.4, in Minshall's form: only a short segment in flight holds back another),
// and TCP_CORK.
bool engine::hold_back(const tcb& c, std::uint32_t octets, std::uint32_t unsent, bool fin) const {
    if (octets == text_max(c) || octets < unsent || fin || c.push_now) {
        return false;
    }
    if (c.corked || c.more_follows) {
        return true;
    }
    return !c.no_delay && c.snd_una < c.snd_small && c.snd_small <= c.snd_nxt;
}

seq32 engine::record_bound(const tcb& c, seq32 left, seq32 right) const {
    return c.records == npos ? right : records_[c.records].bound(left, right);
}

bool engine::pushes(const tcb& c, seq32 seq, std::uint32_t octets) const {
    const seq32 end = seq + octets;
    return octets > 0 && ((seq < c.snd_push && c.snd_push <= end) ||
                          (c.records != npos && records_[c.records].ends_at(end)));
}

// Of the groups, as Linux sizes them: what is sent in a millisecond at twice the rate of a window a
// round trip, and at least two segments. Called for each new segment, before it is sent.
bool engine::ends_group(const tcb& c, std::uint32_t octets, std::uint32_t unsent) {
    if (octets < text_max(c)) {
        group_ = 0;
        return false;
    }
    if (++group_ < 2) {
        return false;
    }
    constexpr std::uint64_t group_octets_max = 65535;
    const std::uint64_t srtt_us = std::max(c.rtt.srtt_us(), 1u);
    const std::uint64_t sent_in_1ms = std::uint64_t{c.cc.window()} * 2 * 1000 / srtt_us;
    const std::uint32_t next = std::min(octets, unsent - octets);
    const std::uint32_t flight = pipe(c) + octets;
    const bool last = flight + next > c.cc.window() ||
                      distance(c.snd_nxt + octets + next, c.snd_una + c.snd_wnd) < 0;
    if (!last && (group_ + 1) * octets <= std::min(sent_in_1ms, group_octets_max)) {
        return false;
    }
    group_ = 0;
    return true;
}

// Sends the next segment that was never sent. Returns false when there is none or it may not go.
bool engine::send_next(tcb& c) {
    const std::uint32_t in_flight = text_in_flight(c);
    const std::uint32_t unsent = c.fin_sent ? 0 : c.snd.octets() - in_flight;
    if (unsent == 0 && !fin_to_send(c)) {
        c.push_now = false;
        return false;
    }
    const std::uint32_t n = unsent == 0 ? 0 : sendable(c, unsent);
    const bool fin =
        fin_to_send(c) && n == unsent && distance(c.snd_nxt + n, c.snd_una + c.snd_wnd) > 0;
    if (n == 0 && !fin) {
        return false;
    }
    if (hold_back(c, n, unsent, fin)) {
        if ((c.corked || c.more_follows) && (c.deadlines & deadline_bits::cork) == 0) {
            // As Linux: a cork holds for an RTO, which is 200 ms or more.
            arm(c, deadline_bits::cork, now_tick_ + std::max(rto_ms(c), 200u));
        }
        return false;
    }
    const std::uint32_t idle_ms = now_tick_.raw - c.last_sent_data.raw;
    if (idle_ms > 1 &&  // an RTO is no shorter, and takes divisions
        in_flight == 0 && settings_.tcp_slow_start_after_idle && n > 0 && c.rtt.valid() &&
        idle_ms > rto_ms(c)) {
        c.cc.on_idle(c.mss);
    }
    const std::uint32_t flight = pipe(c);
    if (n > 0 && flight > 0 && flight + n > c.cc.window()) {
        return false;
    }
    const bool last = n == unsent;
    const bool group_ends = ends_group(c, n, unsent);  // counts every segment, so it comes first
    const bool push = group_ends || pushes(c, c.snd_nxt, n);
    const auto control =
        static_cast<std::uint8_t>(flags::ack | (push ? flags::psh : 0) | (fin ? flags::fin : 0));
    if (!send_segment(c, c.snd_nxt, n, control)) {
        make_ready(c);  // no mbuf: again next turn
        return false;
    }
    c.snd_last = c.snd_nxt;
    c.snd_nxt += n + (fin ? 1 : 0);
    c.fin_sent = c.fin_sent || fin;
    if (last) {
        c.push_now = false;
        disarm(c, deadline_bits::cork);  // what is held back next has a time of its own
    }
    if (n > 0 && n < text_max(c)) {
        c.snd_small = c.snd_nxt;
    }
    if (!c.rtt_timing && c.recovery == recovery_state::open) {
        c.rtt_timing = true;
        c.rtt_seq = c.snd_nxt;
        c.rtt_sent_us = static_cast<std::uint32_t>(now_.us);
    }
    c.last_sent_data = now_tick_;
    return true;
}

// Sends the next octets that loss recovery has found lost, if (`ask_pipe`) the window allows.
bool engine::retransmit_next(tcb& c, bool ask_pipe) {
    if (c.recovery == recovery_state::open) {
        return false;
    }
    const scoreboard::range lost = next_lost(c);
    if (lost.left == lost.right) {
        return false;
    }
    const seq32 text_end = c.snd_una + c.snd.octets();
    const seq32 right = record_bound(c, lost.left, min(lost.right, text_end));
    const auto n =
        lost.left < text_end
            ? std::min(static_cast<std::uint32_t>(distance(lost.left, right)), text_max(c))
            : 0u;
    const std::uint32_t flight = ask_pipe ? pipe(c) : 0;
    if (flight > 0 && flight + n > c.cc.window()) {
        return false;
    }
    const bool fin = c.fin_sent && lost.left + n == text_end && text_end < lost.right;
    const auto control = static_cast<std::uint8_t>(flags::ack | (fin ? flags::fin : 0) |
                                                   (pushes(c, lost.left, n) ? flags::psh : 0));
    if (!send_segment(c, lost.left, n, control, counter::tcp_retrans_segs)) {
        make_ready(c);
        return false;
    }
    c.high_rxt = lost.left + n + (fin ? 1 : 0);
    c.rtt_timing = false;  // Karn
    if (n > 0) {
        c.last_sent_data = now_tick_;
    }
    if (c.recovery == recovery_state::recovery) {
        counters_.add(counter::fast_retrans);
    }
    return true;
}

// RFC 6298 5.1: the timer runs while anything is outstanding; a closed window wants the persist
// timer instead (RFC 9293 3.8.6.1).
void engine::arm_after_send(tcb& c) {
    if (c.snd_una != c.snd_nxt) {
        if ((c.deadlines & deadline_bits::retransmit) == 0 || c.rtx == rtx_kind::persist) {
            arm_rto_or_probe(c);
        }
        return;
    }
    arm_persist_if_stuck(c);
}

void engine::arm_persist_if_stuck(tcb& c) {
    const std::uint32_t unsent = c.snd.octets();
    if (unsent == 0 && !fin_to_send(c)) {
        return;
    }
    const bool window_stuck =
        unsent > 0 ? sendable(c, unsent) == 0 : distance(c.snd_nxt, c.snd_una + c.snd_wnd) <= 0;
    if (window_stuck &&
        !((c.deadlines & deadline_bits::retransmit) != 0 && c.rtx == rtx_kind::persist)) {
        c.rtx = rtx_kind::persist;
        arm(c, deadline_bits::retransmit, now_tick_ + rto_ms(c));
    }
}

}  // namespace lastack::tcp
