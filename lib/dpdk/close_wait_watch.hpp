// SPDX-License-Identifier: BSD-3-Clause
// Warns of connections that the application forgot to close. CLOSE_WAIT has no time limit, by
// design; so every ten seconds all cores count theirs, in slices, and a line is logged when more
// are older than lastack.close_wait_warn_s than were when it was last logged, or every ten minutes
// while there are any. Used by the control thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dpdk/live_settings.hpp"
#include "dpdk/task_desk.hpp"
#include "dpdk/tasks.hpp"

namespace lastack::dpdk {

class close_wait_watch {
  public:
    using clock = std::chrono::steady_clock;

    // Both outlive the watch.
    close_wait_watch(task_desk& desk, const live_settings& settings)
        : desk_(desk), settings_(settings) {}

    void poll(clock::time_point now);

  private:
    void judge(clock::time_point now);

    task_desk& desk_;
    const live_settings& settings_;
    std::vector<std::shared_ptr<census_task>> asked_;  // until all have answered
    std::uint32_t warn_s_ = 0;                         // what they were asked with
    clock::time_point next_{};
    clock::time_point warned_{};
    std::uint64_t warned_of_ = 0;
};

// "3 connections are in CLOSE_WAIT for more than 10 min 0 s (port 80: 2, port 443: 1): ..."
std::string close_wait_warning(const stack::census&, std::uint32_t warn_s);

}  // namespace lastack::dpdk
