// SPDX-License-Identifier: BSD-3-Clause
// Timestamps and PAWS (RFC 7323): section G.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

peer_options stamped() {
    peer_options o;
    o.timestamps = true;
    return o;
}

// R69
TEST(timestamps, stand_on_every_segment_but_a_no_socket_rst) {
    checked_scenario s;
    remote& r = s.make_established(stamped());
    s.send(r.id, "abc");
    r.send(seg("P.").text("x"));
    s.receive(r.id);
    s.advance(1s);  // a retransmission or two? no: "abc" was acknowledged
    s.close(r.id);
    for (const auto& h : r.heard_segments()) {
        EXPECT_TRUE(h.tcp.options.has_timestamps) << r.describe(h);
    }
    r.send(seg("P.").text("y"));
    EXPECT_TRUE(r.last().tcp.has(wire::tcp_flags::rst));
    EXPECT_FALSE(r.last().tcp.options.has_timestamps);
}

// R69
TEST(timestamps, the_fins_tsval_is_fresh) {
    checked_scenario s;
    remote& r = s.make_established(stamped());
    s.send(r.id, "abc");
    const auto before = r.last().tcp.options.tsval;
    r.send(seg("."));
    s.advance(1234ms);
    s.close(r.id);
    EXPECT_EQ(r.last().tcp.options.tsval, before + 1234);
}

// R69
TEST(timestamps, a_segment_without_them_is_accepted) {
    checked_scenario s;
    remote& r = s.make_established(stamped());
    r.send(seg("P.").text("abc").no_ts());
    EXPECT_EQ(s.receive(r.id), "abc");
}

// R69
TEST(timestamps, a_segment_without_them_is_dropped_silently_when_strict) {
    scenario_options o;
    o.settings.ts_missing = config::ts_missing_policy::drop;
    checked_scenario s{o};
    remote& r = s.make_established(stamped());
    r.send(seg("P.").seq(1).text("abc").no_ts());
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
    EXPECT_EQ(s.count(counter::ts_missing), 1u);
    r.send(seg("R").no_ts());
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
}

// R70
TEST(timestamps, ts_recent_moves_only_with_what_covers_the_last_ack) {
    checked_scenario s;
    remote& r = s.make_established(stamped());
    const auto t0 = static_cast<std::uint32_t>(s.now().us / 1000);
    r.send(seg("P.").seq(4).text("def").ts(t0 + 10));
    EXPECT_EQ(r.last().tcp.options.tsecr, t0);  // out of order: not taken
    r.send(seg("P.").seq(1).text("abc").ts(t0 + 20));
    EXPECT_EQ(r.last().tcp.options.tsecr, t0 + 20);
}

// R70
TEST(timestamps, a_delayed_ack_echoes_the_first_of_what_it_covers) {
    checked_scenario s;
    remote& r = s.make_established(stamped());
    for (int i = 0; i < 20; ++i) {
        r.send(seg("P.").text("x"));
        s.advance(50ms);
    }
    r.heard();
    const auto t0 = static_cast<std::uint32_t>(s.now().us / 1000);
    r.send(seg("P.").text("y").ts(t0));
    EXPECT_EQ(r.heard(), "");
    r.send(seg("P.").text("z").ts(t0 + 7));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 23");
    EXPECT_EQ(r.last().tcp.options.tsecr, t0);
}

// R71
TEST(timestamps, paws_rejects_and_acknowledges_an_old_tsval) {
    checked_scenario s;
    remote& r = s.make_established(stamped());
    const auto t0 = static_cast<std::uint32_t>(s.now().us / 1000);
    r.send(seg("P.").seq(1).text("old").ts(t0 - 1));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1");
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
    EXPECT_EQ(s.count(counter::paws_estab), 1u);
    r.send(seg("P.").seq(1).text("new").ts(t0));
    EXPECT_EQ(s.receive(r.id), "new");
}

// R71
TEST(timestamps, paws_is_modular) {
    checked_scenario s;
    remote& r = s.new_remote(stamped());
    r.send(seg("S").ts(0xffffff00));
    r.send(seg(".").ts(0xffffff80));
    r.send(seg("P.").text("wrapped").ts(5));
    EXPECT_EQ(s.receive(r.id), "wrapped");
    r.send(seg("P.").text("old").ts(0xfffffff0));
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
}

// R72
TEST(timestamps, ts_recent_is_invalid_after_24_days) {
    checked_scenario s;
    remote& r = s.make_established(stamped());
    const auto t0 = static_cast<std::uint32_t>(s.now().us / 1000);
    s.advance(std::chrono::hours(23 * 24));
    r.send(seg("P.").seq(1).text("too early").ts(t0 - 1000));
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
    s.advance(std::chrono::hours(24 + 1));
    r.send(seg("P.").text("late").ts(t0 - 1000));
    EXPECT_EQ(s.receive(r.id), "late");
}

// R73
TEST(timestamps, clock_ticks_in_ms_with_one_offset_a_host_pair) {
    checked_scenario s;
    remote& r = s.make_syn_received(stamped());
    const auto first = r.last().tcp.options.tsval;
    s.advance(777ms);
    remote& q = s.make_syn_received(stamped());
    EXPECT_EQ(q.last().tcp.options.tsval, first + 777);
    EXPECT_NE(first, static_cast<std::uint32_t>(s.options.start.us / 1000));  // it is offset
}

// R73
TEST(timestamps, mode_2_has_no_offset_and_0_no_timestamps) {
    scenario_options o;
    o.settings.tcp_timestamps = 2;
    checked_scenario s{o};
    remote& r = s.make_syn_received(stamped());
    EXPECT_EQ(r.last().tcp.options.tsval, static_cast<std::uint32_t>(s.now().us / 1000));
    o.settings.tcp_timestamps = 0;
    checked_scenario t{o};
    remote& q = t.make_syn_received(stamped());
    EXPECT_FALSE(q.last().tcp.options.has_timestamps);
    remote& p = t.make_syn_sent();
    EXPECT_FALSE(p.last().tcp.options.has_timestamps);
}

// R73: a record answers in its connection's timestamps, whatever the setting is by then.
TEST(timestamps, of_a_record_go_on_when_the_mode_changes) {
    for (const std::uint32_t before : {1u, 2u}) {
        scenario_options o;
        o.settings.tcp_timestamps = before;
        checked_scenario s{o};
        remote& r = s.make_time_wait({.timestamps = true});
        const std::uint32_t last = r.last().tcp.options.tsval;
        for (const std::uint32_t after : {0u, 1u, 2u}) {
            auto changed = s.core().settings();
            changed.tcp_timestamps = after;
            s.core().apply_settings(changed);
            r.heard();
            r.send(seg("F.").seq(1));
            ASSERT_EQ(r.heard_segments().size(), 1u) << before << " " << after;
            EXPECT_EQ(r.last().tcp.options.tsval, last) << before << " " << after;
        }
    }
}

TEST(timestamps, of_a_record_have_no_offset_of_others_that_wait_with_it) {
    scenario_options o;
    o.settings.tcp_timestamps = 2;
    checked_scenario s{o};
    for (int i = 1; i < 30; ++i) {  // more lengths than there are lanes
        remote& r = s.make_established({.timestamps = false});
        ASSERT_TRUE(s.calls().set_linger2(r.id, 60 + i));
        s.close(r.id);
        r.send(seg("."));
    }
    remote& r = s.make_time_wait({.timestamps = true});
    const std::uint32_t last = r.last().tcp.options.tsval;
    r.heard();
    r.send(seg("F.").seq(1));
    ASSERT_EQ(r.heard_segments().size(), 1u);
    EXPECT_EQ(r.last().tcp.options.tsval, last);
}

TEST(timestamps, sack_blocks_find_room_beside_them) {
    checked_scenario s;
    remote& r = s.make_established(stamped());
    for (const int at : {10, 20, 30, 40}) {
        r.heard();
        r.send(seg("P.").seq(at).text("abc"));
    }
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1 sack 40:43 sack 30:33 sack 20:23");
}

TEST(timestamps, take_12_octets_from_the_mss) {
    checked_scenario s;
    remote& r = s.make_established(stamped());
    s.send(r.id, octets(3000));
    EXPECT_EQ(r.heard(), ". 1:1449(1448) ack 1; . 1449:2897(1448) ack 1; P. 2897:3001(104) ack 1");
}

// R72: a tick has wrapped by then.
TEST(timestamps, a_remembered_one_proves_nothing_after_55_days_either) {
    checked_scenario s;
    peer_options with_timestamps;
    with_timestamps.timestamps = true;
    remote& r = s.make_established(with_timestamps);
    r.send(seg("P.").text("x"));
    r.heard();
    s.receive(r.id);
    const std::uint32_t last = r.last().tcp.options.tsecr;
    s.advance(std::chrono::hours(24 * 55));
    r.send(seg("P.").text("y").ts(last - 1000, r.last().tcp.options.tsval));
    EXPECT_EQ(s.receive(r.id), "y");
    EXPECT_EQ(s.count(counter::paws_estab), 0u);
}

}  // namespace
}  // namespace lastack::test
