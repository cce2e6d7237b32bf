// SPDX-License-Identifier: BSD-3-Clause
// Every kind of frame goes to the worker that can use it.
#include "stack/frame_owner.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "ip/arp.hpp"
#include "support/environment.hpp"
#include "wire/ethernet.hpp"
#include "wire/checksum.hpp"
#include "wire/icmp.hpp"
#include "wire/ipv4.hpp"

namespace lastack::stack {
namespace {

using kind = placement::kind;

constexpr flow::key4 key{{0x0a000001}, {0x0a000002}, 40000, 80};  // a peer's 40000 to our 80
constexpr mac_address peer{{2, 0, 0, 0, 0, 1}};
constexpr mac_address ours{{2, 0, 0, 0, 0, 2}};

class frame_owner : public testing::Test {
  protected:
    frame_owner() { test::environment::start(); }

    placement place(const std::vector<std::uint8_t>& octets, bool hashed_by_port = false,
                    std::uint32_t hash = 0) {
        test::test_pools pools;
        rte_mbuf* m = test::make_frame(pools.get().data, octets);
        if (hashed_by_port) {
            m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
            m->hash.rss = hash;
        }
        const placement p = place_frame(m, owners_, hashed_by_port);
        rte_pktmbuf_free(m);
        return p;
    }

    static std::vector<std::uint8_t> packet(std::uint8_t protocol, ipv4_address from,
                                            ipv4_address to, std::vector<std::uint8_t> payload,
                                            bool fragment = false) {
        std::vector<std::uint8_t> out(wire::ethernet_header_bytes + wire::ipv4_header_bytes);
        wire::write_ethernet(out.data(), {ours, peer, wire::ethertype::ipv4});
        wire::ipv4_header ip;
        ip.source = from;
        ip.destination = to;
        ip.protocol = protocol;
        ip.ttl = 64;
        ip.more_fragments = fragment;
        ip.total_length = static_cast<std::uint16_t>(wire::ipv4_header_bytes + payload.size());
        wire::write_ipv4(out.data() + wire::ethernet_header_bytes, ip);
        out.insert(out.end(), payload.begin(), payload.end());
        return out;
    }
    static std::vector<std::uint8_t> ports(std::uint16_t from, std::uint16_t to) {
        std::vector<std::uint8_t> tcp(20);
        store_be16(tcp.data(), from);
        store_be16(tcp.data() + 2, to);
        return tcp;
    }
    static std::vector<std::uint8_t> arp(wire::arp_operation operation, ipv4_address sender,
                                         ipv4_address target) {
        std::vector<std::uint8_t> out(60);
        wire::write_ethernet(out.data(), {wire::mac_broadcast, peer, wire::ethertype::arp});
        wire::write_arp(out.data() + wire::ethernet_header_bytes,
                        {operation, peer, sender, {}, target});
        return out;
    }

    // So many entries that no two tuples of these tests share a worker by chance.
    static std::vector<std::uint16_t> identity() {
        std::vector<std::uint16_t> table(65536);
        for (std::size_t i = 0; i < table.size(); ++i) {
            table[i] = static_cast<std::uint16_t>(i);
        }
        return table;
    }
    static constexpr std::uint8_t secret[16] = {1, 9, 3, 250, 5, 77, 7, 8,
                                                9, 1, 2, 13,  4, 5,  6, 200};
    flow::flow_owner owners_{secret, identity()};
};

TEST_F(frame_owner, a_segment_goes_to_the_owner_of_its_tuple) {
    const auto segment = packet(wire::protocol_tcp, key.remote, key.local, ports(40000, 80));
    EXPECT_EQ(place(segment), (placement{kind::one, owners_.owner_of(key)}));
}

TEST_F(frame_owner, a_hash_in_the_frame_is_believed_only_where_it_is_ours) {
    const auto segment = packet(wire::protocol_tcp, key.remote, key.local, ports(40000, 80));
    EXPECT_EQ(place(segment, true, 0x12345), (placement{kind::one, 0x2345}));
    test::test_pools pools;
    rte_mbuf* m = test::make_frame(pools.get().data, segment);
    m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
    m->hash.rss = 0x12345;
    EXPECT_EQ(place_frame(m, owners_, false), (placement{kind::one, owners_.owner_of(key)}));
    rte_pktmbuf_free(m);
}

TEST_F(frame_owner, an_icmp_error_goes_to_the_owner_of_what_it_quotes) {  // R68
    std::vector<std::uint8_t> quoted =
        packet(wire::protocol_tcp, key.local, key.remote, ports(80, 40000));
    std::vector<std::uint8_t> message(wire::icmp_header_bytes);
    wire::write_icmp(message.data(), {wire::icmp_type::unreachable, 1, 0});
    message.insert(message.end(), quoted.begin() + wire::ethernet_header_bytes, quoted.end());
    const ipv4_address router{0x0a0000fe};
    EXPECT_EQ(place(packet(wire::protocol_icmp, router, key.local, message)),
              (placement{kind::one, owners_.owner_of(key)}));
}

TEST_F(frame_owner, arp_that_tells_something_goes_to_all_and_a_question_to_who_received_it) {
    using op = wire::arp_operation;
    EXPECT_EQ(place(arp(op::reply, key.remote, key.local)).who, kind::all);
    EXPECT_EQ(place(arp(op::request, key.remote, key.remote)).who, kind::all);
    EXPECT_EQ(place(arp(op::request, key.remote, key.local)).who, kind::receiver);
}

TEST_F(frame_owner, what_belongs_to_no_connection_stays_where_it_came) {
    std::vector<std::uint8_t> echo(wire::icmp_header_bytes);
    wire::write_icmp(echo.data(), {wire::icmp_type::echo_request, 0, 1});
    EXPECT_EQ(place(packet(wire::protocol_icmp, key.remote, key.local, echo)).who, kind::receiver);
    EXPECT_EQ(place(packet(17, key.remote, key.local, ports(53, 53))).who, kind::receiver);
    EXPECT_EQ(place(packet(wire::protocol_tcp, key.remote, key.local, ports(40000, 80), true)).who,
              kind::receiver);
    EXPECT_EQ(place({1, 2, 3}).who, kind::receiver);
    auto cut = packet(wire::protocol_tcp, key.remote, key.local, ports(40000, 80));
    cut.resize(wire::ethernet_header_bytes + wire::ipv4_header_bytes + 2);
    EXPECT_EQ(place(cut).who, kind::receiver);
    auto long_header = packet(wire::protocol_tcp, key.remote, key.local, ports(40000, 80));
    long_header[wire::ethernet_header_bytes] = 0x4f;  // 60 octets, of which 40 are there
    EXPECT_EQ(place(long_header).who, kind::receiver);
}

}  // namespace
}  // namespace lastack::stack
