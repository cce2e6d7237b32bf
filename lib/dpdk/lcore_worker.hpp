// SPDX-License-Identifier: BSD-3-Clause
// One worker lcore: its stacks, one a port, and the turn that drives them.
//
// The control thread steers all workers by one phase, which only goes forward. A worker goes on
// turning after it has become idle, so that peers still get their answers while others drain, and
// leaves only in phase::ended.
#pragma once

#include <array>
#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "dpdk/core_task.hpp"
#include "dpdk/cycle_clock.hpp"
#include "dpdk/logging.hpp"
#include "dpdk/port.hpp"
#include "lastack/runtime.hpp"
#include "stack/core.hpp"

namespace lastack::dpdk {

enum class phase : std::uint8_t {
    running,
    draining,   // no new connections; those that are there close properly
    resetting,  // those that are left are reset
    ended,      // workers leave
};

// What the control thread and the workers share.
struct steering {
    std::atomic<phase> wanted{phase::running};
    std::atomic<bool> stop_asked{false};
    std::atomic<bool> failed{false};
    std::mutex reason_lock;
    std::string reason;  // of the first failure
};

// Sums over stacks that only their lcore may compute.
struct snapshot {
    stack::state_counts states;
    std::array<std::uint64_t, close_outcome_count> outcomes{};
    std::array<std::uint64_t, teardown::event_count> resets{};  // sent, by what asked for them
    std::array<std::uint64_t, teardown::event_count> drops{};   // segments, by what was found

    // Counting mbufs walks all queues.
    enum class mbufs : bool { not_counted, counted };
    void add(const stack::core&, mbufs);
    void add(const snapshot&);
};

// What a worker's stacks and the lender of caps say to one another (teardown/cap_share.hpp).
struct cap_line {
    struct entry {
        std::uint32_t stack;  // of this worker
        teardown::cap_message message;
    };
    using queue = boost::lockfree::spsc_queue<entry, boost::lockfree::capacity<64>>;
    queue to_lender;
    queue from_lender;
};

class lcore_worker final : public worker {
  public:
    lcore_worker(unsigned index, steering& shared, std::int64_t clock_base_us);

    // Makes the stack of one port. On the worker's own lcore, so that its memory is near.
    result<bool, std::string> attach(const port&, stack::core_config);

    bool turn() override;
    std::size_t stacks() const override { return attached_.size(); }
    place where(std::size_t stack) const override { return {index_, attached_[stack]->port}; }
    local_stack& calls(std::size_t stack) override { return attached_[stack]->calls; }
    std::span<const event> events(std::size_t stack) const override {
        return attached_[stack]->events;
    }
    std::chrono::microseconds now() const override { return std::chrono::microseconds(now_.us); }
    bool drain_begins() const override { return drain_begins_; }
    void fail(std::string reason) override;

    // From the control thread.
    worker_rings& rings() { return rings_; }
    cap_line& caps() { return caps_; }
    // Before the worker turns.
    std::uint32_t room_for(std::size_t stack, teardown::cap_kind of) const {
        return cores_[stack]->tcp().room_for(of);
    }
    bool idle() const { return idle_.load(std::memory_order_acquire); }
    std::chrono::nanoseconds busy() const;
    std::uint64_t counter_sum(counter) const;
    // The task stays alive until it is done. False when the queue is full.
    bool give(core_task* t) { return tasks_.push(t); }
    // Once the worker has left.
    snapshot last_snapshot() const;

  private:
    struct attached {
        attached(lcore_worker& w, const port& p, std::unique_ptr<stack::core> c,
                 rte_mempool* control_pool);
        std::size_t receive(std::span<rte_mbuf*, frame_exchange::receive_max> into);
        std::uint16_t send(rte_mbuf** frames, std::uint16_t n);
        lcore_worker& owner;
        std::uint16_t port;
        bool prepare;  // the port wants rte_eth_tx_prepare() for its checksums
        std::shared_ptr<frame_exchange> exchange;  // none with one worker
        rte_mempool* control;
        std::unique_ptr<stack::core> core;
        local_stack calls;
        std::span<const event> events;
    };

    static std::uint16_t transmit(void* context, rte_mbuf** frames, std::uint16_t n);
    void read_clock();
    void follow(phase);
    void run_task();
    void talk_of_caps();

    unsigned index_;
    steering& shared_;
    cycle_clock clock_;
    instant now_{};
    phase phase_ = phase::running;
    bool drain_begins_ = false;
    std::vector<std::unique_ptr<attached>> attached_;  // the transmit hook points at each
    std::atomic<bool> idle_{false};
    bool worked_ = false;                        // the turn had something to do
    std::atomic<std::uint64_t> busy_cycles_{0};  // of all such turns; written by the lcore alone
    std::vector<stack::core*> cores_;
    boost::lockfree::spsc_queue<core_task*, boost::lockfree::capacity<64>> tasks_;
    core_task* task_ = nullptr;  // in hand
    worker_rings rings_;
    cap_line caps_;
};

}  // namespace lastack::dpdk
