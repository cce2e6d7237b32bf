// SPDX-License-Identifier: BSD-3-Clause
#include "support/socket_pair.hpp"

#include <rte_mbuf.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <utility>
#include <vector>

namespace lastack::test {

namespace {

constexpr instant for_ever{std::numeric_limits<std::int64_t>::max()};

}  // namespace

config::settings socket_pair::small_settings() {
    config::settings s;
    s.connections = 64;
    s.listeners = 16;
    s.syn_records = 64;
    s.time_wait_records = 1024;
    s.somaxconn = 64;
    s.tcp_max_syn_backlog = 64;
    s.tcp_max_orphans = 64;
    s.tcp_max_tw_buckets = 1024;
    return s;
}

socket_pair::socket_pair(const config::settings& settings) {
    for (const side s : {client, server}) {
        end& e = ends_[s];
        e.world = this;
        e.self = s;
        stack::core_config c;
        c.port.mac = mac_address{{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(s + 1)}};
        c.port.multi_segment_tx = true;
        c.addresses = {{address(s), 24}};
        c.settings = settings;
        c.memory = e.pools.get();
        c.pages = page_size::normal;
        c.secret = {1, 2};
        auto core = stack::core::make(c, now_);
        if (!core) {
            std::fprintf(stderr, "%s\n", core.error().c_str());
            std::abort();
        }
        e.core = std::move(*core);
        e.core->set_transmit({&socket_pair::transmit, &e});

        socket_layer_options o;
        o.descriptors = 64;
        o.waiting_connections = 16;
        o.epoll_interests = 16;
        o.hooks.context = &e;
        o.hooks.wait = &socket_pair::wait;
        o.hooks.now_us = [](void* context) { return static_cast<end*>(context)->world->now_.us; };
        auto layer = socket_layer::make(e.core->calls(), o);
        if (!layer) {
            std::fprintf(stderr, "%s\n", layer.error().c_str());
            std::abort();
        }
        e.layer = std::move(*layer);
    }
    at(client);
}

socket_pair::~socket_pair() {
    scope_.reset();
    for (end& e : ends_) {
        e.layer.reset();
        e.core.reset();
    }
}

void socket_pair::at(side s) {
    scope_.reset();
    scope_ = std::make_unique<socket_layer::scope>(*ends_[s].layer);
}

std::uint16_t socket_pair::transmit(void* context, rte_mbuf** frames, std::uint16_t n) {
    end& from = *static_cast<end*>(context);
    end& to = from.world->ends_[1 - from.self];
    for (std::uint16_t i = 0; i < n; ++i) {
        std::string frame = frame_bytes(frames[i]);
        if (frame.size() > 34 && frame[12] == 8 && frame[13] == 0) {
            from.last_packet = frame.substr(14);
        }
        if (!from.lost) {
            to.arriving.push_back(std::move(frame));
        }
        rte_pktmbuf_free(frames[i]);
    }
    return n;
}

void socket_pair::turn() {
    for (end& e : ends_) {
        e.core->output(now_);
    }
    for (end& e : ends_) {
        std::vector<rte_mbuf*> frames;
        while (!e.arriving.empty() && frames.size() < 32) {
            const std::string& f = e.arriving.front();
            const auto* octets = reinterpret_cast<const std::uint8_t*>(f.data());
            if (rte_mbuf* const m = make_frame(e.pools.get().data, {octets, f.size()})) {
                frames.push_back(m);
            }
            e.arriving.pop_front();
        }
        if (!frames.empty()) {
            e.core->input(frames, now_);
        }
        e.core->run_timers(now_);
        const auto events = e.core->take_events();
        e.events += events.size();
        e.layer->take(events);
    }
}

bool socket_pair::quiet() const {
    return std::all_of(ends_.begin(), ends_.end(), [this](const end& e) {
        return e.arriving.empty() && e.core->next_deadline() > now_;
    });
}

void socket_pair::skip(instant limit) {
    if (quiet()) {
        const instant due =
            std::min(ends_[client].core->next_deadline(), ends_[server].core->next_deadline());
        now_ = std::max(now_, std::min(due, limit));
    }
}

void socket_pair::advance(duration d) {
    const instant until{now_.us + d.count()};
    while (now_ < until || !quiet()) {
        turn();
        skip(until);
    }
}

int socket_pair::wait(void* context, std::int64_t timeout_us) {
    end& e = *static_cast<end*>(context);
    socket_pair& w = *e.world;
    if (timeout_us == 0) {
        w.turn();
        return 0;
    }
    if (w.refusal_ != 0) {
        return w.refusal_;
    }
    if (w.while_waiting) {
        std::exchange(w.while_waiting, nullptr)();
        return 0;  // what it did may be what was waited for
    }
    const instant until = timeout_us < 0 ? for_ever : instant{w.now_.us + timeout_us};
    const std::uint64_t before = e.events;
    for (w.turn(); e.events == before && w.now_ < until; w.turn()) {
        w.skip(until);
    }
    return 0;
}

}  // namespace lastack::test
