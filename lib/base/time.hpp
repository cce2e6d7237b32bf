// SPDX-License-Identifier: BSD-3-Clause
// Time as an argument: `instant` is a point on the stack's clock, `tick` a point on its timers.
//
// Nobody below the lcore loop reads a clock; `now` enters through stack.poll(). The clock is
// microseconds in 64 bits and never wraps. Timers and records store `tick`: milliseconds in 32 bits
// that wrap after 49.7 days, compared by signed distance and so good for 24.8 days ahead. Every
// comparison of ticks must go through these operators; a plain `<` on the raw number is a bug that
// shows after seven weeks.
#pragma once

#include <chrono>
#include <cstdint>

namespace lastack {

using duration = std::chrono::microseconds;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct tick {
    std::uint32_t raw = 0;  // milliseconds, wrapping

    friend constexpr bool operator==(tick a, tick b) { return a.raw == b.raw; }
    friend constexpr bool operator!=(tick a, tick b) { return a.raw != b.raw; }
    friend constexpr bool operator<(tick a, tick b) {
        return static_cast<std::int32_t>(a.raw - b.raw) < 0;
    }
    friend constexpr bool operator>(tick a, tick b) { return b < a; }
    friend constexpr bool operator<=(tick a, tick b) { return !(b < a); }
    friend constexpr bool operator>=(tick a, tick b) { return !(a < b); }
    friend constexpr tick operator+(tick a, std::uint32_t ms) { return {a.raw + ms}; }
    friend constexpr tick operator-(tick a, std::uint32_t ms) { return {a.raw - ms}; }
};

// Milliseconds from `from` to `to`; negative when `to` lies before.
constexpr std::int32_t distance(tick from, tick to) {
    return static_cast<std::int32_t>(to.raw - from.raw);
}
constexpr tick min(tick a, tick b) {
    return b < a ? b : a;
}
constexpr tick max(tick a, tick b) {
    return a < b ? b : a;
}

struct instant {
    std::int64_t us = 0;  // microseconds since the clock's epoch

    friend constexpr auto operator<=>(instant, instant) = default;
    friend constexpr instant operator+(instant a, duration d) { return {a.us + d.count()}; }
    friend constexpr instant operator-(instant a, duration d) { return {a.us - d.count()}; }
    friend constexpr duration operator-(instant a, instant b) { return duration{a.us - b.us}; }

    // The tick that has begun at this instant (rounded down).
    constexpr tick to_tick() const {
        return {static_cast<std::uint32_t>(static_cast<std::uint64_t>(us) / 1000)};
    }
};

}  // namespace lastack
