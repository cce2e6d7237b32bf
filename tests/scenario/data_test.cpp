// SPDX-License-Identifier: BSD-3-Clause
// Text both ways on an open connection: what is heard, acknowledged, held back.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

TEST(data, text_is_received_in_order_and_acknowledged) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").text("hello "));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 7");
    r.send(seg("P.").text("world"));
    EXPECT_EQ(s.events(r.id), "readable readable");
    EXPECT_EQ(s.calls().unread(r.id).value(), 11u);
    EXPECT_EQ(s.receive(r.id), "hello world");
    EXPECT_EQ(s.calls().receive(r.id).error(), call_error::would_block);
}

TEST(data, a_buffer_is_received_without_a_copy) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").text(octets(1000)));
    auto got = s.calls().receive(r.id);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->size(), 1000u);
    EXPECT_EQ(frame_bytes(got->get()), octets(1000));
}

TEST(data, text_is_sent_in_segments_of_the_peers_mss) {
    checked_scenario s;
    remote& r = s.make_established();
    EXPECT_EQ(s.send(r.id, octets(3000)), 3000u);
    const auto heard = r.heard_segments();
    ASSERT_EQ(heard.size(), 3u);
    EXPECT_EQ(r.describe(heard[0]), ". 1:1461(1460) ack 1");
    EXPECT_EQ(r.describe(heard[1]), ". 1461:2921(1460) ack 1");
    EXPECT_EQ(r.describe(heard[2]), "P. 2921:3001(80) ack 1");
    EXPECT_EQ(heard[0].text + heard[1].text + heard[2].text, octets(3000));
    EXPECT_EQ(s.calls().unsent(r.id).value(), 3000u);
    r.send(seg("."));
    EXPECT_EQ(s.calls().unsent(r.id).value(), 0u);
}

TEST(data, a_port_without_multi_segment_tx_gets_whole_frames) {
    scenario_options o;
    o.link.multi_segment_tx = false;
    checked_scenario s{o};
    remote& r = s.make_established();
    s.send(r.id, octets(3000));
    std::string all;
    for (const auto& h : r.heard_segments()) {
        all += h.text;
    }
    EXPECT_EQ(all, octets(3000));
}

TEST(data, a_buffer_is_sent_without_a_copy) {
    checked_scenario s;
    remote& r = s.make_established();
    buffer b = s.calls().allocate(4000);
    ASSERT_TRUE(b);
    std::size_t at = 0;
    for (rte_mbuf* m = b.get(); m != nullptr; m = m->next) {
        const std::string piece = octets(m->data_len, at);
        std::copy(piece.begin(), piece.end(), rte_pktmbuf_mtod(m, char*));
        at += m->data_len;
    }
    EXPECT_EQ(at, 4000u);
    ASSERT_TRUE(s.calls().send(r.id, b));
    EXPECT_FALSE(b);
    s.turn();
    std::string all;
    for (const auto& h : r.heard_segments()) {
        all += h.text;
    }
    EXPECT_EQ(all, octets(4000));
    r.send(seg("."));
}

TEST(data, initial_window_is_ten_segments) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, octets(20 * 1460));
    EXPECT_EQ(r.heard_segments().size(), 10u);
    // Slow start: two more for each that is acknowledged.
    r.send(seg(".").ack(1 + 1460));
    EXPECT_EQ(r.heard(), ". 14601:16061(1460) ack 1; P. 16061:17521(1460) ack 1");
    r.send(seg("."));
    r.heard();
    r.send(seg("."));
}

TEST(data, slow_start_counts_all_that_one_ack_covers) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, octets(40 * 1460));
    EXPECT_EQ(r.heard_segments().size(), 10u);
    r.send(seg("."));
    EXPECT_EQ(r.heard_segments().size(), 20u);
    r.send(seg("."));
    EXPECT_EQ(r.heard_segments().size(), 10u);
    r.send(seg("."));
}

TEST(data, nagle_holds_a_short_segment_while_another_is_out) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, "a");
    EXPECT_EQ(r.heard(), "P. 1:2(1) ack 1");
    s.send(r.id, "b");
    s.send(r.id, "c");
    EXPECT_EQ(r.heard(), "");
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "P. 2:4(2) ack 1");
}

TEST(data, no_delay_turns_nagle_off) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_no_delay(r.id, true));
    s.send(r.id, "a");
    s.send(r.id, "b");
    EXPECT_EQ(r.heard(), "P. 1:2(1) ack 1; P. 2:3(1) ack 1");
}

TEST(data, cork_holds_a_short_segment_until_it_is_pulled) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_cork(r.id, true));
    s.send(r.id, octets(1500));
    EXPECT_EQ(r.heard(), ". 1:1461(1460) ack 1");
    ASSERT_TRUE(s.calls().set_cork(r.id, false));
    s.turn();
    EXPECT_EQ(r.heard(), "P. 1461:1501(40) ack 1");
}

TEST(data, cork_holds_for_an_rto_of_200_ms_at_least) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_cork(r.id, true));
    s.send(r.id, "a");
    s.advance(199ms);
    EXPECT_EQ(r.heard(), "");
    s.advance(2ms);
    EXPECT_EQ(r.heard(), "P. 1:2(1) ack 1");
}

TEST(data, no_delay_sends_what_a_cork_held_once) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_cork(r.id, true));
    s.send(r.id, "a");
    ASSERT_TRUE(s.calls().set_no_delay(r.id, true));
    s.turn();
    EXPECT_EQ(r.heard(), "P. 1:2(1) ack 1");
    s.send(r.id, "b");
    EXPECT_EQ(r.heard(), "");
}

TEST(data, close_sends_what_a_cork_held) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_cork(r.id, true));
    s.send(r.id, "abc");
    s.close(r.id);
    EXPECT_EQ(r.heard(), "FP. 1:5(3) ack 1");
}

TEST(data, ack_is_delayed_once_the_quick_ones_are_used_up) {
    checked_scenario s;
    remote& r = s.make_established();
    for (int i = 0; i < 20; ++i) {
        r.send(seg("P.").text("x"));
        s.advance(50ms);
    }
    s.receive(r.id);
    r.heard();
    r.send(seg("P.").text("y"));
    EXPECT_EQ(r.heard(), "");
    s.advance(39ms);
    EXPECT_EQ(r.heard(), "");
    s.advance(1ms);
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 22");
    // RFC 5681 4.2: every second segment is acknowledged at once.
    r.send(seg("P.").text("y"));
    EXPECT_EQ(r.heard(), "");
    r.send(seg("P.").text("y"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 24");
}

TEST(data, ack_rides_on_the_answer) {
    checked_scenario s;
    remote& r = s.make_established();
    s.on_event = [&s](const event& e) {
        if ((e.what & event_bits::readable) != 0) {
            std::array<std::byte, 100> text;
            const auto n = s.calls().receive(e.conn, text);
            ASSERT_TRUE(n);
            ASSERT_TRUE(s.calls().send(e.conn, std::span{text}.first(*n)));
        }
    };
    r.send(seg("P.").text("ping"));
    EXPECT_EQ(r.heard(), "P. 1:5(4) ack 5");
    s.on_event = nullptr;
}

TEST(data, out_of_order_text_is_sacked_and_delivered_in_order) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").seq(4).text("def"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1 sack 4:7");
    r.send(seg("P.").seq(10).text("jkl"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1 sack 10:13 sack 4:7");
    r.send(seg("P.").seq(7).text("ghi"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1 sack 4:13");
    EXPECT_EQ(s.events(r.id), "");
    r.send(seg("P.").seq(1).text("abc"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 13");
    EXPECT_EQ(s.receive(r.id), "abcdefghijkl");
}

TEST(data, overlapping_text_is_delivered_once) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").seq(3).text("cdef"));
    r.send(seg("P.").seq(5).text("efgh"));
    r.send(seg("P.").seq(2).text("bcd"));
    r.send(seg("P.").seq(1).text("abcdefghij"));
    EXPECT_EQ(s.receive(r.id), "abcdefghij");
    r.heard();
    r.send(seg("P.").seq(8).text("hijkl"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 13");
    EXPECT_EQ(s.receive(r.id), "kl");
}

TEST(data, without_sack_gaps_get_plain_duplicate_acks) {
    checked_scenario s;
    peer_options o;
    o.sack = false;
    remote& r = s.make_established(o);
    r.send(seg("P.").seq(4).text("def"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1");
    r.send(seg("P.").seq(1).text("abc"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 7");
}

// R37
TEST(data, old_text_is_acknowledged_each_time_but_a_pure_ack_only_twice_a_second) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").text("abc"));
    r.heard();
    for (int i = 0; i < 3; ++i) {
        r.send(seg("P.").seq(1).text("abc"));
        EXPECT_EQ(r.heard(), ". 1:1(0) ack 4");
    }
    r.send(seg(".").seq(-100));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 4");
    r.send(seg(".").seq(-100));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::ack_skipped_seq), 1u);
    s.advance(500ms);
    r.send(seg(".").seq(-100));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 4");
}

TEST(data, a_second_cork_has_a_time_of_its_own) {
    checked_scenario s;
    remote& r = s.make_established();
    r.heard();
    ASSERT_TRUE(s.calls().set_cork(r.id, true));
    s.send(r.id, "abc");
    EXPECT_EQ(r.heard(), "");
    s.advance(20ms);
    ASSERT_TRUE(s.calls().set_cork(r.id, false));
    s.turn();
    EXPECT_EQ(r.heard(), "P. 1:4(3) ack 1");
    r.send(seg("."));
    s.advance(150ms);
    ASSERT_TRUE(s.calls().set_cork(r.id, true));
    s.send(r.id, "def");
    const auto written = s.now();
    s.advance(1s);
    const auto heard = r.heard_segments();
    ASSERT_FALSE(heard.empty());
    EXPECT_GE(heard[0].at.us - written.us, 200'000);
}

}  // namespace
}  // namespace lastack::test
