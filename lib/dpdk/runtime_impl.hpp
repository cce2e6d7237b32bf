// SPDX-License-Identifier: BSD-3-Clause
// The one runtime of a process: it owns EAL, the ports, the workers and the control thread's loop.
#pragma once

#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/configuration.hpp"
#include "dpdk/cap_desk.hpp"
#include "dpdk/capture_switch.hpp"
#include "dpdk/close_wait_watch.hpp"
#include "dpdk/lcore_worker.hpp"
#include "dpdk/live_settings.hpp"
#include "dpdk/logging.hpp"
#include "dpdk/memory.hpp"
#include "dpdk/port.hpp"
#include "dpdk/report.hpp"
#include "dpdk/secret.hpp"
#include "dpdk/task_desk.hpp"
#include "dpdk/tasks.hpp"
#include "dpdk/telemetry.hpp"
#include "lastack/runtime.hpp"

namespace lastack::dpdk {

class runtime_impl final : public runtime {
  public:
    explicit runtime_impl(const runtime_options&);
    ~runtime_impl() override;

    // The steps of starting, in this order; stops at the first that fails.
    result<bool, std::string> start();

    void stop() override { steering_.stop_asked.store(true); }
    std::string describe() const override;
    std::chrono::nanoseconds busy(unsigned worker) const override {
        return workers_[worker]->busy();
    }

  protected:
    int run_workers(void (*loop)(worker&, void*), void* make_handler) override;

  private:
    using clock = std::chrono::steady_clock;

    result<bool, std::string> start_eal_with_memory();
    result<bool, std::string> open_ports();
    result<bool, std::string> make_stacks();
    result<bool, std::string> start_logging();

    std::vector<std::string> port_names() const;
    void start_telemetry();
    void control();
    void begin(phase, clock::duration time_for_it);
    void steer(int signal);
    bool all_idle() const;
    counter_sums sum_counters() const;
    void ask_statistics();
    void print_statistics();

    runtime_options options_;
    config::configuration config_;
    sigset_t former_signals_{};
    bool eal_started_ = false;
    pool_plan plan_;
    std::vector<unsigned> lcores_;  // worker i runs on lcores_[i]
    std::vector<port> ports_;
    std::vector<stack::pools> pools_;
    steering steering_;
    std::vector<std::unique_ptr<lcore_worker>> workers_;
    std::optional<logging_thread> logging_;
    std::optional<task_desk> desk_;
    std::optional<live_settings> live_;
    std::optional<capture_switch> capture_;
    std::optional<close_wait_watch> watch_;
    std::optional<cap_desk> caps_;
    std::optional<telemetry> telemetry_;

    phase phase_ = phase::running;
    clock::time_point started_{};
    clock::time_point phase_ends_{};
    clock::time_point last_statistics_{};
    counter_sums last_sums_{};
    // The statistics line under way: counters as of `at`, and what workers have been asked.
    struct {
        clock::time_point at;
        counter_sums sums;
        std::vector<std::shared_ptr<snapshot_task>> tasks;  // empty: none
    } asked_{};
};

}  // namespace lastack::dpdk
