// SPDX-License-Identifier: BSD-3-Clause
// What expiry would cost if every record hung on the timer wheel that serves live connections.
#include <algorithm>
#include <numeric>

#include "records.hpp"
#include "timer/wheel.hpp"
#include "timewait.hpp"

namespace bench {

namespace {

using lastack::tick;

struct timer {
    lastack::timer::timer_link link;
    tick deadline;
};

struct timers {
    explicit timers(std::uint32_t count) : of_record(count) {}
    lastack::timer::timer_link& link(std::uint32_t i) { return of_record[i].link; }
    tick& deadline(std::uint32_t i) { return of_record[i].deadline; }
    std::vector<timer> of_record;
};

}  // namespace

baseline measure_wheel(const timewait_options& o, progress& bar) {
    const std::uint32_t count = o.entries;
    constexpr std::uint32_t length = 60'000;
    constexpr std::uint32_t fill_ms = 50'000;
    const hardware_counters counters;
    bar.show("timer wheel", 0);
    const std::size_t before = resident_bytes();
    timers owner(count);
    lastack::timer::timer_wheel<timers> wheel(owner, tick{0});
    // A record lies anywhere, so successive ones are far apart, as they are in the table.
    std::uint32_t step = static_cast<std::uint32_t>(count * 0.6180339887) | 1;
    while (std::gcd(step, count) != 1) {
        step += 2;
    }
    baseline b;
    b.name = "timer_wheel";
    b.entries = count;
    b.enter = measure(counters, count, [&] {
        std::uint64_t at = 0;
        for (std::uint32_t n = 0; n < count; ++n) {
            wheel.arm(
                static_cast<std::uint32_t>(at),
                tick{length + static_cast<std::uint32_t>(std::uint64_t{n} * fill_ms / count)});
            at = (at + step) % count;
        }
    });
    b.bytes_per_record = static_cast<double>(resident_bytes() - before) / count;
    const std::uint32_t restarts = std::max(1u, count / 16);
    numbers pick(count);
    b.restart = measure(counters, restarts, [&] {
        for (std::uint32_t i = 0; i < restarts; ++i) {
            wheel.arm(pick.next(), tick{length + fill_ms});
        }
    });
    bar.show("timer wheel", 0.5);
    double longest = 0;
    b.expire = measure(counters, count, [&] {
        for (std::uint32_t now = 0; wheel.size() > 0; ++now) {
            const auto start = clock::now();
            const auto done = wheel.advance(tick{now}, poll_budget, [](std::uint32_t) {});
            longest = std::max(longest, nanoseconds_since(start) / 1000);
            now -= done.more ? 1 : 0;
        }
    });
    b.longest_poll_us = longest;
    return b;
}

}  // namespace bench
