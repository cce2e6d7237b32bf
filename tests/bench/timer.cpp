// SPDX-License-Identifier: BSD-3-Clause
// The timer wheel with a million timers armed in objects of a connection's size.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "timer/wheel.hpp"

namespace lastack::timer {
namespace {

struct alignas(64) object {
    timer_link link;
    tick deadline;
    char rest[500];
};

struct owner {
    explicit owner(std::size_t count) : objects(count) {}
    timer_link& link(std::uint32_t i) { return objects[i].link; }
    tick& deadline(std::uint32_t i) { return objects[i].deadline; }
    std::vector<object> objects;
};

struct armed {
    explicit armed(std::uint32_t count) : timers(count), wheel(timers, tick{0}) {
        std::mt19937 random(1);
        for (std::uint32_t i = 0; i < count; ++i) {
            order.push_back(static_cast<std::uint32_t>(random() % count));
            wheel.arm(i, tick{200 + static_cast<std::uint32_t>(random() % 60'000)});
        }
    }
    owner timers;
    timer_wheel<owner> wheel;
    std::vector<std::uint32_t> order;
};

void arm_later(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    armed a(count);
    std::uint32_t at = 0;
    std::uint32_t later = 70'000;
    for (auto _ : state) {
        a.wheel.arm(a.order[at], tick{later});
        if (++at == count) {
            at = 0;
            later += 1000;
        }
    }
}

void cancel_and_arm(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    armed a(count);
    std::uint32_t at = 0;
    for (auto _ : state) {
        const std::uint32_t index = a.order[at];
        a.wheel.cancel(index);
        a.wheel.arm(index, tick{200 + at % 60'000});
        at = at + 1 == count ? 0 : at + 1;
    }
}

// Per timer: from being armed to having fired, cascades included, a millisecond at a time.
void run_down(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    std::int64_t fired = 0;
    for (auto _ : state) {
        state.PauseTiming();
        armed a(count);
        state.ResumeTiming();
        for (std::uint32_t now = 0; now <= 61'000; ++now) {
            while (true) {
                const advance_result done = a.wheel.advance(tick{now}, 1000, [](std::uint32_t) {});
                fired += done.fired;
                if (!done.more) {
                    break;
                }
            }
        }
    }
    state.SetItemsProcessed(fired);
    state.counters["each"] = benchmark::Counter(
        static_cast<double>(fired), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void advance_with_nothing_due(benchmark::State& state) {
    armed a(static_cast<std::uint32_t>(state.range(0)));
    for (auto _ : state) {
        benchmark::DoNotOptimize(a.wheel.advance(tick{10}, 100, [](std::uint32_t) {}));
    }
}

BENCHMARK(arm_later)->Arg(1000)->Arg(1'000'000);
BENCHMARK(cancel_and_arm)->Arg(1000)->Arg(1'000'000);
BENCHMARK(run_down)->Arg(1000)->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(advance_with_nothing_due)->Arg(1'000'000);

}  // namespace
}  // namespace lastack::timer
