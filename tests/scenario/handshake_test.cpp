// SPDX-License-Identifier: BSD-3-Clause
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

TEST(handshake, passive_open_goes_through_syn_received_to_established) {
    checked_scenario s;
    remote& r = s.new_remote();
    r.send(seg("S"));
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
    EXPECT_EQ(s.in_state(state::syn_received), 1u);
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.events(r.id), "opened");
    EXPECT_EQ(s.state_of(r.id), state::established);
}

}  // namespace
}  // namespace lastack::test
