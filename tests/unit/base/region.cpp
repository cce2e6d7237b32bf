// SPDX-License-Identifier: BSD-3-Clause
#include "base/region.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

namespace lastack {
namespace {

long page_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

TEST(region, is_zero_and_faulted_in_before_use) {
    constexpr std::size_t bytes = 64u << 20;
    auto made = region::map(bytes, page_size::normal);
    ASSERT_TRUE(made.ok()) << made.error();
    EXPECT_EQ(made->size(), bytes);
    EXPECT_FALSE(made->huge());
    const long before = page_faults();
    std::size_t nonzero = 0;
    for (std::size_t at = 0; at < bytes; at += 4096) {
        nonzero += made->data()[at] != std::byte{0};
        made->data()[at] = std::byte{1};
    }
    EXPECT_EQ(nonzero, 0u);
    // Of 16384 pages; a sanitizer faults for its own shadow of them.
    EXPECT_LT(page_faults() - before, 4096);
}

TEST(region, falls_back_when_there_are_no_huge_pages) {
    auto made = region::map(3u << 20, page_size::huge);
    ASSERT_TRUE(made.ok()) << made.error();
    made->data()[(3u << 20) - 1] = std::byte{1};
    EXPECT_GE(made->mapped_bytes(), made->size());
}

TEST(region, refuses_more_than_there_is_and_says_how_much) {
    auto made = region::map(std::size_t{1} << 46, page_size::normal);
    ASSERT_FALSE(made.ok());
    EXPECT_NE(made.error().find("67108864 MiB"), std::string::npos) << made.error();
    EXPECT_NE(made.error().find("lower the capacity"), std::string::npos) << made.error();
    EXPECT_FALSE(region::map(~std::size_t{0}, page_size::huge).ok());
}

TEST(region, moves_without_moving_its_bytes) {
    auto made = region::map(4096, page_size::normal);
    ASSERT_TRUE(made.ok());
    std::byte* const data = made->data();
    region other = std::move(*made);
    EXPECT_EQ(other.data(), data);
    EXPECT_EQ(made->data(), nullptr);
    other = region{};
    EXPECT_EQ(other.data(), nullptr);
}

TEST(fixed_array, constructs_its_objects) {
    struct thing {
        int value = 7;
    };
    auto made = fixed_array<thing>::make(1000, page_size::normal);
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(made->size(), 1000u);
    EXPECT_TRUE(std::all_of(made->begin(), made->end(), [](thing t) { return t.value == 7; }));
}

}  // namespace
}  // namespace lastack
