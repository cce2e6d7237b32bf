// SPDX-License-Identifier: BSD-3-Clause
// Judging a segment against a full connection, in the order of RFC 9293 3.10.7.
//
// Each question is a small function with the paragraph it comes from; classify() is their order.
#include "teardown/classify.hpp"

namespace lastack::teardown {

namespace flags = wire::tcp_flags;
using wire::tcp_segment;

namespace {

verdict only(event what) {
    verdict v;
    v.what = what;
    return v;
}

bool peer_has_closed(state st) {
    return st == state::close_wait || st == state::closing || st == state::last_ack;
}

// RFC 9293 3.10.7.4: a segment is acceptable if any part of it lies in the window.
// DEVIATES RFC 9293 3.10.7.4: a segment that begins at the window's right edge is taken for its ACK
// (its text and FIN are cut off), because a peer that has filled the window acknowledges from
// there; the zero-window probe is the same case.
bool acceptable(const connection_view& view, const tcp_segment& s) {
    const bool begins_in_time = s.seq <= view.rcv_nxt + view.rcv_wnd;
    const bool not_all_old =
        s.length() == 0 ? s.seq >= view.rcv_nxt : s.seq + s.length() > view.rcv_nxt;
    return begins_in_time && not_all_old;
}

// RFC 7323 5.3 R1. Only where a TS.Recent is there to compare with (R72).
bool paws_rejects(const connection_view& view, const tcp_segment& s) {
    return view.timestamps && view.ts_recent_valid && s.options.has_timestamps &&
           seq32{s.options.tsval} < seq32{view.ts_recent};
}

// RFC 7323 4.3 (2): SEG.SEQ <= Last.ACK.sent. PAWS has seen to TSval >= TS.Recent.
bool renews_ts_recent(const connection_view& view, const tcp_segment& s) {
    return view.timestamps && s.options.has_timestamps && s.seq <= view.last_ack_sent;
}

// RFC 9293 3.10.7.4, RFC 5961 3.2: exact resets, in the window is challenged, outside is dropped.
// RFC 7323 5.3: PAWS does not look at a RST (R33).
event judge_rst(const connection_view& view, const tcp_segment& s) {
    if (s.seq == view.rcv_nxt) {
        return event::rx_rst_exact;
    }
    // A peer that does not count its own FIN resets at the FIN's sequence number (R32).
    if (s.seq == view.rcv_nxt - 1 && peer_has_closed(view.st)) {
        return event::rx_rst_exact;
    }
    // A peer whose text was lost resets from where it is, which our SACK blocks confirm (R32).
    if (s.seq == view.sack_right_edge) {
        return event::rx_rst_exact;
    }
    return in_window(s.seq, view.rcv_nxt, view.rcv_wnd) ? event::rx_rst_in_window
                                                        : event::rx_rst_outside;
}

event synchronized_syn(const tcp_segment& s) {
    if (s.has(flags::fin)) {
        return event::rx_syn_fin;
    }
    return s.has(flags::ack) ? event::rx_syn_ack : event::rx_syn;
}

// RFC 9293 3.5: in a simultaneous open the peer's SYN-ACK repeats its SYN and acknowledges ours, if
// not all the text that Fast Open may have put into it.
bool completes_simultaneous_open(const connection_view& view, const tcp_segment& s) {
    return s.flags == (flags::syn | flags::ack) && s.payload_length == 0 &&
           s.seq + 1 == view.rcv_nxt && s.ack > view.snd_una && s.ack <= view.snd_nxt;
}

// DEVIATES RFC 9293 3.10.7.4: a new SYN does not send a passive SYN_RECEIVED back to LISTEN but is
// challenged, as RFC 5961 4.2 has it for all later states, because a forged SYN would otherwise end
// an open that is under way; a peer that did restart answers the challenge with an exact RST.
event syn_received_syn(const connection_view& view, const tcp_segment& s) {
    const event what = synchronized_syn(s);
    if (what == event::rx_syn && s.seq + 1 != view.rcv_nxt) {
        return event::rx_syn_newer;
    }
    return what;
}

// RFC 9293 3.10.7.4 (fifth, ACK), RFC 5961 5.2. An ACK older than SND.UNA, but not too old, is
// taken, so that a FIN that was overtaken by a newer ACK still counts (R22).
event judge_ack(const connection_view& view, const tcp_segment& s) {
    if (!s.has(flags::ack)) {
        return event::rx_ack_missing;
    }
    if (view.st == state::syn_received) {
        const bool answers_syn = s.ack > view.snd_una && s.ack <= view.snd_nxt;
        return answers_syn ? event::rx_acceptable : event::rx_ack_unacceptable;
    }
    if (view.syn_unacked && s.ack <= view.snd_una) {
        return event::rx_ack_too_old;  // R04: nothing counts before our SYN is acknowledged
    }
    if (s.ack > view.snd_nxt) {
        return event::rx_ack_unsent;
    }
    if (s.ack < view.snd_una - view.snd_wnd_max) {
        return event::rx_ack_too_old;
    }
    return event::rx_acceptable;
}

// RFC 9293 3.10.7.4 (seventh and eighth): the part of text and FIN that is new and in the window.
void cut_to_window(const connection_view& view, const tcp_segment& s, verdict& v) {
    if (peer_has_closed(view.st)) {
        v.trim_back = s.payload_length;  // R25: the peer has said it sends no more
        return;
    }
    const seq32 right_edge = view.rcv_nxt + view.rcv_wnd;
    const seq32 text_end = s.seq + s.payload_length;
    if (s.seq < view.rcv_nxt) {
        const auto old = static_cast<std::uint32_t>(distance(s.seq, view.rcv_nxt));
        v.trim_front = old < s.payload_length ? old : s.payload_length;
    }
    if (text_end > right_edge) {
        v.trim_back = static_cast<std::uint32_t>(distance(right_edge, text_end));
    }
    v.fin = s.has(flags::fin) && text_end < right_edge;
    v.ack_now = v.trim_front != 0 || v.trim_back != 0 || (s.has(flags::fin) && !v.fin);
}

// What an acceptable segment with a valid ACK brings.
verdict accept(const connection_view& view, const tcp_segment& s) {
    verdict v;
    v.update_ts_recent = renews_ts_recent(view, s);
    v.acks_syn = (view.st == state::syn_received || view.syn_unacked) && s.ack > view.snd_una;
    v.acks_fin = view.fin_sent && view.snd_una != view.snd_nxt && s.ack == view.snd_nxt;
    if (s.has(flags::syn)) {
        return v;  // completes_simultaneous_open: neither text nor FIN
    }
    cut_to_window(view, s, v);
    // Beyond RCV.NXT, in the window or not: a FIN out of order proves text before it (R07, R18).
    v.unreadable_text = view.unreadable && !peer_has_closed(view.st) && s.length() != 0 &&
                        s.seq + s.payload_length > view.rcv_nxt;
    return v;
}

// RFC 9293 3.10.7.3.
verdict classify_syn_sent(const connection_view& view, const tcp_segment& s) {
    if (s.has(flags::ack) && !(s.ack > view.iss && s.ack <= view.snd_nxt)) {
        return only(s.has(flags::rst) ? event::rx_rst_outside : event::rx_ack_unacceptable);
    }
    if (s.has(flags::rst)) {
        return only(s.has(flags::ack) ? event::rx_rst_refused : event::rx_rst_outside);
    }
    if (!s.has(flags::syn)) {
        return only(s.has(flags::ack) ? event::rx_ack_of_syn : event::rx_ack_missing);
    }
    if (s.has(flags::fin)) {
        return only(event::rx_syn_fin);
    }
    verdict v = only(s.has(flags::ack) ? event::rx_syn_ack : event::rx_syn);
    v.update_ts_recent = s.options.has_timestamps;
    // DEVIATES RFC 9293 3.10.7.3: text on a SYN is not kept for later but left to the peer's
    // retransmission, because only TCP Fast Open sends any. Where our SYN asked for that, the
    // engine takes the text of the SYN-ACK in spite of this.
    v.trim_back = s.payload_length;
    return v;
}

}  // namespace

// RFC 9293 3.10.7.2. The ACK is judged before the SYN, so SYN-ACK is answered by RST (R40).
event classify_listen(const tcp_segment& s) {
    if (s.has(flags::rst)) {
        return event::rx_rst_outside;
    }
    if (s.has(flags::ack)) {
        return event::rx_ack_unacceptable;
    }
    if (!s.has(flags::syn)) {
        return event::rx_ack_missing;
    }
    return s.has(flags::fin) ? event::rx_syn_fin : event::rx_syn;
}

// RFC 9293 3.10.7.1.
event classify_closed(const tcp_segment& s) {
    if (s.has(flags::rst)) {
        return event::rx_rst_outside;
    }
    if (s.has(flags::syn)) {
        return synchronized_syn(s);
    }
    return s.has(flags::ack) ? event::rx_ack_unacceptable : event::rx_ack_missing;
}

verdict classify(const connection_view& view, const tcp_segment& s) {
    switch (view.st) {
        case state::closed:
            return only(classify_closed(s));
        case state::listen: {
            verdict v = only(classify_listen(s));
            if (v.what == event::rx_syn) {
                v.update_ts_recent = s.options.has_timestamps;
                v.trim_back = s.payload_length;
            }
            return v;
        }
        case state::syn_sent:
            return classify_syn_sent(view, s);
        default:
            break;
    }
    // RFC 9293 3.10.7.4.
    if (s.has(flags::rst)) {
        return only(judge_rst(view, s));
    }
    const bool opening = view.st == state::syn_received || view.syn_unacked;  // R04
    const bool opens = opening && completes_simultaneous_open(view, s);
    // RFC 5961 4.2: whatever its sequence number.
    if (s.has(flags::syn) && !opens) {
        return only(view.st == state::syn_received ? syn_received_syn(view, s)
                                                   : synchronized_syn(s));
    }
    if (paws_rejects(view, s)) {
        return only(event::rx_paws_reject);
    }
    // RFC 7323 3.2.
    if (view.timestamps && view.ts_strict && !s.options.has_timestamps) {
        return only(event::rx_ts_missing);
    }
    if (!opens && !acceptable(view, s)) {
        return only(event::rx_out_of_window);
    }
    const event ack = judge_ack(view, s);
    return ack == event::rx_acceptable ? accept(view, s) : only(ack);
}

}  // namespace lastack::teardown
