// SPDX-License-Identifier: BSD-3-Clause
// The wheel against an ordered map, from starts near every wrap, with callbacks that interfere.
#include "timer/wheel.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

namespace lastack::timer {
namespace {

struct owner {
    explicit owner(std::size_t count) : links(count), deadlines(count) {}
    timer_link& link(std::uint32_t i) { return links[i]; }
    tick& deadline(std::uint32_t i) { return deadlines[i]; }
    std::vector<timer_link> links;
    std::vector<tick> deadlines;
};

using wheel = timer_wheel<owner>;

struct fixture {
    explicit fixture(std::size_t count, std::uint32_t start = 0)
        : timers(count), w(timers, tick{start}), now{start} {}

    std::vector<std::uint32_t> advance(std::uint32_t ms, std::uint32_t budget = ~0u) {
        now = now + ms;
        std::vector<std::uint32_t> fired;
        w.advance(now, budget, [&](std::uint32_t i) { fired.push_back(i); });
        return fired;
    }

    owner timers;
    wheel w;
    tick now;
};

const std::vector<std::uint32_t> one{0};

TEST(timer_wheel, fires_at_its_tick_and_not_before) {
    for (const std::uint32_t start : {0u, 1u, 255u, 256u, 0xffffu, 0x3fffffffu, 0x7ffffff0u,
                                      0x80000000u, 0xffffffc0u, 0xffffffffu}) {
        for (const std::uint32_t delay :
             {1u, 2u, 255u, 256u, 257u, 511u, 512u, 513u, 4097u, 0x1ffffu, 0x20000u, 0x20001u,
              0x1ffffffu, 0x2000000u, 0x40000000u, 0x7ffffffeu}) {
            fixture f(1, start);
            f.w.arm(0, f.now + delay);
            EXPECT_TRUE(f.w.is_armed(0));
            ASSERT_TRUE(f.advance(delay - 1).empty()) << start << " " << delay;
            ASSERT_EQ(f.advance(1), one) << start << " " << delay;
            EXPECT_FALSE(f.w.is_armed(0));
            EXPECT_EQ(f.w.size(), 0u);
        }
    }
}

TEST(timer_wheel, fires_a_past_deadline_in_the_next_advance) {
    fixture f(1, 1000);
    f.w.arm(0, tick{990});
    EXPECT_EQ(f.advance(0), one);
    f.advance(5);
    f.w.arm(0, f.now);
    EXPECT_EQ(f.advance(0), one);
}

TEST(timer_wheel, a_later_deadline_is_only_stored) {
    fixture f(2, 5);
    f.w.arm(0, tick{105});
    f.w.arm(1, tick{105});
    const timer_link hung = f.timers.links[0];
    f.w.arm(0, tick{2000});
    EXPECT_EQ(f.timers.links[0].next, hung.next);
    EXPECT_EQ(f.timers.links[0].prev, hung.prev);
    EXPECT_EQ(f.advance(100), std::vector<std::uint32_t>{1});
    EXPECT_TRUE(f.advance(1894).empty());
    EXPECT_EQ(f.advance(1), one);
}

TEST(timer_wheel, an_earlier_deadline_counts) {
    fixture f(1);
    f.w.arm(0, tick{100000});
    f.w.arm(0, tick{10});
    EXPECT_TRUE(f.advance(9).empty());
    EXPECT_EQ(f.advance(1), one);
    EXPECT_TRUE(f.advance(200000).empty());
}

TEST(timer_wheel, cancelled_timers_do_not_fire) {
    fixture f(3);
    for (std::uint32_t i = 0; i < 3; ++i) {
        f.w.arm(i, tick{50});
    }
    f.w.cancel(1);  // the middle of its list
    f.w.cancel(1);
    f.w.cancel(2);  // its head
    EXPECT_EQ(f.w.size(), 1u);
    EXPECT_EQ(f.advance(50), one);
    EXPECT_EQ(f.w.next_expiry(), std::nullopt);
}

TEST(timer_wheel, next_expiry_never_lies_behind_a_deadline_and_leads_to_it) {
    fixture f(1, 0xfffffff0u);
    const tick deadline = f.now + 10'000'000;
    f.w.arm(0, deadline);
    int steps = 0;
    std::vector<std::uint32_t> fired;
    while (fired.empty()) {
        const auto next = f.w.next_expiry();
        ASSERT_TRUE(next.has_value());
        ASSERT_LE(distance(*next, deadline), 10'000'000);
        ASSERT_TRUE(*next <= deadline);
        f.now = *next;
        fired = f.advance(0);
        ++steps;
    }
    EXPECT_EQ(f.now, deadline);
    EXPECT_LE(steps, 6);
}

TEST(timer_wheel, a_jump_of_hours_touches_only_timers) {
    fixture f(3);
    f.w.arm(0, tick{200});
    f.w.arm(1, tick{60'000});
    f.w.arm(2, tick{7'200'000});
    // Three levels down at most, and once to fire.
    std::vector<std::uint32_t> fired;
    const auto done =
        f.w.advance(tick{7'200'000}, 12, [&](std::uint32_t i) { fired.push_back(i); });
    EXPECT_FALSE(done.more);
    EXPECT_EQ(fired, (std::vector<std::uint32_t>{0, 1, 2}));
}

TEST(timer_wheel, a_million_due_at_once_keep_to_the_budget) {
    constexpr std::uint32_t count = 1'000'000;
    fixture f(count, 0xffffff00u);
    for (std::uint32_t i = 0; i < count; ++i) {
        f.w.arm(i, f.now + 5000);  // across the wrap: cascades of a million each
    }
    f.now = f.now + 5000;
    std::uint32_t fired = 0;
    std::uint32_t calls = 0;
    for (bool more = true; more; ++calls) {
        const std::uint32_t before = fired;
        const auto done = f.w.advance(f.now, 1000, [&](std::uint32_t) { ++fired; });
        ASSERT_EQ(done.fired, fired - before);
        ASSERT_LE(done.touched, 1000u);
        ASSERT_LE(done.fired, done.touched);
        more = done.more;
    }
    EXPECT_EQ(fired, count);
    EXPECT_LE(calls, 2001u);  // one move a timer and the firing
    EXPECT_EQ(f.w.size(), 0u);
}

// 100,000 timers come down from one slot while others are due at every tick. All fire at their own
// tick, none later, in polls none of which touches more than 256.
TEST(timer_wheel, a_cascade_delays_no_timer_that_is_due) {
    constexpr std::uint32_t many = 100'000;
    constexpr std::uint32_t few = 70'000;
    constexpr std::uint32_t polls_a_tick = 5;
    for (const std::uint32_t slot : {65'536u, 65'536u + 256, 0xffff'ff00u}) {
        fixture f(many + few, slot - 66'000);
        for (std::uint32_t i = 0; i < many; ++i) {
            f.w.arm(i, tick{slot} + i % 256);
        }
        for (std::uint32_t i = 0; i < few; ++i) {
            f.w.arm(many + i, f.now + i);
        }
        std::uint32_t fired = 0;
        while (distance(f.now, tick{slot} + 256) > 0) {
            for (std::uint32_t poll = 0; poll < polls_a_tick; ++poll) {
                const auto done = f.w.advance(f.now, 256, [&](std::uint32_t i) {
                    ASSERT_EQ(f.timers.deadlines[i], f.now);
                    ++fired;
                });
                ASSERT_LE(done.touched, 256u);
            }
            f.now = f.now + 1;
        }
        EXPECT_EQ(fired, many + 66'256);
    }
}

TEST(timer_wheel, a_walk_over_eight_lists_sees_what_callbacks_do_to_them) {
    constexpr std::uint32_t count = 1000;
    fixture f(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        f.w.arm(i, tick{7});
    }
    std::set<std::uint32_t> fired;
    f.w.advance(tick{7}, ~0u, [&](std::uint32_t i) {
        EXPECT_TRUE(fired.insert(i).second);
        for (const std::uint32_t other : {(i * 7 + 1) % count, (i * 13 + 5) % count}) {
            if (!fired.contains(other) && f.w.is_armed(other)) {
                f.w.cancel(other);
                f.w.arm(other, tick{other % 3 == 0 ? 7u : 8u});
            }
        }
    });
    f.w.advance(tick{8}, ~0u, [&](std::uint32_t i) { EXPECT_TRUE(fired.insert(i).second); });
    EXPECT_EQ(fired.size(), count);
}

TEST(timer_wheel, what_is_due_first_fires_first_even_with_a_budget_of_one) {
    fixture f(200, 100);
    for (std::uint32_t i = 0; i < 200; ++i) {
        f.w.arm(i, tick{101 + (i * 37) % 5000});
    }
    f.now = tick{6000};
    tick last{0};
    for (bool more = true; more;) {
        more = f.w.advance(f.now, 1,
                           [&](std::uint32_t i) {
                               EXPECT_LE(last.raw, f.timers.deadlines[i].raw);
                               last = f.timers.deadlines[i];
                           })
                   .more;
    }
    EXPECT_EQ(f.w.size(), 0u);
}

TEST(timer_wheel, a_callback_may_arm_and_cancel_any_timer) {
    fixture f(4);
    f.w.arm(0, tick{10});
    f.w.arm(1, tick{10});
    f.w.arm(2, tick{11});
    std::vector<std::uint32_t> fired;
    auto interfere = [&](std::uint32_t i) {
        fired.push_back(i);
        if (i < 2) {
            f.w.cancel(1 - i);     // its neighbour in the same slot
            f.w.cancel(2);         // one that is due in this very advance
            f.w.arm(i, tick{20});  // itself
            f.w.arm(3, tick{15});  // one that becomes due in this very advance
        }
    };
    f.w.advance(tick{15}, ~0u, interfere);
    ASSERT_EQ(fired.size(), 2u);
    EXPECT_LT(fired[0], 2u);
    EXPECT_EQ(fired[1], 3u);
    EXPECT_EQ(f.w.size(), 1u);
    fired.clear();
    f.w.advance(tick{20}, ~0u, [&](std::uint32_t i) { fired.push_back(i); });
    ASSERT_EQ(fired.size(), 1u);
    EXPECT_LT(fired[0], 2u);
}

TEST(timer_wheel, a_callback_that_arms_in_the_past_is_held_by_the_budget) {
    fixture f(1, 50);
    f.w.arm(0, tick{50});
    std::uint32_t fired = 0;
    const auto done = f.w.advance(tick{50}, 100, [&](std::uint32_t i) {
        ++fired;
        f.w.arm(i, tick{40});
    });
    EXPECT_EQ(fired, 100u);
    EXPECT_TRUE(done.more);
}

// Random arms, re-arms, cancels and advances against an ordered multimap. `key` in the model is
// the time since the start in 64 bits, which does not wrap.
void run_model(std::uint32_t start, std::uint64_t seed, int operations, std::uint32_t count,
               bool small_budget) {
    std::mt19937_64 random(seed);
    fixture f(count, start);
    std::uint64_t elapsed = 0;
    std::map<std::uint32_t, std::uint64_t> armed;  // index -> deadline
    auto pick_delay = [&]() -> std::uint64_t {
        const int bits = static_cast<int>(random() % 31);
        return random() & ((std::uint64_t{1} << bits) - 1);
    };
    for (int n = 0; n < operations; ++n) {
        const auto index = static_cast<std::uint32_t>(random() % count);
        switch (random() % 8) {
            case 0:
            case 1:
            case 2:
            case 3: {
                const std::uint64_t deadline = elapsed + pick_delay();
                f.w.arm(index, f.now + static_cast<std::uint32_t>(deadline - elapsed));
                armed[index] = deadline;
                break;
            }
            case 4:
                f.w.cancel(index);
                armed.erase(index);
                break;
            default: {
                const std::uint64_t step = random() % 4 == 0 ? pick_delay() / 2 : random() % 50;
                elapsed += step;
                f.now = f.now + static_cast<std::uint32_t>(step);
                bool more = true;
                while (more) {
                    const std::uint32_t budget =
                        small_budget ? static_cast<std::uint32_t>(random() % 4) : ~0u;
                    std::uint32_t fired = 0;
                    const auto done = f.w.advance(f.now, budget, [&](std::uint32_t i) {
                        ++fired;
                        const auto it = armed.find(i);
                        ASSERT_NE(it, armed.end());
                        ASSERT_LE(it->second, elapsed);  // never early
                        armed.erase(it);
                        if (i % 7 == 0) {
                            const std::uint64_t again = 1 + pick_delay();
                            armed[i] = elapsed + again;
                            f.w.arm(i, f.now + static_cast<std::uint32_t>(again));
                        }
                    });
                    ASSERT_LE(fired, budget);
                    ASSERT_EQ(done.fired, fired);
                    ASSERT_LE(done.touched, budget);
                    more = done.more;
                    if (small_budget && random() % 3 == 0) {
                        break;  // leave the rest for later
                    }
                }
                if (!more) {
                    for (const auto& [i, deadline] : armed) {
                        ASSERT_GT(deadline, elapsed) << "timer " << i << " did not fire";
                    }
                    const auto next = f.w.next_expiry();
                    ASSERT_EQ(next.has_value(), !armed.empty());
                    if (next) {
                        for (const auto& [i, deadline] : armed) {
                            ASSERT_LE(distance(f.now, *next),
                                      static_cast<std::int64_t>(deadline - elapsed));
                        }
                    }
                }
                break;
            }
        }
        ASSERT_EQ(f.w.size(), armed.size());
    }
}

TEST(timer_wheel, agrees_with_an_ordered_map) {
    for (const std::uint32_t start : {0u, 0x7fffff00u, 0xffffff00u, 0x3ffff000u}) {
        run_model(start, 1 + start, 60'000, 40, false);
        run_model(start, 2 + start, 60'000, 40, true);
    }
}

TEST(timer_wheel, agrees_with_an_ordered_map_when_many_are_armed) {
    run_model(0xfffff000u, 3, 30'000, 2000, false);
}

RC_GTEST_PROP(timer_wheel, agrees_for_any_start_and_seed,
              (std::uint32_t start, std::uint64_t seed)) {
    run_model(start, seed, 300, 10, seed % 2 == 0);
    RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace lastack::timer
