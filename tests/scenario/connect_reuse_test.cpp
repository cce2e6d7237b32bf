// SPDX-License-Identifier: BSD-3-Clause
// connect() and TIME_WAIT: which tuples may be used again, when, and with which numbers (R55, R57).
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

scenario_options options(std::uint32_t reuse, std::uint16_t ports = 1) {
    scenario_options o;
    o.settings.tcp_tw_reuse = reuse;
    o.settings.ip_local_port_range = {40000, static_cast<std::uint16_t>(40000 + ports - 1)};
    return o;
}

constexpr peer_options with_timestamps{.timestamps = true};

// Opened and closed by the stack, in TIME_WAIT now.
remote& used_and_closed(scenario& s, const peer_options& o = with_timestamps) {
    remote& r = s.make_connected(o);
    s.close(r.id);
    r.heard();
    r.send(seg("F."));
    r.heard();
    return r;
}

result<conn_id, call_error> connect_again(scenario& s, const remote& r,
                                          const connect_options& o = {}) {
    const auto id = s.calls().connect({peer_address, r.port}, o);
    s.turn();
    return id;
}

TEST(connect_reuse, takes_a_records_place_a_second_after_it_entered) {  // R55
    checked_scenario s(options(1));
    remote& r = used_and_closed(s);
    const std::uint32_t snd_nxt = r.last().tcp.seq.raw;
    ASSERT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(980ms);
    const auto early = connect_again(s, r);
    ASSERT_FALSE(early.ok());
    EXPECT_EQ(early.error(), call_error::address_not_available);
    s.advance(40ms);
    ASSERT_TRUE(connect_again(s, r).ok());
    const auto said = r.heard_segments();
    ASSERT_EQ(said.size(), 1u);
    EXPECT_TRUE(said[0].tcp.has(wire::tcp_flags::syn));
    EXPECT_EQ(said[0].tcp.source_port, 40000);
    EXPECT_EQ(said[0].tcp.seq.raw, snd_nxt + 65535 + 2);  // R47
    EXPECT_EQ(s.count(counter::tw_recycled), 1u);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

TEST(connect_reuse, its_timestamps_go_on_where_the_old_ones_were) {  // R55, R73
    checked_scenario s(options(1));
    remote& r = used_and_closed(s);
    const std::uint32_t last = r.last().tcp.options.tsval;
    s.advance(2s);
    ASSERT_TRUE(connect_again(s, r).ok());
    const auto said = r.heard_segments();
    ASSERT_EQ(said.size(), 1u);
    EXPECT_EQ(said[0].tcp.options.tsval - last, 2000u);
}

TEST(connect_reuse, waits_for_the_record_to_expire_when_it_is_off) {  // R57
    checked_scenario s(options(0));
    remote& r = used_and_closed(s);
    for (int second = 0; second < 59; ++second) {
        s.advance(1s);
        ASSERT_FALSE(connect_again(s, r).ok()) << second;
    }
    s.advance(1100ms);
    EXPECT_TRUE(connect_again(s, r).ok());
    EXPECT_EQ(s.count(counter::tw_recycled), 0u);
    EXPECT_EQ(s.count(counter::tw_expired), 1u);
}

TEST(connect_reuse, by_default_only_between_the_stacks_own_addresses) {  // R55
    EXPECT_EQ(config::settings{}.tcp_tw_reuse, 2u);
    checked_scenario s(options(2));
    remote& r = used_and_closed(s);
    s.advance(10s);
    EXPECT_FALSE(connect_again(s, r).ok());
}

TEST(connect_reuse, never_where_the_old_connection_had_no_timestamps) {  // R55
    checked_scenario s(options(1));
    remote& r = used_and_closed(s, {.timestamps = false});
    s.advance(59s);
    EXPECT_FALSE(connect_again(s, r).ok());
    s.advance(2s);
    EXPECT_TRUE(connect_again(s, r).ok());
}

TEST(connect_reuse, never_while_the_peers_fin_is_to_come) {  // R55, R60
    checked_scenario s(options(1));
    remote& r = s.make_connected(with_timestamps);
    s.close(r.id);
    r.heard();
    r.send(seg("."));
    ASSERT_EQ(s.in_state(state::fin_wait_2), 1u);
    s.advance(10s);
    EXPECT_FALSE(connect_again(s, r).ok());
}

TEST(connect_reuse, the_delay_is_a_setting) {  // R55
    auto o = options(1);
    o.settings.tcp_tw_reuse_delay = 0;
    checked_scenario at_once(o);
    EXPECT_TRUE(connect_again(at_once, used_and_closed(at_once)).ok());
    o.settings.tcp_tw_reuse_delay = 30'000;
    checked_scenario later(o);
    remote& r = used_and_closed(later);
    later.advance(29s);
    EXPECT_FALSE(connect_again(later, r).ok());
    later.advance(1100ms);
    EXPECT_TRUE(connect_again(later, r).ok());
}

TEST(connect_reuse, a_segment_that_restarts_time_wait_restarts_the_delay) {  // R43
    checked_scenario s(options(1));
    remote& r = used_and_closed(s);
    s.advance(900ms);
    r.send(seg("F.").seq(1));
    r.heard();
    ASSERT_EQ(s.count(counter::tw_restarted), 1u);
    s.advance(900ms);
    EXPECT_FALSE(connect_again(s, r).ok());
    s.advance(150ms);
    EXPECT_TRUE(connect_again(s, r).ok());
}

constexpr connect_options asked_for{.local = endpoint{ipv4_address{}, 40000},
                                    .port = {.reuse_addr = true}};

remote& bound_used_and_closed(scenario& s, const peer_options& o) {
    remote& r = s.make_syn_sent(o, asked_for);
    r.heard();
    r.send(seg("S."));
    s.close(r.id);
    r.heard();
    r.send(seg("F."));
    r.heard();
    return r;
}

TEST(connect_reuse, a_port_that_is_asked_for_needs_neither_the_sysctl_nor_the_delay) {  // R55
    checked_scenario s(options(0));
    remote& r = bound_used_and_closed(s, with_timestamps);
    ASSERT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(connect_again(s, r).error(), call_error::address_not_available);
    EXPECT_TRUE(connect_again(s, r, asked_for).ok());
    EXPECT_EQ(s.count(counter::tw_recycled), 1u);
}

TEST(connect_reuse, a_port_that_is_asked_for_still_needs_timestamps) {  // R55
    checked_scenario s(options(1));
    remote& r = bound_used_and_closed(s, {.timestamps = false});
    s.advance(10s);
    const auto again = connect_again(s, r, asked_for);
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error(), call_error::address_not_available);
}

TEST(connect_reuse, a_failed_connect_gives_its_port_back) {  // R57
    checked_scenario s(options(1));
    remote& r = s.make_syn_sent(with_timestamps);
    EXPECT_FALSE(connect_again(s, r).ok());
    r.heard();
    r.send(seg("R.").ack(1));
    EXPECT_EQ(s.state_of(r.id), state::closed);
    EXPECT_TRUE(connect_again(s, r).ok());
}

TEST(connect_reuse, the_port_whose_record_is_oldest_comes_first) {  // R57
    auto o = options(1, 3);
    checked_scenario s(o);
    remote& r = s.new_remote(with_timestamps, 0);
    std::vector<std::uint16_t> order;
    std::vector<conn_id> ids;
    for (int i = 0; i < 3; ++i) {
        const auto id = connect_again(s, r);
        ASSERT_TRUE(id.ok());
        ids.push_back(*id);
    }
    EXPECT_FALSE(connect_again(s, r).ok());
    for (const conn_id id : ids) {
        s.abort(id);
    }
    for (int i = 0; i < 6; ++i) {
        const auto id = connect_again(s, r);
        ASSERT_TRUE(id.ok());
        order.push_back(s.calls().local_endpoint(*id)->port);
        s.abort(*id);
    }
    EXPECT_EQ(order[0], order[3]);
    EXPECT_EQ(order[1], order[4]);
    EXPECT_EQ(order[2], order[5]);
    EXPECT_NE(order[0], order[1]);
}

// R55, R69: the peer's ISN may lie anywhere, so only timestamps tell its old text from new.
TEST(connect_reuse, a_syn_ack_without_timestamps_opens_nothing) {
    checked_scenario s(options(1));
    remote& r = used_and_closed(s);
    s.advance(2s);
    const auto id = connect_again(s, r);
    ASSERT_TRUE(id.ok());
    r.heard();
    r.send(seg("S.").seq(0).no_ts());
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.state_of(*id), state::syn_sent);
    EXPECT_EQ(s.count(counter::ts_missing), 1u);
    static_cast<void>(s.calls().abort(*id));
}

}  // namespace
}  // namespace lastack::test
