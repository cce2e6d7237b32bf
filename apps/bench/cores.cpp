// SPDX-License-Identifier: BSD-3-Clause
#include "cores.hpp"

#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <thread>
#include <vector>

#include "measure.hpp"

namespace bench {
namespace {

constexpr std::size_t batches = 200;
constexpr std::uint32_t batch = 1000;  // round trips

bool pin(unsigned cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

struct alignas(128) ball {
    std::atomic<std::uint32_t> turn{0};  // odd: on its way to the other thread
};

void wait_for(const ball& b, std::uint32_t turn) {
    while (b.turn.load(std::memory_order_acquire) != turn) {
    }
}

// Nanoseconds one way, or nothing where a CPU cannot be had.
std::optional<double> one_way(unsigned first, unsigned second) {
    ball b;
    std::atomic<int> there{0};  // -1: the other thread could not go where it should
    const auto total = static_cast<std::uint32_t>(batches * batch);
    std::thread other([&] {
        there = pin(second) ? 1 : -1;
        for (std::uint32_t i = 0; there == 1 && i < total; ++i) {
            wait_for(b, 2 * i + 1);
            b.turn.store(2 * i + 2, std::memory_order_release);
        }
    });
    while (there == 0) {
        std::this_thread::yield();
    }
    if (!pin(first) || there < 0) {
        there = -1;
        b.turn = 1;  // lets the other go
        other.join();
        return std::nullopt;
    }
    std::vector<double> each;
    for (std::uint32_t i = 0; i < total;) {
        const auto start = clock::now();
        for (const std::uint32_t end = i + batch; i < end; ++i) {
            b.turn.store(2 * i + 1, std::memory_order_release);
            wait_for(b, 2 * i + 2);
        }
        each.push_back(nanoseconds_since(start) / (2.0 * batch));
    }
    other.join();
    std::ranges::nth_element(each, each.begin() + batches / 2);
    return each[batches / 2];
}

}  // namespace

int run_cores(int argc, const char* const* argv) {
    CLI::App app{"How long a cache line takes from one CPU to another, in nanoseconds",
                 "lastack-bench cores"};
    std::vector<unsigned> cpus{0, 1};
    app.add_option("--cpus", cpus, "The two CPUs")
        ->expected(2)
        ->check(CLI::Range(0, CPU_SETSIZE - 1));
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) {
            return app.exit(e);
        }
        std::fprintf(stderr, "lastack-bench cores: %s\n", e.what());
        return 2;
    }
    const auto ns = cpus[0] == cpus[1] ? std::nullopt : one_way(cpus[0], cpus[1]);
    if (!ns) {
        std::fprintf(stderr,
                     "lastack-bench cores: --cpus takes two that differ and that this process may "
                     "run on\n");
        return 2;
    }
    std::printf("%.1f ns one way between CPU %u and CPU %u\n", *ns, cpus[0], cpus[1]);
    return 0;
}

}  // namespace bench
