// SPDX-License-Identifier: BSD-3-Clause
// The calendar queue against a multiset of (day, entry).
#include "timer/calendar.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <vector>

namespace lastack::timer {
namespace {

calendar make(std::uint32_t entries, std::uint32_t now) {
    auto made = calendar::make(entries, now, page_size::normal);
    EXPECT_TRUE(made.ok());
    return std::move(*made);
}

std::vector<std::uint32_t> take_all(calendar& c, std::uint32_t now) {
    std::vector<std::uint32_t> all;
    std::array<std::uint32_t, 7> some;
    while (const std::size_t count = c.take(now, some)) {
        all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return all;
}

TEST(calendar, gives_each_entry_on_its_day) {
    for (const std::uint32_t start : {0u, 4095u, 0x7ffffff0u, 0xfffffff0u}) {
        calendar c = make(100, start);
        c.push(start + 30, 1);
        c.push(start + 10, 2);
        c.push(start - 5, 3);  // has passed
        c.push(start + 4095, 4);
        EXPECT_EQ(c.earliest(), start);
        EXPECT_EQ(take_all(c, start), std::vector<std::uint32_t>{3});
        EXPECT_FALSE(c.ready(start + 9));
        EXPECT_TRUE(take_all(c, start + 9).empty());
        EXPECT_TRUE(c.ready(start + 10));
        EXPECT_EQ(c.earliest(), start + 10);
        EXPECT_EQ(take_all(c, start + 40), (std::vector<std::uint32_t>{2, 1}));
        EXPECT_EQ(take_all(c, start + 100'000), std::vector<std::uint32_t>{4});
        EXPECT_EQ(c.size(), 0u);
        EXPECT_EQ(c.earliest(), std::nullopt);
    }
}

TEST(calendar, keeps_what_the_ring_cannot_hold_until_it_has_caught_up) {
    calendar c = make(100, 0);
    c.push(5000, 1);
    c.push(10, 2);
    EXPECT_EQ(take_all(c, 9), std::vector<std::uint32_t>{1});  // early, for its user to push again
    c.push(4000, 1);
    EXPECT_EQ(take_all(c, 10), std::vector<std::uint32_t>{2});
    EXPECT_TRUE(take_all(c, 3999).empty());
    EXPECT_EQ(take_all(c, 4000), std::vector<std::uint32_t>{1});
}

TEST(calendar, holds_all_its_entries_however_they_are_spread) {
    constexpr std::uint32_t entries = 50'000;
    calendar c = make(entries, 0xffff0000u);
    std::mt19937 random(1);
    std::uint32_t now = 0xffff0000u;
    std::uint32_t held = 0;
    for (std::uint32_t round = 0; round < 60; ++round) {
        while (held < entries) {
            // By turns all on one day, one a day, and anywhere.
            const std::uint32_t ahead = round % 3 == 0   ? 100
                                        : round % 3 == 1 ? held % 4096
                                                         : random() % 4200;
            c.push(now + ahead, held);
            ++held;
        }
        now += random() % 3000;
        held -= static_cast<std::uint32_t>(take_all(c, now).size());
        ASSERT_EQ(c.size(), held);
    }
}

TEST(calendar, agrees_with_an_ordered_map) {
    std::mt19937_64 random(7);
    const std::uint32_t start = 0xffffff00u;
    calendar c = make(1000, start);
    std::multimap<std::uint64_t, std::uint32_t> model;
    std::uint64_t elapsed = 0;
    for (int n = 0; n < 300'000; ++n) {
        if (random() % 2 == 0 && model.size() < 1000) {
            const std::uint64_t at = elapsed + random() % 4000;
            const auto entry = static_cast<std::uint32_t>(random());
            model.emplace(at, entry);
            c.push(start + static_cast<std::uint32_t>(at), entry);
        } else {
            elapsed += random() % 8 == 0 ? random() % 2000 : random() % 4;
            std::vector<std::uint32_t> got =
                take_all(c, start + static_cast<std::uint32_t>(elapsed));
            std::vector<std::uint32_t> due;
            while (!model.empty() && model.begin()->first <= elapsed) {
                due.push_back(model.begin()->second);
                model.erase(model.begin());
            }
            std::sort(got.begin(), got.end());
            std::sort(due.begin(), due.end());
            ASSERT_EQ(got, due);
            ASSERT_EQ(c.earliest().has_value(), !model.empty());
            if (!model.empty()) {
                ASSERT_EQ(*c.earliest(), start + static_cast<std::uint32_t>(model.begin()->first));
            }
        }
    }
}

}  // namespace
}  // namespace lastack::timer
