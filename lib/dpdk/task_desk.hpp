// SPDX-License-Identifier: BSD-3-Clause
// Where threads leave tasks for workers. Only the control thread puts tasks into a worker's queue
// (which has one producer); telemetry's threads, up to ten at once, leave theirs here under an
// ordinary mutex and wait with a deadline, so that a worker that hangs gives an error, not a hang.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "dpdk/core_task.hpp"
#include "dpdk/lcore_worker.hpp"
#include "lastack/result.hpp"

namespace lastack::dpdk {

class task_desk {
  public:
    using task_pointer = std::shared_ptr<core_task>;

    // The workers outlive the desk.
    explicit task_desk(std::vector<lcore_worker*> workers);
    ~task_desk();
    task_desk(const task_desk&) = delete;

    std::size_t workers() const { return workers_.size(); }

    // From any thread but the control thread: tasks[i] is for worker i (null: none for it).
    // Returns when all are done; the error names the worker that did not answer.
    result<bool, std::string> ask(std::span<const task_pointer> tasks,
                                  std::chrono::milliseconds limit = std::chrono::seconds(1));

    // From any thread: leaves them without waiting.
    void post(std::span<const task_pointer> tasks);

    // From the control thread: gives workers what was posted, lets go of what is done.
    void forward();
    // Readable when something was posted.
    int wake_fd() const { return wake_fd_; }
    void clear_wake();
    // Nobody will be answered any more: those who wait return with an error.
    void close() { closed_.store(true); }

  private:
    struct posted {
        std::size_t worker;
        task_pointer task;
        bool given = false;
    };

    std::vector<lcore_worker*> workers_;
    int wake_fd_;
    std::atomic<bool> closed_{false};
    std::mutex lock_;
    std::vector<posted> tasks_;
};

}  // namespace lastack::dpdk
