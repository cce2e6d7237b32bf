// SPDX-License-Identifier: BSD-3-Clause
// Captures started and stopped while the stack runs. One at a time; --capture is one that starts
// with the process and ends with it. Any other has a lease: it ends when nobody has asked about it
// for a minute, so that one whose asker was killed does not fill the disk.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dpdk/core_task.hpp"
#include "dpdk/logging.hpp"
#include "dpdk/task_desk.hpp"
#include "lastack/result.hpp"

namespace lastack::dpdk {

class capture_switch {
  public:
    struct state {
        std::string file;  // empty: none is running
        std::uint64_t frames = 0;
        std::uint64_t missed = 0;
    };

    // All outlive the switch. `running`: the file of --capture, or empty.
    capture_switch(std::vector<worker_rings*> rings, std::vector<std::string> port_names,
                   logging_thread& writer, task_desk& desk, std::string running)
        : rings_(std::move(rings)),
          port_names_(std::move(port_names)),
          writer_(writer),
          desk_(desk),
          file_(std::move(running)) {}

    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds lease{60};

    // From telemetry's threads. Errors are sentences.
    result<bool, std::string> start(const std::string& file);
    // What is in the rings is written before it returns; the counts of the ended capture stay.
    result<bool, std::string> stop();
    state status() const;
    // A minute more.
    void renew();

    // From the control thread: ends what nobody asks about any more.
    void poll(clock::time_point now);

  private:
    std::vector<task_desk::task_pointer> tasks(bool on) const;
    result<bool, std::string> tell_workers(bool on) { return desk_.ask(tasks(on)); }

    std::vector<worker_rings*> rings_;
    std::vector<std::string> port_names_;
    logging_thread& writer_;
    task_desk& desk_;
    mutable std::mutex lock_;
    std::string file_;
    clock::time_point lease_ends_ = clock::time_point::max();
    std::vector<task_desk::task_pointer> ending_;  // the lease is over; until all have stopped
};

}  // namespace lastack::dpdk
