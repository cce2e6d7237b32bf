// SPDX-License-Identifier: BSD-3-Clause
#include "flow/port_choice.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace lastack::flow {
namespace {

key4 to(std::uint32_t remote) {
    return {ipv4_address{remote}, ipv4_address{0x0a000002}, 80, 0};
}
constexpr auto any = [](std::uint16_t) { return true; };

TEST(port_choice, goes_through_the_whole_range_before_a_port_comes_again) {  // R57
    port_choice ports(keyed_hash(1, 2), {32768, 60999});
    std::vector<std::uint16_t> first;
    for (std::uint32_t i = 0; i < ports.size(); ++i) {
        first.push_back(*ports.next(to(1), 1, any));
    }
    EXPECT_EQ(std::set<std::uint16_t>(first.begin(), first.end()).size(), ports.size());
    EXPECT_EQ(*std::min_element(first.begin(), first.end()), 32768);
    EXPECT_EQ(*std::max_element(first.begin(), first.end()), 60999);
    // And then in the same order: the one given out longest ago comes first.
    for (std::uint32_t i = 0; i < 100; ++i) {
        EXPECT_EQ(*ports.next(to(1), 1, any), first[i]);
    }
}

TEST(port_choice, starts_elsewhere_for_each_destination_and_key) {
    std::set<std::uint16_t> starts;
    for (std::uint32_t i = 0; i < 50; ++i) {
        starts.insert(*port_choice(keyed_hash(1, 2), {}).next(to(i), 1, any));
        starts.insert(*port_choice(keyed_hash(3, i), {}).next(to(1), 1, any));
    }
    EXPECT_GT(starts.size(), 90u);
}

TEST(port_choice, skips_what_is_not_usable_and_keeps_to_its_budget) {
    port_choice ports(keyed_hash(1, 2), {1000, 1009});
    int asked = 0;
    const auto only_1003 = [&](std::uint16_t port) {
        ++asked;
        return port == 1003;
    };
    EXPECT_EQ(ports.next(to(1), 100, only_1003), 1003);
    EXPECT_LE(asked, 10);
    asked = 0;
    EXPECT_EQ(ports.next(to(1), 4, only_1003), std::nullopt);  // it is the last one to come now
    EXPECT_EQ(asked, 4);
    asked = 0;
    const auto none = [&](std::uint16_t) {
        ++asked;
        return false;
    };
    EXPECT_EQ(ports.next(to(1), 100, none), std::nullopt);
    EXPECT_EQ(asked, 10);
}

TEST(port_choice, follows_a_change_of_the_range) {
    port_choice ports(keyed_hash(1, 2), {1, 65535});
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(ports.next(to(1), 1, any).has_value());
    }
    ports.set_range({5000, 5001});
    std::set<std::uint16_t> seen;
    for (int i = 0; i < 4; ++i) {
        seen.insert(*ports.next(to(1), 2, any));
    }
    EXPECT_EQ(seen, (std::set<std::uint16_t>{5000, 5001}));
}

}  // namespace
}  // namespace lastack::flow
