// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open, the client's half (RFC 7413): cookies asked for, kept and shown, text in SYNs, and
// what the SYN-ACK makes of it.
#include <rte_mbuf.h>

#include <cstring>

#include "support/scenario_test.hpp"
#include "tcp/cookie_cache.hpp"

namespace lastack::test {
namespace {

scenario_options with_fast_open(std::uint32_t bits) {
    scenario_options o;
    o.settings.tcp_fastopen = bits;
    return o;
}

remote& open_fast(scenario& s, const peer_options& o = {}, connect_options c = {}) {
    c.fast_open = true;
    return s.make_syn_sent(o, c);
}

// From now on the stack has a cookie of the peer's, and knows its MSS.
void learn_cookie(scenario& s, const peer_options& o = {}) {
    remote& r = open_fast(s, o);
    EXPECT_EQ(r.heard(), "S 0:1(0) FO");
    r.send(seg("S.").fast_open("cookie01"));
    r.heard();
    s.abort(r.id, completion::none);
}

// A SYN with "hello" is under way.
remote& open_with_hello(scenario& s, const peer_options& o = {}) {
    learn_cookie(s);
    remote& r = open_fast(s, o);
    EXPECT_EQ(s.send(r.id, "hello"), 5u);
    EXPECT_EQ(r.heard(), "S 0:6(5) FO cookie01");
    EXPECT_EQ(r.last().text, "hello");
    return r;
}

void set_fast_open(scenario& s, std::uint32_t bits) {
    config::settings changed = s.core().settings();
    changed.tcp_fastopen = bits;
    s.core().apply_settings(changed);
}

bool syn_data(scenario& s, const remote& r) {
    const auto info = s.calls().info(r.id);
    return info && info->syn_data;
}

}  // namespace

TEST(fast_open, a_syn_asks_an_unknown_server_for_a_cookie) {
    checked_scenario s;
    remote& r = open_fast(s);
    EXPECT_EQ(r.heard(), "S 0:1(0) FO");
    EXPECT_EQ(*s.calls().syn_room(r.id), 0u);
    EXPECT_EQ(s.send(r.id, "hello"), 5u);
    EXPECT_EQ(r.heard(), "") << "text waits for the handshake";
    r.send(seg("S.").fast_open("cookie01"));
    EXPECT_EQ(r.heard(), "P. 1:6(5) ack 1");
    EXPECT_EQ(s.events(r.id), "opened");
    EXPECT_FALSE(syn_data(s, r));
    EXPECT_EQ(s.count(counter::fast_open_active), 0u);
    EXPECT_EQ(s.count(counter::fast_open_active_fail), 0u);
}

TEST(fast_open, nobody_who_does_not_ask_for_it_gets_it) {
    checked_scenario s;
    learn_cookie(s);
    remote& r = s.make_syn_sent();
    EXPECT_EQ(r.heard(), "S 0:1(0)");
    r.send(seg("S.").fast_open("unwanted"));
    s.abort(r.id);
    remote& next = open_fast(s);
    s.send(next.id, "x");
    EXPECT_EQ(next.heard(), "S 0:2(1) FO cookie01")
        << "a cookie that was not asked for is not kept";
}

TEST(fast_open, a_known_server_gets_the_first_text_with_the_syn) {
    checked_scenario s;
    remote& r = open_with_hello(s);
    EXPECT_EQ(s.state_of(r.id), state::syn_sent);
    r.send(seg("S."));
    EXPECT_EQ(r.heard(), ". 6:6(0) ack 1");
    EXPECT_EQ(s.events(r.id), "opened");
    EXPECT_TRUE(syn_data(s, r));
    EXPECT_EQ(s.count(counter::fast_open_active), 1u);
    EXPECT_EQ(*s.calls().unsent(r.id), 0u);
    s.send(r.id, "more");
    EXPECT_EQ(r.heard(), "P. 6:10(4) ack 1");
}

TEST(fast_open, what_was_written_leaves_with_the_syn_also_when_the_end_follows_at_once) {
    checked_scenario s;
    learn_cookie(s);
    const auto ends = {
        +[](scenario& at, conn_id id) { (void)at.calls().close(id); },
        +[](scenario& at, conn_id id) { (void)at.calls().abort(id); },
        +[](scenario& at, conn_id id) { (void)at.calls().shutdown(id, shutdown_how::write); }};
    for (const auto end : ends) {
        remote& r = open_fast(s);
        EXPECT_EQ(*s.calls().send(r.id, std::as_bytes(std::span(std::string_view{"hello"}))), 5u);
        end(s, r.id);
        s.turn();
        EXPECT_EQ(r.heard(), "S 0:6(5) FO cookie01");
        EXPECT_EQ(r.last().text, "hello");
        r.send(seg("S.").ack(6));
        EXPECT_EQ(r.heard(), "R 6:6(0)") << "nobody is there any more, as on Linux";
    }
}

TEST(fast_open, the_syn_waits_for_the_first_send) {
    checked_scenario s;
    learn_cookie(s);
    connect_options c;
    c.connection.keepalive.on = true;
    c.connection.no_delay = true;
    remote& r = open_fast(s, {}, c);
    EXPECT_EQ(*s.calls().syn_room(r.id), 1420u);
    s.advance(5s);
    EXPECT_EQ(r.heard(), "");
    s.send(r.id, "late");
    EXPECT_EQ(r.heard(), "S 0:5(4) FO cookie01");
    EXPECT_EQ(*s.calls().syn_room(r.id), 0u);
    s.advance(999ms);
    EXPECT_EQ(r.heard(), "") << "its timeout runs from when it was sent";
    s.advance(2ms);
    EXPECT_EQ(r.heard(), "S 0:1(0)");
}

TEST(fast_open, all_that_is_sent_in_the_turn_goes_with_the_syn) {
    checked_scenario s;
    learn_cookie(s);
    remote& r = open_fast(s);
    const auto write = [&](std::string_view text) {
        return *s.calls().send(r.id, std::as_bytes(std::span(text.data(), text.size())));
    };
    EXPECT_EQ(write("one"), 3u);
    buffer two = s.calls().allocate(3);
    std::memcpy(rte_pktmbuf_mtod(two.get(), char*), "two", 3);
    EXPECT_TRUE(s.calls().send(r.id, two));
    s.turn();
    EXPECT_EQ(r.heard(), "S 0:7(6) FO cookie01");
    EXPECT_EQ(r.last().text, "onetwo");
}

TEST(fast_open, nothing_to_send_lets_the_syn_go_alone) {
    checked_scenario s;
    learn_cookie(s);
    remote& r = open_fast(s);
    EXPECT_EQ(s.send(r.id, ""), 0u);
    EXPECT_EQ(r.heard(), "S 0:1(0) FO cookie01");
    s.send(r.id, "hello");
    r.send(seg("S.").ack(1));
    EXPECT_EQ(r.heard(), "P. 1:6(5) ack 1");
    EXPECT_FALSE(syn_data(s, r));
}

TEST(fast_open, a_syn_holds_what_the_servers_mss_and_ours_leave_beside_all_options) {
    checked_scenario s;
    peer_options small;
    small.mss = 940;
    learn_cookie(s, small);
    remote& r = open_fast(s);
    EXPECT_EQ(*s.calls().syn_room(r.id), 900u);
    s.send(r.id, octets(2000));
    EXPECT_EQ(r.heard(), "S 0:901(900) FO cookie01");
    r.send(seg("S."));  // with an MSS of 1460
    EXPECT_EQ(r.heard(), "P. 901:2001(1100) ack 1");
    connect_options c;
    c.connection.mss_max = 500;
    EXPECT_EQ(*s.calls().syn_room(open_fast(s, {}, c).id), 460u);
    EXPECT_EQ(*s.calls().syn_room(open_fast(s).id), 1420u) << "by the latest SYN-ACK";
}

TEST(fast_open, the_option_fits_beside_timestamps) {
    checked_scenario s;
    peer_options o;
    o.timestamps = true;
    remote& r = open_fast(s, o);
    r.send(seg("S.").fast_open("sixteen octets.."));
    s.abort(r.id);
    remote& next = open_fast(s, o);
    s.send(next.id, octets(1400));
    next.heard();
    EXPECT_EQ(next.last().fast_open, "sixteen octets..");
    EXPECT_EQ(next.last().tcp.header_length, 60);
    EXPECT_TRUE(next.last().tcp.options.has_timestamps);
    EXPECT_EQ(next.last().text, octets(1400));
    next.send(seg("S."));
    EXPECT_EQ(next.heard(), ". 1401:1401(0) ack 1");
}

TEST(fast_open, text_that_the_syn_ack_leaves_out_is_sent_at_once) {
    checked_scenario s;
    remote& none = open_with_hello(s);
    none.send(seg("S.").ack(1));
    EXPECT_EQ(none.heard(), "P. 1:6(5) ack 1");
    EXPECT_EQ(none.last().text, "hello");
    EXPECT_FALSE(syn_data(s, none));
    remote& part = open_fast(s);
    s.send(part.id, "hello");
    EXPECT_EQ(part.heard(), "S 0:6(5) FO cookie01");
    part.send(seg("S.").ack(3));
    EXPECT_EQ(part.heard(), "P. 3:6(3) ack 1");
    EXPECT_EQ(part.last().text, "llo");
    EXPECT_FALSE(syn_data(s, part));
    EXPECT_EQ(s.count(counter::fast_open_active_fail), 2u);
    EXPECT_EQ(s.count(counter::tcp_retrans_segs), 2u);
    // It is repeated like any other text.
    part.send(seg(".").ack(3));
    s.advance(3s);
    EXPECT_EQ(part.heard().substr(0, 15), "P. 3:6(3) ack 1");
    part.send(seg(".").ack(6));
    EXPECT_EQ(*s.calls().unsent(part.id), 0u);
}

TEST(fast_open, text_left_out_goes_in_segments_of_the_new_mss) {
    checked_scenario s;
    learn_cookie(s);
    peer_options small;
    small.mss = 600;
    remote& r = open_fast(s, small);
    s.send(r.id, octets(1420));
    r.heard();
    r.send(seg("S.").ack(101));
    EXPECT_EQ(r.heard(), ". 101:701(600) ack 1; . 701:1301(600) ack 1; P. 1301:1421(120) ack 1");
    // A hole in it is filled at once: it is in flight as if it had been sent for the first time.
    r.send(seg(".").ack(101).sack(701, 1421));
    s.advance(20ms);
    EXPECT_EQ(r.heard(), ". 101:701(600) ack 1");
}

TEST(fast_open, a_syn_that_comes_again_is_plain) {
    checked_scenario s;
    remote& r = open_with_hello(s);
    s.advance(1000ms);
    EXPECT_EQ(r.heard(), "S 0:1(0)");
    r.send(seg("S.").seq(0).ack(1));
    EXPECT_EQ(r.heard(), "P. 1:6(5) ack 1");
    EXPECT_EQ(s.count(counter::fast_open_active_fail), 1u);
}

TEST(fast_open, a_late_syn_ack_may_still_acknowledge_the_text) {
    checked_scenario s;
    remote& r = open_with_hello(s);
    s.advance(1000ms);
    r.heard();
    r.send(seg("S.").seq(0).ack(6));
    EXPECT_EQ(r.heard(), ". 6:6(0) ack 1");
    EXPECT_TRUE(syn_data(s, r));
}

TEST(fast_open, a_server_that_two_such_syns_did_not_reach_is_left_alone_for_a_while) {
    checked_scenario s;
    learn_cookie(s);
    for (int i = 0; i < 2; ++i) {
        remote& r = open_fast(s);
        s.send(r.id, "hello");
        s.advance(1000ms);
        EXPECT_EQ(r.heard(), "S 0:6(5) FO cookie01; S 0:1(0)") << i;
        r.send(seg("S.").seq(0).ack(1));
        s.abort(r.id);
    }
    remote& plain = open_fast(s);
    EXPECT_EQ(plain.heard(), "S 0:1(0)");
    EXPECT_EQ(*s.calls().syn_room(plain.id), 0u);
    s.abort(plain.id);
    s.advance(241s);
    remote& again = open_fast(s);
    s.send(again.id, "hello");
    EXPECT_EQ(again.heard(), "S 0:6(5) FO cookie01");
}

TEST(fast_open, an_answer_with_the_syn_ack_is_read) {
    checked_scenario s;
    remote& r = open_with_hello(s);
    r.send(seg("S.").text("and you?"));
    EXPECT_EQ(r.heard(), ". 6:6(0) ack 9");
    EXPECT_EQ(s.events(r.id), "opened readable");
    EXPECT_EQ(s.receive(r.id), "and you?");
    remote& plain = s.make_syn_sent();
    plain.heard();
    plain.send(seg("S.").text("not asked"));
    EXPECT_EQ(plain.heard(), ". 1:1(0) ack 1") << "it is left to come again";
}

TEST(fast_open, a_syn_ack_beyond_the_text_is_reset_and_changes_nothing) {
    checked_scenario s;
    remote& r = open_with_hello(s);
    r.send(seg("S.").seq(0).ack(7).fast_open("forged.."));
    EXPECT_EQ(r.heard(), "R 7:7(0)");
    EXPECT_EQ(s.state_of(r.id), state::syn_sent);
    r.send(seg("S.").seq(0).ack(6));
    EXPECT_EQ(s.state_of(r.id), state::established);
    remote& next = open_fast(s);
    s.send(next.id, "x");
    EXPECT_EQ(next.heard(), "S 0:2(1) FO cookie01");
}

TEST(fast_open, a_reset_in_syn_sent_refuses_the_connection) {
    checked_scenario s;
    remote& r = open_with_hello(s);
    r.send(seg("R.").seq(0).ack(1));
    EXPECT_EQ(s.events(r.id), "ended:refused");
    EXPECT_EQ(r.heard(), "");
}

// R03
TEST(fast_open, closing_with_nothing_written_sends_nothing) {
    checked_scenario s;
    learn_cookie(s);
    remote& r = open_fast(s);
    s.close(r.id);
    EXPECT_EQ(s.events(r.id), "ended:closed_before_open");
    s.advance(5s);
    EXPECT_EQ(r.heard(), "");
}

TEST(fast_open, a_fin_follows_the_text_of_the_syn) {
    checked_scenario s;
    remote& r = open_with_hello(s);
    r.send(seg("S.").ack(1));
    s.shutdown(r.id, shutdown_how::write);
    EXPECT_EQ(r.heard(), "P. 1:6(5) ack 1; F. 6:7(0) ack 1");
    r.send(seg("F.").ack(7));
    EXPECT_EQ(r.heard(), ". 7:7(0) ack 2");
    EXPECT_EQ(s.events(r.id), "opened peer_closed ended:clean_active");
}

TEST(fast_open, syns_that_cross_acknowledge_no_text_of_the_peer) {
    checked_scenario s;
    remote& r = open_with_hello(s);
    r.send(seg("S").seq(0).text("crossing"));
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
    r.send(seg("S.").seq(0).ack(6));
    EXPECT_EQ(s.state_of(r.id), state::established);
    s.send(r.id, "more");
    EXPECT_EQ(r.heard(), "P. 6:10(4) ack 1");
}

TEST(fast_open, text_lost_where_syns_cross_is_repeated) {
    checked_scenario s;
    remote& r = open_with_hello(s);
    r.send(seg("S"));
    r.heard();
    r.send(seg("S.").seq(0).ack(1));
    EXPECT_EQ(s.state_of(r.id), state::established);
    s.advance(3s);
    EXPECT_EQ(r.heard().substr(0, 15), "P. 1:6(5) ack 1");
    r.send(seg(".").ack(6));
    EXPECT_EQ(*s.calls().unsent(r.id), 0u);
}

TEST(fast_open, a_syn_too_big_for_the_path_comes_again_plain_at_once) {
    checked_scenario s;
    learn_cookie(s);
    remote& r = open_fast(s);
    s.send(r.id, octets(1400));
    EXPECT_EQ(r.heard(), "S 0:1401(1400) FO cookie01");
    s.inject_icmp(3, 4, 840, quote(r, 0, 1460));
    EXPECT_EQ(r.heard(), "S 0:1(0)");
    EXPECT_EQ(r.last().tcp.options.mss, 800);
    r.send(seg("S.").ack(1));
    EXPECT_EQ(r.heard(), ". 1:801(800) ack 1; P. 801:1401(600) ack 1");
}

TEST(fast_open, off_it_is_a_connection_like_any_other) {
    checked_scenario s(with_fast_open(0));
    remote& r = open_fast(s);
    EXPECT_EQ(r.heard(), "S 0:1(0)");
    r.send(seg("S.").fast_open("unwanted"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1");
}

TEST(fast_open, turning_it_off_forgets_the_cookies) {
    checked_scenario s;
    learn_cookie(s);
    remote& held = open_fast(s);
    set_fast_open(s, 0);
    set_fast_open(s, 1);
    EXPECT_EQ(open_fast(s).heard(), "S 0:1(0) FO");
    s.send(held.id, "hello");
    EXPECT_EQ(held.heard(), "S 0:1(0) FO") << "without a cookie there is no text in the SYN";
    held.send(seg("S."));
    EXPECT_EQ(held.heard(), "P. 1:6(5) ack 1");
}

TEST(fast_open, turned_off_while_its_syn_is_held_it_asks_for_nothing) {
    checked_scenario s;
    learn_cookie(s);
    remote& held = open_fast(s);
    set_fast_open(s, 0);
    s.send(held.id, "hello");
    EXPECT_EQ(held.heard(), "S 0:1(0)");
}

TEST(fast_open, text_that_the_syn_ack_leaves_keeps_to_its_window) {
    checked_scenario s;
    learn_cookie(s);
    remote& r = open_fast(s);
    s.send(r.id, octets(1000));
    EXPECT_EQ(r.heard(), "S 0:1001(1000) FO cookie01");
    r.send(seg("S.").ack(1).window(100));
    EXPECT_EQ(r.heard(), ". 1:101(100) ack 1");
    remote& shut = open_fast(s);
    s.send(shut.id, octets(1000));
    EXPECT_EQ(shut.heard(), "S 0:1001(1000) FO cookie01");
    shut.send(seg("S.").ack(1).window(0));
    EXPECT_EQ(shut.heard(), ". 1:1(0) ack 1");
}

TEST(fast_open, a_record_that_the_syn_ack_acknowledges_takes_no_more_room) {
    checked_scenario s;
    learn_cookie(s);
    remote& r = open_fast(s);
    const std::string_view text = "one";
    ASSERT_EQ(*s.calls().send(r.id, std::as_bytes(std::span(text.data(), text.size())),
                              {.end_of_record = true}),
              text.size());
    s.turn();
    EXPECT_EQ(r.heard(), "S 0:4(3) FO cookie01");
    r.send(seg("S."));
    EXPECT_EQ(r.heard(), ". 4:4(0) ack 1");
    EXPECT_EQ(s.tcp().connection(r.id)->records, npos);
}

TEST(fast_open, a_guessed_syn_ack_ends_the_holding_of_a_syn) {
    checked_scenario s;
    learn_cookie(s);
    remote& r = open_fast(s);
    r.irs = s.tcp().connection(r.id)->snd_una.raw;
    r.stack_port = s.tcp().connection(r.id)->key.local_port;
    s.advance(100s);
    r.send(seg("S.").seq(0).ack(1));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 1");
    EXPECT_EQ(*s.calls().syn_room(r.id), 0u);
    EXPECT_LT(s.calls().info(r.id)->rto_us, 2000000u) << "nothing was timed";
    s.send(r.id, "");
    EXPECT_EQ(r.heard(), "");
}

TEST(fast_open, without_need_of_a_cookie_any_server_gets_text) {
    checked_scenario s(with_fast_open(5));
    remote& r = open_fast(s);
    EXPECT_EQ(*s.calls().syn_room(r.id), 1420u);
    s.send(r.id, "hello");
    EXPECT_EQ(r.heard(), "S 0:6(5)");
    r.options.mss = 940;
    r.send(seg("S.").fast_open("unwanted"));
    EXPECT_EQ(r.heard(), ". 6:6(0) ack 1");
    EXPECT_TRUE(syn_data(s, r));
    EXPECT_EQ(*s.calls().syn_room(open_fast(s).id), 900u);
    set_fast_open(s, 1);
    EXPECT_EQ(open_fast(s).heard(), "S 0:1(0) FO") << "nobody had asked for that cookie";
}

TEST(fast_open, no_record_is_continued_in_the_syn) {
    checked_scenario s;
    learn_cookie(s);
    remote& r = open_fast(s);
    const auto write = [&](std::string_view text, bool ends) {
        (void)s.calls().send(r.id, std::as_bytes(std::span(text.data(), text.size())),
                             {.end_of_record = ends});
    };
    write("one", true);
    write("two", false);
    s.turn();
    EXPECT_EQ(r.heard(), "S 0:4(3) FO cookie01");
    r.send(seg("S."));
    EXPECT_EQ(r.heard(), "P. 4:7(3) ack 1");
}

TEST(cookie_cache, a_full_bucket_gives_up_whose_server_answered_longest_ago) {
    const auto cache = std::make_unique<tcp::cookie_cache>();
    constexpr std::uint64_t hash = 7;
    const auto server = [](std::uint32_t i) { return ipv4_address{0x0a000000u + i}; };
    wire::fast_open_cookie cookie;
    cookie.octets = 4;
    for (std::uint32_t i = 0; i < 4; ++i) {
        cookie.value[0] = static_cast<std::uint8_t>(i);
        cache->learn(hash, server(i), 1000, cookie, false, tick{i});
    }
    cache->learn(hash, server(0), 1200, std::nullopt, false, tick{4});
    cache->learn(hash, server(9), 1000, std::nullopt, false, tick{5});
    EXPECT_EQ(cache->find(hash, server(1)), nullptr);
    ASSERT_NE(cache->find(hash, server(0)), nullptr);
    EXPECT_EQ(cache->find(hash, server(0))->mss, 1200);
    EXPECT_EQ(cache->find(hash, server(0))->cookie.octets, 4) << "no news keeps the cookie";
    EXPECT_EQ(cache->find(hash, server(3))->cookie.value[0], 3);
    EXPECT_EQ(cache->find(hash, server(9))->cookie.octets, 0);
    EXPECT_EQ(cache->find(hash + 1, server(3)), nullptr) << "another bucket";
    cache->clear();
    EXPECT_EQ(cache->find(hash, server(3)), nullptr);
}

TEST(cookie_cache, losses_in_a_row_are_counted_and_end_with_the_first_answer) {
    const auto cache = std::make_unique<tcp::cookie_cache>();
    const ipv4_address server{0x0a000001};
    const auto rests = [&](std::uint32_t at_ms) {
        return tcp::cookie_cache::rests(*cache->find(1, server), tick{at_ms});
    };
    cache->learn(1, server, 1000, std::nullopt, true, tick{0});
    EXPECT_FALSE(rests(0));
    cache->learn(1, server, 1000, std::nullopt, true, tick{0});
    EXPECT_TRUE(rests(239999));
    EXPECT_FALSE(rests(240000));
    for (int i = 0; i < 100; ++i) {
        cache->learn(1, server, 1000, std::nullopt, true, tick{0});
    }
    EXPECT_TRUE(rests(10 * 86400 * 1000));
    EXPECT_FALSE(rests(12 * 86400 * 1000));
    cache->learn(1, server, 1000, std::nullopt, false, tick{1});
    EXPECT_FALSE(rests(2));
}

}  // namespace lastack::test
