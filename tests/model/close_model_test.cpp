// SPDX-License-Identifier: BSD-3-Clause
// Every interleaving of two ends and a wire, up to bounds; and seeded bugs that must be noticed.
//
// The walk prints how much it has seen. scripts/model-check runs the large bounds
// (LASTACK_MODEL_LARGE is set); docs/model-check.md has its numbers.
#include "model/close_model.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "teardown/names.hpp"

namespace lastack::model {
namespace {

using teardown::cell;
using teardown::event;
using teardown::kind;
using teardown::state;

std::string told(const report& r) {
    std::string text = std::string(name(r.found)) + ": " + r.what;
    for (const std::string& line : r.trace) {
        text += "\n" + line;
    }
    return text;
}

std::vector<bounds> small_bounds() {
    using enum beginning;
    return {
        {.name = "in_order", .text = 2, .early = 0, .reorder = false},
        {.name = "early_retransmissions", .text = 1, .early = 1},
        {.name = "a_loss_with_text", .text = 1, .early = 0, .losses = 1},
        {.name = "losses_and_a_duplicate", .text = 0, .losses = 2, .duplicates = 1},
        {.name = "a_duplicate_with_text", .text = 1, .early = 0, .duplicates = 1},
        {.name = "narrow_window", .text = 2, .window = 1, .early = 0, .may_abort = false},
        {.name = "reading_shut_down", .text = 1, .early = 0, .may_shut_rd = true},
        {.name = "resources_run_out", .text = 1, .early = 0, .resources = true},
        {.name = "throttled", .text = 1, .early = 0, .losses = 1, .throttle = true},
        {.name = "hasty_timers", .text = 0, .losses = 1, .duplicates = 1, .hasty = true},
        {.name = "tcp_rfc1337_off", .text = 0, .losses = 1, .duplicates = 1, .rfc1337 = false},
        {.name = "opening_with_a_loss", .from = open, .text = 0, .losses = 1},
        {.name = "opening_with_text", .from = open, .text = 1, .early = 0},
        {.name = "simultaneous_open_with_a_loss",
         .from = simultaneous_open,
         .text = 0,
         .losses = 1},
        {.name = "simultaneous_open_with_text",
         .from = simultaneous_open,
         .text = 1,
         .early = 0,
         .may_abort = false},
    };
}

std::vector<bounds> large_bounds() {
    using enum beginning;
    return {
        {.name = "in_order_four_under_way",
         .text = 2,
         .under_way = 4,
         .early = 0,
         .reorder = false},
        {.name = "two_octets", .text = 2, .early = 0},
        {.name = "a_loss_and_early_retransmissions", .text = 1, .losses = 1},
        {.name = "a_loss_and_a_duplicate", .text = 1, .early = 0, .losses = 1, .duplicates = 1},
        {.name = "two_octets_and_a_loss", .text = 2, .early = 0, .losses = 1},
        {.name = "three_mishaps_without_text",
         .text = 0,
         .under_way = 4,
         .losses = 3,
         .duplicates = 3},
        {.name = "narrow_window_and_a_loss", .text = 2, .window = 1, .early = 0, .losses = 1},
        {.name = "everything_but_text",
         .text = 0,
         .losses = 1,
         .duplicates = 1,
         .may_shut_rd = true,
         .resources = true,
         .throttle = true,
         .hasty = true},
        {.name = "opening_with_text_and_a_loss", .from = open, .text = 1, .losses = 1},
        {.name = "simultaneous_open_with_text_and_a_loss",
         .from = simultaneous_open,
         .text = 1,
         .early = 0,
         .losses = 1},
    };
}

class close_model : public testing::TestWithParam<bounds> {};

// Whatever is called and however the wire behaves.
// R01, R02, R17, R18, R19, R20, R21, R23, R25, R43, R59
TEST_P(close_model, ends_well_whatever_happens) {
    const bounds& b = GetParam();
    const report r = explore(b);
    std::printf("%-40s %9llu states %10llu steps  depth %2u %8llu ends %3llu cells %6.1f s\n",
                b.name, static_cast<unsigned long long>(r.states),
                static_cast<unsigned long long>(r.steps), r.depth,
                static_cast<unsigned long long>(r.endings),
                static_cast<unsigned long long>(r.cells_hit), r.seconds);
    std::fflush(stdout);
    EXPECT_EQ(r.found, breach::none) << told(r);
    EXPECT_GT(r.endings, 0u);
}

INSTANTIATE_TEST_SUITE_P(bounds, close_model,
                         testing::ValuesIn(std::getenv("LASTACK_MODEL_LARGE") != nullptr
                                               ? large_bounds()
                                               : small_bounds()),
                         [](const auto& one) { return one.param.name; });

// --- seeded bugs ---------------------------------------------------------------------------------

const bounds enough{.name = "seeded", .text = 1, .early = 0, .losses = 1};

// The table, but for one cell.
template <state In, event On, kind What, state Next = In>
const cell& one_cell_wrong(state in, event on) {
    static cell wrong = [] {
        cell c = teardown::lookup(In, On);
        c.what = What;
        c.next = Next;
        if (What == kind::ignored) {
            c.actions = teardown::action::none;
        }
        return c;
    }();
    return in == In && on == On ? wrong : teardown::lookup(in, on);
}

TEST(close_model_notices, time_wait_that_leaves_a_repeated_fin_unanswered) {
    rules r = real_rules;
    r.classify_time_wait = [](const auto& view, const auto& s, const auto& policy) {
        auto v = teardown::classify_time_wait(view, s, policy);
        if (!view.fin_wait_2 && v.what == event::rx_fin) {
            v = {};
            v.what = event::rx_rst_outside;  // whose cell says: ignore
        }
        return v;
    };
    EXPECT_EQ(explore(enough, r).found, breach::fin_not_acked);
}

TEST(close_model_notices, last_ack_that_leaves_a_repeated_fin_unanswered) {
    rules r = real_rules;
    r.lookup = one_cell_wrong<state::last_ack, event::rx_out_of_window, kind::ignored>;
    EXPECT_EQ(explore(enough, r).found, breach::fin_not_acked);
}

TEST(close_model_notices, record_that_does_what_the_table_does_not_say) {
    rules r = real_rules;
    r.classify_time_wait = [](const auto& view, const auto& s, const auto& policy) {
        auto v = teardown::classify_time_wait(view, s, policy);
        v.restart = false;
        return v;
    };
    EXPECT_EQ(explore(enough, r).found, breach::record_and_table);
}

TEST(close_model_notices, orphan_in_fin_wait_2_that_never_ends) {
    rules r = real_rules;
    r.lookup = one_cell_wrong<state::fin_wait_2, event::fin_wait_2_expired, kind::ignored>;
    EXPECT_EQ(explore(enough, r).found, breach::may_stay_for_ever);
}

TEST(close_model_notices, closing_that_misses_the_ack_of_its_fin) {
    rules r = real_rules;
    r.lookup = one_cell_wrong<state::closing, event::rx_ack_of_fin, kind::ignored>;
    EXPECT_NE(explore(enough, r).found, breach::none);
}

TEST(close_model_notices, fin_taken_for_acknowledged_with_the_text_before_it) {
    rules r = real_rules;
    r.classify = [](const teardown::connection_view& view, const wire::tcp_segment& s) {
        teardown::verdict v = teardown::classify(view, s);
        v.acks_fin = view.fin_sent && view.snd_una != view.snd_nxt && s.ack > view.snd_una;
        return v;
    };
    EXPECT_EQ(explore(enough, r).found, breach::false_clean);
}

// The SYN-ACK that crosses ours acknowledges our SYN also after R04 has moved on to FIN_WAIT_1.
TEST(close_model_notices, crossing_syn_ack_that_counts_for_nothing_once_closed) {
    rules r = real_rules;
    r.classify = [](const teardown::connection_view& view, const wire::tcp_segment& s) {
        teardown::verdict v = teardown::classify(view, s);
        if (view.st == state::fin_wait_1 && s.has(wire::tcp_flags::syn)) {
            v = {};
            v.what = event::rx_syn_ack;
        }
        return v;
    };
    const bounds b{
        .name = "seeded", .from = beginning::simultaneous_open, .text = 0, .early = 0, .losses = 1};
    EXPECT_EQ(explore(b, r).found, breach::gave_up_on_living);
}

TEST(close_model_notices, text_taken_twice) {
    rules r = real_rules;
    r.classify = [](const teardown::connection_view& view, const wire::tcp_segment& s) {
        teardown::verdict v = teardown::classify(view, s);
        v.trim_front = 0;
        return v;
    };
    // A retransmission of everything overlaps what has arrived.
    EXPECT_EQ(explore({.name = "seeded", .text = 2, .early = 1, .may_abort = false}, r).found,
              breach::text_lost);
}

TEST(close_model_notices, close_that_resets) {
    rules r = real_rules;
    r.lookup = [](state in, event on) -> const cell& {
        const bool wrong = in == state::close_wait && on == event::app_close;
        return teardown::lookup(in, wrong ? event::stack_stopped : on);
    };
    EXPECT_EQ(explore(enough, r).found, breach::reset_of_proper);
}

TEST(close_model_notices, repeated_fin_that_is_processed_again) {
    rules r = real_rules;
    r.classify = [](const teardown::connection_view& view, const wire::tcp_segment& s) {
        teardown::verdict v = teardown::classify(view, s);
        if (view.st == state::close_wait && s.has(wire::tcp_flags::fin)) {
            v.what = event::rx_fin;
        }
        return v;
    };
    EXPECT_EQ(explore(enough, r).found, breach::impossible_cell);
}

TEST(close_model_notices, two_ends_that_answer_one_another_for_ever) {
    rules r = real_rules;
    r.classify_time_wait = [](const auto& view, const auto& s, const auto& policy) {
        auto v = teardown::classify_time_wait(view, s, policy);
        if (!view.fin_wait_2 && v.what == event::rx_acceptable) {
            v.what = event::rx_old_duplicate;  // a pure ACK is answered by an ACK
            v.answer = teardown::time_wait_answer::throttled_ack;
        }
        return v;
    };
    EXPECT_EQ(explore(enough, r).found, breach::may_stay_for_ever);
}

}  // namespace
}  // namespace lastack::model
