// SPDX-License-Identifier: BSD-3-Clause
// The head of a bucket of the TIME_WAIT table: one cache line, all that a miss reads and all that
// expiry reads.
//
//     head  0    8 x 16-bit tags (0: the slot is free)
//           16   8 x 32-bit meta
//           48   8 x 16-bit window, as last advertised, but for its lowest bits: ts_strict,
//           ts_plain
//     meta  0..20   deadline, in coarse ticks of 16 ms, modulo 2^21
//           21..24  lane: which of the 16 kinds of waiting
//           25      timestamps         26  fin_wait_2
//           27      parked (R49); in FIN_WAIT_2: waiter (an application wants to know)
//           28      reuse_addr (R56)   29  reuse_port (R56)
//           30      acked: the slot has the time of a throttled ACK
//           31      belongs to the bucket, whether the slot is used or not. Of the first slot:
//                   the bucket is queued. Of the others: a number of seven bits, how many records
//                   have their home in this bucket and lie elsewhere, its strays
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "flow/tag_group.hpp"
#include "flow/time_wait_entry.hpp"
#include "flow/time_wait_lanes.hpp"

#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

namespace lastack::flow {

namespace time_wait_meta {

inline constexpr std::uint32_t deadline_bits = 21;
inline constexpr std::uint32_t deadline_mask = (1u << deadline_bits) - 1;
inline constexpr std::uint32_t ahead_max = (1u << 19) + 1;  // coarse ticks
inline constexpr std::uint32_t lane_shift = deadline_bits;
inline constexpr std::uint32_t lane_mask = (time_wait_lanes::count_max - 1) << lane_shift;
inline constexpr std::uint32_t timestamps = 1u << 25;
inline constexpr std::uint32_t fin_wait_2 = 1u << 26;
inline constexpr std::uint32_t held = 1u << 27;  // parked, waiter
inline constexpr std::uint32_t reuse_addr = 1u << 28;
inline constexpr std::uint32_t reuse_port = 1u << 29;
inline constexpr std::uint32_t acked = 1u << 30;
inline constexpr std::uint32_t of_bucket = 1u << 31;

constexpr std::uint32_t lane_of(std::uint32_t meta) {
    return (meta & lane_mask) >> lane_shift;
}

// The bits that say what `e` says.
template <class Key>
constexpr std::uint32_t flags_of(const time_wait_entry<Key>& e) {
    return (e.timestamps ? timestamps : 0) | (e.fin_wait_2 ? fin_wait_2 : 0) |
           (e.parked || e.waiter ? held : 0) | (e.reuse_addr ? reuse_addr : 0) |
           (e.reuse_port ? reuse_port : 0);
}

// Coarse ticks from `today` to the deadline; 0 when it is due.
constexpr std::uint32_t ahead(std::uint32_t meta, std::uint32_t today) {
    const std::uint32_t distance = (meta - today) & deadline_mask;
    return distance <= ahead_max ? distance : 0;
}

}  // namespace time_wait_meta

struct alignas(64) time_wait_head {
    static constexpr std::uint32_t ways = 8;
    static constexpr std::uint32_t strays_max = 127;
    static constexpr std::uint32_t nothing_ahead = ~0u;

    std::array<std::uint16_t, ways> tags;
    std::array<std::uint32_t, ways> meta;
    std::array<std::uint16_t, ways> windows;

    // A bit a slot.
    std::uint32_t free() const { return match_tags(tags.data(), tag_empty); }
    std::uint32_t used() const { return ~free() & 0xff; }

    bool queued() const { return (meta[0] & time_wait_meta::of_bucket) != 0; }
    void set_queued() { meta[0] |= time_wait_meta::of_bucket; }
    void clear_queued() { meta[0] &= ~time_wait_meta::of_bucket; }

    std::uint32_t strays() const { return bucket_bits() >> 1; }
    // Precondition: 0 <= count <= strays_max.
    void set_strays(std::uint32_t count) {
        for (std::uint32_t differ = strays() ^ count; differ != 0; differ &= differ - 1) {
            meta[1 + static_cast<std::uint32_t>(std::countr_zero(differ))] ^=
                time_wait_meta::of_bucket;
        }
    }

    // All eight deadlines at once.
    struct deadlines {
        std::uint32_t due;      // a bit a slot
        std::uint32_t acked;    // not 0: some record has the time of a throttled ACK
        std::uint32_t nearest;  // coarse ticks to the first that is not due; or nothing_ahead
    };
    deadlines look_at_deadlines(std::uint32_t today) const;

  private:
#ifdef __SSE4_1__
    __m128i half(std::uint32_t which) const {
        return _mm_load_si128(reinterpret_cast<const __m128i*>(&meta[which * 4]));
    }
    static std::uint32_t top_bits(__m128i v) {
        return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(v)));
    }
    std::uint32_t bucket_bits() const {
        return top_bits(half(0)) | top_bits(half(1)) << 4;
    }
#else
    std::uint32_t bucket_bits() const {
        std::uint32_t bits = 0;
        for (std::uint32_t i = 0; i < ways; ++i) {
            bits |= meta[i] >> 31 << i;
        }
        return bits;
    }
#endif
};
static_assert(sizeof(time_wait_head) == 64);

inline time_wait_head::deadlines time_wait_head::look_at_deadlines(std::uint32_t today) const {
#ifdef __SSE4_1__
    using namespace time_wait_meta;
    const auto all = [](std::uint32_t v) { return _mm_set1_epi32(static_cast<int>(v)); };
    const __m128i none = _mm_setzero_si128();
    const __m128i absent =
        _mm_cmpeq_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(tags.data())), none);
    const auto left_of = [&](__m128i v) {
        const __m128i left = _mm_and_si128(_mm_sub_epi32(v, all(today)), all(deadline_mask));
        return _mm_andnot_si128(_mm_cmpgt_epi32(left, all(ahead_max)), left);
    };
    const __m128i low = left_of(half(0));
    const __m128i high = left_of(half(1));
    const __m128i due_low = _mm_cmpeq_epi32(low, none);
    const __m128i due_high = _mm_cmpeq_epi32(high, none);
    // What is absent or due is as far ahead as can be.
    __m128i nearest = _mm_min_epu32(
        _mm_or_si128(low, _mm_or_si128(due_low, _mm_unpacklo_epi16(absent, absent))),
        _mm_or_si128(high, _mm_or_si128(due_high, _mm_unpackhi_epi16(absent, absent))));
    nearest = _mm_min_epu32(nearest, _mm_shuffle_epi32(nearest, 0x4e));
    nearest = _mm_min_epu32(nearest, _mm_shuffle_epi32(nearest, 0xb1));
    const std::uint32_t due = top_bits(due_low) | top_bits(due_high) << 4;
    const std::uint32_t acked_bits =
        top_bits(_mm_slli_epi32(_mm_or_si128(half(0), half(1)), std::countl_zero(acked)));
    return {due & used(), acked_bits, static_cast<std::uint32_t>(_mm_cvtsi128_si32(nearest))};
#else
    deadlines d{0, 0, nothing_ahead};
    for (std::uint32_t bits = used(); bits != 0; bits &= bits - 1) {
        const auto i = static_cast<std::uint32_t>(std::countr_zero(bits));
        const std::uint32_t left = time_wait_meta::ahead(meta[i], today);
        d.due |= left == 0 ? 1u << i : 0;
        d.acked |= meta[i] & time_wait_meta::acked;
        d.nearest = left != 0 ? std::min(d.nearest, left) : d.nearest;
    }
    return d;
#endif
}

}  // namespace lastack::flow
