// SPDX-License-Identifier: BSD-3-Clause
// A hierarchical timer wheel, 1 ms a tick, intrusive by index.
//
// Model. Six levels of 64 slots; a slot of level k spans 64^k ticks. A timer hangs in the level of
// the highest 6-bit digit in which its tick and the wheel's position differ, so everything in a
// level lies ahead of everything in the levels below, and a digit of the position itself has an
// empty slot in every level above 0. When the position reaches a slot of level k, its timers move
// to lower levels (a cascade): each at most five times in its life, usually once. One word of
// occupancy a level makes skipping empty time cost nothing, however far `now` jumps.
//
// Linkage. Each timer's link (8 bytes) and deadline (4 bytes) live in the owner's object, so arming
// touches the timer's own line and at most the line of the list's head. Zero bytes are an idle
// timer. The owner is any type with
//     timer_link& link(std::uint32_t index);
//     tick& deadline(std::uint32_t index);
// and indices are below 2^31 - 1.
//
// Lazy re-arming. An armed timer that gets a later deadline only has it stored; it comes up where
// it hangs and is then hung anew. A hung timer's place is thus never behind its deadline.
//
// Exactness: a timer fires in the first advance(now) with now >= deadline that has budget left for
// it, never earlier. A deadline that has passed when it is armed fires in the next (or the running)
// advance. Deadlines lie at most 2^31 - 1 ms ahead of the wheel's position (24.8 days).
//
// Cost: arm, cancel O(1); advance O(timers touched), each of which, fired or moved, takes one from
// the budget. A callback may arm and cancel any timer, its own included.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "base/assert.hpp"
#include "base/time.hpp"

namespace lastack::timer {

// Belongs to the wheel. All zero: idle.
struct timer_link {
    std::uint32_t next = 0;  // 0: last in its slot; else index + 1
    std::uint32_t prev =
        0;  // 0: idle; top bit: first in the slot given by the rest; else index + 1
};

struct advance_result {
    std::uint32_t fired = 0;
    bool more = false;  // the budget ran out while something was still to be done
};

template <class Owner>
class timer_wheel {
  public:
    // The wheel's position starts at `now`.
    timer_wheel(Owner& owner, tick now) : owner_(&owner), position_(now.raw) {}

    bool is_armed(std::uint32_t index) const { return owner_->link(index).prev != 0; }
    std::uint32_t size() const { return size_; }

    void arm(std::uint32_t index, tick deadline) {
        const bool armed = is_armed(index);
        tick& stored = owner_->deadline(index);
        if (armed && deadline >= stored) {
            stored = deadline;
            return;
        }
        if (armed) {
            unhang(index);
        } else {
            ++size_;
        }
        stored = deadline;
        hang(index, deadline);
    }

    void cancel(std::uint32_t index) {
        if (is_armed(index)) {
            unhang(index);
            --size_;
        }
    }

    // Moves the position to `now` and calls on_expired(index) for every timer that is due, idle
    // again by then. `now` never goes back.
    template <class F>
    advance_result advance(tick now, std::uint32_t budget, F&& on_expired) {
        advance_result done;
        for (;;) {
            const event next = next_event();
            if (next.slot == no_slot || tick{next.at} > now) {
                if (now > tick{position_}) {
                    position_ = now.raw;
                }
                return done;
            }
            if (budget == 0) {
                done.more = true;
                return done;
            }
            --budget;
            position_ = next.at;
            const std::uint32_t index = heads_[next.slot] - 1;
            unhang(index);
            const tick deadline = owner_->deadline(index);
            if (next.slot < slots_per_level && deadline <= tick{position_}) {
                --size_;
                ++done.fired;
                on_expired(index);
            } else {
                hang(index, deadline);
            }
        }
    }

    // The earliest tick at which advance() has something to do: a lower bound of the earliest
    // deadline, exact when that lies within the current 64 ms and was not put off. nullopt: idle.
    std::optional<tick> next_expiry() const {
        const event next = next_event();
        if (next.slot == no_slot) {
            return std::nullopt;
        }
        return tick{next.at};
    }

  private:
    static constexpr std::uint32_t digit_bits = 6;
    static constexpr std::uint32_t slots_per_level = 1u << digit_bits;
    static constexpr std::uint32_t levels = 6;  // the last one has the two top bits: four slots
    static constexpr std::uint32_t top_slots = 1u << (32 - digit_bits * (levels - 1));
    static constexpr std::uint32_t first_in_slot = 1u << 31;
    static constexpr std::uint32_t no_slot = ~0u;

    struct event {
        std::uint32_t slot = no_slot;  // level * 64 + digit
        std::uint32_t at = 0;          // tick at which the slot begins
    };

    static constexpr std::uint32_t digit(std::uint32_t raw, std::uint32_t level) {
        return (raw >> (level * digit_bits)) & (slots_per_level - 1);
    }

    event next_event() const {
        // A cascade that ran out of budget: the position stands at the start of its slot. It must
        // be finished before anything below it, since what is left in it may be due first.
        for (std::uint32_t level = levels - 1; level > 0; --level) {
            const std::uint32_t here = digit(position_, level);
            if ((occupied_[level] >> here & 1) != 0) {
                return {level * slots_per_level + here, position_};
            }
        }
        for (std::uint32_t level = 0; level < levels; ++level) {
            if (occupied_[level] == 0) {
                continue;
            }
            // Below the top level every occupied digit is ahead. The top level is a ring of four,
            // where the wheel's 32 bits wrap.
            const std::uint32_t shift = level * digit_bits;
            const std::uint32_t here = digit(position_, level);
            const std::uint64_t ahead = occupied_[level] >> here;
            const std::uint32_t found =
                ahead != 0 ? here + static_cast<std::uint32_t>(std::countr_zero(ahead))
                           : static_cast<std::uint32_t>(std::countr_zero(occupied_[level]));
            const std::uint32_t above =
                level == levels - 1 ? 0 : position_ >> (shift + digit_bits) << (shift + digit_bits);
            return {level * slots_per_level + found, above | found << shift};
        }
        return {};
    }

    void hang(std::uint32_t index, tick deadline) {
        const std::uint32_t at = deadline > tick{position_} ? deadline.raw : position_;
        const std::uint32_t differ = at ^ position_;
        const std::uint32_t level =
            differ == 0 ? 0
                        : (31 - static_cast<std::uint32_t>(std::countl_zero(differ))) / digit_bits;
        const std::uint32_t where = digit(at, level);
        const std::uint32_t slot = level * slots_per_level + where;
        timer_link& link = owner_->link(index);
        link.next = heads_[slot];
        link.prev = first_in_slot | slot;
        if (link.next != 0) {
            owner_->link(link.next - 1).prev = index + 1;
        }
        heads_[slot] = index + 1;
        occupied_[level] |= std::uint64_t{1} << where;
    }

    void unhang(std::uint32_t index) {
        timer_link& link = owner_->link(index);
        if (link.next != 0) {
            owner_->link(link.next - 1).prev = link.prev;
        }
        if ((link.prev & first_in_slot) == 0) {
            owner_->link(link.prev - 1).next = link.next;
        } else {
            const std::uint32_t slot = link.prev & ~first_in_slot;
            heads_[slot] = link.next;
            if (link.next == 0) {
                occupied_[slot / slots_per_level] &=
                    ~(std::uint64_t{1} << (slot % slots_per_level));
            }
        }
        link = {};
    }

    Owner* owner_;
    std::uint32_t position_;
    std::uint32_t size_ = 0;
    std::array<std::uint64_t, levels> occupied_{};
    std::array<std::uint32_t, levels * slots_per_level> heads_{};  // index + 1
};

}  // namespace lastack::timer
