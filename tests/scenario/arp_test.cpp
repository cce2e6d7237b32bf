// SPDX-License-Identifier: BSD-3-Clause
// Neighbours: answered, resolved, given up, and not to be fooled.
#include "support/scenario_test.hpp"
#include "wire/ethernet.hpp"

namespace lastack::test {
namespace {

using wire::arp_operation;
using wire::arp_packet;

TEST(arp, a_request_for_our_address_is_answered) {
    checked_scenario s;
    s.inject_arp({arp_operation::request, peer_mac, peer_address, {}, stack_address});
    const auto said = s.heard_arp();
    ASSERT_EQ(said.size(), 1u);
    EXPECT_EQ(said[0],
              (arp_packet{arp_operation::reply, stack_mac, stack_address, peer_mac, peer_address}));
}

TEST(arp, a_request_for_another_address_is_not) {
    checked_scenario s;
    s.inject_arp({arp_operation::request, peer_mac, peer_address, {}, ipv4_address{0x0a000009}});
    EXPECT_TRUE(s.heard_arp().empty());
}

TEST(arp, a_spoof_of_our_address_is_refused_and_counted) {
    checked_scenario s;
    s.inject_arp({arp_operation::reply, peer_mac, stack_address, stack_mac, stack_address});
    EXPECT_EQ(s.count(counter::arp_spoof), 1u);
    remote& r = s.make_established();
    EXPECT_EQ(s.state_of(r.id), state::established);
}

TEST(arp, packets_wait_for_the_answer_and_go_then) {
    scenario_options o;
    o.introduce = false;
    o.answer_arp = false;
    checked_scenario s{o};
    remote& r = s.make_syn_sent();
    EXPECT_EQ(r.heard(), "");
    const auto asked = s.heard_arp();
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked[0].operation, arp_operation::request);
    EXPECT_EQ(asked[0].sender, stack_address);
    EXPECT_EQ(asked[0].target, peer_address);
    s.inject_arp({arp_operation::reply, peer_mac, peer_address, stack_mac, stack_address});
    EXPECT_EQ(r.heard(), "S 0:1(0)");
    r.send(seg("S."));
    EXPECT_EQ(s.events(r.id), "opened");
}

TEST(arp, connect_fails_when_nobody_answers) {
    scenario_options o;
    o.introduce = false;
    o.answer_arp = false;
    checked_scenario s{o};
    remote& r = s.make_syn_sent();
    s.advance(10s);
    EXPECT_GE(s.heard_arp().size(), 2u);
    EXPECT_EQ(s.events(r.id), "ended:host_unreachable");
    EXPECT_EQ(s.calls().receive(r.id).error(), call_error::host_unreachable);
    EXPECT_GE(s.count(counter::arp_failed), 1u);
}

TEST(arp, off_link_destinations_go_to_the_gateway) {
    scenario_options o;
    o.use_gateway = true;
    checked_scenario s{o};
    ASSERT_TRUE(s.calls().connect({ipv4_address{0x08080808}, 80}));
    s.turn();
    const auto asked = s.heard_arp();
    ASSERT_FALSE(asked.empty());
    EXPECT_EQ(asked[0].target, gateway_address);
    EXPECT_EQ(s.heard_other().size(), 1u);  // the SYN, once the gateway answered
}

// Within one millisecond, for which a next hop is remembered.
TEST(arp, a_neighbour_that_moves_is_followed_at_once) {
    checked_scenario s;
    constexpr ipv4_address host{0x0a00004d};
    for (const std::uint8_t last : {std::uint8_t{7}, std::uint8_t{8}}) {
        const mac_address mac{{0x02, 0, 0, 0, 0, last}};
        s.inject_arp({arp_operation::request, mac, host, {}, stack_address});
        for (int i = 0; i < 2; ++i) {
            ASSERT_TRUE(s.calls().connect({host, 80}));
            s.turn();
            const auto sent = s.heard_other();
            ASSERT_EQ(sent.size(), 1u);
            EXPECT_EQ(sent[0].substr(0, 6), std::string(mac.bytes.begin(), mac.bytes.end()));
        }
    }
}

TEST(arp, the_address_is_announced_at_the_start) {
    scenario_options o;
    o.introduce = false;
    test_pools pools;
    stack::core_config c;
    c.port = o.link;
    c.addresses = {{stack_address, 24}};
    c.settings = o.settings;
    c.memory = pools.get();
    c.pages = page_size::normal;
    auto core = stack::core::make(c, o.start);
    ASSERT_TRUE(core);
    std::vector<std::string> frames;
    (*core)->set_transmit({[](void* to, rte_mbuf** m, std::uint16_t n) {
                               for (std::uint16_t i = 0; i < n; ++i) {
                                   static_cast<std::vector<std::string>*>(to)->push_back(
                                       frame_bytes(m[i]));
                                   rte_pktmbuf_free(m[i]);
                               }
                               return n;
                           },
                           &frames});
    (*core)->run_timers(o.start);
    (*core)->output(o.start);
    ASSERT_EQ(frames.size(), 1u);
    const auto* at = reinterpret_cast<const std::uint8_t*>(frames[0].data());
    const auto ethernet = wire::parse_ethernet({at, frames[0].size()});
    EXPECT_EQ(ethernet->destination, wire::mac_broadcast);
    const auto arp = wire::parse_arp({at + 14, frames[0].size() - 14});
    ASSERT_TRUE(arp);
    EXPECT_EQ(arp->sender, stack_address);
    EXPECT_EQ(arp->target, stack_address);
    core->reset();
    EXPECT_EQ(pools.leaks(), "");
}

}  // namespace
}  // namespace lastack::test
