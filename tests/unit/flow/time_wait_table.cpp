// SPDX-License-Identifier: BSD-3-Clause
// The TIME_WAIT table, alone and against an ordered map, for both families.
#include "flow/time_wait_table.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "flow/keyed_hash.hpp"
#include "support/time_wait_model.hpp"

namespace lastack::flow {
namespace {

// The first tick, from `now` on, at which the record is gone.
template <class Key>
tick expiry_of(time_wait_table<Key>& t, std::uint32_t n, tick now) {
    while (find(t, n)) {
        now = now + 1;
        t.expire(now, ~0u, ignore);
    }
    return now;
}

template <class Key>
class time_wait_table_of : public ::testing::Test {};
using families = ::testing::Types<key4, key6>;
TYPED_TEST_SUITE(time_wait_table_of, families);

TYPED_TEST(time_wait_table_of, gives_back_all_of_a_record) {  // R58
    auto t = make<TypeParam>(64);
    for (std::uint32_t n = 0; n < 64; ++n) {
        ASSERT_FALSE(find(t, n));
        const time_wait_slot entered = enter(t, n, minute, tick{0});
        ASSERT_TRUE(entered);
        ASSERT_EQ(t.read(entered), entry_of<TypeParam>(n));
    }
    for (std::uint32_t n = 0; n < 64; ++n) {
        ASSERT_EQ(t.read(find(t, n)), entry_of<TypeParam>(n));
    }
    EXPECT_EQ(t.size(), 64u);
    EXPECT_EQ(t.fin_wait_2_size(), 32u);
    EXPECT_FALSE(enter(t, 64, minute, tick{0}));
}

TYPED_TEST(time_wait_table_of, a_capacity_beyond_its_own_is_refused_with_the_setting) {
    const auto refused =
        time_wait_table<TypeParam>::make((1u << 27) + 1, page_size::normal, tick{0});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().find("134217729: lower lastack.time_wait_records"),
              std::string::npos);
}

TYPED_TEST(time_wait_table_of, changes_one_field_and_no_other) {
    auto t = make<TypeParam>(8);
    const time_wait_slot slot = enter(t, 3, minute, tick{0});
    auto expected = entry_of<TypeParam>(3);
    t.set_ts_recent(slot, 77);
    expected.ts_recent = 77;
    EXPECT_EQ(t.read(slot), expected);
    t.set_waiter(slot, true);
    expected.waiter = true;
    EXPECT_EQ(t.read(slot), expected);
    EXPECT_EQ(t.fin_wait_2_size(), 1u);
    t.become_time_wait(slot, seq32{123}, milliseconds{1000}, tick{500});
    expected.fin_wait_2 = false;
    expected.waiter = false;  // who waited for it has been told
    expected.rcv_nxt = {123};
    EXPECT_EQ(t.read(slot), expected);
    EXPECT_EQ(t.fin_wait_2_size(), 0u);
    t.set_parked(slot, true);
    expected.parked = true;
    EXPECT_EQ(t.read(slot), expected);
    t.set_parked(slot, false);
    expected.parked = false;
    EXPECT_EQ(t.read(slot), expected);
}

TYPED_TEST(time_wait_table_of, expires_never_early_and_one_coarse_tick_late_at_most) {  // R42
    for (const std::uint32_t start : {0u, 0x7fffffe0u, 0xffffff00u, 0x00fffff0u, 0x00ff0000u}) {
        for (const std::uint32_t length : {1u, 16u, 17u, 1000u, 60'000u, 120'000u}) {
            auto t = make<TypeParam>(4, tick{start});
            const tick entered = tick{start} + 5;
            enter(t, 1, milliseconds{length}, entered);
            const tick gone = expiry_of(t, 1, entered);
            const std::uint32_t lane = (length + coarse_ms - 1) / coarse_ms * coarse_ms;
            EXPECT_GE(distance(entered, gone), static_cast<std::int32_t>(length)) << start;
            EXPECT_LE(distance(entered, gone), static_cast<std::int32_t>(lane + coarse_ms));
        }
    }
}

TYPED_TEST(time_wait_table_of, restart_gives_the_whole_length_anew) {  // R43
    auto t = make<TypeParam>(4);
    const time_wait_slot slot = enter(t, 1, minute, tick{0});
    enter(t, 2, minute, tick{0});
    for (std::uint32_t now = 0; now <= 30'000; now += 1000) {
        t.expire(tick{now}, 100, ignore);
    }
    t.restart(slot, tick{30'000});
    EXPECT_EQ(t.remaining(slot, tick{30'000}), minute);
    const std::int32_t left = distance(tick{0}, expiry_of(t, 2, tick{59'000}));
    EXPECT_LE(left, 60'016);
    EXPECT_GE(left, 60'000);
    const std::int32_t restarted = distance(tick{0}, expiry_of(t, 1, tick{60'020}));
    EXPECT_GE(restarted, 90'000);
    EXPECT_LE(restarted, 90'000 + static_cast<std::int32_t>(coarse_ms));
}

TYPED_TEST(time_wait_table_of,
           a_restarted_record_that_is_short_among_long_ones_is_on_time) {  // R43
    auto t = make<TypeParam>(4);
    enter(t, 1, minute, tick{0});
    enter(t, 2, minute, tick{0});
    const time_wait_slot slot = enter(t, 3, milliseconds{2000}, tick{100});
    t.expire(tick{1500}, 100, ignore);
    t.restart(slot, tick{1500});
    EXPECT_LE(distance(tick{3500}, expiry_of(t, 3, tick{1500})),
              static_cast<std::int32_t>(coarse_ms));
}

TYPED_TEST(time_wait_table_of, a_lane_stretched_for_another_makes_nobody_older) {  // R55
    auto t = make<TypeParam>(64);
    for (std::uint32_t n = 0; n < 16; ++n) {
        const auto e = entry_of<TypeParam>(n);
        t.enter(hash(e.key), e, {minute, static_cast<std::uint8_t>(4 * n)}, tick{0});
    }
    const auto e = entry_of<TypeParam>(16);
    t.enter(hash(e.key), e, {2 * minute, 200}, tick{100});
    for (std::uint32_t n = 0; n < 16; ++n) {
        EXPECT_LE(t.age(find(t, n), tick{100}), milliseconds{100}) << n;
        EXPECT_EQ(t.waiting_of(find(t, n)).tos, 4 * n);  // R51
    }
}

TYPED_TEST(time_wait_table_of, a_short_time_wait_follows_a_long_fin_wait_2_on_time) {  // R60
    auto t = make<TypeParam>(4);
    t.expect_length(milliseconds{1000});
    const time_wait_slot slot = enter(t, 2, minute, tick{0});
    t.expire(tick{5000}, 100, ignore);
    t.become_time_wait(slot, seq32{1}, milliseconds{1000}, tick{5000});
    EXPECT_GE(t.remaining(slot, tick{5000}), milliseconds{1000});
    const std::int32_t gone = distance(tick{5000}, expiry_of(t, 2, tick{5000}));
    EXPECT_GE(gone, 1000);
    EXPECT_LE(gone, 1008 + static_cast<std::int32_t>(coarse_ms));
}

TYPED_TEST(time_wait_table_of, a_used_slot_does_not_inherit_the_old_records_time) {
    auto t = make<TypeParam>(1);
    // The same few slots, by turns with a long and a short length.
    enter(t, 0, milliseconds{1000}, tick{0});
    tick now{0};
    for (std::uint32_t n = 1; n < 300; ++n) {
        t.erase(find(t, n - 1));
        const std::uint32_t length = n % 2 == 0 ? 1000 : 60'000;
        ASSERT_TRUE(enter(t, n, milliseconds{length}, now));
        if (n % 10 == 0) {
            const tick gone = expiry_of(t, n, now);
            ASSERT_GE(distance(now, gone), 1000);
            ASSERT_LE(distance(now, gone), 1008 + static_cast<std::int32_t>(coarse_ms));
            now = gone;
            enter(t, n, milliseconds{1000}, now);
        }
        now = now + 37;
        t.expire(now, 100, ignore);
    }
}

TYPED_TEST(time_wait_table_of, more_than_sixteen_lengths_are_rounded_up) {
    auto t = make<TypeParam>(64);
    for (std::uint32_t n = 0; n < 40; ++n) {
        const std::uint32_t length = 1000 + (n * 17 % 40) * 160;
        const time_wait_slot slot = enter(t, n, milliseconds{length}, tick{0});
        ASSERT_GE(t.remaining(slot, tick{0}).count(), length);
        ASSERT_LE(t.remaining(slot, tick{0}).count(), 1000 + 40 * 160);
    }
    // A lane nobody is in any more is free for another length.
    std::uint32_t now = 0;
    for (; t.size() != 0; now += 100) {
        t.expire(tick{now}, 100, ignore);
    }
    const time_wait_slot slot = enter(t, 1, milliseconds{1616}, tick{now});
    EXPECT_LE(t.remaining(slot, tick{now}).count(), 1616 + 16);
}

// Work, not time: how often a minute the order comes to a block all of whose records stay.
TYPED_TEST(time_wait_table_of, one_short_record_does_not_cost_visits_for_ever) {
    constexpr std::uint32_t count = 4000;
    auto t = make<TypeParam>(count + 1);
    for (std::uint32_t n = 0; n < count; ++n) {
        enter(t, n, minute, tick{0});
    }
    enter(t, count, milliseconds{1600}, tick{0});
    std::uint32_t touched = 0;
    for (std::uint32_t now = 0; now < 6 * 60'000; now += coarse_ms) {
        if (now % 30'000 < coarse_ms) {
            for (std::uint32_t n = 0; n < count; ++n) {
                t.restart(find(t, n), tick{now});
            }
        }
        if (now % 60'000 < coarse_ms) {
            touched = 0;
        }
        touched += t.expire(tick{now}, ~0u, ignore).touched;
        ASSERT_EQ(t.size(), now < 1600 ? count + 1 : count) << now;
    }
    EXPECT_LE(touched, 2 * count / 32);
}

// The other side of it: the same length comes again, and everything is on time.
TYPED_TEST(time_wait_table_of, a_length_that_was_forgotten_is_in_time_when_it_comes_again) {
    auto t = make<TypeParam>(4000);
    for (std::uint32_t n = 0; n < 2000; ++n) {
        enter(t, n, minute, tick{0});
    }
    enter(t, 2000, milliseconds{1600}, tick{0});
    std::uint32_t now = 0;
    for (; now <= 3 * 60'000; now += coarse_ms) {
        if (now % 30'000 < coarse_ms) {
            for (std::uint32_t n = 0; n < 2000; ++n) {
                t.restart(find(t, n), tick{now});
            }
        }
        t.expire(tick{now}, ~0u, ignore);
    }
    for (std::uint32_t n = 3000; n < 3060; ++n) {
        enter(t, n, milliseconds{1600}, tick{now});
    }
    EXPECT_EQ(t.expire(tick{now + 1599}, ~0u, ignore).expired, 0u);
    EXPECT_EQ(t.expire(tick{now + 1600 + coarse_ms}, ~0u, ignore).expired, 60u);
}

TYPED_TEST(time_wait_table_of, a_reserved_length_is_exact_whatever_the_others_are) {  // R42
    auto t = make<TypeParam>(64);
    const waiting own{milliseconds{2000}};
    ASSERT_TRUE(t.reserve(own));
    for (std::uint32_t n = 0; n < 40; ++n) {
        enter(t, n, milliseconds{10'000 + n * 160}, tick{0});
    }
    const time_wait_slot slot = enter(t, 40, own.length, tick{0});
    EXPECT_EQ(t.remaining(slot, tick{0}), own.length);
    EXPECT_FALSE(t.reserve(milliseconds{3000}));  // every other lane is in use
}

TYPED_TEST(time_wait_table_of, fifteen_kinds_of_waiting_can_be_reserved) {
    auto t = make<TypeParam>(64);
    for (std::uint32_t n = 1; n <= 15; ++n) {
        ASSERT_TRUE(t.reserve(milliseconds{n * 1600}));
    }
    EXPECT_TRUE(t.reserve(milliseconds{1600}));  // shared
    EXPECT_FALSE(t.reserve(milliseconds{99 * 1600}));
    EXPECT_FALSE(t.reserve({milliseconds{1600}, 8}));
    t.release(milliseconds{1600});
    EXPECT_FALSE(t.reserve(milliseconds{99 * 1600}));
    t.release(milliseconds{1600});
    EXPECT_TRUE(t.reserve(milliseconds{99 * 1600}));
}

TYPED_TEST(time_wait_table_of, remembers_tos_and_the_length_to_come) {  // R51
    auto t = make<TypeParam>(64);
    const waiting first{milliseconds{4800}, 8, milliseconds{1600}};
    const waiting second{milliseconds{4800}, 16, milliseconds{3200}};
    const auto enter_waiting = [&](std::uint32_t n, const waiting& w) {
        return t.enter(hash(key_of<TypeParam>(n)), entry_of<TypeParam>(n), w, tick{0});
    };
    const time_wait_slot a = enter_waiting(2, first);
    const time_wait_slot b = enter_waiting(3, second);
    EXPECT_EQ(t.waiting_of(a), first);
    EXPECT_EQ(t.waiting_of(b), second);
    t.become_time_wait(a, seq32{1}, {first.time_wait, first.tos}, tick{0});
    EXPECT_EQ(t.waiting_of(a), (waiting{milliseconds{1600}, 8}));
    EXPECT_EQ(t.remaining(a, tick{0}), milliseconds{1600});
}

TYPED_TEST(time_wait_table_of, oldest_is_the_earliest_deadline) {  // R54
    auto t = make<TypeParam>(1000);
    EXPECT_FALSE(t.oldest(tick{0}));
    tick now{0};
    enter(t, 1000, 2 * minute, now);
    for (std::uint32_t n = 0; n < 300; ++n) {
        enter(t, n, minute, now);
        now = now + 20;
        t.expire(now, 100, ignore);
    }
    for (std::uint32_t n = 0; n < 10; ++n) {
        t.restart(find(t, n), now);
    }
    t.erase(find(t, 12));
    std::vector<std::uint32_t> expected;
    for (std::uint32_t n = 10; n < 300; ++n) {
        if (n != 12) {
            expected.push_back(n);
        }
    }
    for (const std::uint32_t n : expected) {
        const time_wait_slot slot = t.oldest(now);
        ASSERT_TRUE(slot);
        // Two that end in one coarse tick may come in either order.
        ASSERT_NEAR(static_cast<double>(t.remaining(slot, now).count()),
                    static_cast<double>(t.remaining(find(t, n), now).count()), coarse_ms)
            << n;
        const auto key = t.read(slot).key;
        t.erase(t.find(hash(key), key));
    }
    EXPECT_EQ(t.size(), 11u);  // the restarted ones and the one of another length
}

TYPED_TEST(time_wait_table_of, takes_exactly_its_capacity_and_loses_none) {
    for (const std::uint32_t capacity : {1u, 2u, 7u, 8u, 100u, 1000u, 200'000u}) {
        auto t = make<TypeParam>(capacity);
        for (std::uint32_t n = 0; n < capacity; ++n) {
            ASSERT_TRUE(enter(t, n, minute, tick{n / 100})) << n << " of " << capacity;
        }
        ASSERT_FALSE(enter(t, capacity, minute, tick{0}));
        EXPECT_LE(t.stashed(), 4u);
        std::vector<std::uint64_t> hashes;
        std::vector<TypeParam> keys;
        for (std::uint32_t n = 0; n < 2 * capacity; ++n) {
            keys.push_back(key_of<TypeParam>(n));
            hashes.push_back(hash(keys.back()));
        }
        std::vector<time_wait_slot> found(keys.size());
        t.find_burst(hashes, keys, found);
        for (std::uint32_t n = 0; n < 2 * capacity; ++n) {
            ASSERT_EQ(static_cast<bool>(found[n]), n < capacity);
            ASSERT_EQ(found[n], find(t, n));
            if (n < capacity) {
                ASSERT_EQ(t.read(found[n]), entry_of<TypeParam>(n));
            }
        }
    }
}

TYPED_TEST(time_wait_table_of, stays_full_through_churn) {
    constexpr std::uint32_t capacity = 20'000;
    auto t = make<TypeParam>(capacity);
    std::vector<std::uint32_t> held;
    std::uint32_t next = 0;
    for (; next < capacity; ++next) {
        enter(t, next, minute, tick{0});
        held.push_back(next);
    }
    std::mt19937 random(1);
    std::uint32_t stashed_max = 0;
    for (std::uint32_t n = 0; n < 400'000; ++n) {
        std::uint32_t& one = held[random() % capacity];
        const time_wait_slot slot = find(t, one);
        ASSERT_TRUE(slot) << n;
        t.erase(slot);
        one = next++;
        ASSERT_TRUE(enter(t, one, minute, tick{n / 1000})) << n;
        stashed_max = std::max(stashed_max, t.stashed());
    }
    EXPECT_EQ(t.size(), capacity);
    EXPECT_LE(stashed_max, 16u);
    // The expiry order has not lost any either.
    std::uint32_t expired = 0;
    for (std::uint32_t now = 400; now < 61'000; now += 100) {
        expired += t.expire(tick{now}, ~0u, ignore).expired;
    }
    EXPECT_EQ(expired, capacity);
}

// Issue of scale: any peer can make a record restart, so it must cost no memory. The order's pool
// has one entry a slot and asserts when it is empty.
TYPED_TEST(time_wait_table_of, full_and_restarted_a_hundred_times_it_needs_no_more_memory) {
    constexpr std::uint32_t capacity = 3000;
    auto t = make<TypeParam>(capacity);
    for (std::uint32_t n = 0; n < capacity; ++n) {
        enter(t, n, minute, tick{0});
    }
    std::uint32_t now = 0;
    for (int round = 0; round < 100; ++round) {
        now += 7'000;
        ASSERT_EQ(t.expire(tick{now}, ~0u, ignore).expired, 0u);
        for (std::uint32_t n = 0; n < capacity; ++n) {
            t.restart(find(t, n), tick{now});
        }
    }
    std::vector<std::uint32_t> order(capacity);
    for (std::uint32_t n = 0; n < capacity; ++n) {
        order[n] = n;
    }
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    for (const std::uint32_t n : order) {
        t.erase(find(t, n));
        ASSERT_FALSE(find(t, n));
    }
    EXPECT_EQ(t.size(), 0u);
    EXPECT_EQ(t.expire(tick{now + 70'000}, ~0u, ignore).expired, 0u);
    EXPECT_EQ(t.next_expiry(), std::nullopt);
}

TYPED_TEST(time_wait_table_of, a_mass_expiry_keeps_to_the_budget) {
    constexpr std::uint32_t count = 100'000;
    auto t = make<TypeParam>(count);
    for (std::uint32_t n = 0; n < count; ++n) {
        enter(t, n, minute, tick{0});
    }
    std::uint32_t expired = 0;
    std::uint32_t calls = 0;
    for (bool more = true; more; ++calls) {
        std::uint32_t seen = 0;
        const expire_result done = t.expire(tick{60'016}, 1000, [&](time_wait_slot) { ++seen; });
        ASSERT_EQ(seen, done.expired);
        ASSERT_LE(done.touched, 1000u);
        expired += done.expired;
        more = done.more;
    }
    EXPECT_EQ(expired, count);
    EXPECT_EQ(calls, count / 1000);
    EXPECT_EQ(t.size(), 0u);
}

TYPED_TEST(time_wait_table_of, a_jump_of_any_length_expires_everything) {
    for (const std::uint32_t jump :
         {60'016u, 70'000u, 7'200'000u, 8'388'608u, 33'554'432u, 33'600'000u, 2'000'000'000u}) {
        auto t = make<TypeParam>(200, tick{0xfffff000u});
        for (std::uint32_t n = 0; n < 200; ++n) {
            enter(t, n, n % 2 == 0 ? minute : milliseconds{10'000}, tick{0xfffff000u});
        }
        const tick now = tick{0xfffff000u} + jump;
        // New records that are entered before the old ones are gone wait their whole time.
        t.expire(now, 10, ignore);
        for (std::uint32_t n = 1000; n < 1010; ++n) {
            ASSERT_TRUE(enter(t, n, minute, now));
        }
        while (t.expire(now, 10, ignore).more) {
        }
        ASSERT_EQ(t.size(), 10u) << jump;
        ASSERT_EQ(t.remaining(find(t, 1000), now).count() / coarse_ms, 60'000 / coarse_ms);
        t.expire(now + 59'999, ~0u, ignore);
        ASSERT_EQ(t.size(), 10u) << jump;
        t.expire(now + 60'032, ~0u, ignore);
        ASSERT_EQ(t.size(), 0u) << jump;
    }
}

TYPED_TEST(time_wait_table_of, next_expiry_leads_to_the_deadline) {
    auto t = make<TypeParam>(4, tick{77});
    enter(t, 1, minute, tick{77});
    tick now{77};
    int steps = 0;
    while (t.size() != 0) {
        const auto next = t.next_expiry();
        ASSERT_TRUE(next.has_value());
        ASSERT_TRUE(*next >= now);
        now = *next;
        t.expire(now, 10, ignore);
        ASSERT_LE(++steps, 2);
    }
    EXPECT_GE(distance(tick{77}, now), 60'000);
    EXPECT_LE(distance(tick{77}, now), 60'016 + 16);
}

TYPED_TEST(time_wait_table_of, walk_sees_every_record_once) {
    auto t = make<TypeParam>(5000);
    for (std::uint32_t n = 0; n < 5000; ++n) {
        enter(t, n, minute, tick{0});
    }
    std::multiset<std::uint32_t> seen;
    std::size_t at = 0;
    do {
        at =
            t.walk(at, 10, [&](time_wait_slot slot) { seen.insert(t.read(slot).snd_nxt.raw / 3); });
    } while (at != 0);
    EXPECT_EQ(seen.size(), 5000u);
    EXPECT_EQ(std::set<std::uint32_t>(seen.begin(), seen.end()).size(), 5000u);
}

// Records whose hashes all agree: two buckets and the stash, then no more, and nothing is lost.
TYPED_TEST(time_wait_table_of, equal_hashes_fill_two_buckets_and_the_stash) {
    auto t = make<TypeParam>(1000);
    std::uint32_t held = 0;
    while (t.enter(42, entry_of<TypeParam>(held), minute, tick{0})) {
        ++held;
    }
    EXPECT_EQ(t.stashed(), 64u);
    EXPECT_EQ(t.size(), held) << "a refusal leaves nothing behind";
    EXPECT_TRUE(held == 80 || held == 72) << held;
    for (std::uint32_t n = 0; n < held; ++n) {
        const time_wait_slot slot = t.find(42, key_of<TypeParam>(n));
        ASSERT_TRUE(slot);
        ASSERT_EQ(t.read(slot), entry_of<TypeParam>(n));
        if (n % 2 == 0) {
            t.erase(slot);
        }
    }
    EXPECT_EQ(t.expire(tick{60'100}, ~0u, ignore).expired, held / 2);
    t.expire(tick{60'400}, ~0u, ignore);
    EXPECT_EQ(t.stashed(), 0u);
}

// A record that comes again while entries of its past lives are still in the index, and its place
// may be the same: find() gives the living one, and it is what is restarted and erased.
TYPED_TEST(time_wait_table_of, a_record_that_came_back_is_not_mistaken_for_what_it_was) {  // R47
    auto t = make<TypeParam>(40);
    tick now{0};
    for (std::uint32_t life = 0; life < 2000; ++life) {
        ASSERT_FALSE(find(t, 1)) << life;
        ASSERT_TRUE(enter(t, 1, milliseconds{100}, now));
        const time_wait_slot slot = find(t, 1);
        ASSERT_TRUE(slot);
        if (life % 3 == 0) {
            now = now + 50;
            t.restart(slot, now);
            now = now + 99;
            ASSERT_EQ(t.expire(now, ~0u, ignore).expired, 0u) << life;
            ASSERT_EQ(find(t, 1).body, slot.body);
        }
        if (life % 5 == 0) {
            t.erase(find(t, 1));
        } else {
            now = now + 140;
            ASSERT_EQ(t.expire(now, ~0u, ignore).expired, 1u) << life;
        }
    }
    EXPECT_EQ(t.size(), 0u);
}

// While a mass of records waits for its turn, those that are due and not yet gone are still found,
// and no others.
TYPED_TEST(time_wait_table_of, what_is_due_is_there_until_it_has_been_told_of) {
    constexpr std::uint32_t count = 5000;
    auto t = make<TypeParam>(count);
    for (std::uint32_t n = 0; n < count; ++n) {
        enter(t, n, milliseconds{1000}, tick{0});
    }
    std::set<std::uint32_t> left;
    for (std::uint32_t n = 0; n < count; ++n) {
        left.insert(n);
    }
    tick now{2000};
    for (bool more = true; more; now = now + 1) {
        more = t.expire(now, 100, [&](time_wait_slot slot) {
                    ASSERT_EQ(left.erase(t.read(slot).snd_nxt.raw / 3), 1u);
                }).more;
        for (std::uint32_t n = 0; n < count; ++n) {
            ASSERT_EQ(static_cast<bool>(find(t, n)), left.count(n) == 1) << n;
        }
        // Places become free, and what is entered there hides nobody.
        ASSERT_TRUE(enter(t, count + now.raw, minute, now));
        ASSERT_TRUE(find(t, count + now.raw));
    }
    EXPECT_TRUE(left.empty());
}

// Nothing takes an entry out when its record expires. None may look alive when clocks have wrapped.
TYPED_TEST(time_wait_table_of, no_entry_rises_again_after_hours) {
    tick now{0xff00'0000u};
    auto t = make<TypeParam>(300, now);
    std::uint32_t next = 0;
    for (int round = 0; round < 500; ++round) {
        const std::uint32_t first = next;
        for (; next < first + 300; ++next) {
            ASSERT_TRUE(enter(t, next, minute, now)) << round;
        }
        now = now + (round % 7 == 0 ? 3'000'000 : 70'000);  // 2^20 coarse ticks are 4.7 hours
        ASSERT_EQ(t.expire(now, ~0u, ignore).expired, 300u);
        EXPECT_EQ(t.stashed(), 0u);
        for (std::uint32_t n = 0; n < next; n += 37) {
            ASSERT_FALSE(find(t, n)) << round;
        }
    }
}

// Records of hours among those of a minute: a home's strays are remembered as long as they live.
TYPED_TEST(time_wait_table_of, a_stray_is_found_however_long_it_lives) {
    constexpr std::uint32_t count = 3000;
    auto t = make<TypeParam>(count);
    for (std::uint32_t n = 0; n < count; ++n) {
        enter(t, n, n % 10 == 0 ? time_wait_table<TypeParam>::length_max : minute, tick{0});
    }
    std::uint32_t others = count;
    for (std::uint32_t now = 1000; now < 8'380'000; now += 61'000) {
        t.expire(tick{now}, ~0u, ignore);
        for (; t.size() < count; ++others) {
            enter(t, others, minute, tick{now});
        }
        for (std::uint32_t n = 0; n < count; n += 10) {
            ASSERT_TRUE(find(t, n)) << n << " at " << now;
        }
    }
}

TYPED_TEST(time_wait_table_of, blocks_are_used_again_in_the_order_in_which_they_came) {
    auto t = make<TypeParam>(32 * 100);
    tick now{0};
    std::vector<std::uint32_t> bodies;
    for (std::uint32_t n = 0; n < 32 * 300; ++n) {
        if (n % 32 == 0) {
            now = now + 1600;
            t.expire(now, ~0u, ignore);
        }
        bodies.push_back(enter(t, n, minute, now).body);
    }
    for (std::size_t i = 0; i < bodies.size(); i += 32) {
        for (std::size_t k = 1; k < 32; ++k) {
            ASSERT_EQ(bodies[i + k], bodies[i] + k) << i;
        }
    }
}

// Entries of what has expired are in nobody's way: neither where lengths are short and the table is
// nearly full all the time, nor while a mass of records waits for its turn.
TYPED_TEST(time_wait_table_of, nobody_is_refused_for_what_is_over) {
    constexpr std::uint32_t capacity = 20'000;
    auto t = make<TypeParam>(capacity);
    std::uint32_t next = 0;
    for (std::uint32_t now = 0; now < 3000; ++now) {  // 36 a ms for 512 ms: 92 %
        t.expire(tick{now}, ~0u, ignore);
        for (std::uint32_t i = 0; i < 36; ++i) {
            ASSERT_TRUE(enter(t, next++, milliseconds{496}, tick{now})) << now;
        }
    }
    auto full = make<TypeParam>(capacity);
    for (std::uint32_t n = 0; n < capacity; ++n) {
        enter(full, n, milliseconds{1000}, tick{0});
    }
    for (std::uint32_t more = 1; more != 0;) {
        more = full.expire(tick{5000}, 256, ignore).more ? 1 : 0;
        for (std::uint32_t i = 0; i < 100; ++i) {
            ASSERT_TRUE(enter(full, next++, minute, tick{5000}));
        }
    }
}

// Whoever needs room gets the oldest as long as there is one, also where blocks have been emptied
// and all of them come up on the same day.
TYPED_TEST(time_wait_table_of, oldest_is_there_as_long_as_anybody_is) {  // R54
    constexpr std::uint32_t count = 2000;
    for (const bool short_expected : {false, true}) {
        auto t = make<TypeParam>(count);
        if (short_expected) {
            t.expect_length(milliseconds{1000});
        }
        for (std::uint32_t n = 0; n < count; ++n) {
            enter(t, n, minute, tick{n});
        }
        for (std::uint32_t left = count; left > 0; --left) {
            const time_wait_slot slot = t.oldest(tick{count});
            ASSERT_TRUE(slot) << left;
            const auto key = t.read(slot).key;
            t.erase(t.find(hash(key), key));
        }
        EXPECT_FALSE(t.oldest(tick{count}));
    }
}

TYPED_TEST(time_wait_table_of, a_lane_reserved_later_makes_nobody_older) {  // R55
    auto t = make<TypeParam>(64);
    const auto enter_waiting = [&](std::uint32_t n, const waiting& w) {
        const auto e = entry_of<TypeParam>(n);
        return t.enter(hash(e.key), e, w, tick{0});
    };
    for (std::uint8_t n = 0; n < 16; ++n) {
        enter_waiting(n, {minute, static_cast<std::uint8_t>(4 * n)});
    }
    enter_waiting(16, {2 * minute, 200});  // stretches a lane
    std::uint32_t stretched = 0;
    for (std::uint32_t n = 0; n < 16; ++n) {
        const waiting w = t.waiting_of(find(t, n));
        stretched += w.length > minute && t.reserve(w) ? 1 : 0;
    }
    ASSERT_EQ(stretched, 1u);
    for (std::uint32_t n = 0; n < 16; ++n) {
        EXPECT_LE(t.age(find(t, n), tick{100}), milliseconds{100}) << n;
    }
}

TYPED_TEST(time_wait_table_of, costs_what_it_says) {
    EXPECT_LE(static_cast<double>(time_wait_table<TypeParam>::bytes_for(1'000'000)) / 1e6,
              sizeof(TypeParam) == 12 ? 40.3 : 64.3);
    EXPECT_LE(static_cast<double>(time_wait_table<TypeParam>::bytes_for(60'000'000)) / 60e6,
              sizeof(TypeParam) == 12 ? 39.8 : 63.9);
    EXPECT_FALSE(time_wait_table<TypeParam>::make(0, page_size::normal, tick{0}).ok());
    EXPECT_FALSE(time_wait_table<TypeParam>::make(~0u, page_size::normal, tick{0}).ok());
}

TYPED_TEST(time_wait_table_of, agrees_with_an_ordered_map) {
    // Starts near the wraps of the tick (2^32 ms), of the deadline's 20 bits (2^24 ms), and of the
    // ring (2^16 ms).
    std::uint64_t seed = 1;
    for (const std::uint32_t start : {0u, 0xffffff00u, 0x00ffff00u, 0x0000ff00u, 0x7fffff00u}) {
        run_model<TypeParam>(start, seed++, 200'000, 100);
    }
    run_model<TypeParam>(0xfff00000u, seed, 100'000, 1000);
}

RC_GTEST_PROP(time_wait_table, agrees_for_any_start_and_seed,
              (std::uint32_t start, std::uint64_t seed)) {
    run_model<key4>(start, seed, 1000, 20);
    RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace lastack::flow
