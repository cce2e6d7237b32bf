// SPDX-License-Identifier: BSD-3-Clause
// The process's settings while it runs: read by the control thread and telemetry's, changed by
// telemetry's, one change at a time. A change is checked, then copied into every core between two
// turns; it holds for the process once it has been handed to the cores.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

#include "config/settings.hpp"
#include "dpdk/task_desk.hpp"
#include "lastack/result.hpp"

namespace lastack::dpdk {

class live_settings {
  public:
    // `resolved` is what the cores were started with; `stacks` is how many share the limits.
    live_settings(const config::settings& resolved, std::size_t stacks, task_desk& desk)
        : values_(resolved), stacks_(stacks), desk_(desk) {}

    config::settings now() const;

    // From telemetry's threads. The error is a sentence.
    result<bool, std::string> change(std::string_view key, std::string_view text);

  private:
    mutable std::mutex lock_;
    std::mutex change_lock_;  // orders changes; held while cores take one
    config::settings values_;
    std::size_t stacks_;
    task_desk& desk_;
};

}  // namespace lastack::dpdk
