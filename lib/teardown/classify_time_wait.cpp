// SPDX-License-Identifier: BSD-3-Clause
// Judging a segment against a compact record: TIME_WAIT, or FIN_WAIT_2 of an orphan.
//
// RFC 9293 3.6.1 and 3.10.7.4, RFC 6191 (reuse by timestamp), RFC 1337 (assassination). A record
// keeps neither what was sent nor a window to fill, so the questions are fewer than for a full
// connection; nobody reads any more, so text that is new can only be refused.
#include "teardown/classify.hpp"

namespace lastack::teardown {

namespace flags = wire::tcp_flags;
using wire::tcp_segment;

namespace {

constexpr std::uint32_t window_max = 65535u << wire::wscale_max;

bool carries_timestamps(const time_wait_view& view, const tcp_segment& s) {
    return view.timestamps && s.options.has_timestamps;
}
bool ts_older(const time_wait_view& view, const tcp_segment& s) {
    return carries_timestamps(view, s) && seq32{s.options.tsval} < seq32{view.ts_recent};
}
bool ts_newer(const time_wait_view& view, const tcp_segment& s) {
    return carries_timestamps(view, s) && seq32{s.options.tsval} > seq32{view.ts_recent};
}

time_wait_verdict only(event what) {
    time_wait_verdict v;
    v.what = what;
    return v;
}

// R45: an ACK for text or FIN is never throttled, since only a live peer repeats those; a pure ACK
// or a SYN could be half of an endless exchange.
time_wait_answer ack_for(const tcp_segment& s) {
    const bool repeats_text = s.length() != 0 && !s.has(flags::syn);
    return repeats_text ? time_wait_answer::ack : time_wait_answer::throttled_ack;
}

time_wait_verdict answered(event what, const tcp_segment& s, bool restart) {
    time_wait_verdict v = only(what);
    v.answer = ack_for(s);
    v.restart = restart;
    return v;
}

// RFC 6191 2, the whole table; `seq_beyond` is 'larger than the last sequence number seen'.
bool syn_opens(const time_wait_view& view, const tcp_segment& s, const time_wait_policy& policy,
               bool seq_beyond) {
    // A new incarnation without timestamps has no PAWS, whatever the SYN offers.
    const bool new_timestamps = s.options.has_timestamps && policy.timestamps;
    if (!new_timestamps) {
        // DEVIATES RFC 6191 2: A3 and B2 do not open what an incarnation before opened with a lower
        // sequence number by its timestamps alone (A1, B1), because copies of those before it may
        // be beyond any number that the last one used, and nothing would tell them from new text.
        return seq_beyond && !view.ts_strict;  // A3, B2, B3
    }
    if (!view.timestamps) {
        return true;  // B1
    }
    return ts_newer(view, s) || seq_beyond;  // A1, A2, A4; an older TSval has failed PAWS before
}

// A SYN without ACK and FIN that passed PAWS.
// DEVIATES RFC 6191 2: a SYN that may not open is answered by an ACK and not dropped in silence,
// because a peer that is stuck with an old connection recovers by the RST it sends in reply (R48).
time_wait_verdict judge_syn(const time_wait_view& view, const tcp_segment& s,
                            const time_wait_policy& policy) {
    const bool seq_beyond = s.seq > view.rcv_nxt;
    if (!view.listener || !syn_opens(view, s, policy, seq_beyond)) {
        return answered(event::rx_syn, s, false);
    }
    time_wait_verdict v = only(event::rx_syn_newer);
    v.reopen = true;
    // Nothing but timestamps tells old text then, here and in whatever follows within 2MSL (R69).
    v.ts_strict = view.ts_strict || !seq_beyond;
    return v;
}

// DEVIATES RFC 9293 3.10.7.4: an exact RST does not end TIME_WAIT while tcp_rfc1337 is set, because
// RFC 1337 3 (F1) shows how an old RST would let old text into a new connection (R46).
time_wait_verdict time_wait_rst(const time_wait_view& view, const tcp_segment& s,
                                const time_wait_policy& policy) {
    if (s.seq != view.rcv_nxt) {
        return only(event::rx_rst_outside);
    }
    if (policy.rfc1337) {
        time_wait_verdict v = only(event::rx_rst_in_window);
        v.update_ts_recent = carries_timestamps(view, s) && !ts_older(view, s);
        return v;
    }
    time_wait_verdict v = only(event::rx_rst_exact);
    v.kill = true;
    return v;
}

time_wait_verdict judge_time_wait(const time_wait_view& view, const tcp_segment& s,
                                  const time_wait_policy& policy) {
    // R50: a SYN with a FIN opens nothing, so it may not cost the record either.
    if (s.has(flags::syn) && s.has(flags::fin)) {
        return only(event::rx_syn_fin);
    }
    if (s.has(flags::rst)) {
        return time_wait_rst(view, s, policy);
    }
    if (ts_older(view, s)) {
        time_wait_verdict v = answered(event::rx_paws_reject, s, true);
        v.paws_rejected = true;
        return v;
    }
    if (s.has(flags::syn)) {
        // RFC 9293 3.10.7.4: a SYN-ACK is no attempt to open (R45).
        return s.has(flags::ack) ? answered(event::rx_syn_ack, s, true)
                                 : judge_syn(view, s, policy);
    }
    // DEVIATES RFC 9293 3.10.7.4: a segment without ACK is answered in TIME_WAIT and not dropped,
    // because a stack that repeats its FIN without ACK would otherwise be left waiting; 2MSL does
    // not restart for it (R26).
    if (!s.has(flags::ack)) {
        return answered(event::rx_ack_missing, s, false);
    }
    if (s.length() == 0 && s.seq == view.rcv_nxt) {
        time_wait_verdict v = only(event::rx_acceptable);
        v.restart = true;
        v.update_ts_recent = carries_timestamps(view, s);
        return v;
    }
    // RFC 9293 3.10.7.4: the retransmission of the peer's FIN restarts 2MSL (R43).
    const bool repeats_fin = s.has(flags::fin) && s.seq + s.length() == view.rcv_nxt;
    return answered(repeats_fin ? event::rx_fin : event::rx_old_duplicate, s, true);
}

// RFC 9293 3.10.7.4, RFC 5961 3.2, as for a full connection in FIN_WAIT_2.
time_wait_verdict fin_wait_2_rst(const time_wait_view& view, const tcp_segment& s) {
    if (s.seq == view.rcv_nxt) {
        time_wait_verdict v = only(event::rx_rst_exact);
        v.kill = true;
        return v;
    }
    if (in_window(s.seq, view.rcv_nxt, view.rcv_wnd)) {
        time_wait_verdict v = only(event::rx_rst_in_window);
        v.answer = time_wait_answer::throttled_ack;
        return v;
    }
    return only(event::rx_rst_outside);
}

// RFC 9293 3.10.7.4, RFC 5961 5.2. A record has SND.UNA == SND.NXT and no MAX.SND.WND; the largest
// window there can be stands in for it.
bool ack_valid(const time_wait_view& view, const tcp_segment& s) {
    return s.ack <= view.snd_nxt && s.ack >= view.snd_nxt - window_max;
}

time_wait_verdict fin_wait_2_text(const time_wait_view& view, const tcp_segment& s) {
    const bool in_order_fin = s.has(flags::fin) && s.seq + s.length() == view.rcv_nxt + 1;
    if (!in_order_fin) {
        // R07: new text, or a FIN that proves there was some.
        time_wait_verdict v = only(event::rx_data_unreadable);
        v.answer = time_wait_answer::reset;
        v.kill = true;
        return v;
    }
    time_wait_verdict v = only(event::rx_fin);
    v.answer = time_wait_answer::ack;
    v.become_time_wait = true;
    v.restart = true;
    v.update_ts_recent = carries_timestamps(view, s);
    v.new_rcv_nxt = view.rcv_nxt + 1;
    return v;
}

time_wait_verdict judge_fin_wait_2(const time_wait_view& view, const tcp_segment& s) {
    if (s.has(flags::rst)) {
        return fin_wait_2_rst(view, s);
    }
    if (s.has(flags::syn)) {
        // RFC 5961 4.2: challenged, whatever its sequence number (R34).
        return answered(s.has(flags::fin)   ? event::rx_syn_fin
                        : s.has(flags::ack) ? event::rx_syn_ack
                                            : event::rx_syn,
                        s, false);
    }
    if (ts_older(view, s)) {
        time_wait_verdict v = answered(event::rx_paws_reject, s, false);
        v.paws_rejected = true;
        return v;
    }
    const bool begins_in_time = s.seq <= view.rcv_nxt + view.rcv_wnd;
    const bool not_all_old =
        s.length() == 0 ? s.seq >= view.rcv_nxt : s.seq + s.length() > view.rcv_nxt;
    if (!begins_in_time || !not_all_old) {
        return answered(event::rx_out_of_window, s, false);
    }
    if (!s.has(flags::ack)) {
        return only(event::rx_ack_missing);
    }
    if (!ack_valid(view, s)) {
        time_wait_verdict v =
            only(s.ack > view.snd_nxt ? event::rx_ack_unsent : event::rx_ack_too_old);
        v.answer = time_wait_answer::throttled_ack;
        return v;
    }
    if (s.length() == 0) {
        time_wait_verdict v = only(event::rx_acceptable);
        v.update_ts_recent = carries_timestamps(view, s) && s.seq == view.rcv_nxt;
        return v;
    }
    return fin_wait_2_text(view, s);
}

}  // namespace

time_wait_verdict classify_time_wait(const time_wait_view& view, const tcp_segment& segment,
                                     const time_wait_policy& policy) {
    return view.fin_wait_2 ? judge_fin_wait_2(view, segment)
                           : judge_time_wait(view, segment, policy);
}

}  // namespace lastack::teardown
