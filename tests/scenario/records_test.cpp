// SPDX-License-Identifier: BSD-3-Clause
// What send() is told beside the octets, and where PSH stands.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

constexpr send_options more{.more = true};
constexpr send_options end_of_record{.end_of_record = true};

void send(scenario& s, const remote& r, const std::string& text, send_options o) {
    const auto sent = s.calls().send(r.id, std::as_bytes(std::span(text)), o);
    ASSERT_TRUE(sent);
    EXPECT_EQ(*sent, text.size());
    s.turn();
}

peer_options mss_1000() {
    peer_options o;
    o.mss = 1000;
    return o;
}

TEST(more, a_short_rest_waits_for_the_call_that_continues) {
    checked_scenario s;
    remote& r = s.make_established(mss_1000());
    ASSERT_TRUE(s.calls().set_no_delay(r.id, true));
    send(s, r, octets(100), more);
    send(s, r, octets(1100), more);
    EXPECT_EQ(r.heard(), ". 1:1001(1000) ack 1");
    send(s, r, octets(10), {});
    EXPECT_EQ(r.heard(), "P. 1001:1211(210) ack 1");
}

TEST(more, an_ack_releases_the_rest_without_psh) {
    checked_scenario s;
    remote& r = s.make_established(mss_1000());
    send(s, r, octets(1100), more);
    EXPECT_EQ(r.heard(), ". 1:1001(1000) ack 1");
    r.send(seg("."));
    EXPECT_EQ(r.heard(), ". 1001:1101(100) ack 1");
}

TEST(more, the_rest_goes_out_after_an_rto) {
    checked_scenario s;
    remote& r = s.make_established(mss_1000());
    send(s, r, octets(40), more);
    s.advance(199ms);
    EXPECT_EQ(r.heard(), "");
    s.advance(2ms);
    EXPECT_EQ(r.heard(), "P. 1:41(40) ack 1");
}

TEST(more, no_delay_releases_the_rest) {
    checked_scenario s;
    remote& r = s.make_established(mss_1000());
    send(s, r, octets(40), more);
    ASSERT_TRUE(s.calls().set_no_delay(r.id, true));
    s.turn();
    EXPECT_EQ(r.heard(), ". 1:41(40) ack 1");
}

TEST(more, close_sends_the_rest) {
    checked_scenario s;
    remote& r = s.make_established(mss_1000());
    send(s, r, octets(40), more);
    s.close(r.id);
    EXPECT_EQ(r.heard(), "F. 1:42(40) ack 1");
}

TEST(records, no_segment_holds_octets_of_two) {
    checked_scenario s;
    remote& r = s.make_established(mss_1000());
    ASSERT_TRUE(s.calls().set_no_delay(r.id, true));
    const std::string text = octets(3000);
    const auto part = [&](std::size_t n, send_options o) {
        ASSERT_TRUE(s.calls().send(r.id, std::as_bytes(std::span(text).first(n)), o));
    };
    part(300, {});
    part(400, end_of_record);
    part(1200, end_of_record);
    part(500, {});
    s.turn();
    EXPECT_EQ(r.heard(),
              "P. 1:701(700) ack 1; . 701:1701(1000) ack 1; P. 1701:1901(200) ack 1; "
              "P. 1901:2401(500) ack 1");
    r.send(seg("."));
}

TEST(records, a_retransmission_keeps_them_apart) {
    checked_scenario s;
    remote& r = s.make_established(mss_1000());
    ASSERT_TRUE(s.calls().set_no_delay(r.id, true));
    for (int i = 0; i < 4; ++i) {
        send(s, r, octets(100), end_of_record);
    }
    r.heard();
    s.advance(203ms);  // the tail loss probe: the last record
    EXPECT_EQ(r.heard(), "P. 301:401(100) ack 1");
    s.advance(205ms);
    EXPECT_EQ(r.heard(), "P. 1:101(100) ack 1");
    r.send(seg(".").ack(101));
    EXPECT_TRUE(r.heard().starts_with("P. 101:201(100) ack 1"));
    r.send(seg("."));
}

TEST(records, who_has_many_unacknowledged_waits) {
    checked_scenario s;
    remote& r = s.make_established(mss_1000());
    const std::string one = "x";
    const auto bytes = std::as_bytes(std::span(one));
    for (int i = 0; i < 64; ++i) {
        ASSERT_EQ(*s.calls().send(r.id, bytes, end_of_record), 1u);
    }
    EXPECT_EQ(*s.calls().send(r.id, bytes, end_of_record), 0u);
    s.turn();
    s.events(r.id);
    for (int i = 0; i < 8; ++i) {
        r.send(seg("."));
    }
    EXPECT_EQ(s.events(r.id), "writable");
    EXPECT_EQ(*s.calls().send(r.id, bytes, end_of_record), 1u);
    s.turn();
    r.send(seg("."));
}

TEST(push, stands_at_the_end_of_a_write_and_of_each_group_of_full_segments) {
    checked_scenario s;
    remote& r = s.make_syn_received(mss_1000());
    s.advance(100ms);
    r.send(seg("."));  // a round trip of 100 ms: groups of two
    s.send(r.id, octets(4500));
    EXPECT_EQ(r.heard(),
              ". 1:1001(1000) ack 1; P. 1001:2001(1000) ack 1; . 2001:3001(1000) ack 1; "
              "P. 3001:4001(1000) ack 1; P. 4001:4501(500) ack 1");
    r.send(seg("."));
}

TEST(loss_probe, a_fin_that_was_sent_alone_is_probed_alone) {
    checked_scenario s;
    remote& r = s.make_syn_received(mss_1000());
    s.advance(10ms);
    r.send(seg("."));
    s.send(r.id, octets(3000));
    r.heard();
    s.advance(10ms);
    s.shutdown(r.id, shutdown_how::write);
    EXPECT_EQ(r.heard(), "F. 3001:3002(0) ack 1");
    // RFC 8985 7.2: two round trips after what was sent last.
    s.advance(21ms);
    EXPECT_EQ(r.heard(), "");
    s.advance(2ms);
    EXPECT_EQ(r.heard(), "F. 3001:3002(0) ack 1");
    r.send(seg("."));
}

// RFC 8985 7.4.2: the original arrived, and then the probe: nothing was lost.
TEST(loss_probe, that_was_not_needed_costs_nothing) {
    checked_scenario s;
    remote& r = s.make_syn_received(mss_1000());
    s.advance(10ms);
    r.send(seg("."));
    s.send(r.id, octets(500));
    s.advance(400ms);
    EXPECT_EQ(r.heard_segments().size(), 2u);  // and its probe
    r.send(seg("."));
    r.send(seg("."));
    s.send(r.id, octets(500));
    r.heard();
    r.send(seg("."));
    EXPECT_EQ(s.count(counter::loss_probe_recovery), 0u);
}

// R24
TEST(loss_probe, comes_at_the_latest_when_the_rto_would) {
    checked_scenario s;
    remote& r = s.make_syn_received(mss_1000());
    s.advance(100ms);
    r.send(seg("."));
    s.close(r.id);
    r.heard();
    const instant closed = s.now();
    s.advance(1500ms);
    EXPECT_EQ(times_ms(r.heard_segments(), closed), (std::vector<std::int64_t>{300, 600, 1200}));
}

}  // namespace
}  // namespace lastack::test
