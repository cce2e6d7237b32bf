// SPDX-License-Identifier: BSD-3-Clause
// How a peer opens a connection: SYN_RECEIVED records; and the numbers every connection begins
// with.
//
// A SYN to a listener takes a syn_record; the tcb and the handle are taken when the handshake
// completes. A record whose listener has closed is found out lazily, by its next segment or
// deadline (R05). ISNs by RFC 6528, timestamp offsets by RFC 7323 5.4: both keyed, both monotonic
// over the incarnations of a tuple, which is what TIME_WAIT's reuse rests on (R73, R74).
#include <rte_mbuf.h>

#include <algorithm>
#include <bit>

#include "tcp/engine.hpp"

namespace lastack::tcp {

namespace flags = wire::tcp_flags;
using teardown::action;
using teardown::event;
using teardown::has;
using teardown::state;

namespace {

constexpr std::uint16_t ip_and_tcp_header_bytes = 40;

// Of a tcb or SYN_RECEIVED record for its next owner: all is new but its node in the wheel, which
// hangs there still.
template <class T>
void renew(T& t) {
    const timer::timer_link link = t.link;
    const tick deadline = t.deadline;
    t = T{};
    t.link = link;
    t.deadline = deadline;
}

}  // namespace

// --- numbers -------------------------------------------------------------------------------------

// RFC 6528: a clock of 4 us plus a keyed function of the tuple.
seq32 engine::initial_sequence(const flow::key4& key) const {
    return {static_cast<std::uint32_t>(static_cast<std::uint64_t>(now_.us) >> 2) +
            static_cast<std::uint32_t>(isn_hash_(key))};
}

std::uint32_t engine::timestamp_offset(const flow::key4& key) const {
    return settings_.tcp_timestamps == 1 ? host_pair_offset(key) : 0;
}

// One offset a host pair, so that timestamps of successive connections between them go up.
std::uint32_t engine::host_pair_offset(const flow::key4& key) const {
    return static_cast<std::uint32_t>(isn_hash_({key.remote, key.local, 0, 0}));
}

// `mss_max`: TCP_MAXSEG, 0 for no limit of ours.
std::uint16_t engine::offered_mss(ipv4_address remote, std::uint16_t mss_max) const {
    const path p = config_.around.path_to(config_.around.context, remote, now_);
    const auto path_mss = static_cast<std::uint16_t>(p.mtu - ip_and_tcp_header_bytes);
    return mss_max == 0 ? path_mss : std::min(path_mss, mss_max);
}

// As Linux: the shift that makes the largest buffer expressible.
std::uint8_t engine::offered_wscale() const {
    const std::uint32_t space = std::max(settings_.tcp_rmem.max, settings_.tcp_rmem.initial);
    const int shift = std::bit_width(space) - 1 - 15;
    return static_cast<std::uint8_t>(std::clamp<int>(shift, 0, wire::wscale_max));
}

// Octets of text a segment may hold: what the peer offers and the path takes, less our options.
void engine::apply_mss(tcb& c) {
    const path p = config_.around.path_to(config_.around.context, c.key.remote, now_);
    const auto path_mss = static_cast<std::uint16_t>(p.mtu - ip_and_tcp_header_bytes);
    std::uint16_t base = std::min(c.mss_base, path_mss);
    if (c.mss_max != 0) {
        base = std::min(base, c.mss_max);
    }
    c.fragmentable = !p.dont_fragment;
    const std::uint16_t options = c.timestamps ? 12 : 0;
    c.mss = static_cast<std::uint16_t>(std::max<int>(base - options, 64));
    if (!config_.multi_segment_tx) {
        const auto room = static_cast<std::uint16_t>(rte_pktmbuf_data_room_size(config_.data_pool) -
                                                     RTE_PKTMBUF_HEADROOM);
        c.mss = std::min(c.mss, room);
    }
}

// --- passive open --------------------------------------------------------------------------------

bool engine::refuse_open_under_pressure() {
    if (pressure_ < pressure::refuse_open) {
        return false;
    }
    counters_.add(counter::pressure_refused_open);
    return true;
}

void engine::open_passively(const arrival& a, listener_id id, seq32 iss, bool reopened,
                            bool ts_strict) {
    listener* const l = alive(id);
    const std::uint32_t syn_backlog = std::min(settings_.tcp_max_syn_backlog, l->backlog);
    // R47: a SYN that re-opens a tuple in TIME_WAIT is not held to the backlog.
    const bool full = !reopened && (l->syn_received >= syn_backlog || l->waiting >= l->backlog);
    if (full) {
        counters_.add(l->waiting >= l->backlog ? counter::listen_overflows
                                               : counter::syn_record_full);
    }
    if (full || stopping_ || refuse_open_under_pressure()) {
        counters_.add(counter::listen_drops);
        return;
    }
    const std::uint32_t index = syns_.take();
    if (index == npos || !connections_.insert(a.hash, index | syn_bit)) {
        if (index != npos) {
            syns_.give_back(index);
        }
        counters_.add(counter::syn_record_full);
        counters_.add(counter::listen_drops);
        return;
    }
    const wire::tcp_options& o = a.segment.options;
    syn_record& r = syns_[index];
    renew(r);
    r.in_use = true;
    r.key = a.key;
    r.hash = a.hash;
    r.irs = a.segment.seq;
    r.iss = iss;
    r.window = a.segment.window;
    r.mss = o.mss == 0 ? 536 : o.mss;  // RFC 9293 3.7.1
    r.has_wscale = o.has_wscale && settings_.tcp_window_scaling;
    r.wscale = o.wscale;
    r.rcv_window = syn_window(receive_memory(l->connections));
    r.rcv_wscale = offered_wscale();
    r.timestamps = o.has_timestamps && settings_.tcp_timestamps != 0;
    r.ts_recent = o.tsval;
    r.ts_offset = timestamp_offset(a.key);
    r.sack = o.sack_permitted && settings_.tcp_sack;
    r.ts_strict =
        r.timestamps && (ts_strict || settings_.ts_missing == config::ts_missing_policy::drop);
    r.reopened = reopened;
    r.listener = id;
    r.sent_us = static_cast<std::uint32_t>(now_.us);
    ++l->syn_received;
    counters_.add(counter::passive_opens);
    if (reopened) {
        time_wait_->set_parked(time_wait_->find(a.hash, a.key), true);
        counters_.add(counter::tw_reopened);
    }
    send_syn_ack(r);
    syn_wheel_->arm(index, now_tick_ + initial_rto_us / 1000);
}

void engine::send_syn_ack(const syn_record& r) {
    rte_mbuf* const m = control_mbuf();
    if (m == nullptr) {
        return;
    }
    wire::tcp_segment s;
    s.seq = r.iss;
    s.ack = r.irs + 1;
    s.flags = flags::syn | flags::ack;
    const connection_options& o = alive(r.listener)->connections;
    s.window = r.rcv_window;
    s.options.mss = offered_mss(r.key.remote, o.mss_max);
    s.options.has_wscale = r.has_wscale;
    s.options.wscale = r.rcv_wscale;
    s.options.sack_permitted = r.sack;
    s.options.has_timestamps = r.timestamps;
    s.options.tsval = timestamp_now(r.ts_offset);
    s.options.tsecr = r.ts_recent;
    emit(r.key, s, m, o.ttl, static_cast<std::uint8_t>(o.tos & ~3));
}

// The window of our SYN and SYN-ACK (never scaled, RFC 7323 2.2).
std::uint16_t engine::syn_window(std::uint32_t memory) {
    return static_cast<std::uint16_t>(std::min(memory / 2, 65535u));
}

// R49: a handshake that failed gives the parked TIME_WAIT record back; one that completed ends it.
// (It may have run out meanwhile.)
void engine::settle_parked(const syn_record& r, bool completed) {
    const auto slot = time_wait_->find(r.hash, r.key);
    if (!slot) {
        return;
    }
    if (completed) {
        erase_record(slot, r.key);
    } else {
        time_wait_->set_parked(slot, false);
        counters_.add(counter::tw_unparked);
    }
}

// The record goes; its place in the connection table has been cleared or taken by the tcb.
void engine::retire_syn_record(std::uint32_t index) {
    syn_record& r = syns_[index];
    r.in_use = false;
    if (listener* l = alive(r.listener)) {
        --l->syn_received;
    }
    syns_.give_back(index);
}

// The handshake has failed.
void engine::drop_syn_record(std::uint32_t index) {
    const syn_record& r = syns_[index];
    connections_.erase(r.hash, index | syn_bit);
    if (r.reopened) {
        settle_parked(r, false);
    }
    retire_syn_record(index);
    port_changed(r.key);
}

namespace {

// Header prediction for the handshake's last segment: the ACK, with or without text.
bool completes(const syn_record& r, const wire::tcp_segment& s, std::uint32_t window) {
    return (s.flags & ~flags::psh) == flags::ack && s.seq == r.irs + 1 && s.ack == r.iss + 1 &&
           s.payload_length <= window && s.options.has_timestamps == r.timestamps &&
           (!r.timestamps || seq32{s.options.tsval} >= seq32{r.ts_recent});
}

teardown::connection_view view_of(const syn_record& r, std::uint32_t window) {
    teardown::connection_view view;
    view.st = state::syn_received;
    view.iss = r.iss;
    view.snd_una = r.iss;
    view.snd_nxt = r.iss + 1;
    view.snd_wnd_max = r.window;
    view.rcv_nxt = r.irs + 1;
    view.rcv_wnd = window;
    view.ts_recent = r.ts_recent;
    view.last_ack_sent = view.rcv_nxt;
    view.sack_right_edge = view.rcv_nxt;
    view.timestamps = r.timestamps;
    view.ts_recent_valid = true;
    view.ts_strict = r.ts_strict;
    return view;
}

}  // namespace

void engine::syn_record_input(arrival& a, std::uint32_t index) {
    syn_record& r = syns_[index];
    const listener* const l = listener_of(r);
    if (l == nullptr) {
        drop_syn_record(index);
        answer_reset(a.key, a.segment, a.tos, event::listener_closed);  // R05
        return;
    }
    const std::uint32_t window = r.rcv_window;
    teardown::verdict v;
    if (completes(r, a.segment, window)) {
        v.acks_syn = true;
        v.update_ts_recent = r.timestamps;
    } else {
        v = teardown::classify(tcp::view_of(r, window), a.segment);
    }
    if (v.what == event::rx_acceptable) {
        if (v.acks_syn) {
            establish(a, index, v);
        }
        return;
    }
    const action todo = teardown::lookup(state::syn_received, v.what).actions;
    if (!has(todo, action::finish)) {
        note_drop(v.what);
    }
    if (v.what == event::rx_paws_reject) {
        counters_.add(counter::paws_estab);
    }
    if (has(todo, action::answer_reset)) {
        answer_reset(a.key, a.segment, a.tos, v.what);
    }
    if (has(todo, action::send_syn_ack) || has(todo, action::send_duplicate_ack) ||
        has(todo, action::send_challenge_ack)) {
        answer_from_syn_record(a, r, has(todo, action::send_syn_ack));
    }
    if (has(todo, action::finish)) {
        // R38: back to LISTEN, silently.
        counters_.add(counter::embryonic_rsts);
        counters_.add(counter::attempt_fails);
        drop_syn_record(index);
    }
}

// A repeated SYN gets the SYN-ACK again, anything else an ACK; both are throttled as Linux does.
void engine::answer_from_syn_record(const arrival& a, syn_record& r, bool syn_ack) {
    const auto since = distance(r.last_oow_ack, now_tick_);
    if (r.rate_stamped && since >= 0 &&
        static_cast<std::uint32_t>(since) < settings_.tcp_invalid_ratelimit) {
        counters_.add(counter::ack_skipped_syn_recv);
        return;
    }
    r.rate_stamped = true;
    r.last_oow_ack = now_tick_;
    if (syn_ack) {
        counters_.add(counter::syn_retrans);
        counters_.add(counter::tcp_retrans_segs);
        send_syn_ack(r);
        return;
    }
    rte_mbuf* const m = control_mbuf();
    if (m == nullptr) {
        return;
    }
    wire::tcp_segment s;
    s.seq = r.iss + 1;
    s.ack = r.irs + 1;
    s.flags = flags::ack;
    s.window = static_cast<std::uint16_t>(r.rcv_window >> (r.has_wscale ? r.rcv_wscale : 0));
    s.options.has_timestamps = r.timestamps;
    s.options.tsval = timestamp_now(r.ts_offset);
    s.options.tsecr = r.ts_recent;
    emit(r.key, s, m, 0, a.tos);
}

void engine::syn_record_deadline(std::uint32_t index) {
    syn_record& r = syns_[index];
    if (!r.in_use) {
        return;
    }
    if (listener_of(r) == nullptr || r.retries >= settings_.tcp_synack_retries) {
        counters_.add(counter::attempt_fails);
        drop_syn_record(index);
        return;
    }
    ++r.retries;
    counters_.add(counter::syn_retrans);
    counters_.add(counter::tcp_retrans_segs);
    send_syn_ack(r);
    const unsigned doublings = std::min<unsigned>(r.retries, 20);
    const std::uint64_t wait = std::min<std::uint64_t>(
        std::uint64_t{initial_rto_us / 1000} << doublings, settings_.tcp_rto_max_ms);
    syn_wheel_->arm(index, now_tick_ + static_cast<std::uint32_t>(wait));
}

// A tcb in CLOSED, in the table unless `hash` already has the key there.
std::uint32_t engine::new_connection(const flow::key4& key, std::uint64_t hash,
                                     flow::port_sharing sharing) {
    const std::uint32_t index = tcbs_.take();
    if (index == npos) {
        counters_.add(counter::no_connection);
        return npos;
    }
    tcb& c = tcbs_[index];
    const bool in_ring = c.in_ready_ring;
    renew(c);
    c.in_ready_ring = in_ring;
    c.key = key;
    c.hash = hash;
    c.rcv_limit = settings_.tcp_rmem.initial;
    c.rcv_wscale = offered_wscale();
    c.sharing = sharing;
    port_owners_->enter(key.local, key.local_port, sharing);
    c.quick_acks = 16;
    c.last_received = now_tick_;
    c.last_sent_data = now_tick_;
    return index;
}

// The handshake is complete: the record becomes a connection, if there is room for one (R64).
void engine::establish(arrival& a, std::uint32_t index, const teardown::verdict& v) {
    syn_record& r = syns_[index];
    listener& l = *alive(r.listener);
    const bool overflow = l.waiting >= l.backlog;
    const std::uint32_t s = overflow ? npos : new_socket(r.key);
    const std::uint32_t n = s == npos ? npos : new_connection(r.key, r.hash, l.sharing);
    if (n == npos) {
        if (s != npos) {
            release_socket(s);
        }
        counters_.add(overflow ? counter::listen_overflows : counter::no_connection);
        counters_.add(counter::listen_drops);
        if (settings_.tcp_abort_on_overflow) {
            answer_reset(a.key, a.segment, a.tos, event::rx_ack_of_syn);
            drop_syn_record(index);
        }
        return;  // the peer believes it is open; our SYN-ACK comes again
    }
    tcb& c = tcbs_[n];
    c.socket = s;
    take_options(c, l.connections);
    c.snd_una = r.iss;
    c.snd_nxt = c.snd_push = r.iss + 1;
    c.syn_unacked = true;
    c.rcv_nxt = r.irs + 1;
    c.rcv_edge = c.rcv_nxt + r.rcv_window;
    c.last_ack_sent = c.rcv_nxt;
    c.rcv_tune = c.rcv_edge;
    c.snd_wl1 = r.irs;
    c.snd_wl2 = r.iss;
    c.snd_wnd = c.snd_wnd_max = r.window;
    c.timestamps = r.timestamps;
    c.ts_offset = r.ts_offset;
    c.ts_recent = r.ts_recent;
    c.ts_recent_s = now_s_;
    c.ts_strict = r.ts_strict;
    c.sack = r.sack;
    c.wscale = r.has_wscale;
    c.snd_wscale = r.has_wscale ? r.wscale : std::uint8_t{0};
    c.rcv_wscale = r.has_wscale ? r.rcv_wscale : std::uint8_t{0};
    c.mss_base = r.mss;
    apply_mss(c);
    c.cc.open(c.mss);
    if (r.retries > 0) {
        c.rtt.syn_was_lost();
    }
    if (r.retries > 1) {
        c.cc.open_after_syn_loss(c.mss);
    }
    if (r.retries == 0) {
        c.rtt_timing = true;
        c.rtt_seq = r.iss + 1;
        c.rtt_sent_us = r.sent_us;
    }
    c.time_wait_ms = l.time_wait_ms;
    c.listener = r.listener;
    c.accepted_waiting = true;
    ++l.waiting;
    sockets_[s].connection = n;
    sockets_[s].listener = r.listener;
    connections_.replace(r.hash, index | syn_bit, n);
    if (r.reopened) {
        settle_parked(r, true);
    }
    retire_syn_record(index);
    set_state(c, state::syn_received);
    accept_segment(a, n, v);
}

}  // namespace lastack::tcp
