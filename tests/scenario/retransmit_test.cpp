// SPDX-License-Identifier: BSD-3-Clause
// Retransmission by time, probes, and giving up: R24, R62, R65, R66.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

scenario_options without_probe() {
    scenario_options o;
    o.settings.tcp_early_retrans = 0;
    return o;
}

// R24
TEST(retransmit, rto_doubles_from_200_ms_to_120_s_and_gives_up_after_924_6_s) {
    checked_scenario s{without_probe()};
    remote& r = s.make_established();
    const instant start = s.now();
    s.send(r.id, "abc");
    s.advance(900s);
    const auto heard = r.heard_segments();
    const auto times = times_ms(heard, start);
    ASSERT_GE(times.size(), 12u);
    // The round trip of the handshake took no time, so RTO is 200 ms and what srtt rounds up to.
    std::int64_t gap = times[1];
    EXPECT_NEAR(static_cast<double>(gap), 200, 2);
    for (std::size_t i = 2; i < times.size(); ++i) {
        gap = std::min<std::int64_t>(2 * gap, 120000);
        EXPECT_NEAR(static_cast<double>(times[i] - times[i - 1]), static_cast<double>(gap), 600);
        EXPECT_EQ(r.describe(heard[i]), "P. 1:4(3) ack 1");
    }
    EXPECT_EQ(s.state_of(r.id), state::established);
    s.advance(200s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_retransmit");
    EXPECT_EQ(r.heard().find('R'), std::string::npos);  // R65: no RST
    EXPECT_EQ(s.calls().send(r.id, std::as_bytes(std::span{"x", 1})).error(),
              call_error::timed_out);
}

// A tcb's node in the wheel stays where it hangs when the tcb is given to another connection:
// nothing of the last one's time may be left, be it earlier or later.
TEST(retransmit, a_tcb_used_before_has_no_time_of_its_last_connection) {
    checked_scenario s{without_probe()};
    remote& quick = s.make_established();
    s.send(quick.id, "abc");  // due in 200 ms
    s.abort(quick.id);
    s.advance(100ms);
    remote& slow = s.make_established();
    s.advance(1s);
    EXPECT_EQ(slow.heard(), "");
    ASSERT_TRUE(s.calls().set_keepalive(slow.id, {true, 2h, 0s, 0}));
    s.abort(slow.id);
    remote& next = s.make_established();
    const instant start = s.now();
    s.send(next.id, "abc");
    s.advance(500ms);
    const auto times = times_ms(next.heard_segments(), start);
    ASSERT_EQ(times.size(), 2u);
    EXPECT_NEAR(static_cast<double>(times[1]), 200, 2);
}

// R65
TEST(retransmit, the_limit_is_by_time_and_not_before_924_6_s) {
    checked_scenario s{without_probe()};
    remote& r = s.make_established();
    s.send(r.id, "abc");
    s.advance(924s);
    EXPECT_EQ(s.events(r.id), "");
    s.advance(121s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_retransmit");
}

// R65
TEST(retransmit, tcp_retries2_is_a_setting) {
    scenario_options o = without_probe();
    o.settings.tcp_retries2 = 3;  // 0.2 + 0.4 + 0.8 + 1.6
    checked_scenario s{o};
    remote& r = s.make_established();
    s.send(r.id, "abc");
    s.advance(2900ms);
    EXPECT_EQ(s.events(r.id), "");
    s.advance(400ms);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_retransmit");
}

TEST(retransmit, an_ack_ends_the_series) {
    checked_scenario s{without_probe()};
    remote& r = s.make_established();
    s.send(r.id, "abc");
    s.advance(1s);
    r.heard();
    r.send(seg("."));
    s.advance(100s);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.state_of(r.id), state::established);
}

TEST(retransmit, after_a_timeout_all_that_was_in_flight_goes_again) {
    checked_scenario s{without_probe()};
    remote& r = s.make_established();
    s.send(r.id, octets(4 * 1460));
    r.heard();
    s.advance(250ms);
    EXPECT_EQ(r.heard(), ". 1:1461(1460) ack 1");
    r.send(seg(".").ack(1461));
    EXPECT_EQ(r.heard(), ". 1461:2921(1460) ack 1; . 2921:4381(1460) ack 1");
    r.send(seg(".").ack(4381));
    EXPECT_EQ(r.heard(), "P. 4381:5841(1460) ack 1");
    r.send(seg(".").ack(5841));
    s.advance(10s);
    EXPECT_EQ(r.heard(), "");
}

TEST(retransmit, tail_loss_is_probed_before_the_rto) {
    checked_scenario s;
    peer_options o;
    o.timestamps = true;
    remote& r = s.make_established(o);
    // Make the round trip 100 ms.
    for (int i = 0; i < 20; ++i) {
        s.send(r.id, "x");
        s.advance(100ms);
        r.send(seg("."));
    }
    r.heard();
    const instant start = s.now();
    s.send(r.id, octets(3 * 1448));
    s.advance(260ms);
    const auto heard = r.heard_segments();
    ASSERT_EQ(heard.size(), 4u);
    EXPECT_EQ(heard[3].tcp.seq, heard[2].tcp.seq);  // the last segment again
    const auto at = times_ms(heard, start)[3];
    EXPECT_GE(at, 180);  // two smoothed round trips
    EXPECT_LT(at, 230);
    EXPECT_EQ(s.count(counter::loss_probes), 1u);
    EXPECT_EQ(s.count(counter::timeouts), 0u);
}

TEST(retransmit, after_tcp_retries1_the_next_hop_is_asked_for_anew) {  // R65
    auto o = without_probe();
    o.settings.tcp_retries1 = 5;  // as long as 12.6 s
    checked_scenario s{o};
    remote& r = s.make_established();
    s.advance(1s);
    s.heard_arp();
    s.send(r.id, "abc");
    s.advance(11s);
    EXPECT_TRUE(s.heard_arp().empty());
    s.advance(15s);
    EXPECT_FALSE(s.heard_arp().empty());
}

// R66
TEST(retransmit, user_timeout_aborts_on_time) {
    checked_scenario s{without_probe()};
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_user_timeout(r.id, 3s));
    s.send(r.id, "abc");
    s.advance(2900ms);
    EXPECT_EQ(s.events(r.id), "");
    s.advance(200ms);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_user");
}

// R66
TEST(retransmit, user_timeout_governs_an_orphan_too) {
    checked_scenario s{without_probe()};
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_user_timeout(r.id, 1s));
    s.close(r.id);
    s.advance(1100ms);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_user");
}

TEST(retransmit, after_a_lost_syn_the_window_starts_from_one_segment) {
    checked_scenario s{without_probe()};
    remote& r = s.make_syn_sent();
    s.advance(1500ms);
    r.heard();
    r.send(seg("S."));
    r.heard();
    s.send(r.id, octets(5 * 1460));
    EXPECT_EQ(r.heard_segments().size(), 1u);  // RFC 5681 3.1
}

// RFC 6298 5.7
TEST(retransmit, after_a_lost_syn_or_syn_ack_the_first_timeout_of_text_is_three_seconds) {
    for (const bool ours : {true, false}) {
        checked_scenario s;
        remote& r = ours ? s.make_syn_sent() : s.make_syn_received();
        s.advance(1500ms);
        r.heard();
        r.send(seg(ours ? "S." : "."));
        const auto sent = s.now();
        s.send(r.id, "abc");
        r.heard();
        s.advance(10s);
        const auto again = r.heard_segments();
        ASSERT_FALSE(again.empty());
        EXPECT_EQ(again[0].at.us - sent.us, 3'000'000);
    }
}

// RFC 5681 3.1, of which RFC 6928 spares those whose SYN-ACK was lost once.
TEST(retransmit, after_two_lost_syn_acks_one_segment_goes_first) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    s.advance(4s);
    r.heard();
    r.send(seg("."));
    s.send(r.id, octets(14600));
    EXPECT_EQ(r.heard_segments().size(), 1u);
}

}  // namespace
}  // namespace lastack::test
