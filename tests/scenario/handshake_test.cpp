// SPDX-License-Identifier: BSD-3-Clause
// How connections begin (RFC 9293 3.5, 3.10.7.2, 3.10.7.3), and the RSTs that keep them from it.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

TEST(handshake, passive_open_goes_through_syn_received_to_established) {
    checked_scenario s;
    remote& r = s.new_remote();
    r.send(seg("S"));
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
    EXPECT_EQ(s.in_state(state::syn_received), 1u);
    EXPECT_EQ(s.tcp().connections(), 0u);
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.events(r.id), "opened");
    EXPECT_EQ(s.state_of(r.id), state::established);
    EXPECT_EQ(s.tcp().syn_records(), 0u);
}

TEST(handshake, syn_ack_answers_each_option_that_was_offered) {
    checked_scenario s;
    peer_options o;
    o.timestamps = true;
    remote& r = s.new_remote(o);
    r.send(seg("S").ts(777));
    ASSERT_EQ(r.heard(), "S. 0:1(0) ack 1");
    const auto& h = r.last();
    EXPECT_EQ(h.tcp.options.mss, 1460);
    EXPECT_TRUE(h.tcp.options.sack_permitted);
    EXPECT_TRUE(h.tcp.options.has_wscale);
    EXPECT_EQ(h.tcp.options.wscale, 7);
    EXPECT_TRUE(h.tcp.options.has_timestamps);
    EXPECT_EQ(h.tcp.options.tsecr, 777u);
    EXPECT_EQ(h.tcp.window, 65535);
    EXPECT_EQ(h.ip.ttl, 64);
    EXPECT_TRUE(h.ip.dont_fragment);
}

TEST(handshake, syn_ack_holds_no_option_that_was_not_offered) {
    checked_scenario s;
    peer_options o;
    o.sack = false;
    o.wscale = -1;
    o.mss = 0;
    remote& r = s.new_remote(o);
    r.send(seg("S"));
    const auto& h = r.last();
    EXPECT_EQ(h.tcp.options.mss, 1460);
    EXPECT_FALSE(h.tcp.options.sack_permitted);
    EXPECT_FALSE(h.tcp.options.has_wscale);
    EXPECT_FALSE(h.tcp.options.has_timestamps);
    r.send(seg("."));
    r.heard();
    s.send(r.id, octets(1000));
    EXPECT_EQ(r.heard(), ". 1:537(536) ack 1; P. 537:1001(464) ack 1");  // RFC 9293 3.7.1
}

TEST(handshake, data_with_the_third_segment_is_received) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    r.send(seg("P.").text("hello"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 6");
    EXPECT_EQ(s.events(r.id), "opened readable");
    EXPECT_EQ(s.receive(r.id), "hello");
}

// R17
TEST(handshake, fin_with_the_third_segment_leads_to_close_wait) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 2");
    EXPECT_EQ(s.events(r.id), "opened peer_closed");
    EXPECT_EQ(s.state_of(r.id), state::close_wait);
}

TEST(handshake, repeated_syn_gets_the_same_syn_ack) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    r.send(seg("S").seq(0));
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
}

TEST(handshake, lost_third_segment_is_repaired_by_the_first_data) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    s.advance(1500ms);
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
    r.send(seg("P.").text("x"));
    EXPECT_EQ(s.state_of(r.id), state::established);
}

// R38
TEST(handshake, exact_rst_in_syn_received_goes_back_to_listen_silently) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    r.send(seg("R"));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.tcp().syn_records(), 0u);
    EXPECT_EQ(s.count(counter::embryonic_rsts), 1u);
    s.advance(10s);
    EXPECT_EQ(r.heard(), "");
    remote& again = s.make_established();
    EXPECT_EQ(s.state_of(again.id), state::established);
}

// R38
TEST(handshake, rst_outside_the_window_leaves_syn_received_alone) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    r.send(seg("R").seq(-5000));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.tcp().syn_records(), 1u);
}

// R38
TEST(handshake, exact_rst_after_a_simultaneous_open_refuses_the_connection) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.heard();
    r.send(seg("S"));
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
    r.send(seg("R"));
    EXPECT_EQ(s.events(r.id), "ended:refused");
    EXPECT_EQ(s.calls().receive(r.id).error(), call_error::connection_refused);
}

// R39
TEST(handshake, unacceptable_ack_in_syn_received_is_reset_with_its_own_number) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    r.send(seg(".").ack(77));
    EXPECT_EQ(r.heard(), "R 77:77(0)");
    EXPECT_EQ(s.tcp().syn_records(), 1u);
    r.send(seg("."));
    EXPECT_EQ(s.state_of(r.id), state::established);
}

// R40
TEST(handshake, listener_ignores_rst_resets_ack_and_syn_ack_and_drops_syn_fin) {
    checked_scenario s;
    remote& r = s.new_remote();
    r.send(seg("R").seq(5));
    EXPECT_EQ(r.heard(), "");
    r.send(seg(".").seq(5).ack(9));
    EXPECT_EQ(r.heard(), "R 9:9(0)");
    r.send(seg("S.").seq(5).ack(9));
    EXPECT_EQ(r.heard(), "R 9:9(0)");
    r.send(seg("SF").seq(5));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::syn_fin), 1u);
    EXPECT_EQ(s.tcp().syn_records(), 0u);
}

// R27
TEST(handshake, closed_port_resets_everything_but_a_rst) {
    checked_scenario s;
    remote& r = s.new_remote({}, 9999);
    r.send(seg("S").seq(0));
    EXPECT_EQ(r.heard(), "R. 0:0(0) ack 1");
    r.send(seg("SF").seq(0).text("abc"));
    EXPECT_EQ(r.heard(), "R. 0:0(0) ack 5");
    r.send(seg("F").seq(10));
    EXPECT_EQ(r.heard(), "R. 0:0(0) ack 11");
    r.send(seg("P.").seq(1).ack(33).text("abc"));
    EXPECT_EQ(r.heard(), "R 33:33(0)");
    EXPECT_EQ(r.last().tcp.options, wire::tcp_options{});
    r.send(seg("R").seq(1));
    r.send(seg("R.").seq(1).ack(33));
    EXPECT_EQ(r.heard(), "");
}

TEST(handshake, active_open_sends_syn_and_acknowledges_the_syn_ack) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    EXPECT_EQ(r.heard(), "S 0:1(0)");
    EXPECT_EQ(r.last().tcp.window, 65535);
    EXPECT_EQ(r.last().tcp.options.mss, 1460);
    EXPECT_TRUE(r.last().tcp.options.sack_permitted);
    EXPECT_TRUE(r.last().tcp.options.has_wscale);
    EXPECT_TRUE(r.last().tcp.options.has_timestamps);
    EXPECT_EQ(r.last().tcp.options.tsecr, 0u);
    r.send(seg("S."));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1");
    EXPECT_EQ(s.events(r.id), "opened");
    EXPECT_EQ(s.send(r.id, "abc"), 3u);
    EXPECT_EQ(r.heard(), "P. 1:4(3) ack 1");
}

TEST(handshake, simultaneous_open_is_completed_by_the_syn_ack) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.heard();
    r.send(seg("S"));
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
    EXPECT_EQ(s.state_of(r.id), state::syn_received);
    r.send(seg("S.").seq(0));
    EXPECT_EQ(s.state_of(r.id), state::established);
    EXPECT_EQ(s.events(r.id), "opened");
    r.heard();
    s.send(r.id, "abc");
    EXPECT_EQ(r.heard(), "P. 1:4(3) ack 1");
}

TEST(handshake, simultaneous_open_is_completed_by_a_plain_ack) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.send(seg("S"));
    r.send(seg("."));
    EXPECT_EQ(s.state_of(r.id), state::established);
}

TEST(handshake, simultaneous_open_repeats_its_syn_ack_and_gives_up) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.send(seg("S"));
    r.heard();
    s.advance(1500ms);
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
    s.advance(200s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_connecting");
}

// R41
TEST(handshake, syn_sent_resets_an_unacceptable_ack_but_never_a_rst) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.heard();
    r.send(seg(".").seq(0).ack(55));
    EXPECT_EQ(r.heard(), "R 55:55(0)");
    r.send(seg("S.").seq(0).ack(0));
    EXPECT_EQ(r.heard(), "R 0:0(0)");
    r.send(seg("R.").seq(0).ack(55));
    r.send(seg("R").seq(0));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.state_of(r.id), state::syn_sent);
}

TEST(handshake, text_on_a_syn_or_syn_ack_is_left_to_be_sent_again) {
    checked_scenario s;
    remote& r = s.new_remote();
    r.send(seg("S").seq(0).text("early"));
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
    r.next_seq = 1;
    r.send(seg("P.").text("early"));
    EXPECT_EQ(s.receive(r.id), "early");
    remote& q = s.make_syn_sent();
    q.heard();
    q.send(seg("S.").seq(0).text("early"));
    EXPECT_EQ(q.heard(), ". 1:1(0) ack 1");
    q.next_seq = 1;
    q.send(seg("P.").text("early"));
    EXPECT_EQ(s.receive(q.id), "early");
}

// R50
TEST(handshake, syn_sent_ignores_syn_fin) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.heard();
    r.send(seg("SF.").seq(0).ack(1));
    r.send(seg("SF").seq(0));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.state_of(r.id), state::syn_sent);
}

// R41, R28
TEST(handshake, rst_with_an_acceptable_ack_refuses_the_connection) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.heard();
    r.send(seg("R.").ack(1));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.events(r.id), "ended:refused");
    EXPECT_EQ(s.calls().receive(r.id).error(), call_error::connection_refused);
    EXPECT_EQ(s.ended(close_outcome::refused), 1u);
    s.close(r.id);
}

// R65
TEST(handshake, syn_is_repeated_for_131_seconds) {
    checked_scenario s;
    remote& r = s.new_remote({}, 0);
    const instant start = s.now();
    r.id = *s.calls().connect({peer_address, r.port});
    s.advance(130s);
    EXPECT_EQ(s.events(r.id), "");
    EXPECT_EQ(times_ms(r.heard_segments(), start),
              (std::vector<std::int64_t>{0, 1000, 2000, 3000, 4000, 5000, 7000, 11000, 19000, 35000,
                                         67000}));
    s.advance(2s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_connecting");
    EXPECT_EQ(s.calls().receive(r.id).error(), call_error::timed_out);
    EXPECT_EQ(r.heard(), "");
}

// R65
TEST(handshake, syn_ack_is_repeated_five_times) {
    checked_scenario s;
    const instant start = s.now();
    remote& r = s.make_syn_received();
    s.advance(62s);
    EXPECT_EQ(times_ms(r.heard_segments(), start),
              (std::vector<std::int64_t>{1000, 3000, 7000, 15000, 31000}));
    EXPECT_EQ(s.tcp().syn_records(), 1u);
    s.advance(2s);
    EXPECT_EQ(s.tcp().syn_records(), 0u);
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "R 1:1(0)");
}

// A record's node in the wheel stays where it hangs when the record is given to another SYN, be
// that before or behind the new one's time.
TEST(handshake, a_syn_ack_is_repeated_by_its_own_time_in_a_record_used_before) {
    checked_scenario s;
    for (const auto when : {600ms, 3500ms}) {
        remote& refused = s.make_syn_received();
        s.advance(when);
        refused.send(seg("R"));
        refused.heard();
        const instant start = s.now();
        remote& r = s.make_syn_received();
        s.advance(8s);
        EXPECT_EQ(refused.heard(), "");
        EXPECT_EQ(times_ms(r.heard_segments(), start),
                  (std::vector<std::int64_t>{1000, 3000, 7000}));
        r.send(seg("R"));
    }
}

// R34
TEST(handshake, another_syn_in_syn_received_is_challenged) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    r.send(seg("S").seq(5000));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1");
    r.send(seg("."));
    EXPECT_EQ(s.state_of(r.id), state::established);
}

// R74
TEST(handshake, isn_of_a_tuple_grows_with_time) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    const seq32 first{r.irs};
    r.send(seg("R"));
    s.advance(1s);
    r.next_seq = 0;
    r.send(seg("S"));
    // RFC 6528: one step each 4 us.
    EXPECT_EQ(distance(first, seq32{r.irs}), 250000);
    remote& other = s.make_syn_received();
    EXPECT_NE(other.irs, r.irs);
}

// RFC 7323 2.2: what the SYN-ACK has told holds, whatever becomes of tcp_rmem.
TEST(handshake, keeps_the_shift_and_the_window_of_its_syn_ack) {
    for (const std::uint32_t changed_to : {64u << 20, 128u << 10}) {
        checked_scenario s;
        remote& r = s.new_remote();
        r.send(seg("S"));
        const auto syn_ack = r.heard_segments();
        ASSERT_EQ(syn_ack.size(), 1u);
        config::settings changed = s.options.settings;
        changed.tcp_rmem.max = changed_to;
        s.core().apply_settings(changed);
        r.send(seg("."));
        r.send(seg("P.").text("x"));
        s.advance(100ms);
        const std::uint32_t window = r.last().tcp.window << syn_ack[0].tcp.options.wscale;
        EXPECT_GT(window, 32768u);
        EXPECT_LT(window, 131072u);
    }
}

TEST(handshake, a_syn_ack_that_comes_again_very_often_keeps_its_distance) {
    scenario_options o;
    o.settings.tcp_synack_retries = 255;
    checked_scenario s{o};
    remote& r = s.make_syn_received();
    s.advance(4h);
    const auto heard = r.heard_segments();
    ASSERT_GT(heard.size(), 70u);
    for (std::size_t i = 9; i < heard.size(); ++i) {
        EXPECT_GE(heard[i].at.us - heard[i - 1].at.us, 119'000'000) << i;
    }
}

}  // namespace
}  // namespace lastack::test
