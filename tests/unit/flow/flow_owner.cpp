// SPDX-License-Identifier: BSD-3-Clause
// The hash must be a port's to the bit: Microsoft's published verification values for RSS.
#include "flow/flow_owner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace lastack::flow {
namespace {

constexpr std::uint8_t published_key[40] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

key4 from(const char* remote, std::uint16_t remote_port, const char* local,
          std::uint16_t local_port) {
    return {*parse_ipv4(remote), *parse_ipv4(local), remote_port, local_port};
}

TEST(flow_owner, hashes_as_the_published_values_say) {
    const flow_owner owner(published_key, even_redirection(128, 2));
    EXPECT_EQ(owner.hash(from("66.9.149.187", 2794, "161.142.100.80", 1766)), 0x51ccc178u);
    EXPECT_EQ(owner.hash(from("199.92.111.2", 14230, "65.69.140.83", 4739)), 0xc626b0eau);
    EXPECT_EQ(owner.hash(from("24.19.198.95", 12898, "12.22.207.184", 38024)), 0x5c2b394au);
    EXPECT_EQ(owner.hash(from("38.27.205.30", 48228, "209.142.163.6", 2217)), 0xafc7327fu);
    EXPECT_EQ(owner.hash(from("153.39.163.191", 44251, "202.188.127.2", 1303)), 0x10e828a2u);
}

TEST(flow_owner, hashes_parts_of_a_tuple_to_parts_of_its_hash) {
    const flow_owner owner(published_key, even_redirection(128, 2));
    const key4 whole = from("66.9.149.187", 2794, "161.142.100.80", 1766);
    const key4 address{{}, whole.local, 0, 0};
    const key4 rest{whole.remote, {}, whole.remote_port, whole.local_port};
    EXPECT_EQ(owner.hash(address) ^ owner.hash(rest), owner.hash(whole));
}

TEST(flow_owner, takes_the_low_bits_of_the_hash_to_the_table) {
    const flow_owner owner(published_key, {7, 3, 5, 1});
    const key4 key = from("66.9.149.187", 2794, "161.142.100.80", 1766);  // ...78: entry 0
    EXPECT_EQ(owner.owner_of(key), 7u);
    EXPECT_EQ(owner.owner_of_hash(0xfffffffeu), 5u);
}

TEST(flow_owner, finds_what_the_table_says_for_the_hash_with_and_without_products) {
    std::mt19937 random(1);
    for (const std::size_t entries : {1u, 2u, 128u, 512u, 65536u}) {
        std::array<std::uint8_t, flow_owner::key_bytes> key;
        std::generate(key.begin(), key.end(), [&] { return static_cast<std::uint8_t>(random()); });
        std::vector<std::uint16_t> table(entries);
        std::generate(table.begin(), table.end(),
                      [&] { return static_cast<std::uint16_t>(random()); });
        const flow_owner by_octets(key, table, false);
        const flow_owner best(key, table);
        for (int i = 0; i < 10'000; ++i) {
            const key4 k{{static_cast<std::uint32_t>(random())},
                         {static_cast<std::uint32_t>(random())},
                         static_cast<std::uint16_t>(random()),
                         static_cast<std::uint16_t>(random())};
            const unsigned owner = table[by_octets.hash(k) % entries];
            ASSERT_EQ(by_octets.owner_of(k), owner);
            ASSERT_EQ(best.owner_of(k), owner) << entries;
        }
    }
}

TEST(flow_owner, spreads_the_ports_of_one_host_evenly_whatever_the_number_of_workers) {
    std::mt19937 random(1);
    std::array<std::uint8_t, flow_owner::key_bytes> key;
    std::generate(key.begin(), key.end(), [&] { return static_cast<std::uint8_t>(random()); });
    for (const unsigned workers : {2u, 3u, 8u}) {
        const flow_owner owner(key, even_redirection(128, workers));
        std::map<unsigned, int> share;
        for (std::uint16_t port = 32768; port < 61000; ++port) {
            ++share[owner.owner_of(from("10.0.0.1", 80, "10.0.0.2", port))];
        }
        ASSERT_EQ(share.size(), workers);
        for (const auto& [worker, ports] : share) {
            EXPECT_NEAR(ports, 28232 / static_cast<int>(workers), 28232 / 20) << worker;
        }
    }
}

}  // namespace
}  // namespace lastack::flow
