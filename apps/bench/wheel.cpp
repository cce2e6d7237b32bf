// SPDX-License-Identifier: BSD-3-Clause
// What expiry would cost if every record hung on the timer wheel that serves live connections, or
// on a plain one.
#include <algorithm>
#include <numeric>

#include "base/region.hpp"
#include "plain_wheel.hpp"
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
    lastack::timer::timer_link& link(std::uint32_t i) { return of_record[i].link; }
    tick& deadline(std::uint32_t i) { return of_record[i].deadline; }
    lastack::fixed_array<timer> of_record;
};

template <template <class> class Wheel>
lastack::result<baseline, std::string> measure_wheel(const char* name, const timewait_options& o,
                                                     progress& bar) {
    const std::uint32_t count = o.entries;
    constexpr std::uint32_t length = 60'000;
    constexpr std::uint32_t fill_ms = 50'000;
    const hardware_counters counters;
    bar.show(name, 0);
    const std::size_t before = resident_bytes();
    auto memory = lastack::fixed_array<timer>::make(
        count, o.huge ? lastack::page_size::huge : lastack::page_size::normal);
    if (!memory.ok()) {
        return lastack::failure{memory.error()};
    }
    timers owner{std::move(memory).value()};
    Wheel<timers> wheel(owner, tick{0});
    // A record lies anywhere, so successive ones are far apart, as they are in the table.
    std::uint32_t step = static_cast<std::uint32_t>(count * 0.6180339887) | 1;
    while (std::gcd(step, count) != 1) {
        step += 2;
    }
    baseline b;
    b.name = name;
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
    bar.show(name, 0.5);
    double longest = 0;
    b.expire = measure(counters, count, [&] {
        double begin = thread_nanoseconds();  // of a poll: the end of the one before
        for (std::uint32_t now = 0; wheel.size() > 0; ++now) {
            const auto done = wheel.advance(tick{now}, poll_budget, [](std::uint32_t) {});
            const double end = thread_nanoseconds();
            longest = std::max(longest, (end - begin) / 1000);
            begin = end;
            now -= done.more ? 1 : 0;
        }
    });
    b.longest_poll_us = longest;
    return b;
}

}  // namespace

lastack::result<std::vector<baseline>, std::string> measure_wheels(const timewait_options& o,
                                                                   progress& bar) {
    auto own = measure_wheel<lastack::timer::timer_wheel>("timer_wheel", o, bar);
    if (!own.ok()) {
        return lastack::failure{own.error()};
    }
    auto plain = measure_wheel<plain_wheel>("plain_wheel", o, bar);
    if (!plain.ok()) {
        return lastack::failure{plain.error()};
    }
    return std::vector<baseline>{*own, *plain};
}

}  // namespace bench
