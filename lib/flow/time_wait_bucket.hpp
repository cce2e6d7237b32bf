// SPDX-License-Identifier: BSD-3-Clause
// A bucket of the TIME_WAIT table's index: one cache line that says where eight records are.
//
//     0   8 x 16 bits   0..13 tag (0: free); of the bucket: 14, 15: whose strays
//     16  8 x 16 bits   the upper 16 of the deadline's 20 bits, its day
//     32  8 x 32 bits   0..26 body; 27..30 the lower 4 of the deadline; of the bucket: 31: until
//                       when it has strays
//
// Entries of records that have expired are not taken out: what lies at or before the day that
// expiry has come to is free. So expiry reads no bucket; enter() finds the place when it is there.
//
// Strays are records whose home is this bucket (time_wait_index.hpp) and that lie elsewhere. A
// filter of 16 bits says of which tags there may be some, and a period of 65 s how long at most;
// when that is over the filter starts anew, which where strays keep coming is seldom. Neither ever
// says less than there is.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "flow/time_wait_block.hpp"

#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

namespace lastack::flow {

struct alignas(64) time_wait_bucket {
    static constexpr std::uint32_t ways = 8;
    static constexpr std::uint16_t tag_mask = 0x3fff;
    static constexpr std::uint32_t body_mask = (1u << 27) - 1;
    static constexpr std::uint32_t day_shift = 4;  // of a deadline
    static constexpr std::uint32_t period_shift = 12;
    // An entry so many days old still says that it is; after that its day may be taken for one to
    // come.
    static constexpr std::uint32_t days_back = 4600;

    std::array<std::uint16_t, ways> tags;
    std::array<std::uint16_t, ways> days;
    std::array<std::uint32_t, ways> refs;

    static constexpr std::uint16_t tag_of(std::uint64_t hash) {
        const auto tag = static_cast<std::uint16_t>(hash >> 50);
        return tag == 0 ? std::uint16_t{1} : tag;
    }
    static constexpr std::uint16_t day_of(std::uint32_t deadline) {
        return static_cast<std::uint16_t>(deadline >> day_shift);
    }

    // --- entries -----------------------------------------------------------------------------

    // A bit an entry, as in all that follow.
    std::uint32_t with_tag(std::uint16_t tag) const;
    // Where nothing is, or what ended at or before `expired`, a tick.
    std::uint32_t free(std::uint32_t expired) const;
    // Takes out what is over, the strays' filter too. To be called in time, see days_back.
    void sweep(std::uint32_t expired);

    std::uint16_t tag(std::uint32_t i) const { return tags[i] & tag_mask; }
    std::uint32_t body(std::uint32_t i) const { return refs[i] & body_mask; }
    std::uint32_t deadline(std::uint32_t i) const {
        return std::uint32_t{days[i]} << day_shift | (refs[i] >> fine_at & fine_mask);
    }
    void put(std::uint32_t i, std::uint16_t tag, std::uint32_t body, std::uint32_t deadline) {
        tags[i] = static_cast<std::uint16_t>((tags[i] & ~tag_mask) | tag);
        refs[i] = (refs[i] & of_bucket) | body;
        set_deadline(i, deadline);
    }
    void set_deadline(std::uint32_t i, std::uint32_t deadline) {
        days[i] = day_of(deadline);
        refs[i] = (refs[i] & ~(fine_mask << fine_at)) | (deadline & fine_mask) << fine_at;
    }
    void remove(std::uint32_t i) { tags[i] &= static_cast<std::uint16_t>(~tag_mask); }

    // --- strays ------------------------------------------------------------------------------

    bool may_have_stray(std::uint16_t tag, std::uint32_t expired) const {
        const std::uint32_t bit = stray_bit(tag);
        return (tags[bit % ways] >> (14 + bit / ways) & 1) != 0 && !strays_over(expired);
    }
    void add_stray(std::uint16_t tag, std::uint32_t deadline, std::uint32_t expired);

  private:
    static constexpr std::uint32_t fine_at = 27;
    static constexpr std::uint32_t fine_mask = (1u << day_shift) - 1;
    static constexpr std::uint32_t of_bucket = 1u << 31;

    // Of these, those that end on the day of `expired` and not after it.
    std::uint32_t over_today(std::uint32_t entries, std::uint32_t expired) const {
        std::uint32_t found = 0;
        for (; entries != 0; entries &= entries - 1) {
            const auto i = static_cast<std::uint32_t>(std::countr_zero(entries));
            const bool over =
                days[i] == day_of(expired) && (deadline(i) & fine_mask) <= (expired & fine_mask);
            found |= over ? entries & (0u - entries) : 0;
        }
        return found;
    }

    static constexpr std::uint32_t stray_bit(std::uint16_t tag) { return tag / 2 % (2 * ways); }
    static constexpr std::uint8_t period_of(std::uint32_t tick) {
        return static_cast<std::uint8_t>(tick >> period_shift);
    }
    // Periods from that of `expired` to `period`. Those above are ones that are over.
    static constexpr std::uint32_t periods_max = 240;
    static_assert(periods_max > (time_wait_meta::ahead_max + time_wait_meta::overdue_max) >>
                  period_shift);
    static constexpr std::uint8_t periods_ahead(std::uint8_t period, std::uint32_t expired) {
        return static_cast<std::uint8_t>(period - period_of(expired));
    }
    bool strays_over(std::uint32_t expired) const {
        return periods_ahead(until(), expired) > periods_max;
    }
    void forget_strays() {
        for (std::uint16_t& t : tags) {
            t &= tag_mask;
        }
    }
    std::uint8_t until() const;
    void set_until(std::uint8_t period) {
        for (std::uint32_t differ = until() ^ period; differ != 0; differ &= differ - 1) {
            refs[static_cast<std::uint32_t>(std::countr_zero(differ))] ^= of_bucket;
        }
    }

#ifdef __SSE4_1__
    template <class T>
    static __m128i load(const T* from) {
        return _mm_load_si128(reinterpret_cast<const __m128i*>(from));
    }
    static __m128i all(std::uint32_t v) {
        return _mm_set1_epi16(static_cast<short>(v));
    }
    static std::uint32_t bits_of(__m128i lanes) {
        return static_cast<std::uint32_t>(
            _mm_movemask_epi8(_mm_packs_epi16(lanes, _mm_setzero_si128())));
    }
    __m128i over(std::uint32_t expired) const {
        const __m128i days_ago = _mm_sub_epi16(all(day_of(expired) - 1u), load(days.data()));
        return _mm_cmpeq_epi16(_mm_subs_epu16(days_ago, all(days_back - 1)), _mm_setzero_si128());
    }
#else
    bool over(std::uint32_t i, std::uint32_t expired) const {
        return static_cast<std::uint16_t>(day_of(expired) - 1u - days[i]) < days_back;
    }
#endif
};
static_assert(sizeof(time_wait_bucket) == 64);

#ifdef __SSE4_1__
inline std::uint32_t time_wait_bucket::with_tag(std::uint16_t tag) const {
    return bits_of(_mm_cmpeq_epi16(_mm_and_si128(load(tags.data()), all(tag_mask)), all(tag)));
}

inline std::uint32_t time_wait_bucket::free(std::uint32_t expired) const {
    const __m128i empty =
        _mm_cmpeq_epi16(_mm_and_si128(load(tags.data()), all(tag_mask)), _mm_setzero_si128());
    const std::uint32_t found = bits_of(_mm_or_si128(empty, over(expired)));
    return found != 0
               ? found
               : over_today(bits_of(_mm_cmpeq_epi16(load(days.data()), all(day_of(expired)))),
                            expired);
}

inline void time_wait_bucket::sweep(std::uint32_t expired) {
    const __m128i gone = _mm_and_si128(over(expired), all(tag_mask));
    const __m128i kept = _mm_andnot_si128(gone, load(tags.data()));
    if (_mm_movemask_epi8(_mm_cmpeq_epi16(kept, load(tags.data()))) != 0xffff) {
        _mm_store_si128(reinterpret_cast<__m128i*>(tags.data()), kept);
    }
    if (strays_over(expired)) {
        forget_strays();
    }
}

inline std::uint8_t time_wait_bucket::until() const {
    const auto top_bits = [](__m128i v) { return _mm_movemask_ps(_mm_castsi128_ps(v)); };
    return static_cast<std::uint8_t>(top_bits(load(&refs[0])) | top_bits(load(&refs[4])) << 4);
}
#else
inline std::uint32_t time_wait_bucket::with_tag(std::uint16_t tag) const {
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < ways; ++i) {
        found |= (this->tag(i) == tag ? 1u : 0u) << i;
    }
    return found;
}

inline std::uint32_t time_wait_bucket::free(std::uint32_t expired) const {
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < ways; ++i) {
        found |= (tag(i) == 0 || over(i, expired) ? 1u : 0u) << i;
    }
    return found != 0 ? found : over_today(0xff, expired);
}

inline void time_wait_bucket::sweep(std::uint32_t expired) {
    for (std::uint32_t i = 0; i < ways; ++i) {
        if (over(i, expired)) {
            remove(i);
        }
    }
    if (strays_over(expired)) {
        forget_strays();
    }
}

inline std::uint8_t time_wait_bucket::until() const {
    std::uint32_t period = 0;
    for (std::uint32_t i = 0; i < ways; ++i) {
        period |= refs[i] >> 31 << i;
    }
    return static_cast<std::uint8_t>(period);
}
#endif

inline void time_wait_bucket::add_stray(std::uint16_t tag, std::uint32_t deadline,
                                        std::uint32_t expired) {
    if (strays_over(expired)) {
        forget_strays();
        set_until(period_of(expired));
    }
    const std::uint8_t period = period_of(deadline);
    if (periods_ahead(period, expired) > periods_ahead(until(), expired)) {
        set_until(period);
    }
    const std::uint32_t bit = stray_bit(tag);
    tags[bit % ways] |= static_cast<std::uint16_t>(1u << (14 + bit / ways));
}

}  // namespace lastack::flow
