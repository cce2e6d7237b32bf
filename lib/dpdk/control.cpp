// SPDX-License-Identifier: BSD-3-Clause
// The control thread while workers run: signals, the time limit, phases, statistics.
#include <poll.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "dpdk/runtime_impl.hpp"

namespace lastack::dpdk {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_every{10};
constexpr milliseconds reset_time{200};  // for RSTs to leave
constexpr milliseconds answer_time{1000};

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

// SIGINT and SIGTERM, which every thread blocks, as something to poll.
class signal_source {
  public:
    signal_source() {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    ~signal_source() { ::close(fd_); }
    signal_source(const signal_source&) = delete;
    int fd() const { return fd_; }
    // 0 when none has come.
    int take() const {
        signalfd_siginfo info{};
        const bool came = ::read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info);
        return came ? static_cast<int>(info.ssi_signo) : 0;
    }

  private:
    int fd_;
};

}  // namespace

int runtime_impl::run_workers(void (*loop)(worker&, void*), void* make_handler) {
    std::vector<launch> launches;
    for (const auto& w : workers_) {
        launches.push_back({loop, make_handler, w.get()});
    }
    started_ = last_statistics_ = clock::now();
    if (!options_.quiet) {
        print(describe() + "\n");
    }
    for (std::size_t i = 0; i < launches.size(); ++i) {
        rte_eal_remote_launch(lcore_main, &launches[i], lcores_[i]);
    }
    start_telemetry();
    control();
    telemetry_.reset();
    for (const auto lcore : lcores_) {
        rte_eal_wait_lcore(lcore);
    }
    snapshot last;
    for (const auto& w : workers_) {
        last.add(w->last_snapshot());
    }
    logging_.reset();  // writes what is left, before the counts
    if (steering_.failed.load()) {
        std::fprintf(stderr, "%s: %s\n", options_.program.c_str(), steering_.reason.c_str());
        return 2;
    }
    if (!options_.quiet) {
        print(final_counts(sum_counters(), last));
        for (std::size_t i = 0; i < workers_.size(); ++i) {
            print(busy_line(lcores_[i], workers_[i]->busy()));
        }
    }
    return 0;
}

void runtime_impl::start_telemetry() {
    std::vector<lcore_worker*> workers;
    std::vector<worker_rings*> rings;
    for (const auto& w : workers_) {
        workers.push_back(w.get());
        rings.push_back(&w->rings());
    }
    desk_.emplace(workers);
    live_.emplace(config_.values, workers.size() * ports_.size(), *desk_);
    capture_.emplace(rings, port_names(), *logging_, *desk_, options_.capture);
    watch_.emplace(*desk_, *live_);
    caps_.emplace(workers, config_.values);
    telemetry_.emplace(
        telemetry::sources{options_.program, workers, lcores_, *desk_, *live_, *capture_});
}

void runtime_impl::control() {
    const signal_source signals;
    while (phase_ != phase::ended) {
        pollfd ready[]{{signals.fd(), POLLIN, 0}, {desk_->wake_fd(), POLLIN, 0}};
        ::poll(ready, std::size(ready), static_cast<int>(look_every.count()));
        desk_->clear_wake();
        desk_->forward();
        steer(signals.take());
        watch_->poll(clock::now());
        caps_->poll(live_->now());
        capture_->poll(clock::now());
        if (!asked_.tasks.empty()) {
            print_statistics();
        } else if (options_.stats.count() > 0 &&
                   clock::now() - last_statistics_ >= options_.stats) {
            ask_statistics();
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
            begin(phase::draining, milliseconds(live_->now().drain_ms));
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

void runtime_impl::ask_statistics() {
    asked_ = {clock::now(), sum_counters(), {}};
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        asked_.tasks.push_back(std::make_shared<snapshot_task>(snapshot::mbufs::counted));
    }
    desk_->post(std::vector<task_desk::task_pointer>(asked_.tasks.begin(), asked_.tasks.end()));
}

// Once all workers have answered, or one had a second and has not: its handler hangs. Control does
// not wait for it.
void runtime_impl::print_statistics() {
    const auto& tasks = asked_.tasks;
    const auto silent =
        std::find_if(tasks.begin(), tasks.end(), [](const auto& t) { return !t->done(); });
    result<snapshot, std::string> sum = snapshot{};
    if (silent != tasks.end()) {
        if (clock::now() - asked_.at < answer_time) {
            return;
        }
        const auto lcore = lcores_[static_cast<std::size_t>(silent - tasks.begin())];
        sum = failure{"lcore " + std::to_string(lcore) +
                      " did not answer in time: its application holds it up, or its CPU is taken"};
    } else {
        for (const auto& t : tasks) {
            sum->add(t->taken);
        }
    }
    const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(asked_.at - started_);
    print(statistics_line(uptime, asked_.sums, last_sums_, asked_.at - last_statistics_, sum) +
          "\n");
    last_sums_ = asked_.sums;
    last_statistics_ = asked_.at;
    asked_.tasks.clear();
}

}  // namespace lastack::dpdk
