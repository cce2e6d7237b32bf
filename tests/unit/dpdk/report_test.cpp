// SPDX-License-Identifier: BSD-3-Clause
// The line of statistics.
#include "dpdk/report.hpp"

#include <gtest/gtest.h>

namespace lastack::dpdk {
namespace {

using namespace std::chrono_literals;

TEST(statistics_line, has_rates_states_and_mbufs) {
    counter_sums before{}, now{};
    before[static_cast<std::size_t>(counter::rx_frames)] = 100;
    now[static_cast<std::size_t>(counter::rx_frames)] = 300;
    snapshot s;
    s.states.by_state[static_cast<std::size_t>(teardown::state::time_wait)] = 5;
    s.states.mbufs_held = 7;
    EXPECT_EQ(statistics_line(12s, now, before, 2s, s),
              "12 s: rx 100/s tx 0/s, opened 0/s, into TIME-WAIT 0/s, retransmitted 0/s | "
              "TIME-WAIT 5, mbufs held 7");
}

TEST(statistics_line, does_not_call_what_is_not_known_none) {
    EXPECT_EQ(statistics_line(1s, {}, {}, 1s, failure{std::string("lcore 1 did not answer")}),
              "1 s: rx 0/s tx 0/s, opened 0/s, into TIME-WAIT 0/s, retransmitted 0/s; lcore 1 did "
              "not answer");
}

}  // namespace
}  // namespace lastack::dpdk
