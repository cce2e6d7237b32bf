// SPDX-License-Identifier: BSD-3-Clause
// A hierarchical timer wheel, 1 ms a tick, intrusive by index.
//
// Model. Four levels, each a ring of 512 slots; a slot of level k spans 256^k ticks. A timer hangs
// in the lowest level whose ring reaches its tick: what is due within half a second fires from
// where it was hung, what is due within two minutes moves once, nothing more than three times.
//
// A slot above level 0 is emptied into lower levels before it begins (a cascade). That must be done
// when the wheel's position reaches it, and may be done a slot's span earlier, since the ring below
// reaches two of them. What the budget of an advance() leaves goes into the next slots from half a
// span before they begin on. So a million timers in one slot hold up none that is due: they come
// down some at a time, in the half second (level 1: 128 ms) in which nothing needs them yet.
//
// A slot is eight lists, filled in turn, and is emptied one from each in turn, while the lines of
// the next two in all eight are on their way: timers lie anywhere, and a single list would wait for
// memory at each of them.
//
// Linkage. Each timer's link (8 bytes) and deadline (4 bytes) live in the owner's object, so arming
// touches the timer's own line and at most the line of the list's head. Zero bytes are an idle
// timer. The owner is any type with
//     timer_link& link(std::uint32_t index);
//     tick& deadline(std::uint32_t index);
// and indices are below 2^31 - 1. The wheel itself takes 66 KiB.
//
// Lazy re-arming. An armed timer that gets a later deadline only has it stored; it comes up where
// it hangs and is then hung anew. A hung timer's place is thus never behind its deadline.
//
// Exactness: a timer fires in the first advance(now) with now >= deadline that has budget left for
// it, never earlier. A deadline that has passed when it is armed fires in the next (or the running)
// advance. Deadlines lie at most 2^31 - 1 ms ahead of the wheel's position (24.8 days).
//
// Cost: arm, cancel O(1); advance O(timers touched), each of which, fired or moved, takes one from
// the budget, and a comparison when there is nothing to do. A callback may arm and cancel any
// timer, its own included.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "base/prefetch.hpp"
#include "base/time.hpp"
#include "timer/slot_ring.hpp"

namespace lastack::timer {

// Belongs to the wheel. All zero: idle.
struct timer_link {
    std::uint32_t next = 0;  // 0: last in its list; else index + 1
    std::uint32_t prev =
        0;  // 0: idle; top bit: first in the list given by the rest; else index + 1
};

struct advance_result {
    std::uint32_t fired = 0;
    std::uint32_t touched = 0;  // fired and moved; at most the budget
    bool more = false;          // the budget ran out while something was due
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
        const std::uint64_t target = ticks(now);
        if (target < quiet_until_) {
            position_ = target;
            return done;
        }
        const auto fire = [&](std::uint32_t index) {
            const tick deadline = owner_->deadline(index);
            if (ticks(deadline) > position_) {
                hang(index, deadline);
                return;
            }
            --size_;
            ++done.fired;
            on_expired(index);
        };
        for (place due = next_place(); due.begins <= target; due = next_place()) {
            if (done.touched == budget) {
                done.more = true;
                return done;
            }
            position_ = due.begins;
            const std::uint32_t left = budget - done.touched;
            done.touched += due.slot < ring ? empty(due.slot, left, fire) : cascade(due.slot, left);
        }
        position_ = target;
        cascade_early(budget, done);
        quiet_until_ = first_work();
        return done;
    }

    // The earliest tick at which advance() must do something: a lower bound of the earliest
    // deadline, exact when that was hung less than half a second ahead and not put off. nullopt:
    // idle.
    std::optional<tick> next_expiry() const {
        const place next = next_place();
        if (next.begins == never) {
            return std::nullopt;
        }
        return tick{static_cast<std::uint32_t>(next.begins)};
    }

  private:
    static constexpr std::uint32_t digit_bits = 8;
    static constexpr std::uint32_t levels = 4;
    static constexpr std::uint32_t ring = slot_ring::slots;  // a level
    static constexpr std::uint32_t lists = 8;                // a slot, one bit each
    static constexpr std::uint32_t first_in_list = 1u << 31;
    static constexpr std::uint64_t never = slot_ring::none;

    struct place {
        std::uint32_t slot = 0;  // level * ring + number modulo ring
        std::uint64_t begins = never;
    };
    static constexpr std::uint32_t shift_of(std::uint32_t level) { return level * digit_bits; }
    static constexpr std::uint32_t slot_of(std::uint32_t level, std::uint64_t number) {
        return level * ring + static_cast<std::uint32_t>(number % ring);
    }

    // Ticks that never wrap; what lies behind the position is at the position.
    std::uint64_t ticks(tick t) const {
        const std::int32_t ahead = distance(tick{static_cast<std::uint32_t>(position_)}, t);
        return ahead > 0 ? position_ + static_cast<std::uint32_t>(ahead) : position_;
    }

    // --- what comes next -----------------------------------------------------------------------

    // The number of the first slot of a level that holds something; never if none does.
    std::uint64_t first_occupied(std::uint32_t level) const {
        return occupied_[level].first(position_ >> shift_of(level));
    }

    // What must be done first. Where slots of two levels begin together the higher one comes first,
    // since what is in it may be due first.
    place next_place() const {
        place next;
        for (std::uint32_t level = levels; level-- > 0;) {
            const std::uint64_t number = first_occupied(level);
            if (number == never) {
                continue;
            }
            // A slot that the position stands in is one that the budget did not suffice to empty.
            const std::uint64_t begins = std::max(number << shift_of(level), position_);
            if (begins < next.begins) {
                next = {slot_of(level, number), begins};
            }
        }
        return next;
    }

    // From when on this slot is worth a look.
    static std::uint64_t work_begins(std::uint32_t level, std::uint64_t number) {
        const std::uint64_t begins = number << shift_of(level);
        const std::uint64_t early = level == 0 ? 0 : std::uint64_t{1} << (shift_of(level) - 1);
        return begins - std::min(begins, early);
    }
    std::uint64_t first_work() const {
        std::uint64_t first = never;
        for (std::uint32_t level = 0; level < levels; ++level) {
            if (const std::uint64_t number = first_occupied(level); number != never) {
                first = std::min(first, work_begins(level, number));
            }
        }
        return first;
    }

    // --- emptying slots ------------------------------------------------------------------------

    // Takes at most `budget` timers off a slot; each(index) may hang them, or others, anywhere.
    template <class F>
    std::uint32_t empty(std::uint32_t slot, std::uint32_t budget, F&& each) {
        const std::uint32_t* heads = &heads_[slot * lists];
        for (std::uint32_t filled = filled_[slot]; filled != 0; filled &= filled - 1) {
            prefetch_link(heads[std::countr_zero(filled)]);
        }
        for (std::uint32_t filled = filled_[slot]; filled != 0; filled &= filled - 1) {
            prefetch_link(owner_->link(heads[std::countr_zero(filled)] - 1).next);
        }
        std::uint32_t touched = 0;
        for (std::uint32_t list = 0; filled_[slot] != 0 && touched < budget; ++list) {
            // The next list in turn that has one.
            list += static_cast<std::uint32_t>(
                std::countr_zero(std::rotr(filled_[slot], static_cast<int>(list % lists))));
            const std::uint32_t index = heads[list % lists] - 1;
            const std::uint32_t next = owner_->link(index).next;
            unhang(index);
            if (next != 0) {
                prefetch_link(owner_->link(next - 1).next);
            }
            each(index);
            ++touched;
        }
        return touched;
    }
    void prefetch_link(std::uint32_t index_plus_1) const {
        if (index_plus_1 != 0) {
            prefetch_to_write(&owner_->link(index_plus_1 - 1));
        }
    }

    std::uint32_t cascade(std::uint32_t slot, std::uint32_t budget) {
        return empty(slot, budget,
                     [this](std::uint32_t index) { hang(index, owner_->deadline(index)); });
    }
    void cascade_early(std::uint32_t budget, advance_result& done) {
        for (std::uint32_t level = 1; level < levels; ++level) {
            const std::uint64_t next = (position_ >> shift_of(level)) + 1;
            if (work_begins(level, next) <= position_) {
                done.touched += cascade(slot_of(level, next), budget - done.touched);
            }
        }
    }

    // --- lists ---------------------------------------------------------------------------------

    void hang(std::uint32_t index, tick deadline) {
        const std::uint64_t at = ticks(deadline);
        std::uint32_t level = 0;
        while ((at >> shift_of(level)) - (position_ >> shift_of(level)) >= ring) {
            ++level;
        }
        const std::uint64_t number = at >> shift_of(level);
        const std::uint32_t slot = slot_of(level, number);
        if (filled_[slot] == 0) {
            occupied_[level].set(number);
            quiet_until_ = std::min(quiet_until_, work_begins(level, number));
        }
        const std::uint32_t list = slot * lists + turn_++ % lists;
        timer_link& link = owner_->link(index);
        link.next = heads_[list];
        link.prev = first_in_list | list;
        if (link.next != 0) {
            owner_->link(link.next - 1).prev = index + 1;
        }
        heads_[list] = index + 1;
        filled_[slot] |= static_cast<std::uint8_t>(1u << (list % lists));
    }

    void unhang(std::uint32_t index) {
        timer_link& link = owner_->link(index);
        if (link.next != 0) {
            owner_->link(link.next - 1).prev = link.prev;
        }
        if ((link.prev & first_in_list) == 0) {
            owner_->link(link.prev - 1).next = link.next;
        } else {
            const std::uint32_t list = link.prev & ~first_in_list;
            heads_[list] = link.next;
            if (link.next == 0) {
                const std::uint32_t slot = list / lists;
                filled_[slot] &= static_cast<std::uint8_t>(~(1u << (list % lists)));
                if (filled_[slot] == 0) {
                    occupied_[slot / ring].clear(slot % ring);
                }
            }
        }
        link = {};
    }

    Owner* owner_;
    std::uint64_t position_;         // the low 32 bits are the tick
    std::uint64_t quiet_until_ = 0;  // nothing is to be done before
    std::uint32_t size_ = 0;
    std::uint32_t turn_ = 0;
    std::array<slot_ring, levels> occupied_{};
    std::array<std::uint8_t, levels * ring> filled_{};          // which lists of a slot
    std::array<std::uint32_t, levels * ring * lists> heads_{};  // index + 1
};

}  // namespace lastack::timer
