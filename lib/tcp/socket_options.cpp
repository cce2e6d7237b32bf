// SPDX-License-Identifier: BSD-3-Clause
// What the application says of a connection and asks about it: socket options and their like.
#include <algorithm>

#include "tcp/engine.hpp"

namespace lastack::tcp {

namespace {

constexpr auto stale = failure{call_error::stale_handle};
constexpr std::uint8_t ecn_bits = 3;                // of TOS: not the application's
constexpr std::uint32_t receive_memory_min = 4608;  // as Linux's SO_RCVBUF: two small segments
constexpr std::uint32_t send_memory_min = 4608;
constexpr seconds linger_max{20 * 86400};  // as far as a tick can be set
constexpr int linger2_max_s = 120;         // R61: as Linux

bool has_unsent(const tcb& c) {
    return c.snd_nxt < c.snd_una + c.snd.octets();
}

std::uint32_t ms_of(milliseconds d) {
    return static_cast<std::uint32_t>(d.count());
}

}  // namespace

bool is_valid(const connection_options& o) {
    constexpr seconds keepalive_max{32767};  // the sysctls' own bound
    constexpr milliseconds user_timeout_max{0x7fffffff};
    const auto& k = o.keepalive;
    return (o.mss_max == 0 || (o.mss_max >= 88 && o.mss_max <= 32767)) && o.syn_retries <= 127 &&
           k.idle >= seconds{0} && k.idle <= keepalive_max && k.interval >= seconds{0} &&
           k.interval <= keepalive_max && (!o.linger.on || o.linger.timeout >= seconds{0}) &&
           o.user_timeout >= milliseconds{0} && o.user_timeout <= user_timeout_max;
}

connection_options engine::options_of(const tcb& c) const {
    connection_options o;
    o.ttl = c.ttl;
    o.tos = c.tos;
    o.mss_max = c.mss_max;
    o.syn_retries = c.syn_retries;
    o.receive_memory = c.rcv_fixed ? c.rcv_limit : 0;
    o.send_memory = c.snd_limit;
    o.no_delay = c.no_delay;
    o.cork = c.corked;
    o.keepalive = {c.keepalive, seconds{c.keepalive_idle_ms / 1000},
                   seconds{c.keepalive_interval_ms / 1000}, c.keepalive_probes};
    o.linger = {c.linger_s >= 0, seconds{std::max(c.linger_s, 0)}};
    o.linger2 = c.linger2_s;
    o.user_timeout = milliseconds{c.user_timeout_ms};
    return o;
}

std::uint32_t engine::receive_memory(const connection_options& o) const {
    return o.receive_memory == 0 ? settings_.tcp_rmem.initial
                                 : std::max(o.receive_memory, receive_memory_min);
}

// Also what a connection begins with: those of its listener or of connect().
void engine::take_options(tcb& c, const connection_options& o) {
    c.ttl = o.ttl;
    c.tos = static_cast<std::uint8_t>((o.tos & ~ecn_bits) | (c.tos & ecn_bits));
    c.mss_max = o.mss_max;
    c.syn_retries = o.syn_retries;
    c.snd_limit = o.send_memory == 0 ? 0 : std::max(o.send_memory, send_memory_min);
    c.rcv_fixed = o.receive_memory != 0;
    if (c.rcv_fixed) {
        c.rcv_limit = receive_memory(o);
    }
    c.linger_s = o.linger.on
                     ? static_cast<std::int32_t>(std::min(o.linger.timeout, linger_max).count())
                     : -1;
    c.linger2_s = std::min(o.linger2, linger2_max_s);
    c.user_timeout_ms = ms_of(o.user_timeout);
    if (o.no_delay != c.no_delay || o.cork != c.corked) {
        c.push_now = c.corked && !o.cork && has_unsent(c);  // uncorking sends what is left
        c.no_delay = o.no_delay;
        c.corked = o.cork;
        make_ready(c);
    }
    if (o.keepalive != options_of(c).keepalive) {
        c.keepalive = o.keepalive.on;
        c.keepalive_idle_ms = ms_of(o.keepalive.idle);
        c.keepalive_interval_ms = ms_of(o.keepalive.interval);
        c.keepalive_probes = o.keepalive.probes;
        c.keepalive_sent = 0;
        arm_keepalive(c);
    }
}

result<connection_options, call_error> engine::options(conn_id id) const {
    if (find(id) == nullptr) {
        return stale;
    }
    const tcb* const c = connection(id);
    if (c == nullptr) {
        return failure{call_error::not_connected};
    }
    return options_of(*c);
}

result<bool, call_error> engine::set_options(conn_id id, const connection_options& o) {
    if (!is_valid(o)) {
        return failure{call_error::invalid_argument};
    }
    return with_tcb(id, [&](tcb& c) { take_options(c, o); });
}

template <class F>
result<bool, call_error> engine::change_options(conn_id id, F&& change) {
    auto o = options(id);
    if (!o) {
        return failure{o.error()};
    }
    change(*o);
    return set_options(id, *o);
}

result<bool, call_error> engine::set_user(conn_id id, std::uint64_t user) {
    socket* const s = find(id);
    if (s == nullptr) {
        return stale;
    }
    s->user = user;
    return true;
}
result<bool, call_error> engine::set_linger(conn_id id, linger_option wanted) {
    return change_options(id, [&](connection_options& o) { o.linger = wanted; });
}
// As Linux: what Nagle, a cork or MSG_MORE holds back goes out now.
result<bool, call_error> engine::send_held_back(conn_id id, result<bool, call_error> changed) {
    if (tcb* const c = tcb_of(id); changed && c != nullptr) {
        c->push_now = c->push_now || has_unsent(*c);
        c->more_follows = false;
        make_ready(*c);
    }
    return changed;
}

result<bool, call_error> engine::set_no_delay(conn_id id, bool on) {
    const auto changed = change_options(id, [&](connection_options& o) { o.no_delay = on; });
    return on ? send_held_back(id, changed) : changed;
}
result<bool, call_error> engine::set_cork(conn_id id, bool on) {
    const auto changed = change_options(id, [&](connection_options& o) { o.cork = on; });
    return on ? changed : send_held_back(id, changed);
}
result<bool, call_error> engine::set_keepalive(conn_id id, keepalive_option wanted) {
    return change_options(id, [&](connection_options& o) { o.keepalive = wanted; });
}
result<bool, call_error> engine::set_user_timeout(conn_id id, milliseconds timeout) {
    return change_options(id, [&](connection_options& o) { o.user_timeout = timeout; });
}
result<bool, call_error> engine::set_linger2(conn_id id, int timeout_s) {
    return change_options(id, [&](connection_options& o) { o.linger2 = timeout_s; });
}
result<bool, call_error> engine::set_port_options(conn_id id, const port_options& o) {
    return with_tcb(id, [&](tcb& c) {
        port_owners_->leave(c.key.local, c.key.local_port, c.sharing);
        c.sharing = {o.reuse_addr, o.reuse_port};
        port_owners_->enter(c.key.local, c.key.local_port, c.sharing);
    });
}

result<std::size_t, call_error> engine::unread(conn_id id) const {
    const socket* const s = find(id);
    if (s == nullptr) {
        return stale;
    }
    return std::size_t{s->rx_octets};
}
result<std::size_t, call_error> engine::unsent(conn_id id) const {
    const socket* const s = find(id);
    if (s == nullptr) {
        return stale;
    }
    return std::size_t{s->connection == npos ? 0 : tcbs_[s->connection].snd.octets()};
}
result<endpoint, call_error> engine::remote_endpoint(conn_id id) const {
    const socket* const s = find(id);
    if (s == nullptr) {
        return stale;
    }
    return endpoint{s->key.remote, s->key.remote_port};
}
result<endpoint, call_error> engine::local_endpoint(conn_id id) const {
    const socket* const s = find(id);
    if (s == nullptr) {
        return stale;
    }
    return endpoint{s->key.local, s->key.local_port};
}

}  // namespace lastack::tcp
