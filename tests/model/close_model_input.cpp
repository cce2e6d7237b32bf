// SPDX-License-Identifier: BSD-3-Clause
// A segment arrives at one end of the model.
#include <algorithm>

#include "model/close_model_end.hpp"
#include "teardown/names.hpp"

namespace lastack::model {

namespace flags = wire::tcp_flags;
using teardown::action;
using teardown::event;
using teardown::has;
using teardown::state;

wire::tcp_segment machine::segment_from(unsigned x, const packet& p) const {
    wire::tcp_segment s;
    s.seq = iss[x] + p.seq;
    s.ack = p.has_ack ? iss[1 - x] + p.ack : seq32{};
    s.flags = static_cast<std::uint8_t>((p.fin ? flags::fin : 0) | (p.syn ? flags::syn : 0) |
                                        (p.rst ? flags::rst : 0) | (p.has_ack ? flags::ack : 0));
    s.payload_length = p.len;
    return s;
}

teardown::connection_view machine::view_of(unsigned x) const {
    const side& s = w_.ends[x];
    teardown::connection_view v;
    v.st = s.st;
    v.iss = iss[x];
    v.snd_una = iss[x] + s.snd_una;
    v.snd_nxt = iss[x] + s.snd_nxt;
    v.snd_wnd_max = b_.window == 0 ? 7 : b_.window;
    v.rcv_nxt = iss[1 - x] + s.rcv_nxt;
    v.rcv_wnd = s.rcv_edge > s.rcv_nxt ? s.rcv_edge - s.rcv_nxt : 0u;
    v.last_ack_sent = v.rcv_nxt;
    // SACK is on: the highest block's right edge is that of the highest octet held (R32).
    const unsigned highest =
        s.early == 0 ? s.rcv_nxt : 32u - static_cast<unsigned>(__builtin_clz(s.early));
    v.sack_right_edge = iss[1 - x] + highest;
    v.syn_unacked = s.syn_unacked;
    v.fin_sent = s.fin_sent;
    v.fin_received = s.fin_received;
    v.unreadable = s.detached || (s.read_shut && s.fin_queued);
    return v;
}

void machine::deliver(unsigned x, const packet& p, bool skip_throttled) {
    const side before = me(x);
    answering_ = true;
    skip_throttled_ = skip_throttled;
    acked_ = false;
    if (before.st == state::closed || before.st == state::listen) {
        listen_input(x, p);
    } else if (is_record(before)) {
        record_input(x, p);
    } else if (before.child) {
        child_input(x, p);
    } else if (before.st == state::syn_sent) {
        syn_sent_input(x, p);
    } else {
        connection_input(x, p);
    }
    // R23, R43: a FIN that comes again is acknowledged for as long as anything is left to do it.
    const bool again =
        p.fin && !p.syn && !p.rst && before.fin_received && before.st != state::closed;
    if (again && !acked_ && !me(x).ack_due && !w_.excused && !blocked) {
        broke(breach::fin_not_acked, "a repeated FIN has no answer");
    }
}

// CLOSED and LISTEN.
void machine::listen_input(unsigned x, const packet& p) {
    side& s = me(x);
    const teardown::verdict v = r_.classify(view_of(x), segment_from(1 - x, p));
    const teardown::cell& c = cell_for(x, v.what);
    if (has(c.actions, action::answer_reset)) {
        answer_reset(x, p);
    }
    if (has(c.actions, action::send_syn_ack)) {
        s.st = c.next;
        s.child = true;
        s.syn_unacked = true;
        s.snd_una = 0;
        s.snd_nxt = 1;
        s.rcv_nxt = 1;
        s.snd_edge = p.edge;
        advertise(s);
        emit(x, {0, 1, s.rcv_edge, 0, false, true, false, true});
    }
}

// open.cpp, syn_record_input(): the compact record of a listener's child.
void machine::child_input(unsigned x, const packet& p) {
    side& s = me(x);
    const teardown::verdict v = r_.classify(view_of(x), segment_from(1 - x, p));
    if (v.what == event::rx_acceptable) {
        cell_for(x, v.what);
        if (v.acks_syn) {
            s.child = false;
            s.detached = false;  // the application is given it
            accept_segment(x, p, v);
        }
        return;
    }
    apply(x, v.what, &p);
}

void machine::syn_sent_input(unsigned x, const packet& p) {
    side& s = me(x);
    const teardown::verdict v = r_.classify(view_of(x), segment_from(1 - x, p));
    if (v.what == event::rx_syn_ack || v.what == event::rx_syn) {
        s.rcv_nxt = 1;
        s.snd_edge = p.edge;
        s.retries = 0;
        advertise(s);
    }
    if (v.what == event::rx_syn_ack) {
        s.snd_una = p.ack;
        s.syn_unacked = false;
    }
    apply(x, v.what, &p);
}

void machine::connection_input(unsigned x, const packet& p) {
    const teardown::verdict v = r_.classify(view_of(x), segment_from(1 - x, p));
    if (v.what == event::rx_acceptable) {
        cell_for(x, v.what);
        accept_segment(x, p, v);
    } else {
        apply(x, v.what, &p);
    }
}

void machine::acknowledge(side& s, const packet& p, const teardown::verdict& v) {
    if (p.ack > s.snd_una) {
        s.snd_una = p.ack;
        s.retries = 0;
    }
    if (v.acks_syn) {
        s.syn_unacked = false;
    }
    if (p.edge > s.snd_edge) {
        s.snd_edge = p.edge;
        s.retries = 0;
    }
}

void machine::accept_segment(unsigned x, const packet& p, const teardown::verdict& v) {
    side& s = me(x);
    acknowledge(s, p, v);
    if (v.acks_syn && !apply(x, event::rx_ack_of_syn, &p)) {
        return;
    }
    if (v.acks_fin && !apply(x, event::rx_ack_of_fin, &p)) {
        return;
    }
    if (v.unreadable_text) {
        apply(x, event::rx_data_unreadable, &p);
        return;
    }
    if (p.len > v.trim_front + v.trim_back) {
        accept_text(x, p, v);
    }
    s.ack_due = s.ack_due || v.ack_now;
    const std::uint8_t peer_fin = static_cast<std::uint8_t>(other(x).written + 1);
    if (v.fin && p.seq + p.len != s.rcv_nxt) {
        s.early_fin = true;
        s.ack_due = true;
    }
    if ((v.fin && p.seq + p.len == s.rcv_nxt) || (s.early_fin && s.rcv_nxt == peer_fin)) {
        ++s.rcv_nxt;
        s.rcv_edge = std::max(s.rcv_edge, s.rcv_nxt);
        s.fin_received = true;
        s.early_fin = false;
        if (!apply(x, event::rx_fin, &p)) {
            return;
        }
    }
    if (v.acks_fin && s.st == state::fin_wait_2) {
        enter_fin_wait_2(x);
    }
}

void machine::accept_text(unsigned x, const packet& p, const teardown::verdict& v) {
    side& s = me(x);
    const unsigned first = p.seq + v.trim_front;
    const unsigned last = p.seq + p.len - v.trim_back;  // one behind
    s.ack_due = true;
    if (first < s.rcv_nxt) {
        broke(breach::text_lost, "octet " + std::to_string(first) + " is taken twice");
        return;
    }
    for (unsigned n = first; n < last; ++n) {
        s.early = static_cast<std::uint8_t>(s.early | 1u << n);
    }
    while ((s.early >> s.rcv_nxt & 1u) != 0) {
        s.early = static_cast<std::uint8_t>(s.early & ~(1u << s.rcv_nxt));
        ++s.rcv_nxt;
        ++s.unread;
    }
}

// --- records -------------------------------------------------------------------------------------

// Records are judged without the FSM's table; both must say the same.
void machine::check_record_verdict(unsigned x, const teardown::time_wait_verdict& v) {
    const state st = me(x).st;
    const teardown::cell& c = cell_for(x, v.what);
    const bool acks = v.answer == teardown::time_wait_answer::ack ||
                      v.answer == teardown::time_wait_answer::throttled_ack;
    const bool cell_acks = has(c.actions, action::send_ack) ||
                           has(c.actions, action::send_challenge_ack) ||
                           has(c.actions, action::send_duplicate_ack);
    const bool agree =
        v.kill == (c.what == teardown::kind::transition && c.next == state::closed) &&
        v.become_time_wait == (st == state::fin_wait_2 && c.next == state::time_wait) &&
        acks == cell_acks &&
        (v.answer == teardown::time_wait_answer::reset) == has(c.actions, action::answer_reset) &&
        (st != state::time_wait || v.restart == has(c.actions, action::restart_time_wait));
    if (!agree) {
        broke(breach::record_and_table,
              std::string(teardown::state_names[static_cast<std::size_t>(st)]) + " + " +
                  std::string(teardown::event_rows[static_cast<std::size_t>(v.what)].name));
    }
}

void machine::record_input(unsigned x, const packet& p) {
    side& s = me(x);
    const bool fin_wait_2 = s.st == state::fin_wait_2;
    teardown::time_wait_view view;
    view.snd_nxt = iss[x] + s.snd_nxt;
    view.rcv_nxt = iss[1 - x] + s.rcv_nxt;
    view.fin_wait_2 = fin_wait_2;
    view.rcv_wnd = s.rcv_edge > s.rcv_nxt ? s.rcv_edge - s.rcv_nxt : 0u;
    const auto v = r_.classify_time_wait(view, segment_from(1 - x, p), {b_.rfc1337, false});
    check_record_verdict(x, v);
    if (v.become_time_wait) {
        s.rcv_nxt = static_cast<std::uint8_t>(s.rcv_nxt + 1);
        s.rcv_edge = std::max(s.rcv_edge, s.rcv_nxt);
        s.fin_received = true;
        told_end_of_stream(x);
        ended(x, close_outcome::clean_active);
        s.st = state::time_wait;
    }
    w_.excused = w_.excused || v.what == event::rx_data_unreadable;
    switch (v.answer) {
        case teardown::time_wait_answer::none:
            break;
        case teardown::time_wait_answer::reset:
            answer_reset(x, p);
            break;
        case teardown::time_wait_answer::throttled_ack:
            throttled = true;
            if (!skip_throttled_) {
                send_ack(x);
            }
            break;
        case teardown::time_wait_answer::ack:
            send_ack(x);
            break;
    }
    if (v.kill) {
        if (fin_wait_2) {
            ended(x, v.what == event::rx_data_unreadable ? close_outcome::aborted_data_after_close
                                                         : close_outcome::reset_by_peer);
        }
        s.st = state::closed;
        become_closed(s);
    }
}

}  // namespace lastack::model
