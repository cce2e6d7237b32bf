// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/task_desk.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <thread>

namespace lastack::dpdk {

using std::chrono::steady_clock;

task_desk::task_desk(std::vector<lcore_worker*> workers)
    : workers_(std::move(workers)), wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

task_desk::~task_desk() {
    ::close(wake_fd_);
}

void task_desk::post(std::span<const task_pointer> tasks) {
    {
        const std::lock_guard hold(lock_);
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            if (tasks[i]) {
                tasks_.push_back({i, tasks[i]});
            }
        }
    }
    const std::uint64_t one = 1;
    // Without the wake-up (its counter cannot be full) control looks again in 10 ms.
    [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

result<bool, std::string> task_desk::ask(std::span<const task_pointer> tasks,
                                         std::chrono::milliseconds limit) {
    post(tasks);
    const auto deadline = steady_clock::now() + limit;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        while (tasks[i] && !tasks[i]->done()) {
            if (closed_.load()) {
                return failure{std::string("the stack is stopping")};
            }
            if (steady_clock::now() >= deadline) {
                return failure{"worker " + std::to_string(i) + " did not answer within " +
                               std::to_string(limit.count()) +
                               " ms: its application holds it up, or its CPU is taken"};
            }
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }
    return true;
}

void task_desk::clear_wake() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto octets = ::read(wake_fd_, &count, sizeof count);
}

void task_desk::forward() {
    const std::lock_guard hold(lock_);
    for (auto& p : tasks_) {
        p.given = p.given || workers_[p.worker]->give(p.task.get());
    }
    std::erase_if(tasks_, [](const posted& p) { return p.given && p.task->done(); });
}

}  // namespace lastack::dpdk
