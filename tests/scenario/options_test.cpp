// SPDX-License-Identifier: BSD-3-Clause
// What a listener or connect() says of its connections, and what is said of one later: TIME_WAIT's
// length, TTL and TOS, MSS, buffers.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

constexpr endpoint other_port{stack_address, 81};

scenario_options with(connection_options o) {
    scenario_options s;
    s.listening.connections = o;
    return s;
}

// --- the length of TIME_WAIT ---------------------------------------------------------------------

// Opened by the peer towards `port`, closed by the stack, and in TIME_WAIT.
remote& time_wait_on(scenario& s, std::uint16_t port) {
    remote& r = s.new_remote({}, port);
    r.send(seg("S"));
    r.send(seg("."));
    s.close(r.id);
    r.heard();
    r.send(seg("F."));
    r.heard();
    return r;
}

TEST(time_wait_length, a_listener_has_its_own) {  // R42
    scenario_options o;
    o.listening.time_wait = 2s;
    checked_scenario s(o);
    ASSERT_TRUE(s.calls().listen(other_port, {}));
    remote& r = time_wait_on(s, listen_port);
    time_wait_on(s, other_port.port);
    ASSERT_EQ(s.in_state(state::time_wait), 2u);
    s.advance(1900ms);
    r.send(seg("F.").seq(1));  // restarts its own length, no other
    s.advance(1900ms);
    ASSERT_EQ(s.in_state(state::time_wait), 2u);
    s.advance(200ms);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(54s);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(3s);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

TEST(time_wait_length, of_the_listener_holds_behind_an_orphans_fin_wait_2_too) {  // R42, R60
    scenario_options o;
    o.listening.time_wait = 2s;
    checked_scenario s(o);
    remote& r = s.make_orphan_fin_wait_2();
    s.advance(50s);  // tcp_fin_timeout is another length
    ASSERT_EQ(s.in_state(state::fin_wait_2), 1u);
    r.send(seg("F."));
    ASSERT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(1990ms);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(50ms);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

TEST(time_wait_length, of_the_stack_follows_its_setting_while_it_runs) {  // R42
    checked_scenario s;
    time_wait_on(s, listen_port);
    auto changed = s.core().settings();
    changed.time_wait_ms = 3000;
    s.core().apply_settings(changed);
    time_wait_on(s, listen_port);
    s.advance(3100ms);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);  // what has begun keeps its length
    s.advance(57s);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

TEST(time_wait_length, a_sixteenth_is_refused) {  // R42
    scenario_options o;
    o.settings.listeners = 32;
    checked_scenario s(o);
    const auto listen = [&](int n) {
        return s.calls().listen({stack_address, static_cast<std::uint16_t>(1000 + n)},
                                {.time_wait = n * 160ms});
    };
    const auto first = listen(1);
    ASSERT_TRUE(first.ok());
    for (int n = 2; n <= 14; ++n) {  // beside the stack's own
        ASSERT_TRUE(listen(n).ok()) << n;
    }
    EXPECT_EQ(listen(15).error(), call_error::no_memory);
    EXPECT_TRUE(s.calls().listen({stack_address, 2000}, {.time_wait = 160ms}));  // shared
    ASSERT_TRUE(s.calls().close_listener(*first));
    EXPECT_EQ(listen(15).error(), call_error::no_memory);  // port 2000 still has the first
    EXPECT_TRUE(s.calls().listen({stack_address, 2001}, {.time_wait = 320ms}));
}

TEST(time_wait_length, out_of_range_is_refused) {  // R42
    checked_scenario s;
    EXPECT_EQ(s.calls().listen(other_port, {.time_wait = -1ms}).error(),
              call_error::invalid_argument);
    EXPECT_EQ(s.calls().listen(other_port, {.time_wait = 8388609ms}).error(),
              call_error::invalid_argument);
    EXPECT_TRUE(s.calls().listen(other_port, {.time_wait = 8388608ms}));
}

// --- TTL and TOS ---------------------------------------------------------------------------------

TEST(ip_options, ttl_and_tos_of_a_listener_are_on_every_segment_from_the_syn_ack_on) {
    checked_scenario s(with({.ttl = 7, .tos = 0x13}));
    remote& r = s.make_established();
    s.send(r.id, "hello");
    r.send(seg(".").text("x"));
    s.receive(r.id);
    s.close(r.id);
    const auto said = r.heard_segments();
    ASSERT_GE(said.size(), 1u);
    for (const auto& h : said) {
        EXPECT_EQ(h.ip.ttl, 7);
        EXPECT_EQ(h.ip.tos, 0x10);  // the two bits of ECN are not the application's
    }
    remote& half = s.make_syn_received();
    EXPECT_EQ(half.last().ip.ttl, 7);
    EXPECT_EQ(half.last().ip.tos, 0x10);
    remote& aborted = s.make_established();
    s.abort(aborted.id);
    EXPECT_TRUE(aborted.last().tcp.has(wire::tcp_flags::rst));
    EXPECT_EQ(aborted.last().ip.ttl, 7);
}

TEST(ip_options, time_wait_and_fin_wait_2_answer_with_the_connections_tos) {  // R51
    checked_scenario s(with({.ttl = 7, .tos = 0x20}));
    remote& r = s.make_time_wait();
    r.heard();
    r.send(seg("F.").seq(1));
    ASSERT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(r.last().ip.tos, 0x20);
    EXPECT_EQ(r.last().ip.ttl, 64);  // as Linux: the record has no TTL of its own
    remote& orphan = s.make_orphan_fin_wait_2();
    orphan.heard();
    orphan.send(seg("F."));
    ASSERT_EQ(orphan.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(orphan.last().ip.tos, 0x20);
    orphan.send(seg("F.").seq(1));
    EXPECT_EQ(orphan.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(orphan.last().ip.tos, 0x20);
    // A RST that no connection sends has the TOS of what it answers.
    s.advance(61s);
    r.send(seg("."));
    ASSERT_TRUE(r.last().tcp.has(wire::tcp_flags::rst));
    EXPECT_EQ(r.last().ip.tos, 0);
}

TEST(ip_options, of_connect_are_on_the_syn) {
    checked_scenario s;
    remote& r = s.make_syn_sent({}, {.connection = {.ttl = 3, .tos = 8}});
    EXPECT_EQ(r.last().ip.ttl, 3);
    EXPECT_EQ(r.last().ip.tos, 8);
}

TEST(ip_options, ip_default_ttl_is_live_for_all_that_said_nothing) {
    checked_scenario s;
    remote& plain = s.make_established();
    remote& own = s.make_established();
    auto o = s.calls().options(own.id);
    ASSERT_TRUE(o.ok());
    o->ttl = 99;
    ASSERT_TRUE(s.calls().set_options(own.id, *o));
    auto changed = s.core().settings();
    changed.ip_default_ttl = 33;
    s.core().apply_settings(changed);
    s.send(plain.id, "x");
    s.send(own.id, "x");
    EXPECT_EQ(plain.last().ip.ttl, 33);
    EXPECT_EQ(own.last().ip.ttl, 99);
}

// --- the rest ------------------------------------------------------------------------------------

TEST(connection_options, of_a_listener_are_what_its_connections_begin_with) {
    const connection_options said{.ttl = 5,
                                  .tos = 0x20,
                                  .mss_max = 500,
                                  .receive_memory = 20000,
                                  .send_memory = 30000,
                                  .no_delay = true,
                                  .cork = true,
                                  .keepalive = {true, 10s, 5s, 3},
                                  .linger = {true, 4s},
                                  .linger2 = 9,
                                  .user_timeout = 12345ms};
    checked_scenario s(with(said));
    remote& r = s.make_established();
    const auto o = s.calls().options(r.id);
    ASSERT_TRUE(o.ok());
    EXPECT_EQ(o->ttl, said.ttl);
    EXPECT_EQ(o->tos, said.tos);
    EXPECT_EQ(o->mss_max, said.mss_max);
    EXPECT_EQ(o->receive_memory, said.receive_memory);
    EXPECT_EQ(o->send_memory, said.send_memory);
    EXPECT_TRUE(o->no_delay);
    EXPECT_TRUE(o->cork);
    EXPECT_EQ(o->keepalive, said.keepalive);
    EXPECT_TRUE(o->linger.on);
    EXPECT_EQ(o->linger.timeout, 4s);
    EXPECT_EQ(o->linger2, 9);
    EXPECT_EQ(o->user_timeout, 12345ms);
}

TEST(connection_options, a_listeners_keepalive_runs_without_another_word) {  // R67
    checked_scenario s(with({.keepalive = {true, 10s, 5s, 3}}));
    remote& r = s.make_established();
    r.heard();
    s.advance(9900ms);
    EXPECT_EQ(r.heard(), "");
    s.advance(200ms);
    EXPECT_EQ(r.heard(), ". 0:0(0) ack 1");
}

TEST(connection_options, out_of_range_are_refused) {
    checked_scenario s;
    remote& r = s.make_established();
    for (const connection_options& o :
         {connection_options{.mss_max = 87}, connection_options{.mss_max = 32768},
          connection_options{.keepalive = {true, -1s, 0s, 0}},
          connection_options{.keepalive = {true, 0s, 32768s, 0}},
          connection_options{.linger = {true, -1s}}, connection_options{.user_timeout = -1ms}}) {
        EXPECT_EQ(s.calls().set_options(r.id, o).error(), call_error::invalid_argument);
        EXPECT_EQ(s.calls().listen(other_port, {.connections = o}).error(),
                  call_error::invalid_argument);
        EXPECT_EQ(s.calls().connect({peer_address, 9}, {.connection = o}).error(),
                  call_error::invalid_argument);
    }
    EXPECT_TRUE(s.calls().listen(other_port, {}));  // no refused call has kept the port
}

TEST(connection_options, a_largest_segment_is_offered_and_kept_to) {
    checked_scenario s(with({.mss_max = 500}));
    remote& r = s.new_remote();
    r.send(seg("S"));
    ASSERT_EQ(r.last().tcp.options.mss, 500);
    r.send(seg("."));
    r.heard();
    s.send(r.id, octets(1200));
    EXPECT_EQ(r.heard(), ". 1:501(500) ack 1; . 501:1001(500) ack 1; P. 1001:1201(200) ack 1");
    remote& c = s.make_syn_sent({}, {.connection = {.mss_max = 600}});
    EXPECT_EQ(c.last().tcp.options.mss, 600);
}

TEST(connection_options, a_receive_buffer_that_was_asked_for_does_not_grow) {
    checked_scenario s(with({.receive_memory = 20000}));
    remote& r = s.new_remote();
    r.send(seg("S"));
    EXPECT_EQ(r.last().tcp.window, 10000);
    r.send(seg("."));
    for (int i = 0; i < 100; ++i) {
        r.send(seg(".").text(octets(1000)));
        s.receive(r.id);
    }
    r.heard();
    EXPECT_LE(s.tcp().connection(r.id)->rcv_limit, 20000u);
    EXPECT_LE(std::uint32_t{r.last().tcp.window} << 7, 10000u);
}

TEST(connection_options, a_send_buffer_that_was_asked_for_is_the_limit) {
    checked_scenario s(with({.send_memory = 20000}));
    remote& r = s.make_established();
    const std::size_t taken = s.send(r.id, octets(200'000));
    EXPECT_LE(taken, 20000u);
    EXPECT_GE(taken, 10000u);
    auto o = *s.calls().options(r.id);
    o.send_memory = 100'000;
    ASSERT_TRUE(s.calls().set_options(r.id, o));
    EXPECT_GE(s.send(r.id, octets(200'000)), 50'000u);
}

}  // namespace
}  // namespace lastack::test
