// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/memory.hpp"

#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

#include <algorithm>
#include <cstdio>
#include <span>
#include <string_view>

#include "tcp/table_bytes.hpp"

namespace lastack::dpdk {
namespace {

// Mbufs that a mempool keeps for an lcore, which may hold 1.5 times that: the most there can be.
// What is beyond goes through what all lcores share, and may come back as another lcore's.
constexpr std::uint32_t cache = RTE_MEMPOOL_CACHE_MAX_SIZE;
// Of the small pools, of which other lcores that free a worker's frames must not keep too many.
constexpr std::uint32_t small_cache = 256;
constexpr std::uint32_t burst = 64;
constexpr std::uint16_t data_room = RTE_MBUF_DEFAULT_BUF_SIZE;
constexpr std::uint16_t control_room = RTE_PKTMBUF_HEADROOM + 128;
constexpr std::uint64_t mib = 1u << 20;

// Octets that one mbuf takes in its pool: object header, mbuf and room, in whole cache lines.
std::uint64_t mbuf_bytes(std::uint64_t room, bool hugepages) {
    constexpr std::uint64_t page = 4096;
    const auto bytes = 64 + sizeof(rte_mbuf) + (room + 63) / 64 * 64;
    return hugepages ? bytes : page / (page / bytes);
}

// A stack gives back what was freed last. A ring, DPDK's default, gives what was freed first: with
// more mbufs under way than an lcore keeps, every one of the pool in turn, all of them cold.
constexpr const char* last_freed_first = "stack";

bool have_handler(std::string_view name) {
    return std::ranges::any_of(
        std::span(rte_mempool_ops_table.ops).first(rte_mempool_ops_table.num_ops),
        [name](const rte_mempool_ops& o) { return name == o.name; });
}

// What EAL was told (--mbuf-pool-ops-name) or the hardware has goes before our own choice.
const char* pool_handler() {
    const bool free_to_choose =
        rte_mbuf_user_mempool_ops() == nullptr && rte_mbuf_platform_mempool_ops() == nullptr;
    return free_to_choose && have_handler(last_freed_first) ? last_freed_first
                                                            : rte_mbuf_best_mempool_ops();
}

std::string term(const char* name, std::uint32_t count, std::uint64_t each) {
    return std::string(name) + " " + std::to_string(count) + " x " + std::to_string(each) + " B";
}

std::string in_mib(std::uint64_t bytes) {
    return std::to_string((bytes + mib - 1) / mib) + " MiB";
}

// "2 stacks x (lastack.connections 1000 x 600.0 B = 1 MiB + ...)"
std::string table_arithmetic(const config::settings& s, std::uint32_t stacks) {
    const auto one = tcp::bytes_of_tables(s);
    const auto part = [](const char* key, std::uint32_t count, std::uint64_t bytes) {
        char each[32];
        std::snprintf(each, sizeof each, "%.1f",
                      static_cast<double>(bytes) / static_cast<double>(count));
        return std::string(key) + " " + std::to_string(count) + " x " + each +
               " B = " + in_mib(bytes);
    };
    return std::to_string(stacks) + (stacks == 1 ? " stack" : " stacks") + " x (" +
           part("lastack.connections", s.connections, one.connections) + " + " +
           part("lastack.syn_records", s.syn_records, one.syn_records) + " + " +
           part("lastack.time_wait_records", s.time_wait_records, one.time_wait_records) + ")";
}

}  // namespace

std::uint64_t pool_plan::bytes() const {
    return workers *
           (data * mbuf_bytes(data_room, hugepages) +
            control * mbuf_bytes(control_room, hugepages) + indirect * mbuf_bytes(0, hugepages));
}

std::uint64_t pool_plan::eal_bytes(std::uint32_t ports) const {
    // A tenth for the pools' lists of what is free and the heap's seams; drivers allocate their
    // queues from the rest.
    return bytes() + bytes() / 10 + 32 * mib + ports * 8 * mib;
}

std::string pool_plan::arithmetic() const {
    return std::to_string(workers) + (workers == 1 ? " worker" : " workers") + " x (" +
           term("data", data, mbuf_bytes(data_room, hugepages)) + " + " +
           term("control", control, mbuf_bytes(control_room, hugepages)) + " + " +
           term("indirect", indirect, mbuf_bytes(0, hugepages)) + ") = " + in_mib(bytes());
}

pool_plan plan_pools(const config::configuration& c, std::uint32_t ports) {
    const auto workers = c.stack.workers;
    const auto tx = ports * c.port.tx_descriptors;
    const auto held = c.values.mbufs != 0 ? c.values.mbufs / workers
                                          : std::max(c.values.connections / 8 / workers, 8192u);
    pool_plan plan;
    plan.workers = workers;
    plan.data = ports * c.port.rx_descriptors + tx + cache + cache / 2 + burst + held;
    plan.control = 2 * tx + 2048;
    plan.indirect = plan.control;
    return plan;
}

result<std::vector<stack::pools>, std::string> make_pools(const pool_plan& plan, bool share_data) {
    std::vector<stack::pools> pools;
    for (std::uint32_t worker = 0; worker < plan.workers; ++worker) {
        const auto make = [worker](const char* name, std::uint32_t count, std::uint32_t cached,
                                   std::uint16_t room) {
            return rte_pktmbuf_pool_create_by_ops((name + std::to_string(worker)).c_str(), count,
                                                  cached, 0, room, SOCKET_ID_ANY, pool_handler());
        };
        rte_mempool* const data =
            share_data && worker > 0
                ? pools[0].data
                : make("lastack_data", plan.data * (share_data ? plan.workers : 1), cache,
                       data_room);
        const stack::pools made{data,
                                make("lastack_control", plan.control, small_cache, control_room),
                                make("lastack_indirect", plan.indirect, small_cache, 0)};
        if (made.data == nullptr || made.control == nullptr || made.indirect == nullptr) {
            return failure{"mbuf pools do not fit into EAL's memory: they need " +
                           plan.arithmetic() +
                           "; lower lastack.mbufs, lastack.connections or the descriptors, or "
                           "give EAL more (-m MIB, or more hugepages)"};
        }
        pools.push_back(made);
    }
    return pools;
}

result<bool, std::string> check_tables(const config::settings& s, std::uint32_t stacks,
                                       std::uint64_t available) {
    const auto bytes = tcp::bytes_of_tables(s).all() * stacks;
    if (available == 0 || bytes <= available) {
        return true;
    }
    return failure{"the tables need " + in_mib(bytes) + " and " + in_mib(available) +
                   " are free: " + table_arithmetic(s, stacks) +
                   "; lower what is largest, or free memory"};
}

result<bool, std::string> check_ordinary_pages(const pool_plan& plan, std::uint32_t ports,
                                               const config::settings& s, std::uint32_t stacks,
                                               std::uint64_t available) {
    const auto tables = tcp::bytes_of_tables(s).all() * stacks;
    const auto eal = plan.eal_bytes(ports);
    if (available == 0 || tables + eal <= available) {
        return true;
    }
    return failure{"the tables need " + in_mib(tables) + ", EAL with its mbufs " + in_mib(eal) +
                   ", and " + in_mib(available) + " are free: " + table_arithmetic(s, stacks) +
                   "; " + plan.arithmetic() +
                   "; lower what is largest (data mbufs: lastack.mbufs, or lastack.connections), "
                   "or free memory"};
}

}  // namespace lastack::dpdk
