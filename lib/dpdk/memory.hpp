// SPDX-License-Identifier: BSD-3-Clause
// How many mbufs a process needs, and the pools they come from; whether there is room for tables.
//
// Each worker has three pools of its own (stack::pools), so that no lcore waits for another, but
// where frames pass between workers (frame_exchange.hpp): what one receives is then held by all, so
// all share one data pool, as large as theirs together, and see together when it runs low.
//   data      2 KiB frames and payload: rx and tx descriptors of every port, per-lcore cache, and
//             its share of lastack.mbufs. If that is 0: a buffer for every 8th connection, at
//             least 8192, since most connections hold nothing at a given moment.
//   control   256-octet headers: every tx descriptor may hold one, twice for those being made, and
//             2048 that ACK, FIN and RST can always have.
//   indirect  no room: as control, since a payload sent by reference hangs behind a header.
// What was freed last is given first, since its lines are still in a cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/configuration.hpp"
#include "lastack/result.hpp"
#include "stack/core.hpp"

namespace lastack::dpdk {

struct pool_plan {
    std::uint32_t workers = 1;
    std::uint32_t data = 0;      // mbufs a worker
    std::uint32_t control = 0;   // mbufs a worker
    std::uint32_t indirect = 0;  // mbufs a worker
    // Without hugepages an mbuf must not cross a 4 KiB page, so a data mbuf takes a whole one.
    bool hugepages = true;

    std::uint64_t bytes() const;  // all workers, with the pools' own overhead
    // What EAL must have: the pools and what drivers take for themselves.
    std::uint64_t eal_bytes(std::uint32_t ports) const;
    // "1 worker x (data 36864 x 2368 B + ...) = 92 MiB"
    std::string arithmetic() const;
};

pool_plan plan_pools(const config::configuration&, std::uint32_t ports);

// The pools of each worker. Error: the arithmetic, and what to do.
result<std::vector<stack::pools>, std::string> make_pools(const pool_plan&, bool share_data);

// Whether the tables of that many stacks, of these capacities each, fit into `available` octets (0:
// not known, and then they may be tried). Error: the arithmetic, and what to do.
result<bool, std::string> check_tables(const config::settings& of_one_stack, std::uint32_t stacks,
                                       std::uint64_t available);

// The same for EAL's memory and the tables together, before either is taken. Of ordinary pages EAL
// takes what it is told, and a machine that has fewer ends the process without a word.
result<bool, std::string> check_ordinary_pages(const pool_plan&, std::uint32_t ports,
                                               const config::settings& of_one_stack,
                                               std::uint32_t stacks, std::uint64_t available);

}  // namespace lastack::dpdk
