// SPDX-License-Identifier: BSD-3-Clause
// Lends tcp_max_tw_buckets and tcp_max_orphans to the stacks of all workers, and says once in the
// log when one of them, or a core's own table, has turned something away (R54, R63). Used by the
// control thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "dpdk/lcore_worker.hpp"
#include "teardown/cap_lender.hpp"

namespace lastack::dpdk {

class cap_desk {
  public:
    // Before the workers turn; they outlive the desk. `resolved`: what their stacks began with.
    cap_desk(std::vector<lcore_worker*> workers, const config::settings& resolved);

    // A round of messages, with the settings as they are now.
    void poll(const config::settings& now);

  private:
    void warn_once(const config::settings& now);

    std::vector<lcore_worker*> workers_;
    std::uint32_t stacks_each_;                  // of a worker
    std::vector<teardown::cap_lender> lenders_;  // by cap_kind
    static constexpr std::size_t warnings = 4;
    std::array<bool, warnings> warned_{};
};

// The line for the counter that has moved.
std::string cap_warning(counter what, const config::settings& now);

}  // namespace lastack::dpdk
