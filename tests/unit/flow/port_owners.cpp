// SPDX-License-Identifier: BSD-3-Clause
#include "flow/port_owners.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <tuple>

namespace lastack::flow {
namespace {

constexpr std::array<ipv4_address, 2> ours{ipv4_address{0x0a000002}, ipv4_address{0x0a000003}};
constexpr ipv4_address any{};
constexpr std::array<port_sharing, 4> kinds{
    {{false, false}, {true, false}, {false, true}, {true, true}}};

port_owners make() {
    auto made = port_owners::make(ours, page_size::normal);
    EXPECT_TRUE(made.ok());
    return std::move(*made);
}

TEST(port_owners, sharing_needs_the_option_on_both_sides) {  // R56
    for (const port_sharing mine : kinds) {
        for (const port_sharing theirs : kinds) {
            const bool addr = mine.addr && theirs.addr;
            const bool port = mine.port && theirs.port;
            EXPECT_EQ(may_share(mine, theirs, false), addr || port);
            EXPECT_EQ(may_share(mine, theirs, true), port);  // beside one that listens
        }
    }
}

TEST(port_owners, agree_with_a_list_of_all_owners) {  // R56
    auto owners = make();
    std::map<std::tuple<std::uint32_t, std::uint16_t, std::size_t>, int> list;
    std::mt19937 random(1);
    for (int step = 0; step < 20'000; ++step) {
        const std::size_t address = random() % ours.size();
        const auto port = static_cast<std::uint16_t>(random() % 3 == 0 ? 65535 : random() % 4);
        const std::size_t kind = random() % kinds.size();
        int& count = list[{address, port, kind}];
        if (count < 3 && random() % 2 == 0) {
            ++count;
            owners.enter(ours[address], port, kinds[kind]);
        } else if (count > 0) {
            --count;
            owners.leave(ours[address], port, kinds[kind]);
        }
        for (const std::size_t asked : {0u, 1u, 2u}) {  // 2: the any-address
            std::uint64_t total = 0;
            std::array<bool, 4> allow{true, true, true, true};
            for (const auto& [owner, n] : list) {
                const auto& [at, p, k] = owner;
                if (p != port || n == 0 || (asked != 2 && at != asked)) {
                    continue;
                }
                total += static_cast<std::uint64_t>(n);
                for (std::size_t mine = 0; mine < kinds.size(); ++mine) {
                    allow[mine] = allow[mine] && may_share(kinds[mine], kinds[k], false);
                }
            }
            const ipv4_address where = asked == 2 ? any : ours[asked];
            ASSERT_EQ(owners.count(where, port), total);
            for (std::size_t mine = 0; mine < kinds.size(); ++mine) {
                ASSERT_EQ(owners.allow(where, port, kinds[mine]), allow[mine]);
            }
        }
    }
}

}  // namespace
}  // namespace lastack::flow
