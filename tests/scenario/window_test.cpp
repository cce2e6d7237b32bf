// SPDX-License-Identifier: BSD-3-Clause
// Flow control: closed windows and their probes, slow readers, scaling.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

TEST(window, nothing_goes_beyond_the_peers_window) {
    checked_scenario s;
    peer_options o;
    o.wscale = -1;
    o.window = 3000;
    remote& r = s.make_established(o);
    s.send(r.id, octets(10000));
    std::uint32_t sent = 0;
    for (const auto& h : r.heard_segments()) {
        sent += h.tcp.payload_length;
    }
    EXPECT_LE(sent, 3000u);
    EXPECT_GE(sent, 2920u);
}

TEST(window, the_peers_window_is_scaled_but_not_that_of_its_syn) {
    checked_scenario s;
    peer_options o;
    o.wscale = 7;
    o.window = 100;
    remote& r = s.make_syn_received(o);
    r.send(seg("."));
    EXPECT_EQ(s.tcp().connection(r.id)->snd_wnd, 12800u);
}

TEST(window, a_closed_window_is_probed_with_back_off_for_as_long_as_the_peer_answers) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg(".").window(0));
    const instant start = s.now();
    s.send(r.id, "abc");
    EXPECT_EQ(r.heard(), "");
    s.advance(3s);
    auto heard = r.heard_segments();
    ASSERT_GE(heard.size(), 3u);
    for (const auto& h : heard) {
        EXPECT_EQ(r.describe(h), ". 0:0(0) ack 1");  // SND.UNA - 1
    }
    const auto times = times_ms(heard, start);
    EXPECT_NEAR(static_cast<double>(times[0]), 201, 2);
    EXPECT_NEAR(static_cast<double>(times[1] - times[0]), 402, 3);
    for (int i = 0; i < 100; ++i) {
        s.advance(120s);
        r.send(seg(".").window(0));
    }
    EXPECT_EQ(s.state_of(r.id), state::established);
    r.heard();
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "P. 1:4(3) ack 1");
}

// R65
TEST(window, unanswered_probes_end_the_connection) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg(".").window(0));
    s.send(r.id, "abc");
    s.advance(2000s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_probe");
}

// R62
TEST(window, unanswered_probes_of_an_orphan_end_it_sooner) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg(".").window(0));
    s.send(r.id, "abc");
    s.close(r.id);
    s.advance(300s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_orphan");
}

// Answers each probe with the window still shut, for as long as it comes.
void answer_probes(scenario& s, remote& r, seconds how_long) {
    for (seconds gone{0}; gone < how_long; gone += 1s) {
        s.advance(1s);
        if (r.heard() != "") {
            r.send(seg(".").window(0));
        }
    }
}

TEST(window, answered_probes_keep_the_connection_for_ever) {  // R65
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg(".").window(0));
    s.send(r.id, "abc");
    answer_probes(s, r, 2h);
    EXPECT_EQ(s.events(r.id), "");
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "P. 1:4(3) ack 1");
}

TEST(window, user_timeout_ends_a_connection_whose_probes_are_answered) {  // R66
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_user_timeout(r.id, 10s));
    r.send(seg(".").window(0));
    s.send(r.id, "abc");
    answer_probes(s, r, 10s);
    EXPECT_EQ(s.events(r.id), "");
    answer_probes(s, r, 1s);  // on time, not when the next probe would be due
    EXPECT_EQ(s.events(r.id), "ended:timed_out_user");
}

TEST(window, user_timeout_begins_anew_each_time_the_window_has_been_open) {  // R66
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_user_timeout(r.id, 10s));
    for (int i = 0; i < 5; ++i) {
        r.send(seg(".").window(0));
        s.send(r.id, "abc");
        answer_probes(s, r, 8s);
        r.send(seg("."));
        r.heard();
        r.send(seg("."));
        ASSERT_EQ(s.events(r.id), "") << i;
    }
}

TEST(window,
     an_orphan_whose_probes_are_answered_ends_when_the_rto_has_reached_its_maximum) {  // R62
    scenario_options o;
    o.settings.tcp_rto_max_ms = 8000;
    checked_scenario s(o);
    remote& r = s.make_established();
    r.send(seg(".").window(0));
    s.send(r.id, "abc");
    s.close(r.id);
    answer_probes(s, r, 10s);
    EXPECT_EQ(s.events(r.id), "");
    answer_probes(s, r, 20s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_orphan");
}

TEST(window, user_timeout_governs_the_probes_of_an_orphan_too) {  // R62, R66
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_user_timeout(r.id, 3s));
    r.send(seg(".").window(0));
    s.send(r.id, "abc");
    s.close(r.id);
    answer_probes(s, r, 4s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_user");
}

TEST(window, shrunk_over_text_under_way_does_not_end_a_connection_that_answers) {  // R65
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, "abc");
    r.send(seg(".").ack(1).window(0));
    for (int i = 0; i < 3600; ++i) {
        s.advance(2s);
        if (r.heard() != "") {
            r.send(seg(".").ack(1).window(0));
        }
    }
    EXPECT_EQ(s.events(r.id), "");
    s.advance(1000s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_probe");
}

TEST(window, fin_waits_for_a_closed_window_and_is_probed_for) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg(".").window(0));
    s.close(r.id);
    EXPECT_EQ(r.heard(), "");
    s.advance(300ms);
    EXPECT_EQ(r.heard(), ". 0:0(0) ack 1");
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
}

TEST(window, a_slow_reader_closes_it_and_reading_opens_it_again) {
    checked_scenario s;
    remote& r = s.make_established();
    std::uint32_t sent = 0;
    std::uint32_t edge = 65536;
    while (sent + 1461 <= edge && sent < 1000000) {
        r.send(seg(".").text(octets(1460, sent)));
        sent += 1460;
        for (const auto& h : r.heard_segments()) {
            edge = h.tcp.ack.raw - r.iss + (std::uint32_t{h.tcp.window} << 7);
        }
    }
    EXPECT_LE(sent, 140000u);
    EXPECT_GE(sent, 60000u);
    EXPECT_EQ(s.calls().unread(r.id).value(), sent);
    EXPECT_EQ(s.receive(r.id), octets(sent));
    const auto heard = r.heard_segments();
    ASSERT_FALSE(heard.empty());
    EXPECT_GT(std::uint32_t{heard.back().tcp.window} << 7, 30000u);
}

TEST(window, text_beyond_it_is_cut_off_and_acknowledged_at_the_edge) {
    checked_scenario s;
    peer_options o;
    o.wscale = -1;
    remote& r = s.make_established(o);
    while (r.next_seq < 65000) {
        r.send(seg(".").text(octets(1000)));
    }
    r.heard();
    r.send(seg(".").text(octets(1400)));
    const auto& h = r.last();
    // Everything up to the edge that was promised, and no more.
    EXPECT_EQ(h.tcp.ack.raw - r.iss + h.tcp.window, 65536u);
}

// R17
TEST(window, a_fin_beyond_the_edge_is_not_taken) {
    checked_scenario s;
    peer_options o;
    o.wscale = -1;
    remote& r = s.make_established(o);
    while (r.next_seq + 1000 <= 65536) {
        r.send(seg(".").text(octets(1000)));
    }
    r.send(seg("F.").text(octets(65536 - r.next_seq)));
    EXPECT_EQ(s.state_of(r.id), state::established);
    EXPECT_EQ(r.last().tcp.ack.raw - r.iss, 65536u);
    EXPECT_EQ(s.receive(r.id).size(), 65535u);
    r.heard();
    r.send(seg("F.").seq(65536));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 65537");
    EXPECT_EQ(s.state_of(r.id), state::close_wait);
}

TEST(window, a_zero_window_probe_is_answered) {
    checked_scenario s;
    peer_options o;
    o.wscale = -1;
    remote& r = s.make_established(o);
    while (r.next_seq + 1000 <= 65536) {
        r.send(seg(".").text(octets(1000)));
    }
    r.send(seg(".").text(octets(65536 - r.next_seq)));
    EXPECT_EQ(r.last().tcp.window, 0);
    r.heard();
    r.send(seg(".").seq(r.next_seq).text("x"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 65536");
    r.send(seg(".").seq(r.next_seq - 1));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 65536");
}

TEST(window, it_grows_with_a_reader_that_keeps_up) {
    checked_scenario s;
    remote& r = s.make_established();
    for (int i = 0; i < 400; ++i) {
        r.send(seg(".").text(octets(1460)));
        s.receive(r.id);
    }
    EXPECT_GT(std::uint32_t{r.last().tcp.window} << 7, 100000u);
}

TEST(window, it_is_never_taken_back) {
    checked_scenario s;
    remote& r = s.make_established();
    std::uint32_t edge = 0;
    for (int i = 0; i < 300; ++i) {
        r.send(seg(".").text(octets(i % 7 == 0 ? 1 : 400)));
        if (i % 13 == 0) {
            s.receive(r.id);
        }
        for (const auto& h : r.heard_segments()) {
            const std::uint32_t to = h.tcp.ack.raw - r.iss + (std::uint32_t{h.tcp.window} << 7);
            EXPECT_GE(to + 128, edge);  // a scaled window is rounded down
            edge = std::max(edge, to);
        }
    }
}

// RFC 9293 3.8.6.2.2
TEST(window, a_buffer_of_less_than_four_segments_is_announced_when_it_is_read) {
    scenario_options o;
    o.listening.connections.receive_memory = 4608;
    checked_scenario s{o};
    remote& r = s.make_established();
    for (int i = 0; i < 4; ++i) {
        r.send(seg("P.").text(octets(576)));
        s.advance(100ms);
    }
    EXPECT_EQ(r.last().tcp.window, 0u);
    r.heard();
    s.receive(r.id);
    EXPECT_EQ(r.heard_segments().size(), 1u);
    EXPECT_GT(r.last().tcp.window, 0u);
}

TEST(window, what_it_promises_is_taken_in_small_segments_too) {
    scenario_options o;
    o.pools.data = 4096;
    checked_scenario s{o};
    peer_options small;
    small.mss = 536;
    remote& r = s.make_established(small);
    const auto edge = [&] {
        return r.last().tcp.ack.raw - r.iss + (std::uint32_t{r.last().tcp.window} << 7);
    };
    r.send(seg(".").text(octets(524)));
    s.advance(100ms);
    for (int i = 0; i < 400 && r.next_seq + 524 <= edge(); ++i) {
        r.send(seg(".").text(octets(524)));
    }
    s.advance(100ms);
    EXPECT_EQ(s.count(counter::rcv_q_drop), 0u);
}

}  // namespace
}  // namespace lastack::test
