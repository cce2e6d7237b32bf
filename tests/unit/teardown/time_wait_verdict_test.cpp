// SPDX-License-Identifier: BSD-3-Clause
// What a segment does to a TIME_WAIT record, or to an orphan's record in FIN_WAIT_2: one test or
// more for each requirement, and a grid that holds every verdict against the close FSM's table.
#include <gtest/gtest.h>

#include <cstdint>

#include "teardown/classify.hpp"
#include "teardown/fsm.hpp"
#include "teardown/names.hpp"

namespace lastack::teardown {
namespace {

namespace flags = wire::tcp_flags;
using wire::tcp_segment;

constexpr seq32 snd_nxt{0xfffffff0u};
constexpr seq32 rcv_nxt{0xfffffffeu};
constexpr std::uint32_t recent = 7;  // ts_recent; older ones lie before the wrap

time_wait_view make_time_wait() {
    time_wait_view v;
    v.snd_nxt = snd_nxt;
    v.rcv_nxt = rcv_nxt;
    v.ts_recent = recent;
    v.timestamps = true;
    v.listener = true;
    return v;
}
time_wait_view make_time_wait_without_timestamps() {
    time_wait_view v = make_time_wait();
    v.timestamps = false;
    v.ts_recent = 0;
    return v;
}
time_wait_view make_fin_wait_2() {
    time_wait_view v = make_time_wait();
    v.fin_wait_2 = true;
    v.rcv_wnd = 100;
    return v;
}

struct segment {
    tcp_segment s;

    segment(std::uint8_t control, std::int32_t from_rcv_nxt, std::uint32_t payload = 0) {
        s.seq = rcv_nxt + static_cast<std::uint32_t>(from_rcv_nxt);
        s.ack = snd_nxt;
        s.flags = control;
        s.payload_length = payload;
    }
    segment& tsval(std::int32_t from_recent) {
        s.options.has_timestamps = true;
        s.options.tsval = recent + static_cast<std::uint32_t>(from_recent);
        return *this;
    }
    segment& acks(std::int32_t from_snd_nxt) {
        s.ack = snd_nxt + static_cast<std::uint32_t>(from_snd_nxt);
        return *this;
    }
};

time_wait_verdict judge(const time_wait_view& view, const segment& g,
                        const time_wait_policy& policy = {}) {
    return classify_time_wait(view, g.s, policy);
}

// R43
TEST(time_wait, retransmitted_fin_is_acked_and_restarts_2msl) {
    const auto v = judge(make_time_wait(), segment(flags::fin | flags::ack, -1));
    EXPECT_EQ(v.what, event::rx_fin);
    EXPECT_EQ(v.answer, time_wait_answer::ack);
    EXPECT_TRUE(v.restart);
    EXPECT_FALSE(v.kill);
    // With the text before it, too.
    EXPECT_EQ(judge(make_time_wait(), segment(flags::fin | flags::ack, -9, 8)).what, event::rx_fin);
}

// R44
TEST(time_wait, pure_ack_at_rcv_nxt_is_not_answered_but_restarts_2msl) {
    const auto v = judge(make_time_wait(), segment(flags::ack, 0).tsval(3));
    EXPECT_EQ(v.answer, time_wait_answer::none);
    EXPECT_TRUE(v.restart);
    EXPECT_TRUE(v.update_ts_recent);
}

// R45
TEST(time_wait, any_other_ack_is_answered_and_restarts_2msl) {
    const auto old_ack = judge(make_time_wait(), segment(flags::ack, -1));
    EXPECT_EQ(old_ack.what, event::rx_old_duplicate);
    EXPECT_EQ(old_ack.answer, time_wait_answer::throttled_ack);
    EXPECT_TRUE(old_ack.restart);
    EXPECT_EQ(judge(make_time_wait(), segment(flags::ack, 1)).answer,
              time_wait_answer::throttled_ack);
}

// R45
TEST(time_wait, text_is_answered_without_throttle) {
    EXPECT_EQ(judge(make_time_wait(), segment(flags::ack, 0, 5)).answer, time_wait_answer::ack);
    // What ends where the FIN did, but is none.
    EXPECT_EQ(judge(make_time_wait(), segment(flags::ack, -5, 5)).what, event::rx_old_duplicate);
    EXPECT_EQ(judge(make_time_wait(), segment(flags::ack | flags::fin, 0)).what,
              event::rx_old_duplicate);
    EXPECT_EQ(judge(make_time_wait(), segment(flags::ack, -5, 5)).answer, time_wait_answer::ack);
    EXPECT_EQ(judge(make_time_wait(), segment(flags::ack | flags::fin, 4)).answer,
              time_wait_answer::ack);
}

// R45
TEST(time_wait, syn_ack_is_answered_with_throttle_and_opens_nothing) {
    const auto v = judge(make_time_wait(), segment(flags::syn | flags::ack, 1000));
    EXPECT_EQ(v.answer, time_wait_answer::throttled_ack);
    EXPECT_TRUE(v.restart);
    EXPECT_FALSE(v.reopen);
}

// R45, R53
TEST(time_wait, refused_syn_restarts_2msl_only_if_paws_refused_it) {
    EXPECT_FALSE(judge(make_time_wait(), segment(flags::syn, -1000).tsval(0)).restart);
    EXPECT_TRUE(judge(make_time_wait(), segment(flags::syn, -1000).tsval(-1)).restart);
}

// R46
TEST(time_wait, exact_rst_does_not_end_it_with_rfc1337) {
    const auto v = judge(make_time_wait(), segment(flags::rst, 0).tsval(2));
    EXPECT_FALSE(v.kill);
    EXPECT_FALSE(v.restart);
    EXPECT_EQ(v.answer, time_wait_answer::none);
    EXPECT_TRUE(v.update_ts_recent);
    // Never backwards: PAWS does not look at a RST, so this has to.
    EXPECT_FALSE(judge(make_time_wait(), segment(flags::rst, 0).tsval(-2)).update_ts_recent);
}

// R46
TEST(time_wait, exact_rst_ends_it_without_rfc1337) {
    const time_wait_policy linux_default{.rfc1337 = false};
    EXPECT_TRUE(judge(make_time_wait(), segment(flags::rst, 0), linux_default).kill);
    EXPECT_TRUE(judge(make_time_wait(), segment(flags::rst | flags::ack, 0), linux_default).kill);
}

// R46
TEST(time_wait, rst_elsewhere_is_ignored_in_silence) {
    for (const bool rfc1337 : {false, true}) {
        for (const std::int32_t at : {-2, -1, 1, 1000}) {
            const auto v = judge(make_time_wait(), segment(flags::rst, at), {.rfc1337 = rfc1337});
            EXPECT_FALSE(v.kill);
            EXPECT_FALSE(v.restart);
            EXPECT_EQ(v.answer, time_wait_answer::none);
        }
    }
}

// R33, R46
TEST(time_wait, paws_does_not_look_at_a_rst) {
    const auto v = judge(make_time_wait(), segment(flags::rst, 0).tsval(-1), {.rfc1337 = false});
    EXPECT_TRUE(v.kill);
    EXPECT_FALSE(v.paws_rejected);
}

// R47
TEST(time_wait, syn_beyond_the_old_sequence_reopens) {
    const auto v = judge(make_time_wait(), segment(flags::syn, 1));
    EXPECT_EQ(v.what, event::rx_syn_newer);
    EXPECT_TRUE(v.reopen);
    EXPECT_FALSE(v.kill) << "the record is parked, not removed (R49)";
    EXPECT_EQ(v.answer, time_wait_answer::none);
}

// R47
TEST(time_wait, syn_at_or_below_the_old_sequence_is_acked) {
    for (const std::int32_t at : {0, -1, -1000}) {
        const auto v = judge(make_time_wait(), segment(flags::syn, at));
        EXPECT_FALSE(v.reopen);
        EXPECT_EQ(v.answer, time_wait_answer::throttled_ack);
    }
}

// R47
TEST(time_wait, syn_without_a_listener_is_acked) {
    time_wait_view view = make_time_wait();
    view.listener = false;
    const auto v = judge(view, segment(flags::syn, 1).tsval(1));
    EXPECT_FALSE(v.reopen);
    EXPECT_EQ(v.answer, time_wait_answer::throttled_ack);
    EXPECT_FALSE(v.restart);
}

// R47
TEST(time_wait, new_isn_is_beyond_all_that_the_old_incarnation_sent) {
    EXPECT_EQ(isn_after_time_wait(seq32{1000}), seq32{1000 + 65537});
    EXPECT_EQ(isn_after_time_wait(seq32{0u - 65537u}), seq32{1});
}

// R48
TEST(time_wait, rfc_6191_decides_whether_a_syn_reopens) {
    struct row {
        const char* rule;
        bool old_timestamps;
        bool new_timestamps;
        std::int32_t tsval;  // from ts_recent
        std::int32_t seq;    // from rcv_nxt
        bool accepted;
        bool strict;
    };
    constexpr row table[]{
        {"A1", true, true, 1, 1, true, false},    {"A1", true, true, 1, 0, true, true},
        {"A1", true, true, 1, -9, true, true},    {"A2", true, true, 0, 1, true, false},
        {"A4", true, true, 0, 0, false, false},   {"A4", true, true, 0, -9, false, false},
        {"A4", true, true, -1, 1, false, false},  {"A4", true, true, -1, -9, false, false},
        {"A3", true, false, 0, 1, true, false},   {"A3", true, false, 0, 0, false, false},
        {"B1", false, true, 0, 1, true, false},   {"B1", false, true, 0, 0, true, true},
        {"B1", false, true, 0, -9, true, true},   {"B2", false, false, 0, 1, true, false},
        {"B3", false, false, 0, 0, false, false}, {"B3", false, false, 0, -9, false, false},
    };
    for (const row& r : table) {
        const time_wait_view view =
            r.old_timestamps ? make_time_wait() : make_time_wait_without_timestamps();
        segment syn(flags::syn, r.seq);
        if (r.new_timestamps) {
            syn.tsval(r.tsval);
        }
        const auto v = judge(view, syn);
        SCOPED_TRACE(::testing::Message() << r.rule << " tsval " << r.tsval << " seq " << r.seq);
        EXPECT_EQ(v.reopen, r.accepted);
        EXPECT_EQ(v.answer == time_wait_answer::throttled_ack, !r.accepted);
        EXPECT_EQ(v.ts_strict, r.strict);
    }
}

// R48, R69
TEST(time_wait, what_timestamps_alone_have_opened_opens_again_by_timestamps_only) {
    for (time_wait_view view : {make_time_wait(), make_time_wait_without_timestamps()}) {
        view.ts_strict = true;
        EXPECT_FALSE(judge(view, segment(flags::syn, 1)).reopen);
        EXPECT_EQ(judge(view, segment(flags::syn, 1)).answer, time_wait_answer::throttled_ack);
        const auto v = judge(view, segment(flags::syn, 1).tsval(5));
        EXPECT_TRUE(v.reopen);
        EXPECT_TRUE(v.ts_strict);  // it is passed on until TIME_WAIT has run out
    }
}

// R48
TEST(time_wait, timestamps_of_a_syn_open_nothing_while_they_are_switched_off) {
    const time_wait_policy off{.timestamps = false};
    EXPECT_FALSE(judge(make_time_wait(), segment(flags::syn, -9).tsval(5), off).reopen);
    EXPECT_FALSE(
        judge(make_time_wait_without_timestamps(), segment(flags::syn, -9).tsval(5), off).reopen);
    EXPECT_TRUE(judge(make_time_wait(), segment(flags::syn, 1).tsval(5), off).reopen);
}

// R49
TEST(time_wait, reopening_leaves_the_record_as_it_was) {
    const auto v = judge(make_time_wait(), segment(flags::syn, 1).tsval(4));
    EXPECT_TRUE(v.reopen);
    EXPECT_FALSE(v.restart);
    EXPECT_FALSE(v.update_ts_recent);
    EXPECT_FALSE(v.kill);
}

// R50
TEST(time_wait, syn_with_fin_never_costs_the_record) {
    for (const std::int32_t at : {-1, 0, 1, 1000}) {
        for (const std::uint8_t more : {std::uint8_t{0}, flags::ack, flags::rst}) {
            const auto v =
                judge(make_time_wait(),
                      segment(static_cast<std::uint8_t>(flags::syn | flags::fin | more), at),
                      {.rfc1337 = false});
            EXPECT_EQ(v.what, event::rx_syn_fin);
            EXPECT_FALSE(v.kill || v.reopen || v.restart);
            EXPECT_EQ(v.answer, time_wait_answer::none);
        }
    }
}

// R52
TEST(time_wait, icmp_does_not_touch_it) {
    EXPECT_EQ(lookup(state::time_wait, event::unreachable).what, kind::ignored);
}

// R53
TEST(time_wait, paws_failure_is_acked_restarts_and_never_reopens) {
    const auto syn = judge(make_time_wait(), segment(flags::syn, 1000).tsval(-1));
    EXPECT_EQ(syn.what, event::rx_paws_reject);
    EXPECT_TRUE(syn.paws_rejected);
    EXPECT_TRUE(syn.restart);
    EXPECT_FALSE(syn.reopen);
    EXPECT_EQ(syn.answer, time_wait_answer::throttled_ack);
    const auto pure = judge(make_time_wait(), segment(flags::ack, 0).tsval(-1));
    EXPECT_TRUE(pure.paws_rejected);
    EXPECT_EQ(pure.answer, time_wait_answer::throttled_ack);
    EXPECT_FALSE(pure.update_ts_recent);
    // A record of a connection without timestamps has nothing to compare with.
    EXPECT_FALSE(
        judge(make_time_wait_without_timestamps(), segment(flags::ack, 0).tsval(-9)).paws_rejected);
}

// R26
TEST(time_wait, segment_without_ack_is_answered_and_does_not_restart_2msl) {
    const auto v = judge(make_time_wait(), segment(flags::fin, -1));
    EXPECT_EQ(v.what, event::rx_ack_missing);
    EXPECT_EQ(v.answer, time_wait_answer::ack);
    EXPECT_FALSE(v.restart);
}

// R60, R21
TEST(fin_wait_2_record, fin_makes_it_time_wait) {
    const auto v = judge(make_fin_wait_2(), segment(flags::fin | flags::ack, 0).tsval(1));
    EXPECT_TRUE(v.become_time_wait);
    EXPECT_EQ(v.new_rcv_nxt, rcv_nxt + 1);
    EXPECT_EQ(v.answer, time_wait_answer::ack);
    EXPECT_TRUE(v.update_ts_recent);
    EXPECT_FALSE(v.kill);
}

// R60
TEST(fin_wait_2_record, fin_behind_repeated_text_makes_it_time_wait) {
    const auto v = judge(make_fin_wait_2(), segment(flags::fin | flags::ack, -6, 6));
    EXPECT_TRUE(v.become_time_wait);
    EXPECT_EQ(v.new_rcv_nxt, rcv_nxt + 1);
}

// R60
TEST(fin_wait_2_record, fin_is_taken_into_a_closed_window) {
    time_wait_view view = make_fin_wait_2();
    view.rcv_wnd = 0;
    EXPECT_TRUE(judge(view, segment(flags::fin | flags::ack, 0)).become_time_wait);
}

// R07, R60
TEST(fin_wait_2_record, new_text_is_reset_and_ends_it) {
    for (const segment& s : {segment(flags::ack, 0, 1), segment(flags::ack | flags::fin, 0, 1),
                             segment(flags::ack, -1, 2), segment(flags::ack, 50, 1),
                             segment(flags::ack | flags::fin, 50)}) {
        const auto v = judge(make_fin_wait_2(), s);
        EXPECT_EQ(v.what, event::rx_data_unreadable);
        EXPECT_EQ(v.answer, time_wait_answer::reset);
        EXPECT_TRUE(v.kill);
    }
}

// R07, R60
TEST(fin_wait_2_record, old_text_is_acked_and_a_pure_ack_is_tolerated) {
    const auto old = judge(make_fin_wait_2(), segment(flags::ack, -4, 4));
    EXPECT_EQ(old.what, event::rx_out_of_window);
    EXPECT_EQ(old.answer, time_wait_answer::ack);
    const auto pure = judge(make_fin_wait_2(), segment(flags::ack, 0).tsval(1));
    EXPECT_EQ(pure.what, event::rx_acceptable);
    EXPECT_EQ(pure.answer, time_wait_answer::none);
    EXPECT_TRUE(pure.update_ts_recent);
    EXPECT_FALSE(pure.restart || pure.kill);
    // RFC 7323 4.3: not from what lies ahead of what was acknowledged.
    EXPECT_FALSE(judge(make_fin_wait_2(), segment(flags::ack, 5).tsval(1)).update_ts_recent);
    EXPECT_FALSE(judge(make_fin_wait_2(), segment(flags::ack, 0)).update_ts_recent);
}

// R29, R30, R31, R60
TEST(fin_wait_2_record, rst_is_judged_as_for_a_full_connection) {
    EXPECT_TRUE(judge(make_fin_wait_2(), segment(flags::rst, 0).tsval(-1)).kill);
    EXPECT_TRUE(judge(make_fin_wait_2(), segment(flags::rst, 0), {.rfc1337 = true}).kill);
    const auto inside = judge(make_fin_wait_2(), segment(flags::rst, 99));
    EXPECT_FALSE(inside.kill);
    EXPECT_EQ(inside.answer, time_wait_answer::throttled_ack);
    const auto outside = judge(make_fin_wait_2(), segment(flags::rst, 100));
    EXPECT_FALSE(outside.kill);
    EXPECT_EQ(outside.answer, time_wait_answer::none);
}

// R34, R60
TEST(fin_wait_2_record, syn_is_challenged_and_opens_nothing) {
    for (const std::uint8_t more : {std::uint8_t{0}, flags::ack, flags::fin}) {
        const auto v =
            judge(make_fin_wait_2(), segment(static_cast<std::uint8_t>(flags::syn | more), 1000));
        EXPECT_EQ(v.answer, time_wait_answer::throttled_ack);
        EXPECT_FALSE(v.reopen || v.kill || v.restart);
    }
}

// R35, R60
TEST(fin_wait_2_record, text_with_an_invalid_ack_does_not_reset_it) {
    for (const std::int32_t ack : {1, -(65535 << 14) - 1}) {
        const auto v = judge(make_fin_wait_2(), segment(flags::ack, 0, 1).acks(ack));
        EXPECT_EQ(v.answer, time_wait_answer::throttled_ack);
        EXPECT_FALSE(v.kill);
    }
    EXPECT_TRUE(judge(make_fin_wait_2(), segment(flags::ack, 0, 1).acks(-(65535 << 14))).kill);
}

// Whatever comes, the verdict says no more and no less than the fact's cell in the table, but for
// the throttle, which is the verdict's own.
TEST(time_wait, every_verdict_agrees_with_the_close_fsm) {
    std::uint64_t compared = 0;
    for (unsigned bits = 0; bits < 16; ++bits) {
        const auto control = static_cast<std::uint8_t>(
            ((bits & 1) != 0 ? flags::fin : 0) | ((bits & 2) != 0 ? flags::syn : 0) |
            ((bits & 4) != 0 ? flags::rst : 0) | ((bits & 8) != 0 ? flags::ack : 0));
        for (const std::int32_t at : {-1000, -3, -2, -1, 0, 1, 2, 99, 100, 101}) {
            for (const std::uint32_t payload : {0u, 1u, 2u, 3u}) {
                for (unsigned mode = 0; mode < 64; ++mode) {
                    time_wait_view view = make_time_wait();
                    view.fin_wait_2 = (mode & 1) != 0;
                    view.timestamps = (mode & 2) != 0;
                    view.listener = (mode & 4) != 0;
                    view.rcv_wnd = 100;
                    const time_wait_policy policy{.rfc1337 = (mode & 8) != 0};
                    segment s(control, at, payload);
                    if ((mode & 16) != 0) {
                        s.tsval((mode & 32) != 0 ? 1 : -1);
                    }
                    const auto v = judge(view, s, policy);
                    const state in = view.fin_wait_2 ? state::fin_wait_2 : state::time_wait;
                    const cell& c = lookup(in, v.what);
                    SCOPED_TRACE(::testing::Message()
                                 << name(in) << " + " << name(v.what) << " flags " << int{control}
                                 << " at " << at << " len " << payload << " mode " << mode);
                    ASSERT_NE(c.what, kind::impossible);
                    const bool acks = v.answer == time_wait_answer::ack ||
                                      v.answer == time_wait_answer::throttled_ack;
                    ASSERT_EQ(acks, has(c.actions, action::send_ack | action::send_challenge_ack |
                                                       action::send_duplicate_ack));
                    ASSERT_EQ(v.answer == time_wait_answer::reset,
                              has(c.actions, action::answer_reset));
                    ASSERT_EQ(v.kill, has(c.actions, action::finish));
                    ASSERT_EQ(v.reopen, c.next == state::syn_received);
                    ASSERT_EQ(v.become_time_wait, has(c.actions, action::enter_time_wait));
                    ASSERT_EQ(v.restart,
                              has(c.actions, action::restart_time_wait | action::enter_time_wait));
                    ASSERT_EQ(v.paws_rejected, v.what == event::rx_paws_reject);
                    ++compared;
                }
            }
        }
    }
    EXPECT_EQ(compared, 16u * 10 * 4 * 64);
}

}  // namespace
}  // namespace lastack::teardown
