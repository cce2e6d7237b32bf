// SPDX-License-Identifier: BSD-3-Clause
// RST and SYN on open and closing connections (RFC 9293 3.10.7.4, RFC 5961): section C.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

// R29
TEST(reset, outside_the_window_is_dropped_silently) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("R").seq(-1));
    r.send(seg("R").seq(100000));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.state_of(r.id), state::established);
    EXPECT_EQ(s.count(counter::rst_ignored), 2u);
}

// R30
TEST(reset, at_rcv_nxt_resets_in_every_synchronized_state) {
    checked_scenario s;
    for (auto make :
         {&scenario::make_established, &scenario::make_fin_wait_1, &scenario::make_fin_wait_2,
          &scenario::make_close_wait, &scenario::make_closing, &scenario::make_last_ack,
          &scenario::make_orphan_fin_wait_2}) {
        remote& r = (s.*make)(peer_options{});
        r.send(seg("R"));
        EXPECT_EQ(r.heard(), "");
        EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
    }
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.ended(close_outcome::reset_by_peer), 7u);
}

// R31
TEST(reset, in_the_window_gets_a_challenge_ack) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("R").seq(500));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1");
    EXPECT_EQ(s.state_of(r.id), state::established);
    EXPECT_EQ(s.count(counter::challenge_ack), 1u);
}

// R32
TEST(reset, at_the_right_edge_of_the_highest_sack_block_resets) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").seq(4).text("def"));
    r.heard();
    r.send(seg("R").seq(7));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
}

// R32
TEST(reset, one_before_rcv_nxt_resets_where_the_fin_may_not_have_been_counted) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    r.send(seg("R").seq(1));
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
    remote& q = s.make_established();
    q.send(seg("R").seq(0));
    EXPECT_EQ(s.state_of(q.id), state::established);
}

// R33
TEST(reset, paws_does_not_look_at_a_rst) {
    checked_scenario s;
    peer_options o;
    o.timestamps = true;
    remote& r = s.make_established(o);
    r.send(seg("R").ts(1));
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
    remote& q = s.make_orphan_fin_wait_2(o);
    q.send(seg("R").ts(1));
    EXPECT_EQ(s.events(q.id), "ended:reset_by_peer");
    EXPECT_EQ(s.count(counter::paws_estab), 0u);
}

// R33, R46
TEST(reset, paws_does_not_look_at_a_rst_in_time_wait_either) {
    scenario_options so;
    so.settings.tcp_rfc1337 = false;
    checked_scenario s{so};
    peer_options o;
    o.timestamps = true;
    remote& r = s.make_time_wait(o);
    r.send(seg("R").ts(1));
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R34
TEST(reset, syn_of_any_sequence_is_challenged_in_every_synchronized_state) {
    checked_scenario s;
    for (auto make :
         {&scenario::make_established, &scenario::make_fin_wait_1, &scenario::make_fin_wait_2,
          &scenario::make_close_wait, &scenario::make_closing, &scenario::make_last_ack}) {
        remote& r = (s.*make)(peer_options{});
        const std::string ack = ". " + std::to_string(r.next_ack) + ":" +
                                std::to_string(r.next_ack) + "(0) ack " +
                                std::to_string(r.next_seq);
        r.send(seg("S").seq(r.next_seq + 100));
        EXPECT_EQ(r.heard(), ack);
        s.advance(600ms);
        r.heard();
        r.send(seg("S.").seq(-70000));
        EXPECT_EQ(r.heard(), ack);
    }
}

// R35
TEST(reset, ack_of_what_was_never_sent_is_challenged) {
    checked_scenario s;
    peer_options o;
    o.timestamps = true;
    remote& r = s.make_established(o);
    s.advance(1s);
    r.send(seg("P.").ack(500).text("evil"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1");
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
    // It has not moved TS.Recent.
    EXPECT_LT(r.last().tcp.options.tsecr, static_cast<std::uint32_t>(s.now().us / 1000));
    EXPECT_EQ(s.count(counter::ack_unsent), 1u);
}

// R35
TEST(reset, ack_older_than_the_largest_window_is_challenged) {
    checked_scenario s;
    peer_options o;
    o.wscale = -1;
    o.window = 1000;
    remote& r = s.make_established(o);
    s.send(r.id, "abc");
    r.send(seg("."));
    r.heard();
    r.send(seg("P.").ack(4 - 1000).text("a"));  // the oldest that is valid
    EXPECT_EQ(s.receive(r.id), "a");
    r.heard();
    r.send(seg("P.").ack(4 - 1001).text("b"));
    EXPECT_EQ(r.heard(), ". 4:4(0) ack 2");
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
    EXPECT_EQ(s.count(counter::ack_too_old), 1u);
}

// R36
TEST(reset, challenge_acks_come_twice_a_second_at_most) {
    checked_scenario s;
    remote& r = s.make_established();
    for (int i = 0; i < 10; ++i) {
        r.send(seg("R").seq(500));
    }
    EXPECT_EQ(r.heard_segments().size(), 1u);
    EXPECT_EQ(s.count(counter::ack_skipped_challenge), 9u);
    s.advance(500ms);
    r.send(seg("R").seq(500));
    EXPECT_EQ(r.heard_segments().size(), 1u);
}

// R36
TEST(reset, challenge_acks_of_all_connections_share_a_budget) {
    scenario_options o;
    o.settings.tcp_challenge_ack_limit = 10;
    checked_scenario s{o};
    std::vector<remote*> all;
    for (int i = 0; i < 30; ++i) {
        all.push_back(&s.make_established());
    }
    for (remote* r : all) {
        r->send(seg("R").seq(500));
    }
    // Randomised in [limit/2, 3*limit/2).
    const auto first = s.count(counter::challenge_ack);
    EXPECT_GE(first, 5u);
    EXPECT_LT(first, 15u);
    s.advance(1100ms);
    for (remote* r : all) {
        r->send(seg("R").seq(500));
    }
    EXPECT_GT(s.count(counter::challenge_ack), first);
}

// R26
TEST(reset, segment_without_ack_is_dropped) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P").seq(1).text("abc"));
    r.send(seg("F").seq(1));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.state_of(r.id), state::established);
    EXPECT_EQ(s.count(counter::ack_missing), 2u);
}

// R27
TEST(reset, everything_after_the_end_is_reset) {
    checked_scenario s;
    remote& r = s.make_established();
    s.abort(r.id);
    r.heard();
    r.send(seg("P.").text("abc"));
    EXPECT_EQ(r.heard(), "R 1:1(0)");
    r.send(seg("R"));
    EXPECT_EQ(r.heard(), "");
}

// R28
TEST(reset, the_application_can_tell_a_reset_from_a_close) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").text("tail"));
    r.send(seg("R"));
    EXPECT_EQ(s.events(r.id), "readable ended:reset_by_peer");
    // What had arrived can still be read; behind it is the error, not the end of the stream.
    EXPECT_EQ(s.receive(r.id), "tail");
    EXPECT_EQ(s.calls().receive(r.id).error(), call_error::connection_reset);
    EXPECT_EQ(s.calls().send(r.id, std::as_bytes(std::span{"x", 1})).error(),
              call_error::connection_reset);
    s.close(r.id);
    EXPECT_EQ(s.tcp().sockets(), 0u);
}

}  // namespace
}  // namespace lastack::test
