// SPDX-License-Identifier: BSD-3-Clause
// Capacities, local ports, and stopping the whole stack.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

TEST(limits, connect_is_refused_when_connections_run_out_and_works_again) {
    scenario_options o;
    o.settings.connections = 3;
    checked_scenario s{o};
    std::vector<conn_id> all;
    for (int i = 0; i < 3; ++i) {
        all.push_back(*s.calls().connect({peer_address, 80}));
    }
    EXPECT_EQ(s.calls().connect({peer_address, 80}).error(), call_error::no_memory);
    s.abort(all[1], completion::none);
    EXPECT_TRUE(s.calls().connect({peer_address, 80}));
}

// R57
TEST(limits, local_ports_are_taken_in_cyclic_order_until_none_is_left) {
    scenario_options o;
    o.settings.ip_local_port_range = {40000, 40009};
    checked_scenario s{o};
    std::vector<std::uint16_t> ports;
    for (int i = 0; i < 10; ++i) {
        const auto id = s.calls().connect({peer_address, 80});
        ASSERT_TRUE(id);
        ports.push_back(s.calls().local_endpoint(*id)->port);
    }
    for (std::size_t i = 1; i < ports.size(); ++i) {
        EXPECT_EQ((ports[i] - 40000) % 10, (ports[i - 1] - 40000 + 1) % 10);
    }
    EXPECT_EQ(s.calls().connect({peer_address, 80}).error(), call_error::address_not_available);
    // Another destination has all of them.
    EXPECT_TRUE(s.calls().connect({peer_address, 81}));
}

// R63
TEST(limits, an_orphan_counts_only_until_it_is_a_record) {
    scenario_options o;
    o.settings.tcp_max_orphans = 1;
    checked_scenario s{o};
    for (int i = 0; i < 10; ++i) {
        remote& r = s.make_orphan_fin_wait_2();
        EXPECT_EQ(s.core().states().orphans, 0u);
        EXPECT_EQ(r.heard(), "");
    }
    EXPECT_EQ(s.in_state(state::fin_wait_2), 10u);
}

TEST(limits, drain_closes_every_connection_and_refuses_new_ones) {
    checked_scenario s;
    remote& a = s.make_established();
    remote& b = s.make_close_wait();
    s.core().drain();
    s.turn();
    EXPECT_EQ(a.heard(), "F. 1:2(0) ack 1");
    EXPECT_EQ(b.heard(), "F. 1:2(0) ack 2");
    remote& late = s.new_remote();
    late.send(seg("S"));
    EXPECT_EQ(late.heard(), "R. 0:0(0) ack 1");
    EXPECT_EQ(s.calls().connect({peer_address, 80}).error(), call_error::no_memory);
    a.send(seg("F."));
    b.send(seg("."));
    EXPECT_TRUE(s.core().idle());
}

TEST(limits, reset_all_resets_what_is_open_and_forgets_the_rest) {
    checked_scenario s;
    remote& a = s.make_established();
    remote& b = s.make_fin_wait_2();
    remote& c = s.make_syn_received();
    remote& d = s.make_syn_sent();
    d.heard();
    s.core().reset_all();
    s.turn();
    EXPECT_EQ(a.heard(), "R. 1:1(0) ack 1");
    EXPECT_EQ(b.heard(), "R. 2:2(0) ack 1");
    EXPECT_EQ(c.heard(), "");
    EXPECT_EQ(d.heard(), "");
    EXPECT_EQ(s.events(a.id), "ended:aborted_shutdown");
    EXPECT_TRUE(s.core().idle());
}

TEST(limits, a_dead_port_neither_spins_nor_leaks) {
    checked_scenario s;
    remote& r = s.make_established();
    s.port_takes = 0;
    for (int i = 0; i < 2000; ++i) {
        r.send(seg("P.").seq(-5).text("old"));
    }
    EXPECT_GT(s.count(counter::tx_drop), 0u);
    s.port_takes = 0xffff;
    s.turn();
    EXPECT_FALSE(r.heard().empty());
}

// However many wait: with 200,000 of them a turn that looked at all would do little else.
TEST(limits, a_turn_whose_room_is_gone_looks_at_64_more_connections) {
    scenario_options o;
    o.settings.connections = 128;
    checked_scenario s{o};
    std::vector<conn_id> all;
    for (int i = 0; i < 100; ++i) {
        all.push_back(s.make_established().id);
    }
    for (const conn_id id : all) {
        ASSERT_TRUE(s.calls().send(id, std::as_bytes(std::span(std::string_view{"text"}))));
    }
    const auto has_sent = [&](std::size_t i) {
        const tcp::tcb* const c = s.core().tcp().connection(all[i]);
        return c->snd_nxt != c->snd_una;
    };
    EXPECT_TRUE(s.core().tcp().output(10));
    EXPECT_TRUE(has_sent(9));
    EXPECT_FALSE(has_sent(10));
    EXPECT_TRUE(s.core().tcp().output(1));
    EXPECT_FALSE(has_sent(10)) << "it was looked at, and has gone to the end";
    EXPECT_TRUE(has_sent(74)) << "the first that was not";
    s.turn();
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_TRUE(has_sent(i)) << i;
    }
}

TEST(limits, sequence_numbers_may_wrap) {
    checked_scenario s;
    remote& r = s.new_remote();
    r.iss = 0xffffff00;
    r.send(seg("S"));
    r.send(seg("."));
    for (int i = 0; i < 20; ++i) {
        r.send(seg("P.").text(octets(100, static_cast<std::size_t>(i) * 100)));
    }
    EXPECT_EQ(s.receive(r.id), octets(2000));
    r.send(seg("F."));
    s.close(r.id);
    r.send(seg("."));
    EXPECT_EQ(s.events(r.id).substr(0, 6), "opened");
    EXPECT_EQ(s.ended(close_outcome::clean_passive), 1u);
}

}  // namespace
}  // namespace lastack::test
