// SPDX-License-Identifier: BSD-3-Clause
// A TCP sequence number: arithmetic modulo 2^32, ordered by signed distance.
//
// RFC 9293 3.4: comparisons are only meaningful between numbers less than 2^31 apart. The order is
// therefore not transitive, which is why there is no operator<=> and no hash here.
#pragma once

#include <cstdint>

namespace lastack {

struct seq32 {
    std::uint32_t raw = 0;

    friend constexpr bool operator==(seq32 a, seq32 b) { return a.raw == b.raw; }
    friend constexpr bool operator!=(seq32 a, seq32 b) { return a.raw != b.raw; }
    friend constexpr bool operator<(seq32 a, seq32 b) {
        return static_cast<std::int32_t>(a.raw - b.raw) < 0;
    }
    friend constexpr bool operator>(seq32 a, seq32 b) { return b < a; }
    friend constexpr bool operator<=(seq32 a, seq32 b) { return !(b < a); }
    friend constexpr bool operator>=(seq32 a, seq32 b) { return !(a < b); }

    friend constexpr seq32 operator+(seq32 a, std::uint32_t n) { return {a.raw + n}; }
    friend constexpr seq32 operator-(seq32 a, std::uint32_t n) { return {a.raw - n}; }
    constexpr seq32& operator+=(std::uint32_t n) {
        raw += n;
        return *this;
    }
    constexpr seq32& operator-=(std::uint32_t n) {
        raw -= n;
        return *this;
    }
};

// Octets from `from` up to `to`. Negative when `to` lies before `from`.
constexpr std::int32_t distance(seq32 from, seq32 to) {
    return static_cast<std::int32_t>(to.raw - from.raw);
}

constexpr seq32 max(seq32 a, seq32 b) {
    return a < b ? b : a;
}
constexpr seq32 min(seq32 a, seq32 b) {
    return b < a ? b : a;
}

// True when `low <= x < low + length`, by plain modular distance (length up to 2^32 - 1).
constexpr bool in_window(seq32 x, seq32 low, std::uint32_t length) {
    return x.raw - low.raw < length;
}

}  // namespace lastack
