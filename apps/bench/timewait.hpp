// SPDX-License-Identifier: BSD-3-Clause
// `lastack-bench timewait`: what a TIME_WAIT record costs, and what else it could cost.
//
// One table is filled to its capacity, looked up in, restarted, expired as it falls due, filled
// again and expired in one instant, all in bursts of 32 and polls of at most 256 records, as a
// stack does it. The virtual clock costs no time, so a minute of TIME_WAIT takes none. The
// baselines do the same work in the same process, one after the other, on pages of the same size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lastack/result.hpp"
#include "measure.hpp"

namespace bench {

inline constexpr std::uint32_t burst = 32;
inline constexpr std::uint32_t poll_budget = 256;  // records a poll may touch
inline constexpr std::uint32_t baseline_entries_max = 4'000'000;

struct timewait_options {
    std::uint32_t entries = 1'000'000;
    std::uint32_t family = 4;
    bool huge = true;
    bool json = false;
};

// One random cache line of so much memory, brought 32 at a time: no operation that touches a line
// nobody could foresee costs less.
struct line_costs {
    cost read;
    cost write;  // read and written
};

struct timewait_figures {
    line_costs lines;  // of as much memory as the table takes
    std::uint32_t entries = 0;
    bool huge = false;  // granted, not only asked for
    double reserve_s = 0;
    double bytes_per_record = 0;
    cost enter;          // mean over the whole fill
    cost enter_full;     // the last sixteenth of it
    cost miss_in_empty;  // one at a time: there is nothing to prefetch
    cost hit;
    cost miss;
    cost reuse;    // a SYN re-opens the tuple: look up, classify, remove; it enters again later
    cost restart;  // with its look-up
    cost expire;
    double poll_us[5] = {};  // of the mass expiry: 50, 99, 99.9, 99.99 % and the longest
    std::uint32_t records_per_poll_max = 0;
};

// Another structure doing part of the work. What it cannot do stays nullopt.
struct baseline {
    std::string name;
    std::uint32_t entries = 0;
    double bytes_per_record = 0;
    std::optional<cost> enter;
    std::optional<cost> hit;
    std::optional<cost> miss;
    std::optional<cost> restart;
    std::optional<cost> expire;
    std::optional<double> longest_poll_us;
};

// The error is one line that says what to do.
lastack::result<timewait_figures, std::string> measure_timewait(const timewait_options& o,
                                                                progress& bar);

lastack::result<line_costs, std::string> measure_lines(std::size_t bytes, bool huge);

// The same records on the timer wheel, and on a plain one.
lastack::result<std::vector<baseline>, std::string> measure_wheels(const timewait_options& o,
                                                                   progress& bar);

// Starts EAL with these words, or, when there are none, with so much memory and nothing else.
lastack::result<bool, std::string> start_eal(std::size_t mib, bool huge,
                                             std::vector<std::string> words);
// What rte_hash takes.
std::size_t heap_mib(const timewait_options& o);
// rte_timer and rte_hash, after EAL has been started.
lastack::result<std::vector<baseline>, std::string> measure_dpdk(const timewait_options& o,
                                                                 progress& bar);

void print_text(const timewait_options& o, const timewait_figures& f,
                const std::vector<baseline>& others);
// One object on one line.
void print_json(const timewait_options& o, const timewait_figures& f,
                const std::vector<baseline>& others);

}  // namespace bench
