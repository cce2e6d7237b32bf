// SPDX-License-Identifier: BSD-3-Clause
// In which order the blocks of a TIME_WAIT table come up: its clock, its lanes and its calendar.
//
// The expiry order of all lanes (time_wait_lanes.hpp) is one calendar (timer/calendar.hpp) of
// 4-byte entries, one a *block* of 32 records (time_wait_store.hpp) and a slack of 1/8, so its
// memory is fixed whatever the mix. Where an entry comes up, the block's deadlines lie in two cache
// lines: what is due goes, which is most often all of it, since records that came together lie
// together; and the block is queued anew for the earliest of the rest. A restart writes the
// deadline and nothing else; entering a record queues nothing, unless its block was empty.
//
// Some entry of a block must lie at or before each deadline in it. Therefore no block is queued
// further ahead than the shortest length in use, the horizon: what is entered or restarted later
// ends after that. (To bound the work, the horizon is at least a second and capacity / 32,000,000
// seconds.) A record that would end before its block's entry comes up, because it is of a length
// that had not been in use for two minutes, gets the block an extra entry, which goes on as long as
// there are such records; these are the slack. Without slack it gets a later deadline.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/time.hpp"
#include "flow/time_wait_block.hpp"
#include "flow/time_wait_lanes.hpp"
#include "lastack/result.hpp"
#include "timer/calendar.hpp"

namespace lastack::flow {

class time_wait_order {
  public:
    static constexpr std::uint32_t coarse_tick_ms = time_wait_lanes::coarse_tick_ms;

    // The block of an entry, and whether the entry is an extra one.
    static constexpr std::uint32_t block_of_entry(std::uint32_t entry) {
        return entry & ~extra_bit;
    }
    static constexpr bool is_extra(std::uint32_t entry) { return (entry & extra_bit) != 0; }

    static result<time_wait_order, std::string> make(std::uint32_t blocks, std::uint32_t capacity,
                                                     page_size preference, tick now);
    static std::size_t bytes_for(std::uint32_t blocks);

    // --- clock: milliseconds that never wrap -------------------------------------------------

    // It is never more than two hours past what has been expired: more of a step is left out, so
    // that no deadline is ever so far behind that its 20 bits could be taken for one ahead.
    std::uint64_t clock_at(tick now) const;
    void set_clock(tick now) {
        if (now != last_) {
            clock_ms_ = clock_at(now);
            last_ = max(last_, now);
            if (clock_ms_ >= lanes_looked_at_ms_ + horizon_max_ms) {
                lanes_looked_at_ms_ = clock_ms_;
                lanes_.forget_unused();
                if (static_cast<std::int32_t>(today() - queued_until_) > 0) {
                    queued_until_ = today();  // or it would seem ahead after a year
                }
            }
        }
    }
    static std::uint32_t coarse(std::uint64_t clock_ms) {
        return static_cast<std::uint32_t>(clock_ms / coarse_tick_ms);
    }
    std::uint32_t today() const { return coarse(clock_ms_); }
    // Nothing that is due today is left.
    void all_expired() { expired_ms_ = clock_ms_; }

    // --- lanes -------------------------------------------------------------------------------

    time_wait_lanes& lanes() { return lanes_; }
    const time_wait_lanes& lanes() const { return lanes_; }
    // Coarse ticks from today to the end of this lane's whole length.
    std::uint32_t ticks_in(std::uint32_t lane) const {
        return coarse_up(clock_ms_ + lanes_.length_ms(lane)) - today();
    }

    // --- order -------------------------------------------------------------------------------

    // Gives the block its entry, so far ahead of today but at most as far as the horizon.
    void queue(time_wait_deadlines& of_block, std::uint32_t block, std::uint32_t ticks_ahead);
    // A record was put here, or ends earlier than it did: sees that an entry comes up in time.
    // Returns how far ahead its deadline is to be: later only if there is no slack.
    std::uint32_t keep(time_wait_deadlines& of_block, std::uint32_t block,
                       std::uint32_t ticks_ahead);
    // The same where a record has been all along, so that the block is queued.
    std::uint32_t keep_queued(std::uint32_t block, std::uint32_t ticks_ahead);

    bool ready() const { return order_.ready(today()); }
    std::size_t take(std::span<std::uint32_t> entries) { return order_.take(today(), entries); }

    // What was taken is the caller's to put back: as it was, or for the nearest deadline of those
    // that are left, or nothing_ahead.
    void put_back(std::uint32_t entry) { order_.push(today(), entry); }
    void requeue(time_wait_deadlines& of_block, std::uint32_t entry, std::uint32_t ticks_ahead);

    // The first entries from `day` on, however far ahead, to be put back like the others.
    std::size_t take_earliest(std::uint32_t& day, std::span<std::uint32_t> entries) {
        return order_.take_earliest(day, entries);
    }
    std::optional<std::uint32_t> earliest() const { return order_.earliest(); }
    // The earliest tick at which an entry comes up.
    std::optional<tick> next() const;

  private:
    static constexpr std::uint32_t extra_bit = 1u << 31;
    static constexpr std::uint32_t horizon_max_ms = 64'000;  // must stay below the calendar's ring
    static constexpr std::uint64_t behind_max_ms =
        (time_wait_meta::overdue_max - 1) * coarse_tick_ms;

    void push_extra(std::uint32_t block, std::uint32_t at);
    static std::uint32_t extras_for(std::uint32_t blocks);
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
    std::uint32_t extra_block_ = ~0u;  // that got the last one, and when it comes up
    std::uint32_t extra_at_ = 0;
    std::uint32_t horizon_min_ms_ = 0;
    std::uint32_t queued_until_ = 0;  // no block's own entry lies behind this day
    std::uint64_t clock_ms_ = 0;
    std::uint64_t expired_ms_ = 0;
    std::uint64_t lanes_looked_at_ms_ = 0;
    tick last_{};
};

}  // namespace lastack::flow
