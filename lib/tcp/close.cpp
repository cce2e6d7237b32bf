// SPDX-License-Identifier: BSD-3-Clause
// How a connection changes state, and what is left of it afterwards.
//
// apply() looks the decided fact up in the close FSM and does what the cell says; set_state() is
// the only writer of a connection's state. TIME_WAIT, and FIN_WAIT_2 of an orphan, are records:
// entering them frees the tcb, and what remains is the record and what the application still holds.
#include <rte_mbuf.h>

#include <algorithm>

#include "tcp/engine.hpp"

namespace lastack::tcp {

using teardown::action;
using teardown::event;
using teardown::has;
using teardown::state;

void engine::set_state(tcb& c, state next) {
    if (c.st == next) {
        return;
    }
    --by_state_[static_cast<std::size_t>(c.st)];
    ++by_state_[static_cast<std::size_t>(next)];
    // No tcb counts as being in these.
    by_state_[static_cast<std::size_t>(state::closed)] = 0;
    by_state_[static_cast<std::size_t>(state::time_wait)] = 0;
    if (next == state::closed) {
        if (c.st == state::established || c.st == state::close_wait) {
            counters_.add(counter::estab_resets);
        } else if (c.st == state::syn_sent || c.st == state::syn_received) {
            counters_.add(counter::attempt_fails);
        }
    }
    c.st = next;
    c.state_since = now_tick_;
    c.taken = then(c.taken, next);
}

namespace {

// The counters that Linux keeps for connections it ends itself.
counter abort_counter(close_outcome outcome) {
    switch (outcome) {
        case close_outcome::aborted_unread_data:
            return counter::abort_on_close;
        case close_outcome::aborted_data_after_close:
            return counter::abort_on_data;
        case close_outcome::aborted_linger2:
            return counter::abort_on_linger;
        case close_outcome::aborted_orphan_limit:
            return counter::abort_on_memory;
        default:
            return counter::count_;
    }
}

constexpr action rare_answers = action::send_syn_ack | action::send_challenge_ack |
                                action::send_duplicate_ack | action::send_reset |
                                action::answer_reset;

}  // namespace

// What is sent at once and seldom.
void engine::answer(tcb& c, event e, const arrival* a, action todo) {
    if (has(todo, action::send_syn_ack)) {
        send_control(c, c.snd_una, wire::tcp_flags::syn | wire::tcp_flags::ack);
    }
    if (has(todo, action::send_challenge_ack)) {
        send_challenge_ack(c);
    }
    if (has(todo, action::send_duplicate_ack)) {
        send_duplicate_ack(
            c, a->segment,
            e == event::rx_paws_reject ? counter::ack_skipped_paws : counter::ack_skipped_seq);
    }
    if (has(todo, action::send_reset)) {
        send_reset(c, e);
    }
    if (has(todo, action::answer_reset)) {
        answer_reset(c.key, a->segment, a->tos, e);
    }
}

bool engine::apply(tcb& c, event e, const arrival* a) {
    const teardown::cell& cell = teardown::lookup(c.st, e);
    LASTACK_ASSERT(cell.what != teardown::kind::impossible);
    if (cell.what == teardown::kind::ignored) {
        return true;
    }
    const action todo = cell.actions;
    if (cell.outcome != close_outcome::none) {
        c.outcome = cell.outcome;
        if (const counter counted = abort_counter(cell.outcome); counted != counter::count_) {
            counters_.add(counted);
        }
    }
    set_state(c, cell.next);
    if (todo == action::none) {
        return true;
    }
    if (has(todo, action::queue_fin)) {
        c.fin_queued = true;
        make_ready(c);
    }
    if (has(todo, action::detach) && !c.detached) {
        c.detached = true;
        ++orphans_;
    }
    if (has(todo, action::send_ack)) {
        // Nothing will ride with it when the connection goes now; else the turn's end sends it.
        if (has(todo, action::enter_time_wait) || has(todo, action::finish)) {
            send_ack(c);
        } else {
            c.ack_now = true;
            make_ready(c);
        }
    }
    if (has(todo, action::send_syn)) {
        send_syn(c);
    }
    if (has(todo, rare_answers)) {
        answer(c, e, a, todo);
    }
    if (has(todo, action::tell_opened)) {
        if (socket* s = socket_of(c)) {
            tell(*s, event_bits::opened);
        }
    }
    if (has(todo, action::tell_peer_closed)) {
        if (socket* s = socket_of(c)) {
            s->end_of_stream = true;
            tell(*s, event_bits::peer_closed);
        }
    }
    if (has(todo, action::enter_time_wait)) {
        enter_time_wait(c);
        return false;
    }
    if (has(todo, action::finish)) {
        free_connection(c, c.outcome);
        return false;
    }
    return true;
}

flow::time_wait_entry<flow::key4> engine::record_of(tcb& c) {
    flow::time_wait_entry<flow::key4> e;
    e.key = c.key;
    e.snd_nxt = c.snd_nxt;
    e.rcv_nxt = c.rcv_nxt;
    e.ts_recent = c.ts_recent;
    e.window = static_cast<std::uint16_t>(
        std::min<std::uint32_t>(receive_window(c) >> c.rcv_wscale, 65535));
    e.timestamps = c.timestamps;
    e.ts_strict = c.ts_strict;
    e.ts_plain = c.timestamps && c.ts_offset == 0;
    e.reuse_addr = c.sharing.addr;
    e.reuse_port = c.sharing.port;
    return e;
}

void engine::erase_record(flow::time_wait_slot slot, const flow::key4& key) {
    const auto e = time_wait_->read(slot);
    port_owners_->leave(key.local, key.local_port, {e.reuse_addr, e.reuse_port});
    time_wait_->erase(slot);
}

// R54: the record that would have ended first makes room.
bool engine::evict_record() {
    const auto oldest = time_wait_->oldest(now_tick_);
    if (!oldest) {
        return false;
    }
    const auto gone = time_wait_->read(oldest);
    lose_time_wait(time_wait_->remaining(oldest, now_tick_));
    erase_record(time_wait_->find(hash_(gone.key), gone.key), gone.key);
    port_changed(gone.key);
    counters_.add(counter::tw_evicted);
    record_ended(gone, close_outcome::aborted_no_memory);
    return true;
}

void engine::lose_time_wait(milliseconds left) {
    counters_.add(counter::tw_lost_ms, static_cast<std::uint64_t>(left.count()));
}

// Makes a record; false at the cap (R54). The policy may let the oldest make room: one for this
// record, and one more as long as the cap, which was lowered, is exceeded.
bool engine::enter_record(std::uint64_t hash, const flow::time_wait_entry<flow::key4>& e,
                          const flow::waiting& w) {
    bool room = time_wait_->size() < tw_cap_.allowance();
    const bool at_cap = !room;
    if (at_cap) {
        tw_cap_.missed();
        if (settings_.time_wait_cap_policy == config::cap_policy::evict_oldest &&
            tw_cap_.allowance() > 0) {
            room = evict_record();
            if (time_wait_->size() > tw_cap_.allowance()) {
                evict_record();
            }
        }
    }
    if (room && time_wait_->enter(hash, e, w, now_tick_)) {
        port_owners_->enter(e.key.local, e.key.local_port, {e.reuse_addr, e.reuse_port});
        return true;
    }
    // R63: a core's own table may be full while the process is under its cap.
    const bool process_at_cap = at_cap && tw_cap_.at_cap(time_wait_->size());
    counters_.add(process_at_cap ? counter::tw_overflow : counter::tw_core_full);
    lose_time_wait(w.length);
    return false;
}

// R42. At the cap the connection skips TIME_WAIT: the ACK of the FIN is sent, nothing is kept.
void engine::enter_time_wait(tcb& c) {
    if (c.ack_now || c.ack_pending) {
        send_ack(c);  // of the peer's FIN, when the ACK of ours came in the same burst
    }
    const std::uint32_t length_ms = c.time_wait_ms != 0 ? c.time_wait_ms : settings_.time_wait_ms;
    const bool kept = enter_record(c.hash, record_of(c), {milliseconds{length_ms}, c.tos});
    if (kept) {
        counters_.add(counter::time_waited);
    }
    free_connection(c, c.outcome);
}

// R59 to R61: an orphan whose FIN is acknowledged waits as a record. Called when the segment that
// brought the acknowledgement is through, so a FIN in it has gone to TIME_WAIT already.
void engine::enter_fin_wait_2(tcb& c) {
    if (!c.detached) {
        return;  // a connection that was only shut down may wait for ever (R08)
    }
    if (c.linger2_s < 0) {
        apply(c, event::linger2_negative);
        return;
    }
    if (c.ack_pending || c.ack_now) {
        send_ack(c);
    }
    if (c.linger_s > 0) {
        complete_close(c);  // R13
    }
    const std::uint32_t setting_ms = settings_.tcp_fin_timeout * 1000;
    const std::uint32_t wanted_ms =
        c.linger2_s > 0 ? static_cast<std::uint32_t>(c.linger2_s) * 1000 : setting_ms;
    const std::uint32_t rto_3_5 = rto_ms(c) * 7 / 2;
    auto e = record_of(c);
    e.fin_wait_2 = true;
    e.waiter = c.socket != npos;
    if (e.waiter && !fin_wait_2_waiters_.insert(c.hash, c.socket)) {
        e.waiter = false;
    }
    flow::waiting w{milliseconds{std::max(wanted_ms, rto_3_5)}, c.tos,
                    milliseconds{c.time_wait_ms}};
    w.wscale = c.rcv_wscale;
    if (!enter_record(c.hash, e, w)) {
        if (e.waiter) {
            fin_wait_2_waiters_.erase(c.hash, c.socket);
        }
        apply(c, event::time_wait_refused);
        return;
    }
    closes_.add(now_.us, c.taken, c.key, close_outcome::none);
    if (e.waiter) {
        sockets_[c.socket].connection = npos;
        c.socket = npos;
    }
    release_connection(c);
}

// What every end has in common: the tcb and all that hangs on it go.
void engine::release_connection(tcb& c) {
    const std::uint32_t index = tcbs_.index_of(c);
    connections_.erase(c.hash, index);
    c.snd.clear();
    drop_reassembly(c);
    forget_losses(c);
    forget_records(c);
    if (c.detached) {
        c.detached = false;
        --orphans_;
    }
    leave_accept_queue(c);
    set_state(c, state::closed);
    port_owners_->leave(c.key.local, c.key.local_port, c.sharing);
    tcbs_.give_back(index);
    port_changed(c.key);
}

void engine::free_connection(tcb& c, close_outcome outcome) {
    ++outcomes_[static_cast<std::size_t>(outcome)];
    closes_.add(now_.us, c.taken, c.key, outcome);
    const std::uint32_t s = c.socket;
    const bool unreachable = c.soft_error != 0 && is_timeout(outcome);
    // The application takes an accepted connection with `opened`, also one that has ended by then.
    release_connection(c);
    if (s != npos) {
        sockets_[s].unreachable = unreachable;
        end_socket(sockets_[s], outcome);
    }
}

// A record that was an orphan's FIN_WAIT_2 has an outcome to report; TIME_WAIT reported on entry.
void engine::record_ended(const flow::time_wait_entry<flow::key4>& entry, close_outcome outcome) {
    if (!entry.fin_wait_2) {
        return;
    }
    ++outcomes_[static_cast<std::size_t>(outcome)];
    const state next = is_clean(outcome) ? state::time_wait : state::closed;
    closes_.add(now_.us, then(then(0, state::fin_wait_2), next), entry.key, outcome);
    if (entry.waiter) {
        tell_waiter(entry.key, outcome);
    }
}

void engine::tell_waiter(const flow::key4& key, close_outcome outcome) {
    const std::uint64_t h = hash_(key);
    const std::uint32_t index =
        fin_wait_2_waiters_.find(h, [&](std::uint32_t i) { return sockets_[i].key == key; });
    if (index != npos) {
        fin_wait_2_waiters_.erase(h, index);
        end_socket(sockets_[index], outcome);
    }
}

}  // namespace lastack::tcp
