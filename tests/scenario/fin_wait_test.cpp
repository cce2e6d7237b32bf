// SPDX-License-Identifier: BSD-3-Clause
// FIN_WAIT_1 and FIN_WAIT_2, of connections that are held and of orphans (R59 to R63).
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

// R19
TEST(fin_wait_1, ack_of_our_fin_leads_to_fin_wait_2) {
    checked_scenario s;
    remote& r = s.make_fin_wait_1();
    r.send(seg(".").ack(1));
    EXPECT_EQ(s.state_of(r.id), state::fin_wait_1);
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.state_of(r.id), state::fin_wait_2);
}

// R19
TEST(fin_wait_1, fin_without_that_ack_leads_to_closing_and_a_pure_ack) {
    checked_scenario s;
    remote& r = s.make_fin_wait_1();
    r.send(seg("F.").ack(1));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.state_of(r.id), state::closing);
    EXPECT_EQ(s.events(r.id), "peer_closed");
}

// R19
TEST(fin_wait_1, fin_that_acknowledges_ours_leads_to_time_wait) {
    checked_scenario s;
    remote& r = s.make_fin_wait_1();
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.events(r.id), "peer_closed ended:clean_active");
}

// R24
TEST(fin_wait_1, fin_is_repeated_with_back_off) {
    scenario_options o;
    o.settings.tcp_early_retrans = 0;
    checked_scenario s{o};
    const instant start = s.now();
    remote& r = s.make_established();
    s.shutdown(r.id, shutdown_how::write);
    s.advance(13s);
    const auto heard = r.heard_segments();
    ASSERT_EQ(heard.size(), 7u);
    for (const auto& h : heard) {
        EXPECT_EQ(r.describe(h), "F. 1:2(0) ack 1");
    }
    EXPECT_EQ(times_ms(heard, start),
              (std::vector<std::int64_t>{0, 201, 602, 1403, 3004, 6205, 12606}));
}

// R18
TEST(fin_wait_1, fin_out_of_order_changes_nothing_until_the_gap_fills) {
    checked_scenario s;
    remote& r = s.make_fin_wait_1();
    r.send(seg("F.").seq(4).ack(2));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 1");
    EXPECT_EQ(s.state_of(r.id), state::fin_wait_2);
    r.send(seg("P.").seq(1).text("abc"));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 5");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.receive(r.id), "abc");
}

// R18
TEST(fin_wait_1, orphan_is_dropped_by_a_fin_out_of_order) {
    checked_scenario s;
    remote& r = s.make_established();
    s.close(r.id);
    r.heard();
    r.send(seg("F.").seq(4).ack(2));
    EXPECT_EQ(r.heard(), "R 2:2(0)");
    EXPECT_EQ(s.events(r.id), "ended:aborted_data_after_close");
}

// R22
TEST(fin_wait_2, fin_with_an_old_ack_is_processed) {
    checked_scenario s;
    remote& r = s.make_fin_wait_2();
    r.send(seg("F.").ack(1));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
}

// R22
TEST(fin_wait_2, fin_of_an_orphan_with_an_old_ack_is_processed) {
    checked_scenario s;
    remote& r = s.make_orphan_fin_wait_2();
    r.send(seg("F.").ack(1));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.events(r.id), "ended:clean_active");
}

// R21
TEST(fin_wait_2, fin_leads_to_time_wait_with_the_full_time) {
    checked_scenario s;
    remote& r = s.make_fin_wait_2();
    s.advance(30s);
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    s.advance(59s);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(2s);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R59, R60
TEST(fin_wait_2, orphan_is_a_record_that_expires_silently_after_fin_timeout) {
    checked_scenario s;
    remote& r = s.make_orphan_fin_wait_2();
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.core().states().orphans, 0u);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
    s.advance(59s);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
    s.advance(2s);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 0u);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_fin_wait_2");
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), "R 2:2(0)");
}

// R60
TEST(fin_wait_2, fin_of_an_orphan_leads_to_a_full_time_wait) {
    checked_scenario s;
    remote& r = s.make_orphan_fin_wait_2();
    s.advance(50s);
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.events(r.id), "ended:clean_active");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 0u);
    s.advance(59s);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(2s);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R59
TEST(fin_wait_2, orphan_time_follows_tcp_fin_timeout_and_not_time_wait) {
    scenario_options o;
    o.settings.tcp_fin_timeout = 5;
    checked_scenario s{o};
    remote& r = s.make_orphan_fin_wait_2();
    s.advance(4s);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
    s.advance(2s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_fin_wait_2");
    remote& q = s.make_time_wait();
    EXPECT_EQ(q.heard(), "");
    s.advance(58s);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
}

// R60
TEST(fin_wait_2, orphan_is_a_record_also_beyond_60_seconds) {
    scenario_options o;
    o.settings.tcp_fin_timeout = 100;
    checked_scenario s{o};
    s.make_orphan_fin_wait_2();
    EXPECT_EQ(s.tcp().connections(), 0u);
    s.advance(98s);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
    s.advance(4s);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 0u);
}

// R59
TEST(fin_wait_2, close_in_fin_wait_2_starts_the_time) {
    checked_scenario s;
    remote& r = s.make_fin_wait_2();
    s.advance(1000s);
    s.close(r.id);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
    s.advance(61s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_fin_wait_2");
}

// R61
TEST(fin_wait_2, linger2_sets_the_time_of_one_orphan) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_linger2(r.id, 3));
    s.close(r.id);
    r.send(seg("."));
    s.advance(2s);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
    s.advance(2s);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 0u);
}

// R61
TEST(fin_wait_2, negative_linger2_resets_when_the_fin_is_acknowledged) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_linger2(r.id, -1));
    s.close(r.id);
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "R. 2:2(0) ack 1");
    EXPECT_EQ(s.events(r.id), "ended:aborted_linger2");
    EXPECT_EQ(s.count(counter::abort_on_linger), 1u);
}

// R61
TEST(fin_wait_2, negative_linger2_resets_inside_close) {
    checked_scenario s;
    remote& r = s.make_fin_wait_2();
    ASSERT_TRUE(s.calls().set_linger2(r.id, -1));
    s.close(r.id);
    EXPECT_EQ(r.heard(), "R. 2:2(0) ack 1");
    EXPECT_EQ(s.events(r.id), "ended:aborted_linger2");
}

// R30
TEST(fin_wait_2, exact_rst_ends_an_orphan) {
    checked_scenario s;
    remote& r = s.make_orphan_fin_wait_2();
    r.send(seg("R"));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 0u);
}

// R62
TEST(fin_wait_1, orphan_gives_up_silently_after_eight_retries) {
    scenario_options o;
    o.settings.tcp_early_retrans = 0;
    checked_scenario s{o};
    const instant start = s.now();
    remote& r = s.make_established();
    s.close(r.id);
    s.advance(200s);
    const auto heard = r.heard_segments();
    EXPECT_EQ(heard.size(), 9u);
    EXPECT_EQ(times_ms(heard, start).back(), 51008);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_orphan");
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.count(counter::abort_on_timeout), 1u);
}

// R62: eight retries stand for the time they take from the shortest RTO, about 102 s.
TEST(fin_wait_1, a_long_round_trip_does_not_stretch_an_orphans_time) {
    scenario_options o;
    o.settings.tcp_early_retrans = 0;
    checked_scenario s{o};
    remote& r = s.new_remote();
    r.send(seg("S"));
    s.advance(500ms);
    r.send(seg("."));
    s.close(r.id);
    r.heard();
    s.advance(90s);
    EXPECT_EQ(s.events(r.id), "opened");
    EXPECT_LT(r.heard_segments().size(), 8u);
    s.advance(150s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_orphan");
}

// R62
TEST(fin_wait_1, orphan_retries_is_a_setting) {
    scenario_options o;
    o.settings.tcp_early_retrans = 0;
    o.settings.tcp_orphan_retries = 2;
    checked_scenario s{o};
    remote& r = s.make_established();
    s.close(r.id);
    s.advance(200s);
    EXPECT_EQ(r.heard_segments().size(), 3u);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_orphan");
}

// R63
TEST(fin_wait_1, close_beyond_tcp_max_orphans_resets_at_once) {
    scenario_options o;
    o.settings.tcp_max_orphans = 1;
    checked_scenario s{o};
    remote& r = s.make_established();
    remote& q = s.make_established();
    s.close(r.id);
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
    s.close(q.id);
    EXPECT_EQ(q.heard(), "R. 1:1(0) ack 1");
    EXPECT_EQ(s.events(q.id), "ended:aborted_orphan_limit");
    EXPECT_EQ(s.count(counter::abort_on_memory), 1u);
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
}

// R31, R60: the record's window is the one that was advertised, scaled.
TEST(fin_wait_2, a_rst_within_the_scaled_window_of_an_orphan_is_challenged) {
    checked_scenario s;
    remote& r = s.make_orphan_fin_wait_2();
    r.heard();
    r.send(seg("R.").seq(r.next_seq + 30000));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 1");
    r.send(seg("R.").seq(r.next_seq + 100000));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
}

// R31, R60
TEST(fin_wait_2, text_beyond_an_orphans_window_is_acknowledged_where_nothing_was_scaled) {
    checked_scenario s;
    remote& r = s.make_orphan_fin_wait_2({.wscale = -1});
    r.heard();
    r.send(seg(".").seq(r.next_seq + 100000).text("far"));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 1");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
}

// R60, R54
TEST(fin_wait_2, orphan_that_finds_no_record_is_closed_at_once) {
    scenario_options o;
    o.settings.tcp_max_tw_buckets = 0;
    checked_scenario s{o};
    remote& r = s.make_orphan_fin_wait_2();
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 0u);
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), "R 2:2(0)");
}

}  // namespace
}  // namespace lastack::test
