// SPDX-License-Identifier: BSD-3-Clause
// The deadlines of 32 TIME_WAIT records that lie together: two cache lines, all that expiry reads.
//
//     meta  0..19   deadline, in coarse ticks of 16 ms, modulo 2^20
//           20..23  lane: which of the 16 kinds of waiting
//           24      timestamps         25  fin_wait_2
//           26      parked (R49); in FIN_WAIT_2: waiter (an application wants to know)
//           27      reuse_addr (R56)   28  reuse_port (R56)
//           29      ts_strict (R69)    30  ts_plain, or no timestamps: so that neither this nor 24
//                   is set where there is no record
//           31      belongs to the block, whether the place is used or not. Of the first: the block
//                   is queued in the expiry order. Of the second: it is known to have holes
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "flow/time_wait_entry.hpp"
#include "flow/time_wait_lanes.hpp"

#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

namespace lastack::flow {

// Deadlines wrap. From one that is overdue for as long as can be to one that is ahead as far as can
// be, all are told apart: ahead_max + overdue_max < 2^20.
namespace time_wait_meta {

inline constexpr std::uint32_t deadline_bits = 20;
inline constexpr std::uint32_t deadline_mask = (1u << deadline_bits) - 1;
inline constexpr std::uint32_t ahead_max = (1u << 19) + 1;  // coarse ticks
inline constexpr std::uint32_t overdue_max = 7'200'000 / time_wait_lanes::coarse_tick_ms + 1;
inline constexpr std::uint32_t lane_shift = deadline_bits;
inline constexpr std::uint32_t lane_mask = (time_wait_lanes::count_max - 1) << lane_shift;
inline constexpr std::uint32_t timestamps = 1u << 24;
inline constexpr std::uint32_t fin_wait_2 = 1u << 25;
inline constexpr std::uint32_t held = 1u << 26;  // parked, waiter
inline constexpr std::uint32_t reuse_addr = 1u << 27;
inline constexpr std::uint32_t reuse_port = 1u << 28;
inline constexpr std::uint32_t ts_strict = 1u << 29;
inline constexpr std::uint32_t ts_plain = 1u << 30;
inline constexpr std::uint32_t used = timestamps | ts_plain;
inline constexpr std::uint32_t of_block = 1u << 31;

constexpr std::uint32_t lane_of(std::uint32_t meta) {
    return (meta & lane_mask) >> lane_shift;
}

// The bits that say what `e` says.
template <class Key>
constexpr std::uint32_t flags_of(const time_wait_entry<Key>& e) {
    return (e.timestamps ? timestamps : 0) | (e.fin_wait_2 ? fin_wait_2 : 0) |
           (e.parked || e.waiter ? held : 0) | (e.reuse_addr ? reuse_addr : 0) |
           (e.reuse_port ? reuse_port : 0) | (e.ts_strict ? ts_strict : 0) |
           (e.ts_plain || !e.timestamps ? ts_plain : 0);
}

// Coarse ticks from `today` to the deadline; 0 when it is due.
constexpr std::uint32_t ahead(std::uint32_t deadline, std::uint32_t today) {
    const std::uint32_t distance = (deadline - today) & deadline_mask;
    return distance <= ahead_max ? distance : 0;
}

}  // namespace time_wait_meta

struct alignas(64) time_wait_deadlines {
    static constexpr std::uint32_t size = 32;
    static constexpr std::uint32_t nothing_ahead = ~0u;

    std::array<std::uint32_t, size> meta;

    bool queued() const { return (meta[0] & time_wait_meta::of_block) != 0; }
    void set_queued() { meta[0] |= time_wait_meta::of_block; }
    void clear_queued() { meta[0] &= ~time_wait_meta::of_block; }

    bool holey() const { return (meta[1] & time_wait_meta::of_block) != 0; }
    void set_holey() { meta[1] |= time_wait_meta::of_block; }
    void clear_holey() { meta[1] &= ~time_wait_meta::of_block; }

    // A bit a place.
    std::uint32_t used() const;

    struct view {
        std::uint32_t due;      // a bit a record
        std::uint32_t nearest;  // coarse ticks to the first that is not due; or nothing_ahead
    };
    // All records at once.
    view look(std::uint32_t today) const;

#ifdef __SSE4_1__
  private:
    static __m128i all(std::uint32_t v) {
        return _mm_set1_epi32(static_cast<int>(v));
    }
    static std::uint32_t bits_of(__m128i v) {
        return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(v)));
    }
    __m128i four(std::uint32_t from) const {
        return _mm_load_si128(reinterpret_cast<const __m128i*>(&meta[from]));
    }
    static __m128i absent(__m128i four) {
        return _mm_cmpeq_epi32(_mm_and_si128(four, all(time_wait_meta::used)), _mm_setzero_si128());
    }
#endif
};

#ifdef __SSE4_1__
inline std::uint32_t time_wait_deadlines::used() const {
    std::uint32_t free = 0;
    for (std::uint32_t i = 0; i < size; i += 4) {
        free |= bits_of(absent(four(i))) << i;
    }
    return ~free;
}

inline time_wait_deadlines::view time_wait_deadlines::look(std::uint32_t today) const {
    using namespace time_wait_meta;
    __m128i nearest = all(nothing_ahead);
    std::uint32_t due = 0;
    for (std::uint32_t i = 0; i < size; i += 4) {
        const __m128i distance =
            _mm_and_si128(_mm_sub_epi32(four(i), all(today)), all(deadline_mask));
        // A distance of 0 becomes the longest of all, which is not ahead either.
        const __m128i not_ahead = _mm_cmpgt_epi32(
            _mm_and_si128(_mm_sub_epi32(distance, all(1)), all(0x7fffffff)), all(ahead_max - 1));
        const __m128i none = absent(four(i));
        due |= bits_of(_mm_andnot_si128(none, not_ahead)) << i;
        nearest = _mm_min_epu32(nearest, _mm_or_si128(_mm_or_si128(none, not_ahead), distance));
    }
    nearest = _mm_min_epu32(nearest, _mm_shuffle_epi32(nearest, 0x4e));
    nearest = _mm_min_epu32(nearest, _mm_shuffle_epi32(nearest, 0xb1));
    return {due, static_cast<std::uint32_t>(_mm_cvtsi128_si32(nearest))};
}
#else
inline std::uint32_t time_wait_deadlines::used() const {
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < size; ++i) {
        found |= ((meta[i] & time_wait_meta::used) != 0 ? 1u : 0u) << i;
    }
    return found;
}

inline time_wait_deadlines::view time_wait_deadlines::look(std::uint32_t today) const {
    view v{0, nothing_ahead};
    for (std::uint32_t bits = used(); bits != 0; bits &= bits - 1) {
        const auto i = static_cast<std::uint32_t>(std::countr_zero(bits));
        const std::uint32_t left = time_wait_meta::ahead(meta[i], today);
        v.due |= left == 0 ? 1u << i : 0;
        v.nearest = left != 0 ? std::min(v.nearest, left) : v.nearest;
    }
    return v;
}
#endif

}  // namespace lastack::flow
