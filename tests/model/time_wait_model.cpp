// SPDX-License-Identifier: BSD-3-Clause
// The TIME_WAIT table against an ordered map for long: ten million operations, or as many as
// LASTACK_MODEL_OPERATIONS says, in runs that begin near the wrap of every counter in use.
#include "support/time_wait_model.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace lastack::flow {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t by_default = 500'000;
#else
constexpr std::uint64_t by_default = 10'000'000;
#endif

// The tick wraps at 2^32 ms, a deadline's 20 bits at 2^24, the calendar at 2^16, a pass of the index
// begins every 2^18.
constexpr std::uint32_t starts[] = {0,           0xffff'ff00, 0xfff0'0000, 0x00ff'ff00,
                                    0x0000'ff00, 0x0003'ff00, 0x7fff'ff00};

TEST(time_wait_model, agrees_with_an_ordered_map_for_long) {
    const char* const asked = std::getenv("LASTACK_MODEL_OPERATIONS");
    const std::uint64_t operations =
        asked != nullptr ? std::strtoull(asked, nullptr, 10) : by_default;
    constexpr std::uint64_t a_run = 100'000;
    for (std::uint64_t run = 0; run * a_run < operations && !HasFailure(); ++run) {
        SCOPED_TRACE("run " + std::to_string(run));
        const std::uint32_t start = starts[run % std::size(starts)];
        const std::uint32_t capacity = 10u << run % 6;
        if (run % 2 == 0) {
            run_model<key4>(start, run, a_run, capacity);
        } else {
            run_model<key6>(start, run, a_run, capacity);
        }
    }
}

}  // namespace
}  // namespace lastack::flow
