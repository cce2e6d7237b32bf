// SPDX-License-Identifier: BSD-3-Clause
// What many records of a TIME_WAIT table have in common, kept once: a lane a kind of waiting.
//
// There are at most 16 lanes, so that a record needs four bits to say which is its own. A kind that
// finds no lane free is rounded up to the next longer one, unless it was reserved. A lane nobody
// uses keeps its kind until another one needs the place.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/time.hpp"

namespace lastack::flow {

// How a record waits.
struct waiting {
    milliseconds length{};     // of its present state
    std::uint8_t tos = 0;      // of what is sent from it (R51)
    milliseconds time_wait{};  // of FIN_WAIT_2: the length of the TIME_WAIT that follows
    std::uint8_t wscale = 0;   // of FIN_WAIT_2: the shift of the record's window

    constexpr waiting() = default;
    constexpr waiting(milliseconds l, std::uint8_t t = 0, milliseconds then = {})
        : length(l), tos(t), time_wait(then) {}
    friend constexpr bool operator==(const waiting&, const waiting&) = default;
    // But for the length.
    constexpr bool same_kind(waiting other) const {
        other.length = length;
        return *this == other;
    }
};

class time_wait_lanes {
  public:
    static constexpr std::uint32_t count_max = 16;
    static constexpr std::uint32_t coarse_tick_ms = 16;  // lengths are multiples of it
    static constexpr milliseconds length_max{coarse_tick_ms * (1u << 19)};  // 2.3 hours

    // The lane of this kind; else an idle one becomes it; else the next longer one, of the same TOS
    // if there is one; else, all being shorter, the longest that is not reserved is stretched, so
    // that its records' next restart is longer than need be.
    std::uint32_t lane_for(const waiting& w) { return w == recent_ ? recent_lane_ : look_for(w); }

    // A lane for this kind until it is released. False when none can be had: one stays free for
    // all other lengths, and a lane in use does not give way.
    bool reserve(const waiting& w);
    void release(const waiting& w);

    void join(std::uint32_t lane) {
        ++lanes_[lane].records;
        count(lanes_[lane]);
    }
    void leave(std::uint32_t lane) { --lanes_[lane].records; }

    std::uint32_t length_ms(std::uint32_t lane) const { return lanes_[lane].length_ms(); }
    // The least that a record of this lane may have begun with: less than its length only where
    // that was stretched under it.
    std::uint32_t first_length_ms(std::uint32_t lane) const { return lanes_[lane].first_length_ms; }
    const waiting& waiting_in(std::uint32_t lane) const { return lanes_[lane].kind; }

    // No record waits for less. A lane that nobody was in from one call of forget_unused() to the
    // next stops counting, an expected length never does.
    std::uint32_t shortest_ms() const { return shortest_ms_; }
    void expect(milliseconds length);
    void forget_unused();

  private:
    static constexpr std::uint32_t none = count_max;

    struct one {
        waiting kind;  // its length a multiple of a coarse tick; 0: never used
        std::uint32_t first_length_ms = 0;
        std::uint32_t records = 0;
        std::uint32_t reserved = 0;
        std::uint32_t unused = 0;  // calls of forget_unused() since it was in use; from 2 on: 2
        std::uint32_t length_ms() const { return static_cast<std::uint32_t>(kind.length.count()); }
        bool idle() const { return records == 0 && reserved == 0; }
        bool counts() const { return unused < 2 && length_ms() != 0; }
    };

    static milliseconds rounded(milliseconds length);
    std::uint32_t look_for(const waiting& w);
    std::uint32_t find(const waiting& w) const;
    std::uint32_t idle() const;
    std::uint32_t next_longer(const waiting& w) const;
    std::uint32_t longest() const;
    void become(std::uint32_t lane, const waiting& w);
    void set_length(std::uint32_t lane, milliseconds length);
    void count(one& l) {
        if (l.unused != 0) {
            l.unused = 0;
            shortest_ms_ = std::min(shortest_ms_, l.length_ms());
        }
    }
    void count_all();

    std::array<one, count_max> lanes_{};
    waiting recent_{milliseconds{-1}};  // what lane_for() was asked last, and its answer
    std::uint32_t recent_lane_ = 0;
    std::uint32_t expected_ms_ = ~0u;
    std::uint32_t shortest_ms_ = ~0u;
};

}  // namespace lastack::flow
