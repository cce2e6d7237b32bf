// SPDX-License-Identifier: BSD-3-Clause
#include "timer/slot_ring.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <vector>

namespace lastack::timer {
namespace {

TEST(slot_ring, is_empty_at_first) {
    EXPECT_EQ(slot_ring{}.first(12345), slot_ring::none);
}

TEST(slot_ring, finds_any_one_from_any_place) {
    for (std::uint64_t n = 0; n < 512; ++n) {
        slot_ring ring;
        ring.set(n);
        for (std::uint64_t from = 1024; from < 1536; ++from) {
            ASSERT_EQ(ring.first(from), from + (n - from) % 512) << n << " " << from;
        }
    }
}

RC_GTEST_PROP(slot_ring, agrees_with_a_set, (std::vector<std::pair<std::uint16_t, bool>> steps)) {
    slot_ring ring;
    std::set<std::uint64_t> model;
    for (const auto& [number, set] : steps) {
        const std::uint64_t n = number % 512;
        if (set) {
            ring.set(n);
            model.insert(n);
        } else {
            ring.clear(n);
            model.erase(n);
        }
        const std::uint64_t from = number / 7;
        std::uint64_t expected = slot_ring::none;
        for (const std::uint64_t m : model) {
            expected = std::min(expected, from + (m - from) % 512);
        }
        RC_ASSERT(ring.first(from) == expected);
    }
}

}  // namespace
}  // namespace lastack::timer
