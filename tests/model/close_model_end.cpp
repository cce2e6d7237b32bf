// SPDX-License-Identifier: BSD-3-Clause
// One end of the model. See close_model_end.hpp for what stands for what.
#include "model/close_model_end.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "teardown/names.hpp"

namespace lastack::model {

using teardown::action;
using teardown::event;
using teardown::has;
using teardown::state;

const rules real_rules{teardown::lookup, teardown::classify, teardown::classify_time_wait};

namespace {

constexpr std::uint8_t edge_open = 7;

std::string text_of(state st, event e) {
    return std::string(teardown::state_names[static_cast<std::size_t>(st)]) + " + " +
           std::string(teardown::event_rows[static_cast<std::size_t>(e)].name);
}

ending ending_of(close_outcome o) {
    if (is_clean(o)) {
        return ending::clean;
    }
    if (is_timeout(o)) {
        return ending::timed_out;
    }
    if (is_abort(o)) {
        return ending::aborted;
    }
    return o == close_outcome::reset_by_peer || o == close_outcome::refused ? ending::reset
                                                                            : ending::other;
}

std::uint8_t early_octets(const side& s) {
    return static_cast<std::uint8_t>(__builtin_popcount(s.early));
}

// Events after which a RST is in order: the application broke off, or nobody was there any more.
bool excuses(event e) {
    switch (e) {
        case event::app_abort:
        case event::app_abort_unsent:
        case event::app_close_unread:
        case event::rx_data_unreadable:
        case event::fin_wait_2_expired:
        case event::orphan_limit:
        case event::orphan_dropped:
        case event::time_wait_refused:
        case event::evicted:
        case event::linger2_negative:
        case event::probe_timeout:
            return true;
        default:
            return false;
    }
}

}  // namespace

packet_bits to_bits(const packet& p) {
    return static_cast<packet_bits>(p.seq | p.ack << 3 | p.edge << 6 | p.len << 9 | p.fin << 11 |
                                    p.syn << 12 | p.rst << 13 | p.has_ack << 14 | 1 << 15);
}
packet from_bits(packet_bits v) {
    const auto field = [v](unsigned at, unsigned mask) {
        return static_cast<std::uint8_t>(v >> at & mask);
    };
    return {field(0, 7),       field(3, 7),       field(6, 7),       field(9, 3),
            field(11, 1) != 0, field(12, 1) != 0, field(13, 1) != 0, field(14, 1) != 0};
}

void machine::broke(breach kind, std::string why) {
    if (found == breach::none) {
        found = kind;
        what = std::move(why);
    }
}

// --- questions -----------------------------------------------------------------------------------

bool machine::is_record(const side& s) {
    return s.st == state::time_wait || (s.st == state::fin_wait_2 && s.detached);
}

bool machine::may_send(const side& s) {
    if (s.syn_unacked) {
        return false;  // R04
    }
    return s.st == state::established || s.st == state::close_wait || s.st == state::fin_wait_1 ||
           s.st == state::closing || s.st == state::last_ack;
}

namespace {

unsigned unsent(const side& s) {
    return s.fin_sent ? 0 : s.written + 1u - s.snd_nxt;
}
// Octets of text and, if it may, the FIN that would go out now.
std::pair<unsigned, bool> sendable(const side& s) {
    const unsigned window = s.snd_edge > s.snd_nxt ? s.snd_edge - s.snd_nxt : 0u;
    const unsigned n = std::min(unsent(s), window);
    return {n, s.fin_queued && !s.fin_sent && n == unsent(s) && window > n};
}

}  // namespace

bool machine::has_output(const side& s) {
    if (s.ack_due) {
        return true;
    }
    if (!may_send(s)) {
        return false;
    }
    const auto [n, fin] = sendable(s);
    return n > 0 || fin;
}

bool machine::window_stuck(const side& s) {
    if (!may_send(s) || outstanding(s)) {
        return false;
    }
    const auto [n, fin] = sendable(s);
    return n == 0 && !fin && (unsent(s) > 0 || (s.fin_queued && !s.fin_sent));
}

// --- sending -------------------------------------------------------------------------------------

// One place a direction is kept for answers, so that two full wires cannot hold each other up.
void machine::emit(unsigned x, packet p) {
    auto& wire = w_.wire[x];
    const auto used = static_cast<unsigned>(std::find(wire.begin(), wire.end(), 0) - wire.begin());
    if (used + (answering_ ? 0 : 1) >= b_.under_way) {
        blocked = true;
        return;
    }
    wire[used] = to_bits(p);
    acked_ = acked_ || (p.has_ack && !p.rst);
}

void machine::advertise(side& s) {
    if (b_.window == 0) {
        s.rcv_edge = edge_open;
        return;
    }
    const unsigned held = s.unread + early_octets(s);
    const unsigned free = b_.window > held ? b_.window - held : 0;
    s.rcv_edge = std::max(s.rcv_edge, static_cast<std::uint8_t>(std::min(7u, s.rcv_nxt + free)));
}

void machine::send_ack(unsigned x) {
    side& s = me(x);
    if (!is_record(s)) {
        advertise(s);
    }
    s.ack_due = false;
    emit(x, {s.snd_nxt, s.rcv_nxt, s.rcv_edge, 0, false, false, false, true});
}

// A RST though nothing excuses it is a breach, but for one: an end that is through answers what was
// left over on the wire (R27), which TIME_WAIT at the other end outlives.
void machine::sending_reset(unsigned x) {
    const side& s = me(x);
    const bool leftovers = b_.reorder || b_.losses > 0 || b_.duplicates > 0 || b_.early > 0;
    const bool over = s.st == state::closed && s.end == ending::clean && leftovers;
    if (!w_.excused && !over) {
        broke(breach::reset_of_proper, "a RST is sent");
    }
}

void machine::send_reset(unsigned x) {
    side& s = me(x);
    sending_reset(x);
    emit(x, {s.snd_nxt, s.rcv_nxt, s.rcv_edge, 0, false, false, true, true});
}

void machine::answer_reset(unsigned x, const packet& p) {
    sending_reset(x);
    packet rst{};
    rst.rst = true;
    if (p.has_ack) {
        rst.seq = p.ack;
    } else {
        rst.has_ack = true;
        rst.ack = static_cast<std::uint8_t>(p.seq + p.len + p.syn + p.fin);
    }
    emit(x, rst);
}

// output.cpp: everything that is due, in one segment.
void machine::turn(unsigned x) {
    side& s = me(x);
    unsigned n = 0;
    bool fin = false;
    if (may_send(s)) {
        std::tie(n, fin) = sendable(s);
    }
    if (n == 0 && !fin) {
        send_ack(x);
        return;
    }
    advertise(s);
    emit(x,
         {s.snd_nxt, s.rcv_nxt, s.rcv_edge, static_cast<std::uint8_t>(n), fin, false, false, true});
    s.ack_due = false;
    s.snd_nxt = static_cast<std::uint8_t>(s.snd_nxt + n + (fin ? 1 : 0));
    s.fin_sent = s.fin_sent || fin;
}

// deadlines.cpp: the first octet that is not acknowledged again, or all that is in flight.
void machine::retransmit(unsigned x, bool all) {
    side& s = me(x);
    ++s.retries;
    if (s.syn_unacked) {
        const bool active = s.st == state::syn_sent;
        emit(x, {s.snd_una, s.rcv_nxt, s.rcv_edge, 0, false, true, false, !active});
        return;
    }
    const unsigned text = s.snd_nxt - s.snd_una - (s.fin_sent ? 1u : 0u);
    const unsigned n = all ? text : std::min(text, 1u);
    const bool fin = s.fin_sent && n == text;
    advertise(s);
    emit(x,
         {s.snd_una, s.rcv_nxt, s.rcv_edge, static_cast<std::uint8_t>(n), fin, false, false, true});
    s.ack_due = false;
}

void machine::probe_window(unsigned x) {
    side& s = me(x);
    // Answered or not, an orphan's probes are numbered (R62); the application may probe for ever.
    s.retries = static_cast<std::uint8_t>(s.retries + (s.detached ? 1 : 0));
    emit(x, {static_cast<std::uint8_t>(s.snd_una - 1), s.rcv_nxt, s.rcv_edge, 0, false, false,
             false, true});
}

// --- the FSM -------------------------------------------------------------------------------------

const teardown::cell& machine::cell_for(unsigned x, event e) {
    const state st = me(x).st;
    hit_[static_cast<std::size_t>(st) * teardown::event_count + static_cast<std::size_t>(e)] = true;
    const teardown::cell& c = r_.lookup(st, e);
    if (c.what == teardown::kind::impossible) {
        broke(breach::impossible_cell, text_of(st, e));
    }
    return c;
}

bool machine::apply(unsigned x, event e, const packet* p) {
    const teardown::cell& c = cell_for(x, e);
    side& s = me(x);
    if (c.what == teardown::kind::ignored || c.what == teardown::kind::impossible) {
        return true;
    }
    const bool was_connection = teardown::is_connection(s.st);
    w_.excused = w_.excused || excuses(e) || c.outcome == close_outcome::closed_before_open;
    const action todo = c.actions;
    s.st = c.next;
    if (has(todo, action::send_syn_ack)) {
        emit(x, {s.snd_una, s.rcv_nxt, s.rcv_edge, 0, false, true, false, true});
    }
    s.fin_queued = s.fin_queued || has(todo, action::queue_fin);
    s.detached = s.detached || has(todo, action::detach);
    if (has(todo, action::send_ack)) {
        s.ack_due = true;
        acked_ = true;
        if (has(todo, action::enter_time_wait) || has(todo, action::finish)) {
            send_ack(x);
        }
    }
    if (has(todo, action::send_challenge_ack) || has(todo, action::send_duplicate_ack)) {
        // R37: what repeats text or FIN is always answered.
        const bool must = has(todo, action::send_duplicate_ack) && p->len + p->fin > 0;
        throttled = throttled || !must;
        if (must || !skip_throttled_) {
            send_ack(x);
        }
    }
    if (has(todo, action::send_reset)) {
        send_reset(x);
    }
    if (has(todo, action::answer_reset)) {
        answer_reset(x, *p);
    }
    if (has(todo, action::tell_peer_closed)) {
        told_end_of_stream(x);
    }
    if (has(todo, action::enter_time_wait)) {
        if (s.ack_due) {
            send_ack(x);
        }
        ended(x, c.outcome);
        become_record(s);
        return false;
    }
    if (has(todo, action::finish)) {
        if (was_connection) {
            ended(x, c.outcome);
        }
        become_closed(s);
        return false;
    }
    return true;
}

void machine::told_end_of_stream(unsigned x) {
    const side& s = me(x);
    // The peer's FIN follows all it has written.
    if (s.rcv_nxt != other(x).written + 2 || !s.fin_received || s.early != 0) {
        broke(breach::text_lost, "end of stream at " + std::to_string(s.rcv_nxt) + ", but " +
                                     std::to_string(other(x).written) + " octets were written");
    }
}

void machine::ended(unsigned x, close_outcome o) {
    side& s = me(x);
    s.end = ending_of(o);
    if (s.end == ending::clean && !other(x).fin_received) {
        broke(breach::false_clean, std::string(lastack::name(o)));
    }
    if (s.end != ending::clean && !w_.excused) {
        const bool gave_up = s.end == ending::timed_out;
        broke(gave_up ? breach::gave_up_on_living : breach::reset_of_proper,
              std::string(lastack::name(o)));
        w_.excused = true;
    }
}

// What a record keeps.
void machine::become_record(side& s) {
    side r;
    r.st = s.st;
    r.end = s.end;
    r.written = s.written;
    r.snd_una = r.snd_nxt = s.snd_nxt;
    r.rcv_nxt = s.rcv_nxt;
    r.rcv_edge = std::max(s.rcv_edge, s.rcv_nxt);
    r.fin_received = s.fin_received;
    r.detached = true;
    s = r;
}

void machine::become_closed(side& s) {
    side r;
    r.end = s.end;
    r.written = s.written;
    r.fin_received = s.fin_received;
    r.detached = true;
    s = r;
}

// R59, R60: an orphan's FIN_WAIT_2 is a record.
void machine::enter_fin_wait_2(unsigned x) {
    side& s = me(x);
    if (!s.detached) {
        return;
    }
    advertise(s);
    if (s.ack_due) {
        send_ack(x);
    }
    become_record(s);
}

// --- calls and time ------------------------------------------------------------------------------

void machine::call(unsigned x, event e) {
    side& s = me(x);
    if (e == event::app_close && s.unread > 0) {
        e = event::app_close_unread;
    } else if (e == event::app_abort && (unsent(s) > 0 || (s.fin_queued && !s.fin_sent)) &&
               !s.syn_unacked) {
        e = event::app_abort_unsent;
    }
    if (e != event::app_shutdown_wr) {
        s.unread = 0;
    }
    if (apply(x, e, nullptr) && s.st == state::fin_wait_2) {
        enter_fin_wait_2(x);
    }
}

void machine::read(unsigned x) {
    side& s = me(x);
    s.unread = 0;
    // receive.cpp, consumed(): a window that was shut is worth announcing.
    s.ack_due = s.ack_due || (!s.fin_received && b_.window != 0 && s.rcv_edge == s.rcv_nxt);
}

void machine::give_up(unsigned x) {
    const side& s = me(x);
    const bool opening = s.st == state::syn_sent || s.st == state::syn_received;
    const bool probing = !outstanding(s);
    w_.excused = w_.excused || probing || b_.hasty;
    time_event(x, opening      ? event::connect_timeout
                  : s.detached ? event::orphan_timeout
                  : probing    ? event::probe_timeout
                               : event::retransmit_timeout);
}

void machine::time_event(unsigned x, event e) {
    side& s = me(x);
    if (!is_record(s) || e == event::linger2_negative) {
        apply(x, e, nullptr);
        return;
    }
    const teardown::cell& c = cell_for(x, e);
    w_.excused = w_.excused || excuses(e) || b_.hasty;
    if (c.what == teardown::kind::transition) {
        if (s.st == state::fin_wait_2) {
            ended(x, c.outcome);
        }
        s.st = c.next;
        become_closed(s);
    }
}

}  // namespace lastack::model
