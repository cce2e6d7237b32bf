// SPDX-License-Identifier: BSD-3-Clause
// Local ports that somebody has bound, and those among them that listen.
//
// A listener is a bound port that takes SYNs. Those of one port hang in a list, so that a SYN looks
// at no other's. Whether a port may be bound is asked of them and of the counts of connections and
// records that hold the port (flow/port_owners.hpp), as Linux's inet_csk_bind_conflict does (R56).
#include <algorithm>

#include "tcp/engine.hpp"

namespace lastack::tcp {

using teardown::event;

namespace {

constexpr flow::port_sharing sharing_of(const port_options& o) {
    return {o.reuse_addr, o.reuse_port};
}

bool overlap(const ip_address& a, ipv4_address b) {
    return a.is_any() || b.is_any() || a.v4() == b;
}

}  // namespace

// --- who may have a port -------------------------------------------------------------------------

// R56. `but`: the one who asks, if it has the port already.
bool engine::may_bind(ipv4_address local, std::uint16_t port, flow::port_sharing wanted,
                      const listener* but) const {
    bool may = port_owners_->allow(local, port, wanted);
    each_bound(port, [&](const listener& l, std::uint16_t) {
        may = may && (&l == but || !overlap(l.address, local) ||
                      flow::may_share(wanted, l.sharing, l.listening));
    });
    return may;
}

// A port that nobody has at this address, whatever they would allow; if ip_autobind_reuse says so,
// else one that all share by SO_REUSEADDR. 0 when there is none.
std::uint16_t engine::choose_port(ipv4_address local, flow::port_sharing sharing) {
    const std::uint16_t unused = ports_->any([&](std::uint16_t port) {
        bool free = port_owners_->count(local, port) == 0;
        each_bound(port, [&](const listener& l, std::uint16_t) {
            free = free && !overlap(l.address, local);
        });
        return free;
    });
    if (unused != 0 || !settings_.ip_autobind_reuse || !sharing.addr) {
        return unused;
    }
    return ports_->any([&](std::uint16_t port) { return may_bind(local, port, {true}, nullptr); });
}

result<listener_id, call_error> engine::bind(const endpoint& local, const port_options& o) {
    if (!local.address.is_v4()) {
        return failure{call_error::invalid_argument};
    }
    const ipv4_address address = local.address.v4();
    if (!address.is_any() && !config_.around.is_local(config_.around.context, address)) {
        return failure{call_error::address_not_available};
    }
    const flow::port_sharing sharing = sharing_of(o);
    const std::uint16_t port = local.port != 0 ? local.port : choose_port(address, sharing);
    if (port == 0 || (local.port != 0 && !may_bind(address, port, sharing, nullptr))) {
        return failure{call_error::address_in_use};
    }
    std::uint16_t free = 0;
    while (free < listener_count_ && listeners_[free].open) {
        ++free;
    }
    if (free == settings_.listeners) {
        return failure{call_error::no_memory};
    }
    listener_count_ =
        std::max<std::uint16_t>(listener_count_, static_cast<std::uint16_t>(free + 1));
    listener& l = listeners_[free];
    const auto generation = static_cast<std::uint16_t>(l.generation + 1);
    l = listener{};
    l.address = local.address;
    l.port = port;
    l.generation = generation;
    l.open = true;
    l.sharing = sharing;
    l.next = std::exchange(bound_[port], static_cast<std::uint16_t>(free + 1));
    return listener_id{free, generation};
}

void engine::release_port(listener_id id) {
    listener& l = listeners_[id.index];
    static_cast<void>(reserve_time_wait(l, 0));
    std::uint16_t* link = &bound_[l.port];
    while (*link != id.index + 1) {
        link = &listeners_[*link - 1].next;
    }
    *link = l.next;
    l.open = l.listening = false;
    ports_->released(l.port);
}

result<bool, call_error> engine::set_port_options(listener_id id, const port_options& o) {
    listener* const l = alive(id);
    if (l == nullptr) {
        return failure{call_error::stale_handle};
    }
    l->sharing = sharing_of(o);
    return true;
}

result<endpoint, call_error> engine::local_endpoint(listener_id id) const {
    const listener* const l = alive(id);
    if (l == nullptr) {
        return failure{call_error::stale_handle};
    }
    return endpoint{l->address, l->port};
}

// --- listening -----------------------------------------------------------------------------------

// A length of its own keeps its lane, so that it is never rounded.
bool engine::reserve_time_wait(listener& l, std::uint32_t time_wait_ms) {
    if (time_wait_ms != l.time_wait_ms) {
        if (time_wait_ms != 0 && !time_wait_->reserve(milliseconds{time_wait_ms})) {
            return false;
        }
        if (l.time_wait_ms != 0) {
            time_wait_->release(milliseconds{l.time_wait_ms});
        }
        l.time_wait_ms = time_wait_ms;
    }
    return true;
}

result<bool, call_error> engine::listen(listener_id id, const listen_options& o) {
    listener* const l = alive(id);
    if (l == nullptr) {
        return failure{call_error::stale_handle};
    }
    if (!is_valid(o.connections) || o.time_wait < milliseconds{0} ||
        o.time_wait > flow::time_wait_table<flow::key4>::length_max) {
        return failure{call_error::invalid_argument};
    }
    if (!l->listening && !may_bind(l->address.v4(), l->port, l->sharing, l)) {
        return failure{call_error::address_in_use};
    }
    if (!reserve_time_wait(*l, static_cast<std::uint32_t>(o.time_wait.count()))) {
        return failure{call_error::no_memory};
    }
    l->listening = true;
    l->hold_until_accepted = o.hold_until_accepted;
    l->connections = o.connections;
    l->backlog = o.backlog == 0 ? settings_.somaxconn : std::min(o.backlog, settings_.somaxconn);
    return true;
}

result<listener_id, call_error> engine::listen(const endpoint& local, const listen_options& o) {
    if (local.port == 0) {
        return failure{call_error::invalid_argument};
    }
    const auto bound = bind(local, o.port);
    if (!bound) {
        return bound;
    }
    if (const auto done = listen(*bound, o); !done) {
        release_port(*bound);
        return failure{done.error()};
    }
    return bound;
}

std::uint32_t engine::listeners() const {
    std::uint32_t open = 0;
    for (std::uint16_t i = 0; i < listener_count_; ++i) {
        open += listeners_[i].open && listeners_[i].listening ? 1 : 0;
    }
    return open;
}

// R05: where tcp_migrate_req says so, who else listens on the port with SO_REUSEPORT takes over
// what a listener that has closed leaves.
listener_id engine::heir_of(const flow::key4& key, std::uint64_t hash) const {
    const listener_id heir = settings_.tcp_migrate_req ? find_listener(key, hash) : listener_id{};
    const listener* const l = alive(heir);
    return l != nullptr && l->sharing.port ? heir : listener_id{};
}

bool engine::migrate(socket& s) {
    tcb& c = tcbs_[s.connection];
    const listener_id heir = heir_of(c.key, c.hash);
    if (heir == listener_id{}) {
        return false;
    }
    s.listener = c.listener = heir;
    ++alive(heir)->waiting;
    return true;
}

result<listener_id, call_error> engine::migrate(conn_id id) {
    socket* const s = find(id);
    if (s == nullptr) {
        return failure{call_error::stale_handle};
    }
    if (s->connection == npos) {
        return failure{call_error::not_connected};
    }
    if (!tcbs_[s->connection].accepted_waiting || alive(s->listener) != nullptr || !migrate(*s)) {
        return failure{call_error::invalid_argument};
    }
    return s->listener;
}

// The listener a handshake is for; nullptr when it has closed.
listener* engine::listener_of(syn_record& r) {
    listener* l = alive(r.listener);
    if (l == nullptr) {
        r.listener = heir_of(r.key, r.hash);
        l = alive(r.listener);
        if (l != nullptr) {
            ++l->syn_received;
        }
    }
    return l;
}

// R05: what is still in SYN_RECEIVED vanishes silently, what nobody has taken yet is reset.
result<bool, call_error> engine::close_listener(listener_id id) {
    listener* const l = alive(id);
    if (l == nullptr) {
        return failure{call_error::stale_handle};
    }
    release_port(id);
    const auto* ring = reinterpret_cast<const std::uint32_t*>(told_.data());
    for (std::uint32_t i = 0; i < told_count_; ++i) {
        const std::uint32_t at = (told_head_ + i) % sockets_.capacity();
        socket& s = sockets_[ring[at]];
        if ((s.pending & event_bits::opened) == 0 || s.listener != id) {
            continue;
        }
        if (s.connection != npos && migrate(s)) {
            continue;
        }
        s.pending = 0;
        s.app_closed = true;
        if (s.connection == npos) {
            release_socket(ring[at]);
            continue;
        }
        tcb& c = tcbs_[s.connection];
        c.socket = npos;
        c.accepted_waiting = false;
        release_socket(ring[at]);
        apply(c, event::listener_closed);
    }
    return true;
}

listener* engine::alive(listener_id id) {
    return const_cast<listener*>(static_cast<const engine*>(this)->alive(id));
}
const listener* engine::alive(listener_id id) const {
    if (id.index >= listener_count_) {
        return nullptr;
    }
    const listener& l = listeners_[id.index];
    return l.open && l.generation == id.generation ? &l : nullptr;
}

// An exact address goes before the any-address; among several that share the port (SO_REUSEPORT)
// the hash of the 4-tuple chooses, so a SYN that comes again finds the same one.
listener_id engine::find_listener(const flow::key4& key, std::uint64_t hash) const {
    std::uint32_t best = 0;
    std::uint64_t count = 0;
    const auto rank = [&](const listener& l) {
        const bool exact = !l.address.is_any() && l.address.v4() == key.local;
        return !l.listening ? 0u : exact ? 2u : l.address.is_any() ? 1u : 0u;
    };
    std::uint16_t found = 0;  // an id's halves, written apart, would be read as one word
    each_bound(key.local_port, [&](const listener& l, std::uint16_t i) {
        const std::uint32_t r = rank(l);
        if (r > best) {
            best = r;
            count = 1;
            found = i;
        } else if (r == best) {
            ++count;
        }
    });
    if (best == 0) {
        return {};
    }
    if (count > 1) {
        std::uint64_t pick = (hash >> 32) * count >> 32;
        each_bound(key.local_port, [&](const listener& l, std::uint16_t i) {
            if (rank(l) == best && pick-- == 0) {
                found = i;
            }
        });
    }
    return {found, listeners_[found].generation};
}

}  // namespace lastack::tcp
