// SPDX-License-Identifier: BSD-3-Clause
// Any segment in any state, between any calls: nothing may be impossible, stuck or lost.
//
// Segments are chosen near the edges that the rules speak of, so that every verdict occurs; the
// seed of a failure is in its trace.
#include <random>

#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

class storm {
  public:
    explicit storm(unsigned seed) : random_(seed), s_(options(seed)) {}

    void run(int steps) {
        for (int i = 0; i < 3; ++i) {
            start_one();
        }
        for (int i = 0; i < steps; ++i) {
            remote& r = *all_[pick(all_.size())];
            switch (pick(16)) {
                case 0:
                    call(r);
                    break;
                case 1:
                    s_.advance(std::chrono::milliseconds(pick(4) == 0 ? pick(70000) : pick(400)));
                    break;
                case 2:
                    start_one();
                    break;
                default:
                    speak(r);
            }
        }
        s_.core().reset_all();
        s_.turn();
        EXPECT_EQ(s_.tcp().connections(), 0u);
        EXPECT_EQ(s_.tcp().syn_records(), 0u);
        s_.advance(300s);
        EXPECT_EQ(s_.in_state(state::time_wait), 0u);
        EXPECT_EQ(s_.in_state(state::fin_wait_2), 0u);
    }

  private:
    static scenario_options options(unsigned seed) {
        scenario_options o;
        o.settings.tcp_rfc1337 = seed % 2 == 0;
        o.settings.tcp_invalid_ratelimit = seed % 3 == 0 ? 0 : 500;
        o.settings.tcp_max_tw_buckets = seed % 5 == 0 ? 2 : 1024;
        if (seed % 7 == 0) {
            o.settings.time_wait_cap_policy = config::cap_policy::evict_oldest;
        }
        return o;
    }
    std::uint32_t pick(std::size_t below) { return static_cast<std::uint32_t>(random_() % below); }
    void start_one() {
        peer_options o;
        o.timestamps = pick(2) == 0;
        o.sack = pick(2) == 0;
        o.wscale = pick(2) == 0 ? 7 : -1;
        using maker = remote& (scenario::*)(const peer_options&);
        static constexpr std::array<maker, 9> makers{
            &scenario::make_established, &scenario::make_fin_wait_1,
            &scenario::make_fin_wait_2,  &scenario::make_close_wait,
            &scenario::make_closing,     &scenario::make_last_ack,
            &scenario::make_time_wait,   &scenario::make_orphan_fin_wait_2,
            &scenario::make_syn_received};
        if (s_.tcp().connections() > 40 || s_.tcp().sockets() > 50 || s_.tcp().syn_records() > 40) {
            return;
        }
        const auto which = pick(makers.size() + 1);
        all_.push_back(which == makers.size() ? &s_.make_syn_sent(o) : &(s_.*makers[which])(o));
    }
    std::int64_t near(std::int64_t at) {
        static constexpr std::array<std::int64_t, 12> off{0, 0,  0,   0,     -1,     1,
                                                          2, -3, 700, 65535, -70000, 1 << 20};
        return at + off[pick(off.size())];
    }
    void speak(remote& r) {
        static constexpr std::array<const char*, 14> flags{
            ".", "P.", "F.", "FP.", "R", "R.", "S", "S.", "SF", "F", "", "SF.", ".", "P."};
        seg say{flags[pick(flags.size())]};
        say.seq(near(r.next_seq)).ack(near(r.next_ack));
        if (pick(3) == 0) {
            say.text(octets(pick(5) == 0 ? 1400 : 1 + pick(9)));
        }
        if (pick(5) == 0) {
            say.window(static_cast<std::uint16_t>(pick(4) * 700));
        }
        if (pick(6) == 0) {
            say.ts(r.ts_recent + pick(7) - 3, r.ts_recent);
        } else if (pick(6) == 0) {
            say.no_ts();
        }
        if (pick(5) == 0) {
            const std::int64_t left = near(r.next_ack);
            say.sack(left, left + pick(3000));
        }
        const bool exact = *say.seq_ == r.next_seq && pick(2) == 0;
        if (exact) {
            say.seq_.reset();
        }
        r.send(say);
        if (pick(30) == 0) {
            r.irs = r.last().tcp.seq.raw;
        }
    }
    void call(remote& r) {
        local_stack c = s_.calls();
        const std::string text = octets(pick(3) == 0 ? 5000 : 10);
        std::array<std::byte, 64> into;
        const completion done = pick(2) == 0 ? completion::none : completion::event;
        switch (pick(13)) {
            case 0:
                (void)c.close(r.id, done);
                break;
            case 1:
                (void)c.abort(r.id, done);
                break;
            case 2:
                (void)c.shutdown(r.id, static_cast<shutdown_how>(pick(3)));
                break;
            case 3:
                (void)c.receive(r.id);
                break;
            case 4:
                (void)c.receive(r.id, into);
                break;
            case 5:
                (void)c.set_linger(r.id, {pick(2) == 0, seconds(pick(3))});
                break;
            case 6:
                (void)c.set_linger2(r.id, static_cast<int>(pick(4)) - 1);
                break;
            case 7:
                (void)c.set_cork(r.id, pick(2) == 0);
                break;
            case 8:
                (void)c.set_keepalive(r.id, {true, 2s, 1s, 2});
                break;
            case 9:
                (void)c.set_user_timeout(r.id, milliseconds(pick(5000)));
                break;
            default:
                (void)c.send(r.id, std::as_bytes(std::span{text}));
        }
        if (pick(2) == 0) {
            s_.turn();
        }
    }

    std::mt19937 random_;
    checked_scenario s_;
    std::vector<remote*> all_;
};

TEST(storm, no_segment_between_any_calls_is_impossible) {
    for (unsigned seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        storm{seed}.run(400);
        if (HasFailure()) {
            return;
        }
    }
}

}  // namespace
}  // namespace lastack::test
