// SPDX-License-Identifier: BSD-3-Clause
// A calendar queue: 32-bit entries in the order of coarse ticks, from one fixed pool of memory.
//
// This is the expiry order of the TIME_WAIT lanes. A ring of `span` days, one a coarse tick; a day
// is a stack of 128-byte chunks of 31 entries, of which only the top one is partly filled. However
// the entries are spread over the days, `entries_max` of them fit into entries_max / 31 + span
// chunks: 4.13 B an entry and half a megabyte. Entries of one day come in no order. An entry cannot
// be removed; its user drops or pushes it again when it comes up, and must not hold more than
// entries_max at once (one a block, see flow/time_wait_order.hpp).
//
// Cost: push and take are O(1); empty days are skipped 64 at a time. Ticks are 32 bits and wrap.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/assert.hpp"
#include "base/region.hpp"
#include "lastack/result.hpp"

namespace lastack::timer {

class calendar {
  public:
    static constexpr std::uint32_t span = 4096;  // days

    static result<calendar, std::string> make(std::uint32_t entries_max, std::uint32_t now,
                                              page_size preference);
    static std::size_t bytes_for(std::uint32_t entries_max);

    std::uint32_t size() const { return size_; }

    // Queues an entry for day `at`. A day that has passed means today; one beyond the ring is kept
    // apart and comes up once the ring has caught up.
    void push(std::uint32_t at, std::uint32_t entry);

    // There is an entry for a day at or before `now`.
    bool ready(std::uint32_t now) const;

    // Moves up to out.size() entries of one day at or before `now` to `out`; returns how many, 0
    // when there is none.
    std::size_t take(std::uint32_t now, std::span<std::uint32_t> out);

    // The same for the first day at or after `day` that has an entry, however far ahead; `day`
    // becomes that day.
    std::size_t take_earliest(std::uint32_t& day, std::span<std::uint32_t> out);

    // The first day that has an entry, at or after the last `now`.
    std::optional<std::uint32_t> earliest() const;

  private:
    static constexpr std::uint32_t chunk_entries = 31;
    static constexpr std::uint32_t none = 0;  // chunk numbers are one more than the index

    struct alignas(128) chunk {
        std::uint32_t next;
        std::array<std::uint32_t, chunk_entries> entries;
    };
    // A day's stack of chunks. The fill of the top one stands here, so that a push only stores to
    // the chunk's line and waits for nothing.
    struct stack {
        std::uint32_t top = none;
        std::uint32_t count = 0;
    };
    static_assert(sizeof(chunk) == 128);

    static std::size_t chunks_for(std::uint32_t entries_max);
    // Days from today to the first one with an entry, from `passed` on and if fewer than `limit`;
    // else `limit`.
    std::uint32_t first_ahead(std::uint32_t limit, std::uint32_t passed = 0) const;
    std::size_t take_from(std::uint32_t place, std::span<std::uint32_t> out);

    fixed_array<chunk> chunks_;
    std::uint32_t free_ = none;  // chunks given back
    std::uint32_t unused_ = 0;   // chunks never used yet, from this index on
    std::uint32_t today_ = 0;    // nothing lies before it
    std::uint32_t size_ = 0;
    std::array<stack, span + 1> days_{};  // the last one: beyond the ring
    std::array<std::uint64_t, span / 64> occupied_{};
};

}  // namespace lastack::timer
