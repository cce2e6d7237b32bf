// SPDX-License-Identifier: BSD-3-Clause
// Making a core, and its turn; what comes in is in ingress.cpp, what goes out in egress.cpp.
#include "stack/core.hpp"

#include <rte_mbuf.h>

#include <algorithm>

namespace lastack::stack {
namespace {

std::string describe(ip::route_error e, const std::string& what) {
    switch (e) {
        case ip::route_error::full:
            return what + ": too many addresses or routes";
        case ip::route_error::not_a_host:
            return what + " cannot be a host's address";
        case ip::route_error::duplicate:
            return what + " is given twice";
        case ip::route_error::gateway_is_ours:
            return "gateway " + what + " is this stack's own address; name the router's";
        case ip::route_error::gateway_not_on_link:
            return "gateway " + what + " is not within the prefix of any --address";
    }
    return what;
}

}  // namespace

core::core(const core_config& config)
    : config_(config),
      neighbours_(ip::neighbour_limits{}, config.secret[0] ^ 0x6e65696768626f72u),
      path_mtus_(1024, config.secret[1] ^ 0x706174686d7475u) {}

core::~core() {
    neighbours_.clear([](rte_mbuf* m) { rte_pktmbuf_free(m); });
    for (std::size_t i = 0; i < tx_count_; ++i) {
        rte_pktmbuf_free(tx_[i]);
    }
}

result<std::unique_ptr<core>, std::string> core::make(const core_config& config, instant now) {
    if (config.addresses.empty()) {
        return failure{std::string{"no address: give one with --address ADDR/LEN"}};
    }
    std::unique_ptr<core> c{new core{config}};
    for (const ipv4_prefix& prefix : config.addresses) {
        if (const auto error = c->routes_.add_address(prefix)) {
            return failure{
                describe(*error, to_string(prefix.address) + "/" + std::to_string(prefix.length))};
        }
    }
    if (config.gateway) {
        if (const auto error = c->routes_.set_gateway(*config.gateway)) {
            return failure{describe(*error, to_string(*config.gateway))};
        }
    }
    tcp::engine_config e;
    e.settings = config.settings;
    e.data_pool = config.memory.data;
    e.control_pool = config.memory.control;
    e.indirect_pool = config.memory.indirect;
    e.data_cache = config.memory.data_cache;
    e.control_cache = config.memory.control_cache;
    e.multi_segment_tx = config.port.multi_segment_tx;
    e.checksum_tx = config.port.checksum_tx;
    e.pages = config.pages;
    e.caps = config.caps;
    e.secret = config.secret;
    e.owners = config.owners;
    e.worker = config.worker;
    for (const ipv4_prefix& own : c->routes_.addresses()) {
        e.addresses.push_back(own.address);
    }
    e.around.context = c.get();
    e.around.transmit = [](void* self, rte_mbuf** packets, std::uint16_t n) {
        static_cast<core*>(self)->send_packets({packets, n});
    };
    e.around.source_for = [](void* self, ipv4_address remote) {
        const auto route = static_cast<core*>(self)->routes_.lookup(remote);
        return route ? route->source : ipv4_address{};
    };
    e.around.is_local = [](void* self, ipv4_address address) {
        return static_cast<core*>(self)->routes_.is_local(address);
    };
    e.around.path_to = [](void* self, ipv4_address remote, instant at) {
        const core& k = *static_cast<core*>(self);
        const auto p = k.path_mtus_.lookup(remote, k.config_.port.mtu, at);
        return tcp::path{p.octets, p.dont_fragment};
    };
    e.around.doubt_path = [](void* self, ipv4_address remote) {
        core& k = *static_cast<core*>(self);
        if (const auto route = k.routes_.lookup(remote)) {
            k.neighbours_.doubt(route->next_hop);
        }
    };
    e.around.narrow_path = [](void* self, ipv4_address remote, std::uint16_t mtu,
                              std::uint16_t quoted_length, instant at) {
        core& k = *static_cast<core*>(self);
        return k.path_mtus_.lower(remote, mtu, quoted_length, k.config_.port.mtu, at);
    };
    auto engine = tcp::engine::make(e, now);
    if (!engine) {
        return failure{engine.error()};
    }
    c->tcp_ = std::move(*engine);
    c->now_ = now;
    return c;
}

bool core::run_timers(instant now) {
    now_ = now;
    tcp_->begin(now);
    if (!announced_) {
        announced_ = true;
        announce();
    }
    const bool more_neighbours = neighbours_.poll(
        now, neighbour_budget, [this](const ip::neighbour_event& e) { neighbour_due(e); });
    const bool more_deadlines = tcp_->run_deadlines(timer_budget);
    return more_neighbours || more_deadlines;
}

std::span<const event> core::take_events() {
    return {events_.data(), tcp_->take_events(events_)};
}

bool core::output(instant now) {
    now_ = now;
    tcp_->begin(now);
    const auto room = static_cast<std::uint32_t>(tx_max - tx_count_);
    // A quarter of the room stays free for ACK, FIN and RST.
    const bool more = tcp_->output(room - room / 4);
    flush_frames();
    return more || tx_count_ > 0;
}

instant core::next_deadline() const {
    if (has_work() || !announced_) {
        return now_;
    }
    const std::int64_t ticks = now_.us / 1000 + distance(now_.to_tick(), tcp_->next_deadline());
    return std::min(instant{ticks * 1000}, neighbours_.next_deadline());
}

bool core::idle() const {
    return tcp_->connections() == 0 && tcp_->syn_records() == 0 && !has_work();
}

state_counts core::states() const {
    state_counts s = counts();
    s.mbufs_held = tcp_->mbufs_held();
    return s;
}

state_counts core::counts() const {
    state_counts s;
    s.by_state = tcp_->connections_by_state();
    const auto& records = tcp_->time_wait();
    const auto at = [](teardown::state st) { return static_cast<std::size_t>(st); };
    s.by_state[at(teardown::state::syn_received)] += tcp_->syn_records();
    s.by_state[at(teardown::state::fin_wait_2)] += records.fin_wait_2_size();
    s.by_state[at(teardown::state::time_wait)] = records.size() - records.fin_wait_2_size();
    s.by_state[at(teardown::state::listen)] = tcp_->listeners();
    s.orphans = tcp_->orphans();
    s.sockets = tcp_->sockets();
    return s;
}

}  // namespace lastack::stack
