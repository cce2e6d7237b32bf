// SPDX-License-Identifier: BSD-3-Clause
// A SYN for a tuple in TIME_WAIT: what may re-open it (R47 to R50).
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

peer_options with_ts() {
    peer_options o;
    o.timestamps = true;
    return o;
}

// R47
TEST(reuse, syn_beyond_the_old_connection_reopens_the_tuple) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    const std::uint32_t old_irs = r.irs;
    r.send(seg("S").seq(1000));
    const auto h = r.heard_segments();
    ASSERT_EQ(h.size(), 1u);
    EXPECT_TRUE(h[0].tcp.has(wire::tcp_flags::syn));
    // Our ISN is the old SND.NXT + 65537.
    EXPECT_EQ(r.irs, old_irs + 2 + 65537);
    EXPECT_EQ(s.tcp().syn_records(), 1u);
    r.next_seq = 1001;
    r.send(seg("."));
    EXPECT_EQ(s.state_of(r.id), state::established);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
    EXPECT_EQ(s.count(counter::tw_reopened), 1u);
    r.send(seg("P.").text("again"));
    EXPECT_EQ(s.receive(r.id), "again");
}

// R47
TEST(reuse, syn_at_rcv_nxt_or_below_gets_an_ack) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    const instant entered = s.now();
    s.advance(30s);
    r.send(seg("S").seq(2));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    s.advance(1s);
    r.send(seg("S").seq(-5000));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    r.send(seg("S").seq(-5000));
    EXPECT_EQ(r.heard(), "");  // throttled
    EXPECT_EQ(s.tcp().syn_records(), 0u);
    // R45: such a SYN does not restart the time.
    s.advance(entered + 61s - s.now());
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R47
TEST(reuse, without_a_listener_the_syn_gets_an_ack) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    r.send(seg("S").seq(1000));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
}

// R47
TEST(reuse, reopening_is_not_held_to_the_backlog) {
    scenario_options o;
    o.listening.backlog = 1;
    checked_scenario s{o};
    remote& r = s.make_time_wait();
    s.make_syn_received();
    remote& refused = s.new_remote();
    refused.send(seg("S"));
    EXPECT_EQ(refused.heard(), "");
    r.send(seg("S").seq(1000));
    EXPECT_TRUE(r.heard().starts_with("S."));
}

// R48 A1
TEST(reuse, newer_timestamp_reopens_even_with_a_lower_sequence) {
    checked_scenario s;
    remote& r = s.make_time_wait(with_ts());
    s.advance(10ms);
    r.send(seg("S").seq(-50000));
    EXPECT_TRUE(r.heard().starts_with("S. 0:1(0)"));
    EXPECT_EQ(s.tcp().syn_records(), 1u);
}

// R48 A2
TEST(reuse, equal_timestamp_reopens_only_with_a_larger_sequence) {
    checked_scenario s;
    remote& r = s.make_time_wait(with_ts());
    const auto same = static_cast<std::uint32_t>(s.now().us / 1000);
    s.advance(10ms);
    r.send(seg("S").seq(-50).ts(same));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    r.send(seg("S").seq(5000).ts(same));
    EXPECT_TRUE(r.heard().starts_with("S. 0:1(0)"));
}

// R48 A3, A4
TEST(reuse, syn_without_timestamps_needs_a_larger_sequence) {
    checked_scenario s;
    remote& r = s.make_time_wait(with_ts());
    r.send(seg("S").seq(-50).no_ts());
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    r.send(seg("S").seq(5000).no_ts());
    EXPECT_TRUE(r.heard().starts_with("S. 0:1(0)"));
    EXPECT_FALSE(r.last().tcp.options.has_timestamps);
}

// R48 B1, R69
TEST(reuse, new_timestamps_reopen_a_connection_without_and_make_it_strict) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    r.options.timestamps = true;
    r.send(seg("S").seq(-50000));
    EXPECT_TRUE(r.heard().starts_with("S. 0:1(0)"));
    r.next_seq = static_cast<std::uint32_t>(-49999);
    r.send(seg("."));
    ASSERT_EQ(s.state_of(r.id), state::established);
    r.send(seg("P.").seq(-49999).text("old").no_ts());
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
    EXPECT_EQ(s.count(counter::ts_missing), 1u);
    r.send(seg("P.").text("new"));
    EXPECT_EQ(s.receive(r.id), "new");
}

// R48 B2, B3
TEST(reuse, without_timestamps_the_sequence_decides) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    r.send(seg("S").seq(1));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    r.send(seg("S").seq(3));
    EXPECT_TRUE(r.heard().starts_with("S. 0:1(0)"));
}

// R49
TEST(reuse, rst_to_our_syn_ack_gives_the_record_back) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    const std::uint32_t old_irs = r.irs;
    const instant entered = s.now();
    s.advance(20s);
    r.send(seg("S").seq(1000));
    r.heard();
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    r.send(seg("R").seq(1001));
    EXPECT_EQ(s.tcp().syn_records(), 0u);
    EXPECT_EQ(s.count(counter::tw_unparked), 1u);
    r.irs = old_irs;
    r.send(seg("F.").seq(1).ack(2));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    s.advance(entered + 60s - s.now());
    EXPECT_EQ(s.in_state(state::time_wait), 1u);  // the FIN restarted it
}

// R49
TEST(reuse, parked_record_keeps_its_deadline) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    s.advance(58s);
    r.send(seg("S").seq(1000));
    s.advance(3s);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
    EXPECT_EQ(s.tcp().syn_records(), 1u);
    s.advance(100s);
    EXPECT_EQ(s.tcp().syn_records(), 0u);
}

// R49
TEST(reuse, a_handshake_that_is_given_up_gives_the_record_back) {
    scenario_options o;
    o.settings.time_wait_ms = 120000;
    checked_scenario s{o};
    remote& r = s.make_time_wait();
    r.send(seg("S").seq(1000));
    s.advance(70s);
    EXPECT_EQ(s.tcp().syn_records(), 0u);
    EXPECT_EQ(s.count(counter::tw_unparked), 1u);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
}

// R50
TEST(reuse, syn_fin_beyond_the_old_connection_changes_nothing) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    r.send(seg("SF").seq(1000));
    EXPECT_EQ(r.heard(), "");
    r.send(seg("F.").seq(1));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
}

// R60
TEST(reuse, a_syn_does_not_reopen_an_orphan_in_fin_wait_2) {
    checked_scenario s;
    remote& r = s.make_orphan_fin_wait_2();
    r.send(seg("S").seq(1000));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 1");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
}

// R55: reuse by connect() is separate work; until then such a tuple is not given out.
TEST(reuse, connect_does_not_take_a_tuple_in_time_wait) {
    checked_scenario s;
    remote& r = s.make_time_wait();
    connect_options c;
    c.local = endpoint{stack_address, listen_port};
    EXPECT_EQ(s.calls().connect({peer_address, r.port}, c).error(), call_error::address_in_use);
}

}  // namespace
}  // namespace lastack::test
