// SPDX-License-Identifier: BSD-3-Clause
// What an acceptable ACK does: frees what it covers, measures, moves the windows, tells the writer.
//
// RFC 9293 3.10.7.4 (fifth check), RFC 6298 (RTT), RFC 5681 (congestion). classify() has already
// refused ACKs outside SND.UNA - MAX.SND.WND .. SND.NXT.
#include <algorithm>

#include "tcp/engine.hpp"

namespace lastack::tcp {

void engine::acknowledge(tcb& c, const wire::tcp_segment& s, const teardown::verdict& v) {
    const std::int32_t advance = distance(c.snd_una, s.ack);
    const bool sack_news = c.sack && s.options.sack_count > 0 && take_sack(c, s);
    const std::uint32_t window_before = c.snd_wnd;
    if (advance >= 0) {
        c.soft_error = 0;  // as Linux: also an ACK of nothing new has come all the way
    }
    if (advance > 0) {
        // SYN and FIN occupy sequence space but not the send queue.
        const std::uint32_t controls = (v.acks_syn ? 1u : 0u) + (v.acks_fin ? 1u : 0u);
        progress(c, s, static_cast<std::uint32_t>(advance) - controls);
    }
    update_window(c, s);
    if (c.more_follows) {
        c.more_follows = false;  // as Linux: MSG_MORE holds for the call, an ACK sends the rest
        make_ready(c);
    }
    if (advance == 0 && c.probing && s.length() == 0 && !sack_news && s.ack == c.probe_end) {
        c.probing = false;  // RFC 8985 7.4.2: both the original and the probe arrived
    } else if (advance == 0 && c.snd_una != c.snd_nxt) {
        // RFC 5681 2: no text, no FIN, same window; or with SACK: it told something new.
        const bool duplicate = s.length() == 0 && (c.sack ? sack_news : c.snd_wnd == window_before);
        if (duplicate && c.recovery != recovery_state::loss) {
            duplicate_ack(c);
        } else if (sack_news) {
            make_ready(c);
        }
    }
}

// `octets` of text are newly acknowledged.
void engine::progress(tcb& c, const wire::tcp_segment& s, std::uint32_t octets) {
    const auto flight = static_cast<std::uint32_t>(distance(c.snd_una, c.snd_nxt));
    if (c.recovery == recovery_state::open) {
        c.cc.on_ack(octets, flight, c.mss, now_);
    }
    take_rtt(c, s);
    if (octets > 0) {
        c.snd.drop(octets, data_source_);
    }
    c.snd_una = s.ack;
    forget_records_acknowledged(c);
    c.retries = 0;
    c.backoff = 0;
    c.window_shut = false;
    if (c.loss != npos) {
        losses_[c.loss].sacked.acknowledge(c.snd_una);
    }
    switch (c.recovery) {
        case recovery_state::open:
            c.dupacks = 0;
            if (c.loss != npos && losses_[c.loss].sacked.empty()) {
                forget_losses(c);
            }
            break;
        case recovery_state::recovery:
            if (c.snd_una >= c.recover) {
                leave_recovery(c);
            } else if (!c.sack) {
                // RFC 6582 3.2 step 5, partial ACK: the next segment is lost as well.
                const std::uint32_t segments = std::max(octets / c.mss, 1u);
                c.dupacks = static_cast<std::uint8_t>(c.dupacks -
                                                      std::min<std::uint32_t>(c.dupacks, segments));
                c.high_rxt = c.snd_una;
            }
            break;
        case recovery_state::loss:
            c.cc.on_ack(octets, flight, c.mss, now_);
            if (c.snd_una >= c.recover) {
                leave_recovery(c);
            }
            break;
    }
    if (c.probing && c.snd_una > c.probe_end) {
        // RFC 8985 7.4.2: the probe repaired a loss; respond to congestion.
        c.probing = false;
        c.cc.on_loss(c.mss, now_);
        counters_.add(counter::loss_probe_recovery);
    }
    if (c.snd_una == c.snd_nxt) {
        disarm(c, deadline_bits::retransmit);
    } else if (c.recovery == recovery_state::open && c.dupacks == 0) {
        arm_rto_or_probe(c);
    } else {
        arm_rto(c);  // RFC 6298 5.3
    }
    tell_writable(c);
    const bool fin_acked = c.fin_sent && c.snd_una == c.snd_nxt;
    if (c.snd.octets() > 0 || (c.fin_queued && !fin_acked)) {
        make_ready(c);
    }
}

// RFC 6298 3 (Karn); RFC 7323 4.3 when nothing was being timed.
void engine::take_rtt(tcb& c, const wire::tcp_segment& s) {
    if (c.rtt_timing) {
        if (s.ack >= c.rtt_seq) {
            c.rtt_timing = false;
            c.rtt.sample(static_cast<std::uint32_t>(now_.us) - c.rtt_sent_us);
        }
        return;
    }
    if (c.timestamps && s.options.has_timestamps && s.options.tsecr != 0) {
        const std::uint32_t elapsed_ms = timestamp_now(c.ts_offset) - s.options.tsecr;
        if (elapsed_ms < 0x7fffffff / 1000) {
            c.rtt.sample(std::max(elapsed_ms, 1u) * 1000);
        }
    }
}

// RFC 9293 3.10.7.4: SND.WND from a segment not older than the last one used.
void engine::update_window(tcb& c, const wire::tcp_segment& s) {
    if (!(c.snd_wl1 < s.seq || (c.snd_wl1 == s.seq && c.snd_wl2 <= s.ack))) {
        return;
    }
    // RFC 7323 2.2: the window of a SYN is never scaled.
    const std::uint8_t shift = s.has(wire::tcp_flags::syn) ? std::uint8_t{0} : c.snd_wscale;
    const std::uint32_t window = std::uint32_t{s.window} << shift;
    const bool opened = window > c.snd_wnd;
    c.snd_wl1 = s.seq;
    c.snd_wl2 = s.ack;
    c.snd_wnd = window;
    c.snd_wnd_max = std::max(c.snd_wnd_max, window);
    if (c.rtx == rtx_kind::persist && (c.deadlines & deadline_bits::retransmit) != 0) {
        // The peer lives: a shut window alone never ends a connection (RFC 9293 3.8.6.1).
        c.retries = 0;
        if (opened) {
            disarm(c, deadline_bits::retransmit);
            c.backoff = 0;
            c.window_shut = false;
        }
    }
    if (opened && (c.snd.octets() > 0 || c.fin_queued)) {
        make_ready(c);
    }
}

void engine::tell_writable(tcb& c) {
    socket* s = socket_of(c);
    if (s != nullptr && s->wants_writable && c.snd.memory() <= send_memory_max(c) / 2) {
        s->wants_writable = false;
        tell(*s, event_bits::writable);
    }
}

}  // namespace lastack::tcp
