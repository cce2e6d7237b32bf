// SPDX-License-Identifier: BSD-3-Clause
// Active open: choice of the local port, SYN_SENT, simultaneous open. TIME_WAIT records may have to
// give way (R55).
#include "tcp/engine.hpp"

namespace lastack::tcp {

using teardown::event;
using teardown::state;

// R55, RFC 6191: a record may give way to connect() if its connection had timestamps, so that ours
// are newer than any the peer remembers, and if what was under way then has had time to arrive.
flow::port_state engine::port_state_of(const flow::key4& key, bool bound) const {
    using flow::port_state;
    if (!bound && is_bound(key.local_port)) {
        return port_state::taken;  // whoever has bound it may be about to listen, or to connect
    }
    const std::uint64_t h = hash_(key);
    if (find_live(key, h) != npos) {
        return port_state::taken;
    }
    const auto slot = time_wait_->find(h, key);
    if (!slot) {
        return port_state::free;
    }
    const host& around = config_.around;
    const bool allowed =
        settings_.tcp_timestamps != 0 &&
        (bound || settings_.tcp_tw_reuse == 1 ||
         (settings_.tcp_tw_reuse == 2 && around.is_local(around.context, key.remote)));
    const auto e = time_wait_->read(slot);
    if (!allowed || !e.timestamps || e.fin_wait_2 || e.parked) {
        return port_state::taken;
    }
    const milliseconds delay{bound ? 0 : settings_.tcp_tw_reuse_delay};
    return time_wait_->age(slot, now_tick_) >= delay ? port_state::reusable : port_state::waiting;
}

void engine::port_changed(const flow::key4& key) {
    if (ports_->concerns(key.local_port)) {
        ports_->changed(key, port_state_of(key));
    }
}

// R55: the new incarnation begins beyond all that the old one sent, and remembers its timestamps.
void engine::inherit_from_time_wait(tcb& c) {
    const auto slot = time_wait_->find(c.hash, c.key);
    if (!slot) {
        return;
    }
    const auto e = time_wait_->read(slot);
    c.snd_una = teardown::isn_after_time_wait(e.snd_nxt);
    c.ts_recent = e.ts_recent;
    c.ts_recent_s = now_s_;
    c.ts_strict = true;  // the peer's ISN may be anywhere
    erase_record(slot, c.key);
    counters_.add(counter::tw_recycled);
}

// The 4-tuple of a connection to `remote`: the port that was asked for, if it may be bound, or one
// that is free towards this destination (R56, R57). Into `key`, whose parts are soon read as they
// are written; as a value it would be copied in wider loads, which wait for the narrow stores.
std::optional<call_error> engine::choose_tuple(const endpoint& remote, const connect_options& o,
                                               flow::key4& key) {
    const listener* const bound = o.bound ? alive(*o.bound) : nullptr;
    if (o.bound && bound == nullptr) {
        return call_error::stale_handle;
    }
    const bool v4 = remote.address.is_v4() && (!o.local || o.local->address.is_v4());
    if (!v4 || remote.port == 0 || remote.address.is_any() || remote.address.v4().is_multicast() ||
        remote.address.v4().is_limited_broadcast() || (bound != nullptr && bound->listening) ||
        !is_valid(o.connection)) {
        return call_error::invalid_argument;
    }
    ipv4_address asked{};
    std::uint16_t port = 0;
    if (bound != nullptr) {
        asked = bound->address.v4();
        port = bound->port;
    } else if (o.local) {
        asked = o.local->address.v4();
        port = o.local->port;
    }
    const host& h = config_.around;
    key.remote = remote.address.v4();
    key.remote_port = remote.port;
    key.local_port = port;
    key.local = h.source_for(h.context, key.remote);
    if (key.local.is_any()) {
        return call_error::host_unreachable;
    }
    if (!asked.is_any()) {
        key.local = asked;
        if (!h.is_local(h.context, key.local)) {
            return call_error::address_not_available;
        }
    }
    if (port == 0) {
        const auto chosen = ports_->next(key, [&](std::uint16_t candidate) {
            key.local_port = candidate;
            return answers_come_here(key) ? port_state_of(key) : flow::port_state::foreign;
        });
        if (!chosen) {
            return call_error::address_not_available;
        }
        key.local_port = *chosen;
        return std::nullopt;
    }
    if (!answers_come_here(key)) {
        return call_error::address_not_available;
    }
    if (bound == nullptr &&
        !may_bind(asked, port, {o.port.reuse_addr, o.port.reuse_port}, nullptr)) {
        return call_error::address_in_use;
    }
    if (port_state_of(key, true) == flow::port_state::taken) {
        return call_error::address_not_available;
    }
    return std::nullopt;
}

result<conn_id, call_error> engine::connect(const endpoint& remote, const connect_options& o) {
    if (stopping_ || refuse_open_under_pressure()) {
        return failure{call_error::no_memory};
    }
    flow::key4 key;
    if (const auto error = choose_tuple(remote, o, key)) {
        return failure{*error};
    }
    const flow::port_sharing sharing =
        o.bound ? alive(*o.bound)->sharing
                : flow::port_sharing{o.port.reuse_addr, o.port.reuse_port};
    const std::uint32_t s = new_socket(key);
    const std::uint32_t n = s == npos ? npos : new_connection(key, hash_(key), sharing);
    if (n == npos || !connections_.insert(tcbs_[n].hash, n)) {
        if (n != npos) {
            port_owners_->leave(key.local, key.local_port, sharing);
            tcbs_.give_back(n);
        }
        if (s != npos) {
            release_socket(s);
        }
        port_changed(key);
        return failure{call_error::no_memory};
    }
    tcb& c = tcbs_[n];
    c.socket = s;
    if (o.bound) {
        release_port(*o.bound);
    }
    take_options(c, o.connection);
    sockets_[s].connection = n;
    sockets_[s].user = o.user;
    c.snd_una = initial_sequence(key);
    inherit_from_time_wait(c);
    c.snd_nxt = c.snd_push = c.snd_una + 1;
    c.syn_unacked = true;
    c.timestamps = settings_.tcp_timestamps != 0;
    c.ts_offset = timestamp_offset(key);
    c.sack = settings_.tcp_sack;
    c.wscale = settings_.tcp_window_scaling;
    c.mss_base = offered_mss(key.remote, c.mss_max);
    c.rtt_timing = true;
    c.rtt_seq = c.snd_nxt;
    c.rtt_sent_us = static_cast<std::uint32_t>(now_.us);
    counters_.add(counter::active_opens);
    if (o.fast_open) {
        begin_fast_open(c);
    }
    apply(c, event::app_connect);
    return id_of(sockets_[s]);
}

void engine::send_syn(tcb& c) {
    if (c.syn_held) {
        return;  // it goes with the first text
    }
    if (c.fast_open) {
        send_fast_open_syn(c);
        return;
    }
    send_control(c, c.snd_una, wire::tcp_flags::syn);
    arm_rto(c);
}

// Never with what Fast Open had put into it (RFC 7413 4.2).
void engine::resend_syn(tcb& c) {
    namespace flags = wire::tcp_flags;
    c.rtt_timing = false;
    const auto answer = static_cast<std::uint8_t>(flags::syn | flags::ack);
    if (send_control(c, c.snd_una, c.st == state::syn_sent ? flags::syn : answer,
                     counter::tcp_retrans_segs)) {
        counters_.add(counter::syn_retrans);
    }
}

// What the peer's SYN offers, joined with what ours offered (RFC 7323 1.3, 2.2, RFC 2018 2).
void engine::take_syn_options(tcb& c, const wire::tcp_segment& s) {
    const wire::tcp_options& o = s.options;
    c.last_received = now_tick_;
    c.rcv_nxt = s.seq + 1;
    c.rcv_edge = c.rcv_nxt + syn_window(c.rcv_limit);
    c.rcv_tune = c.rcv_edge;
    c.last_ack_sent = c.rcv_nxt;
    c.timestamps = c.timestamps && o.has_timestamps;
    c.ts_recent = o.tsval;
    c.ts_recent_s = now_s_;
    c.ts_strict =
        c.timestamps && (c.ts_strict || settings_.ts_missing == config::ts_missing_policy::drop);
    c.sack = c.sack && o.sack_permitted;
    c.wscale = c.wscale && o.has_wscale;
    c.snd_wscale = c.wscale ? o.wscale : std::uint8_t{0};
    c.rcv_wscale = c.wscale ? c.rcv_wscale : std::uint8_t{0};
    c.mss_base = o.mss == 0 ? std::uint16_t{536} : o.mss;
    apply_mss(c);
    c.cc.open(c.mss);
    if (c.retries > 0) {
        c.cc.open_after_syn_loss(c.mss);
        c.rtt.syn_was_lost();
    }
    c.snd_wnd = c.snd_wnd_max = s.window;
    c.snd_wl1 = s.seq;
    c.snd_wl2 = s.ack;
}

void engine::syn_sent_input(arrival& a, std::uint32_t index) {
    tcb& c = tcbs_[index];
    const wire::tcp_segment& s = a.segment;
    const teardown::verdict v = teardown::classify(view_of(c), s);
    const bool opens = v.what == event::rx_syn_ack || v.what == event::rx_syn;
    bool fast_open = false;
    if (opens && c.ts_strict && !s.options.has_timestamps) {
        counters_.add(counter::ts_missing);  // R69: old copies could not be told from its text
        note_drop(event::rx_ts_missing);
        return;
    }
    if (opens && c.syn_held) {  // SYNs cross (or the answer is a guess): nothing is being timed
        c.syn_held = false;
        c.rtt_timing = false;
    }
    if (teardown::lookup(state::syn_sent, v.what).what != teardown::kind::transition) {
        note_drop(v.what);
    }
    if (v.what == event::rx_syn_ack) {
        const bool echo_of_future =
            c.timestamps && s.options.has_timestamps && s.options.tsecr != 0 &&
            static_cast<std::int32_t>(timestamp_now(c.ts_offset) - s.options.tsecr) < 0;
        if (echo_of_future) {
            counters_.add(counter::paws_active);
            note_drop(event::rx_paws_reject);
            answer_reset(a.key, s, a.tos, event::rx_paws_reject);
            return;
        }
        take_syn_options(c, s);
        take_rtt(c, s);
        fast_open = fast_open_tried(c);
        if (fast_open) {
            fast_open_answered(c, a);
        }
        c.snd_una = s.ack;
        c.snd_wl2 = s.ack;
        forget_records_acknowledged(c);
        c.syn_unacked = false;
        disarm(c, deadline_bits::retransmit);
        c.retries = 0;
        c.backoff = 0;
    } else if (v.what == event::rx_syn) {
        take_syn_options(c, s);
        c.snd_wl2 = c.snd_una;
        c.retries = 0;
        c.backoff = 0;
        arm_rto(c);
    }
    if (apply(c, v.what, &a) && fast_open) {
        if (s.payload_length > 0) {
            accept_text(c, a, {});  // RFC 7413 4.2.2: the answer may come with the SYN-ACK
        }
        take_back_syn_text(c);
    }
}

}  // namespace lastack::tcp
