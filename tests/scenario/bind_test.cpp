// SPDX-License-Identifier: BSD-3-Clause
// Who may have a local port beside whom: SO_REUSEADDR, SO_REUSEPORT, EADDRINUSE (R56).
#include <map>
#include <set>

#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

constexpr port_options reuse_addr{.reuse_addr = true};
constexpr port_options reuse_port{.reuse_port = true};
constexpr endpoint here{stack_address, listen_port};

scenario_options listening(port_options p) {
    scenario_options o;
    o.listening.port = p;
    return o;
}

// "" when it could listen (and listens no longer), else why not.
std::string could_listen(scenario& s, const endpoint& at, port_options p = {}) {
    const auto made = s.calls().listen(at, {.port = p});
    if (!made) {
        return std::string(name(made.error()));
    }
    EXPECT_TRUE(s.calls().close_listener(*made));
    return "";
}

TEST(bind, a_port_that_only_time_wait_holds_is_refused) {  // R56
    checked_scenario s;
    s.make_time_wait();
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    EXPECT_EQ(could_listen(s, here), "address_in_use");
    EXPECT_EQ(could_listen(s, here, reuse_addr), "address_in_use");  // the old one did not say it
    EXPECT_EQ(could_listen(s, {ipv4_address{}, listen_port}), "address_in_use");
    EXPECT_EQ(could_listen(s, {stack_address, 81}), "");
    s.advance(61s);
    EXPECT_EQ(could_listen(s, here), "");
}

TEST(bind, a_port_that_only_time_wait_holds_is_given_when_both_said_reuse_addr) {  // R56
    checked_scenario s(listening(reuse_addr));
    remote& r = s.make_time_wait();
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    EXPECT_EQ(could_listen(s, here), "address_in_use");
    EXPECT_EQ(could_listen(s, here, reuse_port), "address_in_use");
    ASSERT_TRUE(s.calls().listen(here, {.port = reuse_addr}));
    // What comes for the old tuple still goes to its record first.
    r.heard();
    r.send(seg("F.").seq(1));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
}

TEST(bind, reuse_port_on_both_sides_serves_beside_time_wait_too) {  // R56
    checked_scenario s(listening(reuse_port));
    s.make_time_wait();
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    EXPECT_EQ(could_listen(s, here, reuse_addr), "address_in_use");
    EXPECT_EQ(could_listen(s, here, reuse_port), "");
}

TEST(bind, a_record_that_leaves_in_any_way_gives_the_port_back) {  // R46, R47, R54, R56
    scenario_options o;
    o.settings.tcp_rfc1337 = false;
    checked_scenario killed(o);
    killed.make_time_wait().send(seg("R"));
    ASSERT_EQ(killed.count(counter::tw_killed), 1u);
    ASSERT_TRUE(killed.calls().close_listener(killed.listener()));
    EXPECT_EQ(could_listen(killed, here), "");

    o.settings.tcp_max_tw_buckets = 1;
    o.settings.time_wait_cap_policy = config::cap_policy::evict_oldest;
    checked_scenario evicted(o);
    evicted.make_time_wait();
    evicted.make_time_wait();
    ASSERT_EQ(evicted.count(counter::tw_evicted), 1u);
    evicted.advance(61s);
    ASSERT_TRUE(evicted.calls().close_listener(evicted.listener()));
    EXPECT_EQ(could_listen(evicted, here), "");

    checked_scenario reopened;
    remote& r = reopened.make_time_wait();
    r.send(seg("S").seq(1000));
    r.send(seg(".").seq(1001).ack(1));
    ASSERT_EQ(reopened.in_state(state::time_wait), 0u);
    reopened.abort(r.id);
    ASSERT_TRUE(reopened.calls().close_listener(reopened.listener()));
    EXPECT_EQ(could_listen(reopened, here), "");
}

TEST(bind, an_orphan_in_fin_wait_2_holds_its_port) {  // R56, R60
    checked_scenario s;
    s.make_orphan_fin_wait_2();
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    EXPECT_EQ(could_listen(s, here), "address_in_use");
    s.advance(61s);
    EXPECT_EQ(could_listen(s, here), "");
}

TEST(bind, an_accepted_connection_holds_the_port_its_listener_has_left) {  // R56
    checked_scenario plain;
    plain.make_established();
    ASSERT_TRUE(plain.calls().close_listener(plain.listener()));
    EXPECT_EQ(could_listen(plain, here, reuse_addr), "address_in_use");
    checked_scenario sharing(listening(reuse_addr));
    sharing.make_established();
    ASSERT_TRUE(sharing.calls().close_listener(sharing.listener()));
    EXPECT_EQ(could_listen(sharing, here), "address_in_use");
    EXPECT_EQ(could_listen(sharing, here, reuse_addr), "");
}

TEST(bind, a_connection_may_say_later_that_its_port_can_be_reused) {  // R56
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    ASSERT_TRUE(s.calls().set_port_options(r.id, reuse_addr));
    EXPECT_EQ(could_listen(s, here, reuse_addr), "");
    s.close(r.id);
    r.heard();
    r.send(seg("F."));
    ASSERT_EQ(s.in_state(state::time_wait), 1u);  // the record says it too
    EXPECT_EQ(could_listen(s, here, reuse_addr), "");
    EXPECT_EQ(could_listen(s, here), "address_in_use");
}

TEST(bind, two_may_bind_with_reuse_addr_but_only_one_may_listen) {  // R56
    checked_scenario s;
    const endpoint at{stack_address, 81};
    const auto first = s.calls().bind(at, reuse_addr);
    const auto second = s.calls().bind(at, reuse_addr);
    ASSERT_TRUE(first.ok());
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(s.calls().bind(at).error(), call_error::address_in_use);
    EXPECT_TRUE(s.calls().listen(*first, {}));
    EXPECT_EQ(s.calls().listen(*second, {}).error(), call_error::address_in_use);
    EXPECT_EQ(s.calls().bind(at, reuse_addr).error(), call_error::address_in_use);
    ASSERT_TRUE(s.calls().close_listener(*first));
    EXPECT_TRUE(s.calls().listen(*second, {}));
}

TEST(bind, a_bound_port_takes_no_syn_until_it_listens) {
    checked_scenario s;
    const auto bound = s.calls().bind({stack_address, 81});
    ASSERT_TRUE(bound.ok());
    remote& r = s.new_remote({}, 81);
    r.send(seg("S"));
    EXPECT_EQ(r.heard_segments().at(0).tcp.has(wire::tcp_flags::rst), true);
    ASSERT_TRUE(s.calls().listen(*bound, {}));
    r.send(seg("S"));
    EXPECT_EQ(r.heard_segments().at(0).tcp.has(wire::tcp_flags::syn), true);
}

TEST(bind, the_any_address_overlaps_every_other_and_two_addresses_do_not) {  // R56
    scenario_options o;
    o.second_address = true;
    checked_scenario s(o);
    EXPECT_EQ(could_listen(s, {ipv4_address{}, listen_port}), "address_in_use");
    EXPECT_EQ(could_listen(s, {stack_address_2, listen_port}), "");
    ASSERT_TRUE(s.calls().listen({ipv4_address{}, 81}));
    EXPECT_EQ(could_listen(s, {stack_address_2, 81}), "address_in_use");
    // Records too: those of one address do not hold the other's port.
    s.make_time_wait();
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    EXPECT_EQ(could_listen(s, {stack_address_2, listen_port}), "");
    EXPECT_EQ(could_listen(s, {ipv4_address{}, listen_port}), "address_in_use");
}

TEST(bind, an_exact_address_goes_before_the_any_address) {
    checked_scenario s(listening(reuse_port));
    const auto any = s.calls().listen({ipv4_address{}, listen_port}, {.port = reuse_port});
    ASSERT_TRUE(any.ok());
    std::map<std::uint16_t, int> accepted;
    s.on_event = [&](const event& e) {
        accepted[e.listener.index] += (e.what & event_bits::opened) != 0 ? 1 : 0;
    };
    for (int i = 0; i < 8; ++i) {
        s.make_established();
    }
    EXPECT_EQ(accepted[s.listener().index], 8);
    EXPECT_EQ(accepted[any->index], 0);
}

TEST(bind, listeners_with_reuse_port_share_the_connections_by_hash) {  // R56
    checked_scenario s(listening(reuse_port));
    std::vector<listener_id> group{s.listener()};
    EXPECT_EQ(could_listen(s, here, reuse_addr), "address_in_use");
    for (int i = 0; i < 3; ++i) {
        const auto made = s.calls().listen(here, {.port = reuse_port});
        ASSERT_TRUE(made.ok());
        group.push_back(*made);
    }
    std::map<std::uint16_t, int> accepted;
    s.on_event = [&](const event& e) {
        accepted[e.listener.index] += (e.what & event_bits::opened) != 0 ? 1 : 0;
    };
    for (int i = 0; i < 32; ++i) {
        remote& r = s.make_established();
        s.abort(r.id);
    }
    ASSERT_EQ(accepted.size(), 4u);
    for (const listener_id id : group) {
        EXPECT_GE(accepted[id.index], 1) << id.index;
    }
    // Who leaves the group leaves it to the others.
    ASSERT_TRUE(s.calls().close_listener(group[1]));
    accepted.clear();
    for (int i = 0; i < 32; ++i) {
        remote& r = s.make_established();
        s.abort(r.id);
    }
    EXPECT_EQ(accepted.size(), 3u);
    EXPECT_EQ(accepted.count(group[1].index), 0u);
}

TEST(bind, connect_from_a_port_that_somebody_has_is_refused) {  // R56
    checked_scenario s;
    remote& r = s.new_remote({}, 0);
    const auto from = [&](std::uint16_t port, port_options p = {}) {
        return s.calls().connect({peer_address, r.port},
                                 {.local = endpoint{ipv4_address{}, port}, .port = p});
    };
    EXPECT_EQ(from(listen_port).error(), call_error::address_in_use);
    EXPECT_EQ(from(listen_port, reuse_addr).error(), call_error::address_in_use);
    const auto first = from(5000, reuse_addr);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(from(5000).error(), call_error::address_in_use);
    // May bind, but the tuple is in use.
    EXPECT_EQ(from(5000, reuse_addr).error(), call_error::address_not_available);
    // Another peer, the same port.
    EXPECT_TRUE(s.calls().connect({peer_address, 9},
                                  {.local = endpoint{ipv4_address{}, 5000}, .port = reuse_addr}));
    EXPECT_EQ(could_listen(s, {stack_address, 5000}), "address_in_use");
    s.turn();
}

TEST(bind, connect_takes_over_a_bound_port_only_if_it_succeeds) {
    checked_scenario s;
    const auto bound = s.calls().bind({stack_address, 5000});
    ASSERT_TRUE(bound.ok());
    remote& r = s.new_remote({}, 0);
    EXPECT_EQ(s.calls().connect({ipv4_address{}, 9}, {.bound = *bound}).error(),
              call_error::invalid_argument);
    EXPECT_EQ(s.calls().local_endpoint(*bound)->port, 5000);
    const auto id = s.calls().connect({peer_address, r.port}, {.bound = *bound});
    ASSERT_TRUE(id.ok());
    EXPECT_EQ(s.calls().local_endpoint(*id)->port, 5000);
    EXPECT_EQ(s.calls().local_endpoint(*bound).error(), call_error::stale_handle);
    EXPECT_EQ(could_listen(s, {stack_address, 5000}), "address_in_use");
    s.abort(*id);
    EXPECT_EQ(could_listen(s, {stack_address, 5000}), "");
}

TEST(bind, port_zero_chooses_one_that_nobody_has) {  // R56, R57
    scenario_options o;
    o.settings.ip_local_port_range = {40000, 40003};
    checked_scenario s(o);
    const auto connected = s.calls().connect({peer_address, 9});
    ASSERT_TRUE(connected.ok());
    std::set<std::uint16_t> ports{s.calls().local_endpoint(*connected)->port};
    std::vector<listener_id> bound;
    for (int i = 0; i < 3; ++i) {
        const auto made = s.calls().bind({ipv4_address{}, 0}, reuse_addr);
        ASSERT_TRUE(made.ok());
        bound.push_back(*made);
        EXPECT_TRUE(ports.insert(s.calls().local_endpoint(*made)->port).second);
    }
    EXPECT_EQ(s.calls().bind({ipv4_address{}, 0}, reuse_addr).error(), call_error::address_in_use);
    // connect() passes over bound ports, towards any destination, and finds them when they are
    // given back.
    EXPECT_EQ(s.calls().connect({peer_address, 9}).error(), call_error::address_not_available);
    EXPECT_TRUE(s.calls().connect({peer_address, 10}));
    EXPECT_EQ(s.calls().connect({peer_address, 10}).error(), call_error::address_not_available);
    const std::uint16_t freed = s.calls().local_endpoint(bound[1])->port;
    ASSERT_TRUE(s.calls().close_listener(bound[1]));
    for (const std::uint16_t port : {9, 10}) {
        const auto again = s.calls().connect({peer_address, port});
        ASSERT_TRUE(again.ok());
        EXPECT_EQ(s.calls().local_endpoint(*again)->port, freed);
    }
    s.turn();
}

TEST(bind, an_address_that_is_not_ours_is_not_available) {  // R56
    checked_scenario s;
    EXPECT_EQ(s.calls().bind({peer_address, 81}).error(), call_error::address_not_available);
    EXPECT_EQ(could_listen(s, {peer_address, 81}), "address_not_available");
    EXPECT_EQ(s.calls().connect({peer_address, 9}, {.local = endpoint{peer_address, 0}}).error(),
              call_error::address_not_available);
}

TEST(bind, ip_autobind_reuse_lets_port_zero_share_when_none_is_unused) {  // R57
    scenario_options o;
    o.settings.ip_local_port_range = {40000, 40000};
    checked_scenario s(o);
    ASSERT_TRUE(s.calls().bind({ipv4_address{}, 0}, reuse_addr));
    EXPECT_EQ(s.calls().bind({ipv4_address{}, 0}, reuse_addr).error(), call_error::address_in_use);
    auto changed = s.core().settings();
    changed.ip_autobind_reuse = true;
    s.core().apply_settings(changed);
    EXPECT_EQ(s.calls().bind({ipv4_address{}, 0}).error(), call_error::address_in_use);
    const auto shared = s.calls().bind({ipv4_address{}, 0}, reuse_addr);
    ASSERT_TRUE(shared.ok());
    EXPECT_EQ(s.calls().local_endpoint(*shared)->port, 40000);
}

TEST(bind, an_abort_frees_the_bound_port_and_its_tuple_at_once) {  // R15
    checked_scenario s;
    const endpoint at{stack_address, 5000};
    remote& r = s.new_remote({}, 0);
    for (int i = 0; i < 3; ++i) {
        const auto bound = s.calls().bind(at);
        ASSERT_TRUE(bound.ok()) << i;
        const auto id = s.calls().connect({peer_address, r.port}, {.bound = *bound});
        ASSERT_TRUE(id.ok()) << i;
        s.turn();
        r.send(seg("S."));
        ASSERT_EQ(s.state_of(*id), state::established);
        s.abort(*id);
        EXPECT_TRUE(r.last().tcp.has(wire::tcp_flags::rst));
        r.next_seq = 0;
    }
}

// --- tcp_migrate_req -----------------------------------------------------------------------------

// Two listeners on port 80; `left` closes once the peer has said what `say` says.
struct group {
    explicit group(bool migrate) : s(options_for(migrate)) {
        other = *s.calls().listen(here, {.port = reuse_port});
    }
    static scenario_options options_for(bool migrate) {
        auto o = listening(reuse_port);
        o.settings.tcp_migrate_req = migrate;
        return o;
    }
    checked_scenario s;
    listener_id other{};
};

TEST(tcp_migrate_req, gives_a_handshake_to_another_listener_of_the_group) {  // R05
    for (const bool migrate : {false, true}) {
        group g(migrate);
        std::vector<remote*> half;
        for (int i = 0; i < 8; ++i) {
            half.push_back(&g.s.make_syn_received());
        }
        ASSERT_TRUE(g.s.calls().close_listener(g.s.listener()));
        int opened = 0;
        int reset = 0;
        for (remote* r : half) {
            r->heard();
            r->send(seg("."));
            const auto said = r->heard_segments();
            reset += !said.empty() && said[0].tcp.has(wire::tcp_flags::rst) ? 1 : 0;
            opened += g.s.state_of(r->id) == state::established ? 1 : 0;
        }
        EXPECT_EQ(opened + reset, 8);
        if (migrate) {
            EXPECT_EQ(opened, 8);
        } else {
            EXPECT_GT(reset, 0);
            EXPECT_GT(opened, 0);
        }
        // The counts of who is left are right: its backlog still works.
        ASSERT_TRUE(g.s.calls().close_listener(g.other));
    }
}

// R05
TEST(tcp_migrate_req, gives_what_nobody_has_taken_to_another_listener_of_the_group) {
    for (const bool migrate : {false, true}) {
        group g(migrate);
        std::vector<remote*> all;
        for (int i = 0; i < 8; ++i) {
            all.push_back(&g.s.make_syn_received());
            all.back()->heard();
        }
        for (remote* r : all) {
            feed(g.s, *r, seg("."));
        }
        ASSERT_TRUE(g.s.calls().close_listener(g.s.listener()));
        int opened = 0;
        g.s.on_event = [&](const event& e) {
            opened += (e.what & event_bits::opened) != 0 ? 1 : 0;
            EXPECT_EQ(e.listener, g.other);
        };
        g.s.turn();
        int reset = 0;
        for (remote* r : all) {
            reset += r->last().tcp.has(wire::tcp_flags::rst) ? 1 : 0;
        }
        EXPECT_EQ(opened + reset, 8);
        EXPECT_EQ(reset == 0, migrate) << reset;
        EXPECT_EQ(g.s.tcp().listener_table()[g.other.index].waiting, 0u);
        g.s.on_event = nullptr;
    }
}

}  // namespace
}  // namespace lastack::test
