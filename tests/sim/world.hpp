// SPDX-License-Identifier: BSD-3-Clause
// Two stacks, the wire between them, an application on each, and the clock they share.
//
// A step moves the clock to the next instant at which anything is due, and gives each side one turn
// as its lcore would. Nothing else moves time, so a deadline that a stack forgets to name is seen
// as a run that stands still. After every step the books are compared; at the end nothing may be
// left.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/application.hpp"
#include "sim/lossy_link.hpp"
#include "sim/party.hpp"
#include "stack/core.hpp"
#include "support/environment.hpp"

namespace lastack::sim {

struct profile {
    std::string name;
    link_faults faults;
    config::settings settings = small_settings();  // of both sides
    config::settings right = small_settings();     // of the right one, when `uneven`
    bool uneven = false;
    std::uint16_t mtu = 1500;
    bool multi_segment_tx = true;
    test::pool_sizes pools{};
    application_options application;
    bool judge_ends = true;
    duration poll_every{0};  // a turn at least so often; 0: when one is due

    static config::settings small_settings();
};

struct report {
    std::string failure;  // empty: all is well
    duration lasted{};    // until the applications were done, in virtual time
    std::uint64_t frames = 0;
    std::uint64_t ends = 0;
};

// Runs it to its end. `trace` prints every frame and call.
report run(const profile& p, std::uint64_t seed, bool trace);

}  // namespace lastack::sim
