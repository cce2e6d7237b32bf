// SPDX-License-Identifier: BSD-3-Clause
// Caps lent between cores (R54, R63): many cores and a lender in one thread, on a virtual clock.
// Every millisecond some cores take a turn (enter and leave records, read and write messages); the
// lender takes its round now and then. Queues hold four messages, so that they are full at times.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "teardown/cap_lender.hpp"

namespace lastack::teardown {
namespace {

constexpr std::size_t queue_max = 4;

struct core {
    cap_share share;
    std::uint32_t used = 0;
    std::uint32_t refused = 0;
    std::deque<cap_message> to_lender;
    std::deque<cap_message> from_lender;

    bool enter() {
        if (used < share.allowance()) {
            ++used;
            return true;
        }
        ++refused;
        share.missed();
        return false;
    }
    void turn() {
        for (; !from_lender.empty(); from_lender.pop_front()) {
            share.hear(from_lender.front(), used);
        }
        share.speak(used, [this](const cap_message& m) {
            if (to_lender.size() == queue_max) {
                return false;
            }
            to_lender.push_back(m);
            return true;
        });
    }
};

class process {
  public:
    process(std::uint32_t cap, std::vector<std::uint32_t> rooms)
        : cap_(cap), lender_(cap_kind::time_wait, cap, rooms) {
        for (std::uint32_t i = 0; i < rooms.size(); ++i) {
            const cap_place place{i, static_cast<std::uint32_t>(rooms.size())};
            cores.push_back({cap_share{cap_kind::time_wait, cap, place, rooms[i]}, 0, 0, {}, {}});
        }
    }

    void round() {
        for (std::uint32_t i = 0; i < cores.size(); ++i) {
            auto& from = cores[i].to_lender;
            for (; !from.empty(); from.pop_front()) {
                lender_.hear(i, from.front());
            }
        }
        lender_.round([this](std::uint32_t i, const cap_message& m) {
            auto& into = cores[i].from_lender;
            if (into.size() == queue_max) {
                return false;
            }
            into.push_back(m);
            return true;
        });
    }
    // Everybody answers until nothing changes any more.
    void settle() {
        for (int i = 0; i < 100; ++i) {
            for (core& c : cores) {
                c.turn();
            }
            round();
        }
    }
    void set_cap(std::uint32_t cap) {
        cap_ = cap;
        lender_.set_cap(cap);
        for (core& c : cores) {
            c.share.set_cap(cap);
        }
    }

    std::uint64_t used() const {
        std::uint64_t sum = 0;
        for (const core& c : cores) {
            sum += c.used;
        }
        return sum;
    }
    // Held by cores, and on the way to them.
    std::uint64_t lent() const {
        std::uint64_t sum = 0;
        for (const core& c : cores) {
            sum += c.share.allowance();
            for (const cap_message& m : c.from_lender) {
                sum += m.what == cap_message::word::give ? m.n : 0;
            }
        }
        return sum;
    }
    std::uint32_t cap() const { return cap_; }
    std::uint64_t reported() const { return lender_.total(); }

    std::vector<core> cores;

  private:
    std::uint32_t cap_;
    cap_lender lender_;
};

TEST(cap_sharing, a_core_alone_follows_the_setting_and_says_nothing) {
    cap_share alone{cap_kind::orphans, 10, {}, 8};
    EXPECT_EQ(alone.allowance(), 8u);
    alone.set_cap(3);
    EXPECT_EQ(alone.allowance(), 3u);
    alone.missed();
    alone.speak(3, [](const cap_message&) {
        ADD_FAILURE();
        return true;
    });
    EXPECT_FALSE(alone.too_many(3, 0));
    EXPECT_TRUE(alone.too_many(2, 1));
}

TEST(cap_sharing, a_core_alone_hears_nothing_of_a_lender_when_the_cap_changes) {
    process p{200, {1000}};
    for (const std::uint32_t cap : {100u, 200u, 1500u, 7u}) {
        p.set_cap(cap);
        p.settle();
        EXPECT_EQ(p.cores[0].share.allowance(), std::min(cap, 1000u));
        EXPECT_TRUE(p.cores[0].from_lender.empty());
    }
}

TEST(cap_sharing, the_first_allowances_are_equal_parts_of_the_whole_cap) {
    const process p{10, {100, 100, 100, 100}};
    EXPECT_EQ(p.cores[0].share.allowance(), 3u);
    EXPECT_EQ(p.cores[1].share.allowance(), 3u);
    EXPECT_EQ(p.cores[2].share.allowance(), 2u);
    EXPECT_EQ(p.lent(), 10u);
}

// R63
TEST(cap_sharing, a_busy_core_gets_what_idle_ones_do_not_use) {
    process p{4'194'304, {4'194'304, 4'194'304}};
    core& busy = p.cores[0];
    // A million a second, rounds of 10 ms: what is left must last until the next block is here.
    for (int ms = 0; ms < 4100; ++ms) {
        for (int i = 0; i < 1000; ++i) {
            busy.enter();
        }
        for (core& c : p.cores) {
            c.turn();
        }
        if (ms % 10 == 0) {
            p.round();
        }
    }
    EXPECT_EQ(busy.refused, 0u);
    EXPECT_EQ(busy.used, 4'100'000u);
    EXPECT_LE(p.lent(), p.cap());
}

TEST(cap_sharing, a_small_cap_can_be_used_by_one_core_to_the_last) {
    process p{10, {100, 100, 100, 100}};
    for (int i = 0; i < 200; ++i) {
        p.cores[2].enter();
        p.settle();
    }
    EXPECT_EQ(p.cores[2].used, 10u);
    EXPECT_EQ(p.used(), 10u);
}

TEST(cap_sharing, a_core_borrows_no_more_than_its_table_holds) {
    process p{1000, {300, 300, 300, 300}};
    for (int i = 0; i < 1000; ++i) {
        p.cores[1].enter();
        p.settle();
        ASSERT_LE(p.cores[1].share.allowance(), 300u);
    }
    EXPECT_EQ(p.cores[1].used, 300u);
}

TEST(cap_sharing, a_lower_cap_holds_as_soon_as_all_have_answered_and_evicts_nothing) {
    process p{1000, {1000, 1000}};
    for (int i = 0; i < 400; ++i) {
        p.cores[0].enter();
    }
    p.set_cap(100);
    p.settle();
    EXPECT_EQ(p.used(), 400u);
    EXPECT_LE(p.lent(), 100u);
    EXPECT_FALSE(p.cores[0].enter());
    p.cores[0].used = 20;
    p.settle();
    EXPECT_TRUE(p.cores[0].enter());
    p.set_cap(0);
    p.settle();
    EXPECT_FALSE(p.cores[0].enter());
    EXPECT_FALSE(p.cores[1].enter());
    EXPECT_EQ(p.lent(), 0u);
}

TEST(cap_sharing, a_higher_cap_is_handed_out_at_once_and_then_lent) {
    process p{0, {1000, 1000}};
    EXPECT_FALSE(p.cores[1].enter());
    p.settle();
    p.set_cap(4);
    p.settle();
    EXPECT_TRUE(p.cores[0].enter());
    EXPECT_TRUE(p.cores[1].enter());
    p.set_cap(1000);
    for (int i = 0; i < 500; ++i) {
        p.cores[1].enter();
        p.settle();
    }
    EXPECT_GE(p.cores[1].used, 490u);
    EXPECT_LE(p.lent(), 1000u);
}

TEST(cap_sharing, a_core_that_does_not_answer_keeps_nobody_else_waiting) {
    process p{900, {900, 900, 900}};
    core& hung = p.cores[2];
    for (int i = 0; i < 590; ++i) {
        p.cores[0].enter();
        for (int k = 0; k < 4; ++k) {
            p.cores[0].turn();
            p.cores[1].turn();
            p.round();
        }
    }
    EXPECT_GE(p.cores[0].used, 580u);
    EXPECT_EQ(hung.share.allowance(), 300u);
}

// R63: what the check at an orphan's timeout compares.
TEST(cap_sharing, every_core_learns_how_many_there_are_in_all) {
    process p{1000, {1000, 1000, 1000}};
    for (int i = 0; i < 300; ++i) {
        p.cores[0].enter();
        p.cores[1].enter();
    }
    p.settle();
    EXPECT_NEAR(static_cast<double>(p.cores[2].share.in_process(0)), 600, 2 * 5);
    EXPECT_FALSE(p.cores[2].share.too_many(0, 0));
    EXPECT_TRUE(p.cores[2].share.too_many(0, 1));
    p.cores[0].used = p.cores[1].used = 0;
    p.settle();
    EXPECT_LE(p.cores[2].share.in_process(0), 10u);
}

// R54, R63
RC_GTEST_PROP(cap_sharing, never_exceeds_the_cap_and_loses_nothing_whatever_the_order, ()) {
    std::mt19937 dice{*rc::gen::arbitrary<std::uint32_t>()};
    const auto below = [&dice](std::uint32_t n) { return n == 0 ? 0 : dice() % n; };
    const auto members = *rc::gen::inRange<std::uint32_t>(2, 7);
    const auto first_cap = *rc::gen::inRange<std::uint32_t>(0, 3000);
    std::vector<std::uint32_t> rooms;
    for (std::uint32_t i = 0; i < members; ++i) {
        rooms.push_back(1 + below(3000));
    }
    process p{first_cap, rooms};
    const bool cap_moves = below(2) == 0;
    std::uint32_t highest = first_cap;
    std::vector<std::uint32_t> rate(members);
    for (std::uint32_t ms = 0; ms < 1500; ++ms) {
        if (ms % 100 == 0) {
            for (std::uint32_t& r : rate) {
                r = below(3) == 0 ? below(100) : 0;
            }
        }
        if (cap_moves && below(200) == 0) {
            p.set_cap(below(3000));
            highest = std::max(highest, p.cap());
        }
        for (std::uint32_t i = 0; i < members; ++i) {
            core& c = p.cores[i];
            if (below(4) == 0) {
                continue;  // busy with something else
            }
            for (std::uint32_t k = below(rate[i] + 1); k > 0; --k) {
                c.enter();
            }
            c.used -= below(std::min(c.used, 60u) + 1);
            c.turn();
            RC_ASSERT(c.share.allowance() <= rooms[i]);
        }
        if (below(8) == 0) {
            p.round();
        }
        RC_ASSERT(p.lent() <= highest);
        if (!cap_moves) {
            RC_ASSERT(p.used() <= p.cap());
        }
    }
    p.settle();
    RC_ASSERT(p.lent() <= p.cap());
    // Nothing was lost on the way: one core can still have all that its table holds, but for half
    // a block that each of the others keeps.
    for (core& c : p.cores) {
        c.used = 0;
    }
    core& wanting = p.cores[below(members)];
    const std::uint32_t kept = (members - 1) * (cap_block(p.cap(), members) / 2);
    const std::uint32_t reachable = p.cap() > kept ? p.cap() - kept : 0;
    for (int i = 0; i < 400; ++i) {
        for (int k = 0; k < 100; ++k) {
            wanting.enter();
        }
        for (core& c : p.cores) {
            c.turn();
        }
        p.round();
    }
    RC_ASSERT(wanting.used >= std::min(reachable, wanting.share.room()));
    RC_ASSERT(wanting.used <= p.cap());
}

}  // namespace
}  // namespace lastack::teardown
