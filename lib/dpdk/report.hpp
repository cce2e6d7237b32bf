// SPDX-License-Identifier: BSD-3-Clause
// What the control thread prints: a line of statistics now and then, and counts at the end.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/counters.hpp"
#include "dpdk/lcore_worker.hpp"
#include "lastack/result.hpp"

namespace lastack::dpdk {

using counter_sums = std::array<std::uint64_t, counter_count>;

// "12 s: rx 1200/s tx 1180/s, opened 310/s ended 310/s, retransmitted 0/s | ESTABLISHED 8 ..."
// Rates are those since `before`, `elapsed` ago. Without a snapshot of all workers the line says
// why, and has no '|'.
std::string statistics_line(std::chrono::seconds uptime, const counter_sums& now,
                            const counter_sums& before, std::chrono::duration<double> elapsed,
                            const result<snapshot, std::string>&);

// Every counter that is not zero, every state and every outcome that occurred, one a line.
std::string final_counts(const counter_sums&, const snapshot&);

// "lcore 1 was busy 12.345 s": a lcore polls always, so its processor time says nothing.
std::string busy_line(unsigned lcore, std::chrono::nanoseconds);

}  // namespace lastack::dpdk
