// SPDX-License-Identifier: BSD-3-Clause
#include "flow/connection_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "flow/keyed_hash.hpp"
#include "flow/tag_group.hpp"

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

void fill_by_one_hash(std::uint64_t hash, std::uint32_t room) {
    connection_table t = make(200);  // 29 buckets
    std::uint32_t held = 0;
    while (t.insert(hash, held)) {
        ++held;
    }
    EXPECT_EQ(t.stashed(), 64u);
    EXPECT_EQ(held, room + 64);
    std::set<std::uint32_t> walked;
    std::size_t at = 0;
    do {
        at = t.walk(at, 3, [&](std::uint32_t v) { walked.insert(v); });
    } while (at != 0);
    EXPECT_EQ(walked.size(), held);
    for (std::uint32_t i = 0; i < held; ++i) {
        ASSERT_EQ(t.find(hash, [i](std::uint32_t v) { return v == i; }), i);
        ASSERT_TRUE(t.replace(hash, i, i + 1000));
        ASSERT_TRUE(t.erase(hash, i + 1000));
    }
    EXPECT_EQ(t.size(), 0u);
    EXPECT_EQ(t.stashed(), 0u);
}

TEST(connection_table, the_stash_takes_what_two_buckets_cannot) {
    ASSERT_EQ(other_bucket(0, tag_of(42), 29), 17u);
    fill_by_one_hash(42, 20);
    // A key whose two buckets are one.
    const std::uint64_t in_23 = (std::uint64_t{23} << 32) / 29 + 1;
    ASSERT_EQ(bucket_of(in_23, 29), 23u);
    ASSERT_EQ(other_bucket(23, tag_of(in_23), 29), 23u);
    fill_by_one_hash(in_23, 10);
}

TEST(connection_table, looks_beyond_a_home_only_while_something_of_it_is_elsewhere) {
    connection_table t = make(400);  // 55 buckets
    // In each bucket two or three values of one tag, so that looking into it asks `matches`, and as
    // many of other tags, which can move to other places than those.
    constexpr std::uint64_t hashes = 128;
    const auto spread = [](std::uint64_t k, std::uint64_t tag) { return k << 25 | tag << 48; };
    const auto in_every_bucket = [&](auto&& f) {
        for (std::uint64_t k = 0; k < hashes; ++k) {
            ASSERT_TRUE(f(spread(k, 1), static_cast<std::uint32_t>(k)));
            ASSERT_TRUE(f(spread(k, 2 + k), static_cast<std::uint32_t>(200 + k)));
        }
    };
    const auto insert = [&](std::uint64_t hash, std::uint32_t v) { return t.insert(hash, v); };
    const auto erase = [&](std::uint64_t hash, std::uint32_t v) { return t.erase(hash, v); };
    const auto asked = [&](std::uint64_t k) {
        int times = 0;
        EXPECT_EQ(t.find(spread(k, 1), [&](std::uint32_t) { return ++times == 0; }),
                  connection_table::npos);
        return times;
    };
    const auto expect_homes_only = [&](const char* after) {
        for (std::uint64_t k = 0; k < hashes; ++k) {
            EXPECT_GE(asked(k), 2) << k << after;
            EXPECT_LE(asked(k), 3) << k << after;  // with the other bucket at least 4
        }
    };
    in_every_bucket(insert);
    expect_homes_only(", at first");
    // So many that some find no room at home; that others have to move for them; that the stash is
    // used.
    for (const std::uint32_t more : {8u, 14u, 40u}) {
        for (std::uint32_t i = 0; i < more; ++i) {
            ASSERT_TRUE(t.insert(spread(0, 1), 1000 + i)) << i << " of " << more;
        }
        EXPECT_GT(asked(0), static_cast<int>(std::min(more, 10u)));
        EXPECT_EQ(t.stashed() > 0, more == 40);
        for (std::uint32_t i = 0; i < more; ++i) {
            ASSERT_TRUE(t.erase(spread(0, 1), 1000 + i)) << i << " of " << more;
        }
        // What moved may still be away.
        in_every_bucket(erase);
        in_every_bucket(insert);
        expect_homes_only(", after more");
    }
    // Much coming and going in a full table, in which values go astray and home again.
    in_every_bucket(erase);
    for (std::uint32_t i = 0; i < 100'000 + t.capacity(); ++i) {
        ASSERT_TRUE(i < t.capacity() || t.erase(hash_of(i - t.capacity()), i - t.capacity()));
        ASSERT_TRUE(i >= 100'000 || t.insert(hash_of(i), i));
    }
    in_every_bucket(insert);
    expect_homes_only(", after much coming and going");
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
