// SPDX-License-Identifier: BSD-3-Clause
// TIME_WAIT: what is answered, what restarts 2MSL, and what the application still has.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

// The record's time is 60 s from `s.now()` on, give or take a coarse tick.
void expect_full_time_from_now(scenario& s) {
    s.advance(59s);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(2s);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}
// The record was made at `entered`, and nothing has restarted it.
void expect_no_restart(scenario& s, instant entered) {
    s.advance(entered + 61s - s.now());
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R42
TEST(time_wait, lasts_60_seconds) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.tcp().connections(), 0u);
    expect_full_time_from_now(s);
    EXPECT_EQ(r.heard(), "");
    r.send(seg("F.").seq(1));
    EXPECT_EQ(r.heard(), "R 2:2(0)");
}

// R42
TEST(time_wait, length_is_a_setting_of_its_own) {
    scenario_options o;
    o.settings.time_wait_ms = 2000;
    checked_scenario s{o};
    s.make_time_wait();
    s.advance(1900ms);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(400ms);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R43
TEST(time_wait, retransmitted_fin_is_acked_and_restarts_2msl) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    s.advance(40s);
    for (int i = 0; i < 3; ++i) {
        r.send(seg("F.").seq(1));
        EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");  // not rate-limited
    }
    expect_full_time_from_now(s);
}

// R44
TEST(time_wait, pure_ack_is_not_answered_and_restarts_2msl) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    s.advance(40s);
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    expect_full_time_from_now(s);
}

// R45
TEST(time_wait, old_data_is_acked_each_time_and_restarts_2msl) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    s.advance(40s);
    r.send(seg("P.").seq(-10).text("abc"));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    r.send(seg("P.").seq(-10).text("abc"));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    expect_full_time_from_now(s);
}

// R45
TEST(time_wait, stray_pure_acks_are_answered_twice_a_second_at_most) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    s.advance(40s);
    r.send(seg(".").seq(100));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    r.send(seg(".").seq(100));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::ack_skipped_time_wait), 1u);
    s.advance(1s);
    r.send(seg(".").seq(100));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    expect_full_time_from_now(s);
}

// R45
TEST(time_wait, syn_ack_is_acked_and_restarts_2msl) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    s.advance(40s);
    r.send(seg("S.").seq(5000));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    expect_full_time_from_now(s);
}

// R25
TEST(time_wait, new_text_is_ignored_but_acked) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    r.send(seg("P.").seq(2).text("abc"));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
}

// R46
TEST(time_wait, exact_rst_is_ignored_and_does_not_restart) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    const instant entered = s.now();
    s.advance(40s);
    r.send(seg("R"));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.count(counter::tw_reset_ignored), 1u);
    expect_no_restart(s, entered);
}

// R46
TEST(time_wait, exact_rst_ends_it_when_tcp_rfc1337_is_off) {
    scenario_options o;
    o.settings.tcp_rfc1337 = false;
    checked_scenario s{o};
    remote& r = s.make_time_wait();
    r.send(seg("R").seq(3));
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    r.send(seg("R"));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R26
TEST(time_wait, fin_without_ack_is_answered_and_does_not_restart) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    const instant entered = s.now();
    s.advance(40s);
    r.send(seg("F").seq(1));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    expect_no_restart(s, entered);
}

// R50
TEST(time_wait, syn_fin_does_not_cost_the_record) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    r.send(seg("SF").seq(5000));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.tcp().syn_records(), 0u);
}

// R51
TEST(time_wait, its_ack_carries_the_last_window_and_fresh_timestamps) {
    checked_scenario s;
    peer_options o;
    o.timestamps = true;
    remote& r = s.make_established(o);
    s.close(r.id);
    r.send(seg("F."));
    ASSERT_EQ(r.heard(), "F. 1:2(0) ack 1; . 2:2(0) ack 2");
    const auto last = r.last();
    s.advance(700ms);
    r.send(seg("F.").seq(1));
    ASSERT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(r.last().tcp.window, last.tcp.window);
    ASSERT_TRUE(r.last().tcp.options.has_timestamps);
    EXPECT_EQ(r.last().tcp.options.tsval, last.tcp.options.tsval + 700);
    EXPECT_EQ(r.last().tcp.options.tsecr, last.tcp.options.tsecr);
}

// R51
TEST(time_wait, a_pure_ack_moves_ts_recent) {
    checked_scenario s;
    peer_options o;
    o.timestamps = true;
    remote& r = s.make_time_wait(o);
    s.advance(1s);
    r.send(seg("."));
    const auto now_ms = static_cast<std::uint32_t>(s.now().us / 1000);
    s.advance(1s);
    r.send(seg("P.").seq(-10).text("x"));
    r.heard();
    EXPECT_EQ(r.last().tcp.options.tsecr, now_ms);
}

// R53
TEST(time_wait, paws_failure_is_acked_and_restarts) {
    checked_scenario s;
    peer_options o;
    o.timestamps = true;
    remote& r = s.make_time_wait(o);
    s.advance(40s);
    r.send(seg("S").seq(9000).ts(5));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.count(counter::paws_time_wait), 1u);
    EXPECT_EQ(s.tcp().syn_records(), 0u);
    expect_full_time_from_now(s);
}

// R52
TEST(time_wait, icmp_errors_do_not_touch_it) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    std::vector<std::uint8_t> quote(28);
    wire::ipv4_header ip;
    ip.source = stack_address;
    ip.destination = peer_address;
    ip.ttl = 60;
    ip.protocol = 6;
    ip.total_length = 40;
    wire::write_ipv4(quote.data(), ip);
    store_be16(quote.data() + 20, listen_port);
    store_be16(quote.data() + 22, r.port);
    store_be32(quote.data() + 24, r.irs + 1);
    s.inject_icmp(3, 3, 0, quote);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::icmp_quote_unknown), 1u);
}

// R54
TEST(time_wait, at_the_cap_a_connection_skips_it) {
    scenario_options o;
    o.settings.tcp_max_tw_buckets = 1;
    checked_scenario s{o};
    s.make_time_wait();
    remote& r = s.make_established();
    s.close(r.id);
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1; . 2:2(0) ack 2");  // the FIN is still acknowledged
    EXPECT_EQ(s.events(r.id), "ended:clean_active");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.count(counter::tw_overflow), 1u);
    r.send(seg("F.").seq(1));
    EXPECT_EQ(r.heard(), "R 2:2(0)");
}

// R54
TEST(time_wait, at_the_cap_the_oldest_may_make_room) {
    scenario_options o;
    o.settings.tcp_max_tw_buckets = 1;
    o.settings.time_wait_cap_policy = config::cap_policy::evict_oldest;
    checked_scenario s{o};
    remote& old = s.make_time_wait();
    s.advance(10s);
    remote& young = s.make_time_wait();
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.count(counter::tw_evicted), 1u);
    old.send(seg("F.").seq(1));
    EXPECT_EQ(old.heard(), "R 2:2(0)");
    young.send(seg("F.").seq(1));
    EXPECT_EQ(young.heard(), ". 2:2(0) ack 2");
}

// R28
TEST(time_wait, unread_data_can_be_read_to_the_end_of_the_stream) {
    checked_scenario s;
    remote& r = s.make_fin_wait_2();
    r.send(seg("FP.").text("last words"));
    EXPECT_EQ(s.events(r.id), "readable peer_closed ended:clean_active");
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(120s);
    EXPECT_EQ(s.receive(r.id), "last words");
    auto end = s.calls().receive(r.id);
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);
    s.close(r.id);
    EXPECT_EQ(r.heard().find('R'), std::string::npos);
    EXPECT_EQ(s.tcp().sockets(), 0u);
}

TEST(time_wait, a_thousand_records_expire_within_a_budget_a_turn) {
    scenario_options o;
    o.settings.time_wait_ms = 5000;
    checked_scenario s{o};
    for (int i = 0; i < 1000; ++i) {
        s.make_time_wait();
    }
    EXPECT_EQ(s.in_state(state::time_wait), 1000u);
    s.advance(6s);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
    EXPECT_EQ(s.count(counter::tw_expired), 1000u);
}

}  // namespace
}  // namespace lastack::test
