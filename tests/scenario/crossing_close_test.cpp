// SPDX-License-Identifier: BSD-3-Clause
// FINs that cross, where the peer's FIN and its ACK of ours come in one burst.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

// The ACK that CLOSING owes must not be lost with the connection: the peer would wait in CLOSING
// until it repeats its FIN.
// R19, R20
TEST(crossing_close, fin_and_ack_in_one_burst_are_answered_at_once) {
    checked_scenario s;
    remote& r = s.make_fin_wait_1();
    const std::array frames{
        make_frame(s.pools().data, r.packet(seg("F.").ack(1))),
        make_frame(s.pools().data, r.packet(seg(".").ack(2))),
    };
    s.core().input(frames, s.now());
    s.turn();
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.ended(close_outcome::clean_simultaneous), 1u);
}

}  // namespace
}  // namespace lastack::test
