// SPDX-License-Identifier: BSD-3-Clause
// Where a hash puts a key, which both tables share, and eight 16-bit tags compared at once, as the
// connection table does (TIME_WAIT has 14 bits: time_wait_bucket.hpp).
//
// A hash gives a bucket (low 32 bits) and a tag (top 16 bits). A key's other bucket follows from
// the tag and the one it is in, so an entry can be moved without its key being hashed again:
//     other(b) = (offset(tag) - b) mod buckets,   other(other(b)) = b.
// Bucket counts are any number: a multiply and a shift reduce 32 bits to the range.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace lastack::flow {

inline constexpr std::uint16_t tag_empty = 0;

constexpr std::uint16_t tag_of(std::uint64_t hash) {
    const auto tag = static_cast<std::uint16_t>(hash >> 48);
    return tag == tag_empty ? std::uint16_t{1} : tag;
}

constexpr std::uint32_t reduce(std::uint32_t x, std::uint32_t range) {
    return static_cast<std::uint32_t>((std::uint64_t{x} * range) >> 32);
}

constexpr std::uint32_t bucket_of(std::uint64_t hash, std::uint32_t buckets) {
    return reduce(static_cast<std::uint32_t>(hash), buckets);
}

// Precondition: bucket < buckets.
constexpr std::uint32_t other_bucket(std::uint32_t bucket, std::uint16_t tag,
                                     std::uint32_t buckets) {
    const std::uint32_t offset = reduce(tag * 0x9e3779b1u, buckets);
    // No branch: it would be as likely as not.
    return offset - bucket + (buckets & (0u - static_cast<std::uint32_t>(offset < bucket)));
}

// Bit i is set where tags[i] == tag, for i in [0, 8).
inline std::uint32_t match_tags(const std::uint16_t* tags, std::uint16_t tag) {
#ifdef __SSE2__
    __m128i group;
    std::memcpy(&group, tags, sizeof group);
    const __m128i equal = _mm_cmpeq_epi16(group, _mm_set1_epi16(static_cast<short>(tag)));
    return static_cast<std::uint32_t>(
        _mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())));
#else
    std::uint32_t mask = 0;
    for (std::uint32_t i = 0; i < 8; ++i) {
        mask |= static_cast<std::uint32_t>(tags[i] == tag) << i;
    }
    return mask;
#endif
}

}  // namespace lastack::flow
