// SPDX-License-Identifier: BSD-3-Clause
// Not one octet of an old incarnation reaches a new one; and the harness would see it.
//
// LASTACK_MODEL_INCARNATIONS is how many each profile runs, LASTACK_MODEL_SEED where chance begins.
#include "model/old_duplicates.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/environment.hpp"

namespace lastack::model {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

duplicates_report run(const duplicates_profile& p) {
    test::environment::start();
    const std::uint64_t seed = from_environment("LASTACK_MODEL_SEED", 1);
    const auto r = run_duplicates(p, seed, from_environment("LASTACK_MODEL_INCARNATIONS", 50'000));
    const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf(
        "%-28s %8llu incarnations %8llu reopened %7llu waited %9llu duplicates"
        " %10llu octets %6llu corrupted %6llu broken\n",
        p.name, number(r.incarnations), number(r.reopened), number(r.waited), number(r.duplicates),
        number(r.octets), number(r.corrupted), number(r.broken));
    std::fflush(stdout);
    return r;
}

void expect_whole(const duplicates_report& r) {
    EXPECT_EQ(r.corrupted, 0u) << r.first;
    EXPECT_EQ(r.broken, 0u);
    EXPECT_GT(r.duplicates, r.incarnations) << "too few old duplicates to mean anything";
}

// A SYN that TIME_WAIT refuses waits until all copies are dead.
// R42, R45
TEST(old_duplicates, do_not_reach_an_incarnation_behind_time_wait) {
    const auto r = run({.name = "random_isn"});
    expect_whole(r);
    EXPECT_GT(r.waited, 0u);
    EXPECT_GT(r.reopened, 0u);
}

// R47
TEST(old_duplicates, do_not_reach_an_incarnation_reopened_by_sequence) {
    const auto r = run({.name = "reuse_by_sequence", .isn = isn_choice::beyond});
    expect_whole(r);
    EXPECT_GT(r.reopened * 10, r.incarnations * 9);
}

// RFC 6191 A1
// R48, R71
TEST(old_duplicates, do_not_reach_an_incarnation_reopened_by_timestamps) {
    const auto r = run(
        {.name = "reuse_by_timestamps", .isn = isn_choice::below, .timestamps = ts_choice::always});
    expect_whole(r);
    EXPECT_GT(r.reopened * 10, r.incarnations * 9);
}

// RFC 6191 A1 and A2
// R48, R71
TEST(old_duplicates, do_not_reach_an_incarnation_reopened_anywhere_by_timestamps) {
    const auto r = run({.name = "reuse_by_timestamps_random",
                        .isn = isn_choice::random,
                        .timestamps = ts_choice::always});
    expect_whole(r);
}

// RFC 6191 B1
// R48, R69
TEST(old_duplicates, do_not_reach_an_incarnation_that_begins_with_timestamps) {
    const auto r = run(
        {.name = "timestamps_begin", .isn = isn_choice::below, .timestamps = ts_choice::begins});
    EXPECT_EQ(r.corrupted, 0u) << r.first;
    EXPECT_EQ(r.broken, 0u);
    EXPECT_GT(r.duplicates, 0u);
    EXPECT_GT(r.reopened * 10, r.incarnations * 4);
}

// A peer that offers timestamps in some incarnations and not in others: what was opened by them
// alone is not opened without them.
// R48, R69
TEST(old_duplicates, do_not_reach_an_incarnation_of_a_peer_that_has_timestamps_now_and_then) {
    for (const auto isn : {isn_choice::below, isn_choice::random}) {
        const auto r = run({.name = isn == isn_choice::below ? "timestamps_now_and_then"
                                                             : "timestamps_now_and_then_random",
                            .isn = isn,
                            .timestamps = ts_choice::now_and_then});
        EXPECT_EQ(r.corrupted, 0u) << r.first;
        EXPECT_GT(r.reopened * 10, r.incarnations);
    }
}

// The connecting side takes the place of its own TIME_WAIT: PAWS protects it, wherever the peer's
// ISN lies.
// R55, R56, R71
TEST(old_duplicates, do_not_reach_a_connection_that_took_a_time_wait_records_place) {
    constexpr auto always = ts_choice::always;
    for (const duplicates_profile& p :
         {duplicates_profile{.name = "connect_reuse",
         .isn = isn_choice::below,
         .timestamps = always,
         .opens = opener::stack},
          duplicates_profile{
              .name = "connect_reuse_random", .timestamps = always, .opens = opener::stack},
          duplicates_profile{
              .name = "connect_bound", .timestamps = always, .opens = opener::stack_bound}}) {
        const auto r = run(p);
        expect_whole(r);
        EXPECT_GT(r.reopened * 10, r.incarnations * 9);
    }
}

// What TIME_WAIT is for: without it, and without timestamps, old text is delivered.
// R54
TEST(old_duplicates, corrupt_what_has_no_time_wait) {
    const auto r = run({.name = "no_time_wait", .time_wait = false});
    EXPECT_GT(r.corrupted * 100, r.incarnations) << "the harness sees too little";
    EXPECT_NE(r.first, "");
}

}  // namespace
}  // namespace lastack::model
