// SPDX-License-Identifier: BSD-3-Clause
// Closed connections that cannot end: behind a shut window, too many of them, and how several
// stacks share the caps of one process.
#include "support/scenario_test.hpp"
#include "teardown/cap_lender.hpp"

namespace lastack::test {
namespace {

scenario_options with_orphans(std::uint32_t cap) {
    scenario_options o;
    o.settings.tcp_max_orphans = cap;
    o.settings.tcp_rto_max_ms = 1000;     // so that 'long' is short
    o.settings.tcp_orphan_retries = 200;  // so that R62 does not end them first
    o.settings.tcp_early_retrans = 0;
    return o;
}

// An orphan whose FIN waits behind a shut window.
remote& make_shut_in(scenario& s) {
    remote& r = s.make_established();
    r.send(seg(".").window(0));
    s.close(r.id);
    r.heard();
    return r;
}

// The peer answers each probe and stays shut, for so long.
void answer_probes(scenario& s, remote& r, std::chrono::seconds how_long) {
    for (const instant end = s.now() + how_long; s.now() < end;) {
        s.advance(100ms);
        for (const auto& h : r.heard_segments()) {
            if (h.tcp.has(wire::tcp_flags::rst) || h.tcp.has(wire::tcp_flags::fin)) {
                ADD_FAILURE() << r.describe(h);
            }
            r.send(seg(".").window(0));
        }
    }
}

// R62, R63: answers do not keep an orphan alive; it ends when its probes have come to the longest
// interval: 0.2 + 0.4 + ... + 102.4 s and 120 s.
TEST(orphan, behind_a_window_that_never_opens_ends_though_every_probe_is_answered) {
    checked_scenario s;
    remote& r = make_shut_in(s);
    answer_probes(s, r, 300s);
    EXPECT_EQ(s.tcp().orphans(), 1u);
    answer_probes(s, r, 60s);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_orphan");
    EXPECT_EQ(s.tcp().orphans(), 0u);
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.count(counter::abort_on_timeout), 1u);
    r.send(seg("."));  // it opens at last
    EXPECT_EQ(r.heard(), "R 1:1(0)");
}

// R62
TEST(orphan, probing_a_silent_peer_ends_after_tcp_orphan_retries) {
    scenario_options o;
    o.settings.tcp_orphan_retries = 3;
    checked_scenario s{o};
    remote& r = make_shut_in(s);
    s.advance(20s);
    EXPECT_EQ(r.heard_segments().size(), 3u);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_orphan");
}

TEST(orphan, sends_its_fin_as_soon_as_the_window_opens) {
    checked_scenario s;
    remote& r = make_shut_in(s);
    answer_probes(s, r, 100s);
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
    r.send(seg("F."));
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.events(r.id), "ended:clean_active");
}

// R63: the check at each timeout, after the cap was lowered below what is there.
TEST(orphan, those_beyond_a_lowered_cap_are_reset_at_their_next_timeout) {
    checked_scenario s{with_orphans(100)};
    std::vector<remote*> all;
    for (int i = 0; i < 5; ++i) {
        all.push_back(&s.make_established());
        s.send(all.back()->id, "abc");
        s.close(all.back()->id);
        all.back()->heard();
    }
    auto lower = s.core().settings();
    lower.tcp_max_orphans = 2;
    s.core().apply_settings(lower);
    EXPECT_EQ(s.tcp().orphans(), 5u);
    s.advance(300ms);
    EXPECT_EQ(s.tcp().orphans(), 2u);
    EXPECT_EQ(s.ended(close_outcome::aborted_orphan_limit), 3u);
    EXPECT_EQ(s.count(counter::orphan_limit), 3u);
    EXPECT_EQ(s.count(counter::abort_on_memory), 3u);
    EXPECT_EQ(all[0]->heard(), "R. 5:5(0) ack 1");
}

// R63: from half the cap on, one that has sent nothing for two of the longest RTOs goes, and one
// that sends stays.
TEST(orphan, one_that_has_long_been_idle_goes_first) {
    checked_scenario s{with_orphans(3)};
    remote& old = make_shut_in(s);
    answer_probes(s, old, 5s);
    EXPECT_EQ(s.tcp().orphans(), 1u);  // alone it may stay
    remote& young = s.make_established();
    s.send(young.id, "abc");
    s.close(young.id);
    old.heard();
    s.advance(1100ms);
    EXPECT_EQ(old.heard(), "R. 1:1(0) ack 1");
    EXPECT_EQ(s.events(old.id), "ended:aborted_orphan_limit");
    EXPECT_EQ(s.count(counter::orphan_penalty), 1u);
    EXPECT_EQ(s.count(counter::orphan_limit), 0u);
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
    EXPECT_EQ(s.tcp().orphans(), 1u);
}

// R63: nobody has heard of the peer for more than a minute, so no RST is wasted on it.
TEST(orphan, one_that_is_hopeless_goes_silently) {
    checked_scenario s{with_orphans(3)};
    remote& dead = s.make_established();
    s.close(dead.id);
    s.advance(70s);
    EXPECT_EQ(s.tcp().orphans(), 1u);
    make_shut_in(s);
    dead.heard();
    s.advance(1100ms);
    EXPECT_EQ(dead.heard(), "");
    EXPECT_EQ(s.events(dead.id), "ended:aborted_orphan_limit");
    EXPECT_EQ(s.count(counter::orphan_penalty), 1u);
}

// R63: an ICMP error counts as much, and both count twice.
TEST(orphan, one_that_cannot_be_reached_goes_first) {
    checked_scenario s{with_orphans(3)};
    remote& lost = s.make_established();
    remote& well = s.make_established();
    for (remote* r : {&lost, &well}) {
        s.send(r->id, "abc");
        s.close(r->id);
    }
    s.inject_icmp(3, 1, 0, quote(lost, 1));
    s.advance(250ms);
    EXPECT_EQ(s.events(lost.id), "ended:aborted_orphan_limit");
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
}

// Two stacks of a process, and the lender between them every 10 ms.
class two_stacks {
  public:
    explicit two_stacks(std::uint32_t cap)
        : a(options(0, cap)),
          b(options(1, cap)),
          lenders_{lender(teardown::cap_kind::time_wait, cap),
                   lender(teardown::cap_kind::orphans, cap)} {}

    void advance(std::chrono::milliseconds d) {
        for (auto left = d; left > 0ms; left -= 10ms) {
            a.advance(10ms);
            b.advance(10ms);
            for (std::uint32_t i = 0; i < 2; ++i) {
                stack(i).tcp().speak_of_caps([&](const teardown::cap_message& m) {
                    lenders_[static_cast<std::size_t>(m.of)].hear(i, m);
                    return true;
                });
            }
            for (auto& l : lenders_) {
                l.round([&](std::uint32_t i, const teardown::cap_message& m) {
                    stack(i).tcp().hear_of_cap(m);
                    return true;
                });
            }
        }
    }
    void set_cap(std::uint32_t cap) {
        lenders_[static_cast<std::size_t>(teardown::cap_kind::time_wait)].set_cap(cap);
        for (auto* s : {&a, &b}) {
            auto changed = s->core().settings();
            changed.tcp_max_tw_buckets = cap;
            s->core().apply_settings(changed);
        }
    }

    checked_scenario a;
    checked_scenario b;

  private:
    static scenario_options options(std::uint32_t index, std::uint32_t cap) {
        scenario_options o;
        o.settings.tcp_max_tw_buckets = o.settings.tcp_max_orphans = cap;
        o.caps = {index, 2};
        return o;
    }
    checked_scenario& stack(std::uint32_t i) { return i == 0 ? a : b; }
    teardown::cap_lender lender(teardown::cap_kind of, std::uint32_t cap) {
        const std::array rooms{a.tcp().room_for(of), b.tcp().room_for(of)};
        return {of, cap, rooms};
    }
    std::array<teardown::cap_lender, 2> lenders_;
};

// R54, R63
TEST(caps_over_cores, one_stack_may_use_the_whole_cap_while_the_other_is_idle) {
    two_stacks p{16};
    for (int i = 0; i < 20; ++i) {
        p.a.make_time_wait();
        p.advance(50ms);
    }
    // At each refusal more is lent; where the cap is larger, more has come before.
    EXPECT_EQ(p.a.in_state(state::time_wait), 16u);
    EXPECT_EQ(p.a.count(counter::tw_overflow), 4u);
    p.b.make_time_wait();
    p.advance(50ms);
    EXPECT_EQ(p.b.in_state(state::time_wait), 0u);
    EXPECT_EQ(p.b.count(counter::tw_overflow), 1u);
    p.advance(61s);  // all have run their time, and the other has asked
    EXPECT_EQ(p.a.in_state(state::time_wait), 0u);
    p.b.make_time_wait();
    EXPECT_EQ(p.b.in_state(state::time_wait), 1u);
}

// R54, R63
TEST(caps_over_cores, a_change_of_the_setting_reaches_every_stack) {
    two_stacks p{16};
    p.set_cap(0);
    p.advance(50ms);
    p.a.make_time_wait();
    p.b.make_time_wait();
    EXPECT_EQ(p.a.in_state(state::time_wait) + p.b.in_state(state::time_wait), 0u);
    p.set_cap(16);
    p.advance(50ms);
    p.a.make_time_wait();
    p.b.make_time_wait();
    EXPECT_EQ(p.a.in_state(state::time_wait), 1u);
    EXPECT_EQ(p.b.in_state(state::time_wait), 1u);
}

// R63: orphans of another core count too when it is asked whether there are too many.
TEST(caps_over_cores, an_idle_orphan_makes_room_for_those_of_another_core) {
    two_stacks p{64};
    for (auto* s : {&p.a, &p.b}) {
        auto changed = s->core().settings();
        changed.tcp_rto_max_ms = 1000;
        changed.tcp_orphan_retries = 200;
        s->core().apply_settings(changed);
    }
    remote& old = make_shut_in(p.a);
    for (int i = 0; i < 50; ++i) {
        p.advance(100ms);
        old.heard();
        old.send(seg(".").window(0));
    }
    EXPECT_EQ(p.a.tcp().orphans(), 1u);
    for (int i = 0; i < 32; ++i) {
        remote& r = p.b.make_established();
        p.b.send(r.id, "abc");
        p.b.close(r.id);
    }
    p.advance(1500ms);
    EXPECT_EQ(p.a.events(old.id), "ended:aborted_orphan_limit");
    EXPECT_EQ(p.b.tcp().orphans(), 32u);
}

}  // namespace
}  // namespace lastack::test
