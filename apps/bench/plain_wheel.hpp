// SPDX-License-Identifier: BSD-3-Clause
// A hierarchical timer wheel as textbooks have it, to compare timer/wheel.hpp with: 256 slots and
// four times 64, one list a slot, a whole slot moved down when its time comes, no budget.
//
// Linkage and owner are the same, so that only what the wheel does differs.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.hpp"
#include "timer/wheel.hpp"

namespace bench {

template <class Owner>
class plain_wheel {
  public:
    plain_wheel(Owner& owner, lastack::tick now) : owner_(&owner), position_(now.raw) {}

    std::uint32_t size() const { return size_; }

    void arm(std::uint32_t index, lastack::tick deadline) {
        if (owner_->link(index).prev != 0) {
            unhang(index);
        } else {
            ++size_;
        }
        owner_->deadline(index) = deadline;
        hang(index);
    }

    // One tick a step. All that is due fires, whatever the budget.
    template <class F>
    lastack::timer::advance_result advance(lastack::tick now, std::uint32_t, F&& on_expired) {
        lastack::timer::advance_result done;
        for (;;) {
            while (const std::uint32_t first = heads_[position_ % near_slots]) {
                unhang(first - 1);
                --size_;
                ++done.fired;
                on_expired(first - 1);
            }
            if (lastack::tick{position_} >= now) {
                return done;
            }
            ++position_;
            for (std::uint32_t level = 1; level < levels && begins(level); ++level) {
                cascade(slot_of(level, position_));
            }
        }
    }

  private:
    static constexpr std::uint32_t near_bits = 8;
    static constexpr std::uint32_t near_slots = 1u << near_bits;
    static constexpr std::uint32_t far_bits = 6;
    static constexpr std::uint32_t far_slots = 1u << far_bits;
    static constexpr std::uint32_t levels = 5;
    static constexpr std::uint32_t first_in_slot = 1u << 31;

    static constexpr std::uint32_t shift_of(std::uint32_t level) {
        return near_bits + (level - 1) * far_bits;
    }
    bool begins(std::uint32_t level) const { return position_ % (1u << shift_of(level)) == 0; }
    static std::uint32_t slot_of(std::uint32_t level, std::uint32_t at) {
        return near_slots + (level - 1) * far_slots + (at >> shift_of(level)) % far_slots;
    }

    void cascade(std::uint32_t slot) {
        std::uint32_t next = heads_[slot];
        heads_[slot] = 0;
        while (next != 0) {
            const std::uint32_t index = next - 1;
            next = owner_->link(index).next;
            hang(index);
        }
    }
    void hang(std::uint32_t index) {
        const std::uint32_t at = owner_->deadline(index).raw;
        const std::uint32_t ahead = at - position_;
        std::uint32_t slot = at % near_slots;
        if (ahead >= near_slots) {
            std::uint32_t level = 1;
            while (level + 1 < levels && ahead >> shift_of(level + 1) != 0) {
                ++level;
            }
            slot = slot_of(level, at);
        }
        lastack::timer::timer_link& link = owner_->link(index);
        link = {heads_[slot], first_in_slot | slot};
        if (link.next != 0) {
            owner_->link(link.next - 1).prev = index + 1;
        }
        heads_[slot] = index + 1;
    }
    void unhang(std::uint32_t index) {
        lastack::timer::timer_link& link = owner_->link(index);
        if (link.next != 0) {
            owner_->link(link.next - 1).prev = link.prev;
        }
        if ((link.prev & first_in_slot) != 0) {
            heads_[link.prev & ~first_in_slot] = link.next;
        } else {
            owner_->link(link.prev - 1).next = link.next;
        }
        link = {};
    }

    Owner* owner_;
    std::uint32_t position_;
    std::uint32_t size_ = 0;
    std::array<std::uint32_t, near_slots + (levels - 1) * far_slots> heads_{};  // index + 1
};

}  // namespace bench
