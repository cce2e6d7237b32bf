// SPDX-License-Identifier: BSD-3-Clause
// Work that a worker lcore does on its own stacks for another thread, a slice a turn.
//
// Whoever wants something makes a task, hands it to the task_desk and waits for done(). The control
// thread keeps every task alive until its worker has let go of it, so that one who has stopped
// waiting leaves nothing dangling. run() must not allocate, lock or do more than a slice's work.
#pragma once

#include <atomic>
#include <span>

#include "stack/core.hpp"

namespace lastack::dpdk {

class core_task {
  public:
    virtual ~core_task() = default;

    // On the worker's lcore, between turns. Returns true when the task is finished.
    virtual bool run(std::span<stack::core* const> stacks) = 0;

    void finish() { done_.store(true, std::memory_order_release); }
    bool done() const { return done_.load(std::memory_order_acquire); }

  private:
    std::atomic<bool> done_{false};
};

}  // namespace lastack::dpdk
