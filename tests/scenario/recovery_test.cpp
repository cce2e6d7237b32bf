// SPDX-License-Identifier: BSD-3-Clause
// Fast retransmit and recovery, with SACK (RFC 6675) and without (RFC 6582).
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

constexpr int mss = 1460;
std::int64_t at(int segment) {
    return 1 + std::int64_t{segment} * mss;
}

peer_options without_sack() {
    peer_options o;
    o.sack = false;
    return o;
}

TEST(recovery, three_duplicate_acks_bring_the_lost_segment_without_sack) {
    checked_scenario s;
    remote& r = s.make_established(without_sack());
    s.send(r.id, octets(10 * mss));
    r.heard();
    r.send(seg(".").ack(1));
    r.send(seg(".").ack(1));
    EXPECT_EQ(r.heard(), "");
    r.send(seg(".").ack(1));
    EXPECT_EQ(r.heard(), ". 1:1461(1460) ack 1");
    EXPECT_EQ(s.count(counter::fast_retrans), 1u);
    EXPECT_EQ(s.count(counter::reno_recovery), 1u);
    r.send(seg(".").ack(at(10)));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::timeouts), 0u);
}

TEST(recovery, a_partial_ack_brings_the_next_hole_without_sack) {
    checked_scenario s;
    remote& r = s.make_established(without_sack());
    s.send(r.id, octets(10 * mss));
    r.heard();
    for (int i = 0; i < 8; ++i) {
        r.send(seg(".").ack(1));
    }
    EXPECT_TRUE(r.heard().starts_with(". 1:1461(1460) ack 1"));
    r.send(seg(".").ack(at(4)));
    EXPECT_EQ(r.heard(), ". 5841:7301(1460) ack 1");
    r.send(seg(".").ack(at(10)));
    s.advance(100ms);
    EXPECT_EQ(r.heard(), "");
}

TEST(recovery, limited_transmit_sends_new_data_on_the_first_duplicates) {
    checked_scenario s;
    remote& r = s.make_established(without_sack());
    s.send(r.id, octets(20 * mss));
    EXPECT_EQ(r.heard_segments().size(), 10u);
    r.send(seg(".").ack(1));
    EXPECT_EQ(r.heard(), ". 14601:16061(1460) ack 1");
    r.send(seg(".").ack(1));
    EXPECT_EQ(r.heard(), ". 16061:17521(1460) ack 1");
}

TEST(recovery, sack_brings_only_what_is_missing) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, octets(10 * mss));
    r.heard();
    // Segments 0 and 5 are lost.
    r.send(seg(".").ack(1).sack(at(1), at(2)));
    r.send(seg(".").ack(1).sack(at(1), at(3)));
    EXPECT_EQ(r.heard(), "");
    r.send(seg(".").ack(1).sack(at(1), at(4)));
    EXPECT_EQ(r.heard(), ". 1:1461(1460) ack 1");
    EXPECT_EQ(s.count(counter::sack_recovery), 1u);
    r.send(seg(".").ack(1).sack(at(1), at(5)));
    r.send(seg(".").ack(1).sack(at(6), at(7)).sack(at(1), at(5)));
    r.send(seg(".").ack(1).sack(at(6), at(8)).sack(at(1), at(5)));
    r.send(seg(".").ack(1).sack(at(6), at(9)).sack(at(1), at(5)));
    EXPECT_EQ(r.heard(), ". 7301:8761(1460) ack 1");
    r.send(seg(".").ack(at(10)));
    s.advance(1s);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::timeouts), 0u);
    EXPECT_EQ(s.count(counter::tcp_retrans_segs), 2u);
    EXPECT_EQ(s.count(counter::tcp_out_segs), 1u + 10u) << "a SYN-ACK, and ten of text";
}

TEST(recovery, the_window_is_halved_once_an_episode) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, octets(10 * mss));
    for (int i = 2; i <= 4; ++i) {
        r.send(seg(".").ack(1).sack(at(1), at(i)));
    }
    const tcp::tcb* c = s.tcp().connection(r.id);
    EXPECT_EQ(c->cc.window(), 5u * mss);
    r.send(seg(".").ack(at(10)));
    s.send(r.id, octets(20 * mss));
    r.heard();
    EXPECT_EQ(c->recovery, tcp::recovery_state::open);
}

// RFC 8985 6.2: too few are sacked for RFC 6675, but time shows the loss long before the RTO does.
TEST(recovery, what_is_missing_below_a_sack_is_lost_after_a_reordering_window) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, octets(3 * mss));
    s.advance(40ms);
    r.send(seg(".").ack(at(1)));  // SRTT is measured: a little below 40 ms
    r.heard();
    r.send(seg(".").ack(at(1)).sack(at(2), at(3)));
    s.advance(1ms);
    EXPECT_EQ(r.heard(), "");
    s.advance(20ms);
    EXPECT_EQ(r.heard(), ". 1461:2921(1460) ack 1");
    EXPECT_EQ(s.count(counter::sack_recovery), 1u);
    r.send(seg(".").ack(at(3)));
    s.advance(1s);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::timeouts), 0u);
}

TEST(recovery, what_was_only_late_is_not_sent_again) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, octets(3 * mss));
    s.advance(40ms);
    r.send(seg(".").ack(at(1)));
    r.send(seg(".").ack(at(1)).sack(at(2), at(3)));
    s.advance(1ms);
    r.send(seg(".").ack(at(3)));
    r.heard();
    s.advance(1s);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::sack_recovery), 0u);
}

TEST(recovery, a_window_that_is_not_used_does_not_grow_beyond_twice_its_use) {
    checked_scenario s;
    remote& r = s.make_established();
    const tcp::tcb* c = s.tcp().connection(r.id);
    std::int64_t sent = 1;
    for (int i = 0; i < 50; ++i) {
        s.send(r.id, octets(3 * mss));
        sent += 3 * mss;
        r.send(seg(".").ack(sent));
    }
    EXPECT_EQ(c->cc.window(), 10u * mss);
    s.send(r.id, octets(8 * mss));
    sent += 8 * mss;
    r.send(seg(".").ack(sent));
    EXPECT_EQ(c->cc.window(), 18u * mss);
}

TEST(recovery, duplicate_acks_with_a_new_window_are_no_duplicates) {
    checked_scenario s;
    remote& r = s.make_established(without_sack());
    s.send(r.id, octets(4 * mss));
    r.heard();
    for (std::uint16_t w = 1; w <= 5; ++w) {
        r.send(seg(".").ack(1).window(static_cast<std::uint16_t>(60000 + w)));
    }
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::fast_retrans), 0u);
}

TEST(recovery, a_fin_in_flight_is_recovered_like_text) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, octets(5 * mss));
    s.close(r.id);
    r.heard();
    // Everything but the FIN arrived; the probe or the RTO brings it.
    r.send(seg(".").ack(at(5)));
    s.advance(2s);
    EXPECT_TRUE(r.heard().starts_with("F. 7301:7302(0) ack 1"));
    r.send(seg("."));
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
}

TEST(recovery, sack_blocks_that_lie_are_ignored) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, octets(4 * mss));
    r.heard();
    for (int i = 0; i < 5; ++i) {
        r.send(seg(".").ack(1).sack(at(3), at(9)));
        r.send(seg(".").ack(1).sack(at(2), at(2)));
        r.send(seg(".").ack(1).sack(-500, 0));
    }
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::sack_recovery), 0u);
}

}  // namespace
}  // namespace lastack::test
