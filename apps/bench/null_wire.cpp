// SPDX-License-Identifier: BSD-3-Clause
#include "null_wire.hpp"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_mbuf.h>

#include "exchange.hpp"
#include "measure.hpp"
#include "stack/core.hpp"
#include "stateless_peer.hpp"
#include "timewait.hpp"

namespace bench {

using lastack::failure;
using lastack::instant;
using lastack::stack::core;

namespace {

constexpr std::uint32_t mbufs = 8192;
constexpr std::int64_t turn_us = 10;

struct frames {
    std::vector<rte_mbuf*> queue;
    static std::uint16_t take(void* context, rte_mbuf** from, std::uint16_t n) {
        auto& f = *static_cast<frames*>(context);
        f.queue.insert(f.queue.end(), from, from + n);
        return n;
    }
};

}  // namespace

// All that is counted: one turn of an lcore that runs one stack (lib/dpdk/lcore_worker.cpp), and
// its server.
__attribute__((noinline)) void server_turn(core& c, exchange_server& server,
                                           std::span<rte_mbuf* const> received, instant now) {
    c.output(now);
    c.input(received, now);
    c.run_timers(now);
    auto calls = c.calls();
    for (const lastack::event& e : c.take_events()) {
        dispatch(calls, server, e);
    }
}

namespace {

// Connections of one run are still open when it ends, and go on in the next: `wire` holds what the
// peer has sent.
figures one_run(load& l, core& c, exchange_server& server, stateless_peer& peer, frames& sent,
                std::vector<rte_mbuf*>& wire, std::int64_t& now_us) {
    const std::uint64_t before = peer.ended;
    std::uint64_t cycles = 0;
    while (peer.ended < before + l.connections) {
        now_us += turn_us;
        const auto ms = static_cast<std::uint32_t>(now_us / 1000);
        const std::size_t n = std::min<std::size_t>(wire.size(), burst);
        const std::uint64_t start = rte_rdtsc();
        server_turn(c, server, {wire.data(), n}, {now_us});
        cycles += rte_rdtsc() - start;
        wire.erase(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(n));
        for (rte_mbuf* frame : std::exchange(sent.queue, {})) {
            if (rte_mbuf* const reply = peer.answer(frame, ms)) {
                wire.push_back(reply);
            }
        }
    }
    const auto connections = static_cast<double>(peer.ended - before);
    const double ns = static_cast<double>(cycles) * 1e9 / static_cast<double>(rte_get_tsc_hz());
    figures f;
    f[figure::cps] = connections * 1e9 / ns;
    f[figure::cpu_ns_per_connection] = ns / connections;
    f[figure::time_wait_held] = static_cast<double>(c.tcp().time_wait().size());
    f[figure::resets] = static_cast<double>(peer.resets);
    f[figure::retransmits] =
        static_cast<double>(c.counters().get(lastack::counter::tcp_retrans_segs));
    f[figure::failed] = 0;
    return f;
}

}  // namespace

lastack::result<std::vector<figures>, std::string> run_null(load& l) {
    if (const auto started = start_eal(128, l.huge, {}); !started) {
        return failure{started.error()};
    }
    lastack::stack::core_config config;
    const auto pool = [](const char* name, std::uint16_t room) {
        return rte_pktmbuf_pool_create(name, mbufs, 256, 0, room, SOCKET_ID_ANY);
    };
    config.memory = {pool("data", RTE_MBUF_DEFAULT_BUF_SIZE),
                     pool("control", RTE_PKTMBUF_HEADROOM + 128), pool("indirect", 0)};
    rte_mempool* const theirs = pool("peer", RTE_MBUF_DEFAULT_BUF_SIZE);
    if (config.memory.data == nullptr || config.memory.control == nullptr ||
        config.memory.indirect == nullptr || theirs == nullptr) {
        return failure{std::string("no memory for mbufs; free some")};
    }
    config.memory.data_cache = rte_mempool_default_cache(config.memory.data, rte_lcore_id());
    config.memory.control_cache = rte_mempool_default_cache(config.memory.control, rte_lcore_id());
    config.port.mac = {{2, 0, 0, 0, 0, 2}};
    config.port.multi_segment_tx = true;
    config.addresses = {{{0x0a000002}, 24}};
    config.gateway = lastack::ipv4_address{0x0a000001};
    config.pages = l.huge ? lastack::page_size::huge : lastack::page_size::normal;
    config.secret = {1, 2};
    config.settings.connections = 2 * l.at_once;
    config.settings.syn_records = 2 * l.at_once;
    config.settings.time_wait_records = static_cast<std::uint32_t>(l.time_wait);
    config.settings.listeners = std::max(l.server_ports, 64u);
    std::int64_t now_us = 1'000'000'000'000;
    auto made = core::make(config, {now_us});
    if (!made) {
        return failure{made.error()};
    }
    core& c = **made;
    frames sent;
    c.set_transmit({frames::take, &sent});
    exchange_server server{l, 0};
    auto calls = c.calls();
    if (const auto listening = server.on_start(calls); !listening) {
        return failure{listening.error()};
    }
    stateless_peer peer{l, theirs, config.port.mac};
    std::vector<rte_mbuf*> wire{peer.greet(*config.gateway, config.addresses[0].address)};
    for (std::uint32_t i = 0; i < l.at_once; ++i) {
        wire.push_back(peer.open(static_cast<std::uint32_t>(now_us / 1000)));
    }
    progress bar;
    std::vector<figures> runs;
    for (std::uint32_t run = 0; run < l.runs; ++run) {
        bar.show("cps", static_cast<double>(run) / l.runs);
        runs.push_back(one_run(l, c, server, peer, sent, wire, now_us));
    }
    return runs;
}

}  // namespace bench
