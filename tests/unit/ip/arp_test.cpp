// SPDX-License-Identifier: BSD-3-Clause
// What a received ARP packet may teach, and the frames that are sent.
#include "ip/arp.hpp"

#include <gtest/gtest.h>

#include <vector>

using namespace lastack;
using namespace lastack::ip;
using wire::arp_operation;
using wire::arp_packet;

namespace {

constexpr mac_address our_mac{{2, 0, 0, 0, 0, 2}};
constexpr mac_address peer_mac{{2, 0, 0, 0, 0, 1}};
constexpr ipv4_address ours{0x0a000002};
constexpr ipv4_address peer{0x0a000001};
constexpr ipv4_address third{0x0a000003};

arp_verdict judge(const arp_packet& p) {
    route_table routes;
    EXPECT_FALSE(routes.add_address({ours, 24}));
    return judge_arp(p, our_mac, routes);
}

arp_packet request_from(ipv4_address sender, ipv4_address target, mac_address mac = peer_mac) {
    return {arp_operation::request, mac, sender, {}, target};
}
arp_packet reply_from(ipv4_address sender, ipv4_address target, mac_address mac = peer_mac) {
    return {arp_operation::reply, mac, sender, our_mac, target};
}

void expect_dropped(const arp_packet& p, counter c) {
    const arp_verdict v = judge(p);
    EXPECT_FALSE(v.reply);
    EXPECT_FALSE(v.learn);
    EXPECT_EQ(v.count, c);
}

}  // namespace

TEST(arp, a_request_for_us_is_answered_and_teaches_its_sender) {
    const arp_verdict v = judge(request_from(peer, ours));
    EXPECT_TRUE(v.reply);
    EXPECT_EQ(v.learn, arp_evidence::request_for_us);
    EXPECT_EQ(v.count, counter::arp_requests_in);
    EXPECT_EQ(arp_reply_to(request_from(peer, ours), our_mac),
              (arp_packet{arp_operation::reply, our_mac, ours, peer_mac, peer}));
}

TEST(arp, a_reply_to_us_teaches) {
    const arp_verdict v = judge(reply_from(peer, ours));
    EXPECT_FALSE(v.reply);
    EXPECT_EQ(v.learn, arp_evidence::reply_to_us);
}

TEST(arp, announcements_and_requests_for_others_are_overheard) {
    for (const arp_packet& p :
         {request_from(peer, peer), reply_from(peer, peer), request_from(peer, third)}) {
        const arp_verdict v = judge(p);
        EXPECT_FALSE(v.reply);
        EXPECT_EQ(v.learn, arp_evidence::overheard);
    }
}

TEST(arp, a_reply_to_somebody_else_is_not_for_us) {
    expect_dropped(reply_from(peer, third), counter::drop_not_for_us);
}

TEST(arp, whoever_claims_our_address_is_refused) {
    expect_dropped(request_from(ours, ours), counter::arp_spoof);
    expect_dropped(request_from(ours, third), counter::arp_spoof);
    expect_dropped(reply_from(ours, ours), counter::arp_spoof);
    // Our own announcement that a wire sent back to us is no spoof.
    expect_dropped(request_from(ours, ours, our_mac), counter::drop_not_for_us);
}

// RFC 5227 2.1.1
TEST(arp, a_probe_for_our_address_is_answered_and_teaches_nothing) {
    const arp_verdict v = judge(request_from({}, ours));
    EXPECT_TRUE(v.reply);
    EXPECT_FALSE(v.learn);
    expect_dropped(request_from({}, third), counter::drop_not_for_us);
}

TEST(arp, a_sender_that_cannot_be_a_host_is_malformed) {
    expect_dropped(request_from(peer, ours, wire::mac_broadcast), counter::arp_malformed);
    expect_dropped(request_from(peer, ours, {{3, 0, 0, 0, 0, 1}}), counter::arp_malformed);
    expect_dropped(request_from(peer, ours, {}), counter::arp_malformed);
    for (const ipv4_address a : {ipv4_address{0xe0000001}, ipv4_address{0x7f000001},
                                 ipv4_address{0xffffffff}, ipv4_address{0x0a0000ff}}) {
        expect_dropped(request_from(a, ours), counter::arp_malformed);
    }
}

TEST(arp, a_sender_from_another_network_gets_its_answer_and_teaches_nothing) {
    const arp_verdict v = judge(request_from({0xc0a80001}, ours));
    EXPECT_TRUE(v.reply);
    EXPECT_FALSE(v.learn);
    expect_dropped(reply_from({0xc0a80001}, ours), counter::drop_not_for_us);
    expect_dropped(request_from({0xc0a80001}, {0xc0a80001}), counter::drop_not_for_us);
}

TEST(arp, frames_go_to_their_target_or_to_everybody) {
    std::vector<std::uint8_t> out(42, 0xee);
    EXPECT_EQ(write_arp_frame(out.data(), arp_announcement(our_mac, ours)), 42u);
    EXPECT_EQ(out, (std::vector<std::uint8_t>{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0, 0, 0,
                                              0,    2,    0x08, 0x06,                           //
                                              0,    1,    8,    0,    6,    4,    0,  1,        //
                                              2,    0,    0,    0,    0,    2,    10, 0, 0, 2,  //
                                              0,    0,    0,    0,    0,    0,    10, 0, 0, 2}));
    write_arp_frame(out.data(), arp_request(our_mac, ours, peer, {}));
    EXPECT_EQ(out[0], 0xff);
    EXPECT_EQ(out[41], 1);
    write_arp_frame(out.data(), arp_request(our_mac, ours, peer, peer_mac));
    EXPECT_EQ((std::vector<std::uint8_t>(out.begin(), out.begin() + 6)),
              (std::vector<std::uint8_t>{2, 0, 0, 0, 0, 1}));
}
