// SPDX-License-Identifier: BSD-3-Clause
// Keepalive (RFC 9293 3.8.4): R67.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

keepalive_option every(seconds idle, seconds interval, std::uint8_t probes) {
    return {true, idle, interval, probes};
}

// R67
TEST(keepalive, is_off_by_default) {
    checked_scenario s;
    remote& r = s.make_established();
    s.advance(std::chrono::hours(30));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.state_of(r.id), state::established);
}

// R67
TEST(keepalive, probes_after_two_hours_with_the_octet_before_snd_nxt) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_keepalive(r.id, every(0s, 0s, 0)));
    s.advance(7199s);
    EXPECT_EQ(r.heard(), "");
    s.advance(2s);
    EXPECT_EQ(r.heard(), ". 0:0(0) ack 1");
    r.send(seg("."));
    s.advance(7000s);
    EXPECT_EQ(r.heard(), "");
}

// R67
TEST(keepalive, an_active_open_is_idle_from_the_peers_answer_on) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    s.advance(700ms);
    r.send(seg("S."));
    r.heard();
    ASSERT_TRUE(s.calls().set_keepalive(r.id, every(10s, 5s, 3)));
    s.advance(9900ms);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.calls().info(r.id)->last_received_ms, 9900u);
    s.advance(200ms);
    EXPECT_EQ(r.heard(), ". 0:0(0) ack 1");
}

// R67
TEST(keepalive, one_lost_probe_is_no_death_but_all_are) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_keepalive(r.id, every(10s, 5s, 3)));
    s.advance(16s);
    EXPECT_EQ(r.heard(), ". 0:0(0) ack 1; . 0:0(0) ack 1");
    r.send(seg("."));
    EXPECT_EQ(s.state_of(r.id), state::established);
    s.advance(24s);
    EXPECT_EQ(r.heard(), ". 0:0(0) ack 1; . 0:0(0) ack 1; . 0:0(0) ack 1");
    EXPECT_EQ(s.state_of(r.id), state::established);
    s.advance(2s);
    EXPECT_EQ(r.heard(), "R. 1:1(0) ack 1");
    EXPECT_EQ(s.events(r.id), "ended:timed_out_keepalive");
}

// R67
TEST(keepalive, works_in_close_wait_and_fin_wait_2) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    ASSERT_TRUE(s.calls().set_keepalive(r.id, every(10s, 5s, 2)));
    remote& q = s.make_fin_wait_2();
    ASSERT_TRUE(s.calls().set_keepalive(q.id, every(10s, 5s, 2)));
    s.advance(30s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_keepalive");
    EXPECT_EQ(s.events(q.id), "ended:timed_out_keepalive");
}

// R67
TEST(keepalive, waits_while_something_is_outstanding) {
    scenario_options o;
    o.settings.tcp_early_retrans = 0;
    checked_scenario s{o};
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_keepalive(r.id, every(1s, 1s, 2)));
    s.send(r.id, "abc");
    s.advance(60s);
    for (const auto& h : r.heard_segments()) {
        EXPECT_EQ(r.describe(h), "P. 1:4(3) ack 1");
    }
    EXPECT_EQ(s.count(counter::keepalive_probe), 0u);
}

// R67
TEST(keepalive, a_probe_of_the_peer_is_answered) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").text("abc"));
    r.heard();
    r.send(seg(".").seq(3));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 4");
}

// R66
TEST(keepalive, user_timeout_replaces_the_count_of_probes) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_keepalive(r.id, every(10s, 5s, 9)));
    ASSERT_TRUE(s.calls().set_user_timeout(r.id, 17s));
    s.advance(30s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_keepalive");
}

TEST(keepalive, turned_on_after_a_month_of_silence_probes_at_once) {
    checked_scenario s;
    remote& r = s.make_established();
    r.heard();
    s.advance(std::chrono::hours(24 * 30));
    keepalive_option on;
    on.on = true;
    ASSERT_TRUE(s.calls().set_keepalive(r.id, on));
    s.advance(1s);
    EXPECT_NE(r.heard(), "");
}

}  // namespace
}  // namespace lastack::test
