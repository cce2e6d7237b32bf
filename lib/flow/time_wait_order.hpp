// SPDX-License-Identifier: BSD-3-Clause
// In which order the buckets of a TIME_WAIT table come up: its clock, its lanes and its calendar.
//
// The expiry order of all lanes (time_wait_lanes.hpp) is one calendar (timer/calendar.hpp) of
// 4-byte entries, one a *bucket* and a slack of 1/8, so its memory is fixed whatever the mix and an
// eighth of what one a record would take. Where an entry comes up, the bucket's eight deadlines lie
// in one cache line: what is due goes, and the bucket is queued anew for the earliest of the rest.
// A restart writes the deadline and nothing else; entering a record queues nothing, unless its
// bucket was empty.
//
// Some entry of a bucket must lie at or before each deadline in it. Therefore no bucket is queued
// further ahead than the shortest length in use, the horizon: what is entered or restarted later
// ends after that. (To bound the work, the horizon is at least a second and capacity / 32,000,000
// seconds.) A record that may end before its bucket's entry comes up, because it was moved there,
// or is of a length that had not been in use for two minutes, gets an extra entry that is looked at
// once; these are the slack.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/time.hpp"
#include "flow/time_wait_head.hpp"
#include "flow/time_wait_lanes.hpp"
#include "lastack/result.hpp"
#include "timer/calendar.hpp"

namespace lastack::flow {

class time_wait_order {
  public:
    static constexpr std::uint32_t coarse_tick_ms = time_wait_lanes::coarse_tick_ms;

    // The bucket of an entry, and whether the entry is an extra one.
    static constexpr std::uint32_t bucket_of_entry(std::uint32_t entry) {
        return entry & ~extra_bit;
    }
    static constexpr bool is_extra(std::uint32_t entry) { return (entry & extra_bit) != 0; }

    static result<time_wait_order, std::string> make(std::uint32_t buckets, std::uint32_t capacity,
                                                     page_size preference, tick now);
    static std::size_t bytes_for(std::uint32_t buckets);

    // --- clock: milliseconds that never wrap -------------------------------------------------

    // A step longer than any record lives is cut to that: everything is due after it either way,
    // and no deadline is ever so far behind that its 21 bits could be taken for one ahead.
    std::uint64_t clock_at(tick now) const;
    void set_clock(tick now) {
        if (now != last_) {
            clock_ms_ = clock_at(now);
            last_ = max(last_, now);
            if (clock_ms_ >= lanes_looked_at_ms_ + horizon_max_ms) {
                lanes_looked_at_ms_ = clock_ms_;
                lanes_.forget_unused();
            }
        }
    }
    std::uint64_t clock_ms() const { return clock_ms_; }
    static std::uint32_t coarse(std::uint64_t clock_ms) {
        return static_cast<std::uint32_t>(clock_ms / coarse_tick_ms);
    }
    std::uint32_t today() const { return coarse(clock_ms_); }

    // --- lanes -------------------------------------------------------------------------------

    time_wait_lanes& lanes() { return lanes_; }
    const time_wait_lanes& lanes() const { return lanes_; }
    // The lane in `meta`, and its whole length from now on.
    std::uint32_t with_deadline(std::uint32_t meta, std::uint32_t lane) const {
        using namespace time_wait_meta;
        const std::uint32_t deadline = coarse_up(clock_ms_ + lanes_.length_ms(lane));
        return (meta & ~(deadline_mask | lane_mask)) | (deadline & deadline_mask) |
               lane << lane_shift;
    }

    // --- order -------------------------------------------------------------------------------

    // Gives the bucket its entry, so far ahead of today but at most as far as the horizon.
    void queue(time_wait_head& head, std::uint32_t bucket, std::uint32_t ticks_ahead);
    // A record was put here, or ends earlier than it did: sees that an entry comes up in time.
    void keep(time_wait_head& head, std::uint32_t bucket, std::uint32_t ticks_ahead);

    bool ready() const { return order_.ready(today()); }
    std::size_t take(std::span<std::uint32_t> entries) { return order_.take(today(), entries); }
    void put_back(std::uint32_t entry) { order_.push(today(), entry); }
    void extra_is_done() { --extras_; }

    // The first entries from `day` on, however far ahead. They are the caller's to requeue().
    std::size_t take_earliest(std::uint32_t& day, std::span<std::uint32_t> entries) {
        return order_.take_earliest(day, entries);
    }
    void requeue(time_wait_head& head, std::uint32_t entry, std::uint32_t ticks_ahead);
    std::optional<std::uint32_t> earliest() const { return order_.earliest(); }
    // The earliest tick at which an entry comes up.
    std::optional<tick> next() const;

  private:
    static constexpr std::uint32_t extra_bit = 1u << 31;
    static constexpr std::uint32_t horizon_max_ms = 64'000;  // must stay below the calendar's ring

    static std::uint32_t extras_for(std::uint32_t buckets);
    static std::uint32_t coarse_up(std::uint64_t clock_ms) {
        return coarse(clock_ms + coarse_tick_ms - 1);
    }
    std::uint32_t horizon_ms() const {
        return std::max(std::min(lanes_.shortest_ms(), horizon_max_ms), horizon_min_ms_);
    }

    time_wait_lanes lanes_;
    timer::calendar order_;
    std::uint32_t extras_ = 0;
    std::uint32_t extras_max_ = 0;
    std::uint32_t horizon_min_ms_ = 0;
    std::uint32_t queued_until_ = 0;  // no bucket's own entry lies behind this day
    std::uint64_t clock_ms_ = 0;
    std::uint64_t lanes_looked_at_ms_ = 0;
    tick last_{};
};

}  // namespace lastack::flow
