// SPDX-License-Identifier: BSD-3-Clause
#include "flow/connection_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "flow/keyed_hash.hpp"

namespace lastack::flow {
namespace {

connection_table make(std::uint32_t capacity) {
    auto made = connection_table::make(capacity, page_size::normal);
    EXPECT_TRUE(made.ok());
    return std::move(*made);
}

std::uint64_t hash_of(std::uint32_t n) {
    return keyed_hash(5, 6)(n, 0);
}

TEST(connection_table, finds_what_was_inserted_until_it_is_erased) {
    connection_table t = make(10);
    const auto is = [](std::uint32_t wanted) {
        return [wanted](std::uint32_t v) { return v == wanted; };
    };
    EXPECT_EQ(t.find(1, is(7)), connection_table::npos);
    EXPECT_TRUE(t.insert(1, 7));
    EXPECT_TRUE(t.insert(1, 8));  // another key with the same hash
    EXPECT_EQ(t.find(1, is(7)), 7u);
    EXPECT_EQ(t.find(1, is(8)), 8u);
    EXPECT_EQ(t.find(hash_of(2), is(7)), connection_table::npos);
    EXPECT_TRUE(t.replace(1, 7, 9));
    EXPECT_FALSE(t.replace(1, 7, 9));
    EXPECT_EQ(t.find(1, is(9)), 9u);
    EXPECT_FALSE(t.erase(1, 7));
    EXPECT_TRUE(t.erase(1, 8));
    EXPECT_TRUE(t.erase(1, 9));
    EXPECT_EQ(t.size(), 0u);
}

TEST(connection_table, takes_exactly_its_capacity) {
    for (const std::uint32_t capacity : {1u, 2u, 9u, 100u, 5000u, 300'000u}) {
        connection_table t = make(capacity);
        for (std::uint32_t i = 0; i < capacity; ++i) {
            ASSERT_TRUE(t.insert(hash_of(i), i)) << i << " of " << capacity;
        }
        EXPECT_FALSE(t.insert(hash_of(capacity), capacity));
        EXPECT_EQ(t.stashed(), 0u);
        for (std::uint32_t i = 0; i < capacity; ++i) {
            ASSERT_EQ(t.find(hash_of(i), [i](std::uint32_t v) { return v == i; }), i);
        }
    }
}

TEST(connection_table, stays_full_through_churn) {
    constexpr std::uint32_t capacity = 20'000;
    connection_table t = make(capacity);
    std::vector<std::uint32_t> held;
    std::uint32_t next = 0;
    for (; next < capacity; ++next) {
        ASSERT_TRUE(t.insert(hash_of(next), next));
        held.push_back(next);
    }
    std::mt19937 random(1);
    for (int n = 0; n < 1'000'000; ++n) {
        std::uint32_t& one = held[random() % capacity];
        ASSERT_TRUE(t.erase(hash_of(one), one));
        one = next++;
        ASSERT_TRUE(t.insert(hash_of(one), one)) << n;
    }
    EXPECT_EQ(t.size(), capacity);
    EXPECT_EQ(t.stashed(), 0u);
}

TEST(connection_table, the_stash_takes_what_two_buckets_cannot) {
    connection_table t = make(200);
    // One hash for all: 20 fit into its two buckets (or 10, if they are one), 64 into the stash.
    std::uint32_t held = 0;
    while (t.insert(42, held)) {
        ++held;
    }
    EXPECT_EQ(t.stashed(), 64u);
    EXPECT_TRUE(held == 84 || held == 74) << held;
    std::set<std::uint32_t> walked;
    std::size_t at = 0;
    do {
        at = t.walk(at, 3, [&](std::uint32_t v) { walked.insert(v); });
    } while (at != 0);
    EXPECT_EQ(walked.size(), held);
    for (std::uint32_t i = 0; i < held; ++i) {
        ASSERT_EQ(t.find(42, [i](std::uint32_t v) { return v == i; }), i);
        ASSERT_TRUE(t.replace(42, i, i + 1000));
        ASSERT_TRUE(t.erase(42, i + 1000));
    }
    EXPECT_EQ(t.size(), 0u);
    EXPECT_EQ(t.stashed(), 0u);
}

TEST(connection_table, looks_beyond_a_home_only_while_something_of_it_is_elsewhere) {
    connection_table t = make(400);
    // In each bucket two or three values of hash 0's tag, so that looking into it asks `matches`, and
    // as many of other tags, which can move to other places than those.
    const auto in_every_bucket = [&](auto&& f) {
        for (std::uint64_t k = 0; k < 128; ++k) {
            ASSERT_TRUE(f(k << 25 | std::uint64_t{1} << 48, static_cast<std::uint32_t>(k)));
            ASSERT_TRUE(f(k << 25 | (2 + k) << 48, static_cast<std::uint32_t>(200 + k)));
        }
    };
    const auto insert = [&](std::uint64_t hash, std::uint32_t v) { return t.insert(hash, v); };
    const auto erase = [&](std::uint64_t hash, std::uint32_t v) { return t.erase(hash, v); };
    const auto asked = [&] {
        int times = 0;
        EXPECT_EQ(t.find(0, [&](std::uint32_t) { return ++times == 0; }), connection_table::npos);
        return times;
    };
    in_every_bucket(insert);
    const int at_home = asked();
    EXPECT_GE(at_home, 2);
    EXPECT_LE(at_home, 3);
    // So many that some find no room at home; that others have to move for them; that the stash is used.
    for (const std::uint32_t more : {8u, 14u, 40u}) {
        for (std::uint32_t i = 0; i < more; ++i) {
            ASSERT_TRUE(t.insert(0, 1000 + i)) << i << " of " << more;
        }
        EXPECT_GT(asked(), at_home + static_cast<int>(std::min(more, 10u)));
        EXPECT_EQ(t.stashed() > 0, more == 40);
        for (std::uint32_t i = 0; i < more; ++i) {
            ASSERT_TRUE(t.erase(0, 1000 + i)) << i << " of " << more;
        }
        // What moved may still be away.
        in_every_bucket(erase);
        in_every_bucket(insert);
        EXPECT_EQ(asked(), at_home) << more;
    }
    // Much coming and going in a full table, in which values go astray and home again.
    in_every_bucket(erase);
    for (std::uint32_t i = 0; i < 100'000 + t.capacity(); ++i) {
        ASSERT_TRUE(i < t.capacity() || t.erase(hash_of(i - t.capacity()), i - t.capacity()));
        ASSERT_TRUE(i >= 100'000 || t.insert(hash_of(i), i));
    }
    in_every_bucket(insert);
    EXPECT_EQ(asked(), at_home);
}

TEST(connection_table, agrees_with_a_map) {
    connection_table t = make(300);
    std::map<std::uint32_t, std::uint32_t> model;  // key -> value
    std::mt19937 random(9);
    std::uint32_t next_value = 0;
    std::vector<std::uint32_t> key_of;
    for (int n = 0; n < 1'000'000; ++n) {
        const std::uint32_t key = random() % 600;
        const auto it = model.find(key);
        const std::uint32_t found =
            t.find(hash_of(key), [&](std::uint32_t v) { return key_of[v] == key; });
        ASSERT_EQ(found, it == model.end() ? connection_table::npos : it->second);
        if (it == model.end()) {
            key_of.push_back(key);
            const bool taken = t.insert(hash_of(key), next_value);
            ASSERT_EQ(taken, model.size() < 300);
            if (taken) {
                model[key] = next_value;
            }
            ++next_value;
        } else if (random() % 3 != 0) {
            ASSERT_TRUE(t.erase(hash_of(key), it->second));
            model.erase(it);
        }
        ASSERT_EQ(t.size(), model.size());
    }
}

TEST(connection_table, refuses_a_capacity_it_cannot_have) {
    EXPECT_FALSE(connection_table::make(0, page_size::normal).ok());
    EXPECT_FALSE(connection_table::make(~0u, page_size::normal).ok());
}

}  // namespace
}  // namespace lastack::flow
