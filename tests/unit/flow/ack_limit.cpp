// SPDX-License-Identifier: BSD-3-Clause
#include "flow/ack_limit.hpp"

#include <gtest/gtest.h>

#include "flow/keyed_hash.hpp"

namespace lastack::flow {
namespace {

ack_limit make() {
    auto made = ack_limit::make(page_size::normal);
    EXPECT_TRUE(made.ok());
    return std::move(*made);
}

constexpr keyed_hash hash(1, 2);
std::uint64_t hash_of(std::uint32_t n) {
    return hash(key4{ipv4_address{n}, ipv4_address{1}, 1, 80});
}

TEST(ack_limit, one_in_the_limit) {  // R45
    ack_limit limit = make();
    tick now{0xffffff00u};
    EXPECT_TRUE(limit.may_ack(7, now, 500));
    for (std::uint32_t n = 0; n < 1000; ++n) {
        ASSERT_FALSE(limit.may_ack(7, now, 500)) << n;
        ASSERT_FALSE(limit.may_ack(7, now + 499, 500)) << n;
        now = now + 500;
        ASSERT_TRUE(limit.may_ack(7, now, 500)) << n;
    }
    EXPECT_TRUE(limit.may_ack(7, now, 0));
    EXPECT_TRUE(limit.may_ack(7, now, 0));
}

TEST(ack_limit, no_limit_reaches_further_back_than_a_minute) {
    ack_limit limit = make();
    EXPECT_TRUE(limit.may_ack(7, tick{0}, 500));
    EXPECT_FALSE(limit.may_ack(7, tick{59'999}, ~0u));
    EXPECT_TRUE(limit.may_ack(7, tick{60'000}, ~0u));
}

TEST(ack_limit, each_record_has_its_own) {
    ack_limit limit = make();
    for (std::uint32_t n = 0; n < 2000; ++n) {
        ASSERT_TRUE(limit.may_ack(hash_of(n), tick{n / 10}, 500)) << n;
    }
    for (std::uint32_t n = 0; n < 2000; ++n) {
        ASSERT_FALSE(limit.may_ack(hash_of(n), tick{499}, 500)) << n;
    }
}

// A flood from so many that their times do not fit: each one's limit still holds.
TEST(ack_limit, a_flood_gets_no_more_than_there_is_room_for_and_nobody_more_than_one) {
    ack_limit limit = make();
    std::uint32_t first = 0;
    for (std::uint32_t n = 0; n < 200'000; ++n) {
        first += limit.may_ack(hash_of(n), tick{0}, 500) ? 1 : 0;
    }
    EXPECT_LE(first, ack_limit::sets * 8);
    EXPECT_GE(first, ack_limit::sets * 7);
    std::uint32_t again = 0;
    for (std::uint32_t n = 0; n < 200'000; ++n) {
        again += limit.may_ack(hash_of(n), tick{400}, 500) ? 1 : 0;
    }
    EXPECT_LE(first + again, ack_limit::sets * 8);
    EXPECT_TRUE(limit.may_ack(hash_of(0), tick{901}, 500));
}

}  // namespace
}  // namespace lastack::flow
