// SPDX-License-Identifier: BSD-3-Clause
// Listeners: opening, closing, finding the one a SYN is for.
#include <algorithm>

#include "tcp/engine.hpp"

namespace lastack::tcp {

using teardown::event;

result<listener_id, call_error> engine::listen(const endpoint& local, const listen_options& o) {
    if (!local.address.is_v4() || local.port == 0) {
        return failure{call_error::invalid_argument};
    }
    if (!local.address.is_any() &&
        !config_.around.is_local(config_.around.context, local.address.v4())) {
        return failure{call_error::address_not_available};
    }
    std::uint16_t free = listener_count_;
    for (std::uint16_t i = 0; i < listener_count_; ++i) {
        const listener& l = listeners_[i];
        if (!l.open) {
            free = std::min(free, i);
        } else if (l.port == local.port &&
                   (l.address.is_any() || local.address.is_any() || l.address == local.address)) {
            return failure{call_error::address_in_use};
        }
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
    l.port = local.port;
    l.generation = generation;
    l.open = true;
    l.backlog = o.backlog == 0 ? settings_.somaxconn : std::min(o.backlog, settings_.somaxconn);
    return listener_id{free, generation};
}

std::uint32_t engine::listeners() const {
    std::uint32_t open = 0;
    for (std::uint16_t i = 0; i < listener_count_; ++i) {
        open += listeners_[i].open ? 1 : 0;
    }
    return open;
}

// R05: what is still in SYN_RECEIVED vanishes silently, what nobody has taken yet is reset.
result<bool, call_error> engine::close_listener(listener_id id) {
    listener* const l = alive(id);
    if (l == nullptr) {
        return failure{call_error::stale_handle};
    }
    l->open = false;
    const auto* ring = reinterpret_cast<const std::uint32_t*>(told_.data());
    for (std::uint32_t i = 0; i < told_count_; ++i) {
        const std::uint32_t at = (told_head_ + i) % sockets_.capacity();
        socket& s = sockets_[ring[at]];
        if ((s.pending & event_bits::opened) == 0 || s.listener != id) {
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

// An exact address goes before the any-address. Only segments that find nothing else come here.
listener_id engine::find_listener(ipv4_address local, std::uint16_t port) const {
    listener_id found{};
    for (std::uint16_t i = 0; i < listener_count_; ++i) {
        const listener& l = listeners_[i];
        if (!l.open || l.port != port) {
            continue;
        }
        if (l.address.is_any()) {
            found = {i, l.generation};
        } else if (l.address.v4() == local) {
            return {i, l.generation};
        }
    }
    return found;
}

listener* engine::alive(listener_id id) {
    if (id.index >= listener_count_) {
        return nullptr;
    }
    listener& l = listeners_[id.index];
    return l.open && l.generation == id.generation ? &l : nullptr;
}

}  // namespace lastack::tcp
