// SPDX-License-Identifier: BSD-3-Clause
// Whom a segment is for: a live connection or SYN_RECEIVED record; else a TIME_WAIT record; else,
// if it may open, a listener; else nobody, which is answered by RST.
#include <rte_mbuf.h>

#include <array>
#include <span>
#include <utility>

#include "tcp/engine.hpp"

namespace lastack::tcp {

namespace flags = wire::tcp_flags;
using teardown::event;
using teardown::state;

std::uint32_t engine::find_live(const flow::key4& key, std::uint64_t hash) const {
    return connections_.find(hash, [&](std::uint32_t value) {
        return (value & syn_bit) != 0 ? syns_[value & ~syn_bit].key == key
                                      : tcbs_[value].key == key;
    });
}

void engine::prefetch_records(std::span<const arrival> burst) const {
    std::array<std::uint64_t, 32> closing;
    std::size_t count = 0;
    for (const arrival& a : burst) {
        closing[count] = a.hash;
        count += (a.segment.flags & flags::fin) != 0 ? 1 : 0;
        if (count == closing.size()) {
            time_wait_->prefetch_enter(closing);
            count = 0;
        }
    }
    time_wait_->prefetch_enter(std::span(closing).first(count));
}

void engine::input(arrival& a) {
    counters_.add(counter::tcp_in_segs);
    const bool answerable = a.segment.payload_length == 0 && mbuf_source::is_sole(a.mbuf);
    spent_ = answerable ? a.mbuf : nullptr;
    const std::uint32_t live = find_live(a.key, a.hash);
    if (live != npos) {
        if ((live & syn_bit) != 0) {
            syn_record_input(a, live & ~syn_bit);
        } else {
            connection_input(a, live);
        }
    } else if (const auto slot = time_wait_->find(a.hash, a.key)) {
        time_wait_input(a, slot);
    } else if (const listener_id id = find_listener(a.key, a.hash); id != listener_id{}) {
        listen_input(a, id);
    } else {
        no_connection(a);
    }
    if (spent_ != nullptr) {
        data_source_.give(std::exchange(spent_, nullptr));
    } else if (!answerable && a.mbuf != nullptr) {
        rte_pktmbuf_free(a.mbuf);
    }
}

// CLOSED (RFC 9293 3.10.7.1, R27).
void engine::no_connection(const arrival& a) {
    const bool opens = a.segment.has(flags::syn);
    if (opens) {
        counters_.add(counter::no_listener);
    }
    const event what = opens ? event::rx_syn : event::rx_ack_unacceptable;
    note_drop(a.segment.has(flags::rst) ? event::rx_rst_outside : what);
    answer_reset(a.key, a.segment, a.tos, what);
}

void engine::listen_input(arrival& a, listener_id id) {
    event what = event::rx_syn;
    if (a.segment.flags != flags::syn) {
        teardown::connection_view view;
        view.st = state::listen;
        what = teardown::classify(view, a.segment).what;
    }
    const teardown::action todo = teardown::lookup(state::listen, what).actions;
    if (what == event::rx_syn_fin) {
        counters_.add(counter::syn_fin);
    }
    if (has(todo, teardown::action::answer_reset)) {
        answer_reset(a.key, a.segment, a.tos, what);
    }
    if (has(todo, teardown::action::send_syn_ack)) {
        open_passively(a, id, initial_sequence(a.key), false, false);
    } else {
        note_drop(what);
    }
}

// R43 to R53, R60.
void engine::time_wait_input(arrival& a, flow::time_wait_slot slot) {
    const auto entry = time_wait_->read(slot);
    const listener_id listening = find_listener(a.key, a.hash);
    const teardown::time_wait_view view{
        entry.snd_nxt,
        entry.rcv_nxt,
        entry.ts_recent,
        entry.timestamps,
        entry.fin_wait_2,
        listening != listener_id{},
        std::uint32_t{entry.window} << time_wait_->waiting_of(slot).wscale,
        entry.ts_strict};
    const teardown::time_wait_policy policy{settings_.tcp_rfc1337, settings_.tcp_timestamps != 0};
    const auto v = teardown::classify_time_wait(view, a.segment, policy);
    if (v.paws_rejected) {
        counters_.add(counter::paws_time_wait);
    }
    if (v.what == event::rx_rst_in_window && !entry.fin_wait_2) {
        counters_.add(counter::tw_reset_ignored);
    } else if (v.what == event::rx_syn_fin) {
        counters_.add(counter::syn_fin);
    }
    if (v.update_ts_recent) {
        time_wait_->set_ts_recent(slot, a.segment.options.tsval);
    }
    if (v.reopen) {
        open_passively(a, listening, teardown::isn_after_time_wait(entry.snd_nxt), true,
                       v.ts_strict);
        return;
    }
    if (v.what != event::rx_acceptable && v.what != event::rx_fin && !v.kill) {
        note_drop(v.what);
    }
    if (v.restart) {
        time_wait_->restart(slot, now_tick_);
        port_changed(a.key);
        counters_.add(counter::tw_restarted);
    }
    if (v.become_time_wait) {
        flow::waiting w = time_wait_->waiting_of(slot);
        const bool own = w.time_wait > milliseconds{0};
        w.length = own ? w.time_wait : milliseconds{settings_.time_wait_ms};
        w.time_wait = {};
        w.wscale = 0;
        time_wait_->become_time_wait(slot, v.new_rcv_nxt, w, now_tick_);
        port_changed(a.key);
        counters_.add(counter::time_waited);
        record_ended(entry, close_outcome::clean_active);
    }
    answer_from_record(a, slot, v.answer, v.what);
    if (v.kill) {
        erase_record(slot, a.key);
        port_changed(a.key);
        if (!entry.fin_wait_2) {
            counters_.add(counter::tw_killed);
            return;
        }
        const bool by_data = v.what == event::rx_data_unreadable;
        if (by_data) {
            counters_.add(counter::abort_on_data);
        }
        record_ended(entry, by_data ? close_outcome::aborted_data_after_close
                                    : close_outcome::reset_by_peer);
    }
}

// R51. The record as it is now: RCV.NXT and TS.Recent may just have moved.
void engine::answer_from_record(const arrival& a, flow::time_wait_slot slot,
                                teardown::time_wait_answer answer, event what) {
    using teardown::time_wait_answer;
    if (answer == time_wait_answer::none) {
        return;
    }
    if (answer == time_wait_answer::reset) {
        answer_reset(a.key, a.segment, a.tos, what);
        return;
    }
    const auto entry = time_wait_->read(slot);
    if (answer == time_wait_answer::throttled_ack &&
        !ack_limit_.may_ack(a.hash, now_tick_, settings_.tcp_invalid_ratelimit)) {
        counters_.add(entry.fin_wait_2 ? counter::ack_skipped_fin_wait_2
                                       : counter::ack_skipped_time_wait);
        return;
    }
    rte_mbuf* const m = control_mbuf();
    if (m == nullptr) {
        return;
    }
    wire::tcp_segment s;
    s.seq = entry.snd_nxt;
    s.ack = entry.rcv_nxt;
    s.flags = flags::ack;
    s.window = entry.window;
    if (entry.timestamps) {
        s.options.has_timestamps = true;
        s.options.tsval = timestamp_now(entry.ts_plain ? 0 : host_pair_offset(a.key));
        s.options.tsecr = entry.ts_recent;
    }
    emit(a.key, s, m, 0, time_wait_->waiting_of(slot).tos);
}

}  // namespace lastack::tcp
