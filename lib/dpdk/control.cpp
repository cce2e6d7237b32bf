// SPDX-License-Identifier: BSD-3-Clause
// The control thread while workers run: signals, the time limit, phases, statistics.
#include <rte_launch.h>
#include <rte_lcore.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <thread>

#include "dpdk/runtime_impl.hpp"

namespace lastack::dpdk {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_every{10};
constexpr milliseconds reset_time{200};  // for RSTs to leave

struct launch {
    void (*loop)(worker&, void*);
    void* make_handler;
    lcore_worker* worker;
};

int lcore_main(void* argument) {
    const auto& l = *static_cast<launch*>(argument);
    use_rings(&l.worker->rings());
    l.loop(*l.worker, l.make_handler);
    use_rings(nullptr);
    return 0;
}

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

}  // namespace

int runtime_impl::run_workers(void (*loop)(worker&, void*), void* make_handler) {
    std::vector<launch> launches;
    for (const auto& w : workers_) {
        launches.push_back({loop, make_handler, w.get()});
    }
    started_ = last_statistics_ = clock::now();
    print(describe() + "\n");
    for (std::size_t i = 0; i < launches.size(); ++i) {
        rte_eal_remote_launch(lcore_main, &launches[i], lcores_[i]);
    }
    control();
    for (const auto lcore : lcores_) {
        rte_eal_wait_lcore(lcore);
    }
    for (const auto& w : workers_) {
        w->take_last_snapshot();
    }
    logging_.reset();  // writes what is left, before the counts
    if (steering_.failed.load()) {
        std::fprintf(stderr, "%s: %s\n", options_.program.c_str(), steering_.reason.c_str());
        return 2;
    }
    print(final_counts(sum_counters(), sum_snapshots()));
    return 0;
}

void runtime_impl::control() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    const timespec wait{0, std::chrono::nanoseconds(look_every).count()};
    while (phase_ != phase::ended) {
        steer(::sigtimedwait(&signals, nullptr, &wait));
        if (options_.stats.count() > 0 && clock::now() - last_statistics_ >= options_.stats) {
            print_statistics();
        }
    }
}

// `signal` is positive when one came.
void runtime_impl::steer(int signal) {
    const auto now = clock::now();
    if (steering_.failed.load()) {
        begin(phase::ended, {});
    } else if (phase_ == phase::running) {
        const bool over = options_.run_for.count() > 0 && now - started_ >= options_.run_for;
        if (signal > 0 || over || steering_.stop_asked.load()) {
            begin(phase::draining, milliseconds(config_.values.drain_ms));
        }
    } else if (all_idle()) {
        begin(phase::ended, {});
    } else if (phase_ == phase::draining && (signal > 0 || now >= phase_ends_)) {
        begin(phase::resetting, reset_time);
    } else if (phase_ == phase::resetting && now >= phase_ends_) {
        begin(phase::ended, {});
    }
}

void runtime_impl::begin(phase next, clock::duration time_for_it) {
    phase_ = next;
    phase_ends_ = clock::now() + time_for_it;
    steering_.wanted.store(next);
}

bool runtime_impl::all_idle() const {
    for (const auto& w : workers_) {
        if (!w->idle()) {
            return false;
        }
    }
    return true;
}

counter_sums runtime_impl::sum_counters() const {
    counter_sums sums{};
    for (const auto& w : workers_) {
        for (std::size_t i = 0; i < sums.size(); ++i) {
            sums[i] += w->counter_sum(static_cast<counter>(i));
        }
    }
    return sums;
}

// A worker that does not answer (its handler hangs) is left out, so that control never waits.
snapshot runtime_impl::sum_snapshots() const {
    snapshot sum;
    for (const auto& w : workers_) {
        if (const auto* answered = w->answered_snapshot()) {
            sum.add(*answered);
        }
    }
    return sum;
}

void runtime_impl::print_statistics() {
    const auto now = clock::now();
    for (const auto& w : workers_) {
        w->ask_snapshot();
    }
    const auto deadline = now + milliseconds(100);
    const auto answered = [this] {
        return std::all_of(workers_.begin(), workers_.end(),
                           [](const auto& w) { return w->answered_snapshot() != nullptr; });
    };
    while (!answered() && clock::now() < deadline) {
        std::this_thread::sleep_for(milliseconds(1));
    }
    const auto sums = sum_counters();
    const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(now - started_);
    print(statistics_line(uptime, sums, last_sums_, now - last_statistics_, sum_snapshots()) +
          "\n");
    last_sums_ = sums;
    last_statistics_ = now;
}

}  // namespace lastack::dpdk
