// SPDX-License-Identifier: BSD-3-Clause
// CLOSING, CLOSE_WAIT and LAST_ACK: the peer's FIN has come, ours is owed or not yet acknowledged.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

// R20
TEST(closing, ack_of_our_fin_leads_to_time_wait) {
    checked_scenario s;
    remote& r = s.make_closing();
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.events(r.id), "ended:clean_simultaneous");
}

// R20
TEST(closing, other_acks_are_ignored) {
    checked_scenario s;
    remote& r = s.make_closing();
    r.send(seg(".").ack(1));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.state_of(r.id), state::closing);
}

// R24
TEST(closing, fin_is_repeated) {
    checked_scenario s;
    remote& r = s.make_closing();
    s.advance(1s);
    EXPECT_TRUE(r.heard().starts_with("F. 1:2(0) ack 2; F. 1:2(0) ack 2"));
    EXPECT_EQ(s.state_of(r.id), state::closing);
}

// R23
TEST(closing, repeated_fin_is_acknowledged_again) {
    checked_scenario s;
    remote& r = s.make_closing();
    r.send(seg("F.").seq(1).ack(1));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.state_of(r.id), state::closing);
}

// R32
TEST(closing, rst_at_the_fins_own_number_resets) {
    checked_scenario s;
    remote& r = s.make_closing();
    r.send(seg("R").seq(1));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
}

// R25
TEST(closing, text_is_ignored) {
    checked_scenario s;
    remote& r = s.make_closing();
    r.send(seg("P.").seq(2).ack(1).text("abc"));
    EXPECT_EQ(s.state_of(r.id), state::closing);
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
    r.heard();
    r.send(seg("."));
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
}

// R20
TEST(last_ack, only_the_ack_of_our_fin_ends_it) {
    checked_scenario s;
    remote& r = s.make_last_ack();
    r.send(seg(".").ack(1));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::last_ack), 1u);
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.events(r.id), "ended:clean_passive");
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R20
TEST(last_ack, late_segments_after_it_are_reset) {
    checked_scenario s;
    remote& r = s.make_last_ack();
    r.send(seg("."));
    r.heard();
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "R 2:2(0)");
}

// R23
TEST(last_ack, repeated_fin_is_acknowledged_again) {
    checked_scenario s;
    remote& r = s.make_last_ack();
    r.send(seg("F.").seq(1).ack(1));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.in_state(state::last_ack), 1u);
}

// R24, R62
TEST(last_ack, fin_is_repeated_until_the_orphan_gives_up) {
    scenario_options o;
    o.settings.tcp_early_retrans = 0;
    checked_scenario s{o};
    remote& r = s.make_last_ack();
    s.advance(300s);
    const auto heard = r.heard_segments();
    ASSERT_EQ(heard.size(), 8u);
    for (const auto& h : heard) {
        EXPECT_EQ(r.describe(h), "F. 1:2(0) ack 2");
    }
    EXPECT_EQ(s.events(r.id), "ended:timed_out_orphan");
}

// R30, R32
TEST(last_ack, rst_resets_at_rcv_nxt_and_one_before) {
    checked_scenario s;
    remote& r = s.make_last_ack();
    r.send(seg("R"));
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
    remote& q = s.make_last_ack();
    q.send(seg("R").seq(1));
    EXPECT_EQ(s.events(q.id), "ended:reset_by_peer");
    EXPECT_EQ(r.heard() + q.heard(), "");
}

// R17
TEST(close_wait, fin_is_acknowledged_and_the_reader_sees_the_end_behind_the_data) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("FP.").text("bye"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 5");
    EXPECT_EQ(s.events(r.id), "readable peer_closed");
    std::array<std::byte, 10> text;
    EXPECT_EQ(s.calls().receive(r.id, text).value(), 3u);
    EXPECT_EQ(s.calls().receive(r.id, text).value(), 0u);
    auto end = s.calls().receive(r.id);
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);
}

// R17
TEST(close_wait, the_application_may_go_on_sending) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    s.advance(1000s);
    s.send(r.id, "answer");
    EXPECT_EQ(r.heard(), "P. 1:7(6) ack 2");
    r.send(seg("."));
    s.close(r.id);
    EXPECT_EQ(r.heard(), "F. 7:8(0) ack 2");
}

// R18
TEST(close_wait, fin_behind_a_gap_waits_for_it) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("FP.").seq(4).text("def"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1 sack 4:7");
    EXPECT_EQ(s.state_of(r.id), state::established);
    r.send(seg("P.").seq(1).text("abc"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 8");
    EXPECT_EQ(s.events(r.id), "readable peer_closed");
    EXPECT_EQ(s.receive(r.id), "abcdef");
}

// R23
TEST(close_wait, repeated_fin_is_acknowledged_again) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    r.send(seg("F.").seq(1));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 2");
    EXPECT_EQ(s.events(r.id), "");
    EXPECT_EQ(s.state_of(r.id), state::close_wait);
}

// R25
TEST(close_wait, text_beyond_the_fin_is_ignored) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    r.send(seg("P.").seq(2).text("abc"));
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
    EXPECT_EQ(s.state_of(r.id), state::close_wait);
}

// R25
TEST(close_wait, the_ack_of_a_segment_with_ignored_text_still_counts) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    s.send(r.id, "abc");
    r.send(seg("P.").seq(2).text("xyz"));
    EXPECT_EQ(s.calls().unsent(r.id).value(), 0u);
}

// R28
TEST(close_wait, reset_in_close_wait_shows_end_of_stream_and_refuses_writing) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    r.send(seg("R"));
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
    auto end = s.calls().receive(r.id);
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);
    EXPECT_FALSE(s.calls().send(r.id, std::as_bytes(std::span{"x", 1})));
    s.close(r.id);
}

}  // namespace
}  // namespace lastack::test
