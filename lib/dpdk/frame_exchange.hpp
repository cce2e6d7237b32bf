// SPDX-License-Identifier: BSD-3-Clause
// Frames of one port between the workers that share it.
//
// A port that spreads (RSS with our key and table) gives each worker its own segments, and there is
// little to do: ICMP errors go to the owner of what they quote, ARP to everybody. A port that does
// not, or has fewer queues than there are workers, is made to: whoever receives a frame hands it to
// its owner through a ring of the pair, and a worker without a queue of its own sends through the
// worker that has the one it shares (worker w: queue w % queues).
//
//     port queue q -> worker q -> [ring q to w] -> worker w        received
//     worker w -> [ring of w] -> worker w % queues -> port queue   sent, where w has no queue
//
// Every ring has one writer and one reader; frames go through in bursts and are prefetched by the
// reader. A full receive ring drops, counted, as a full port queue does; a full send ring refuses,
// and the frames stay with their stack. Order within a connection is kept.
//
// Cost: a hash (flow/flow_owner.hpp) a frame, nothing where the port has put its hash in the mbuf;
// for a frame handed over, two ring operations a burst and the misses of another core's lines.
#pragma once

#include <array>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/counters.hpp"
#include "flow/flow_owner.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace lastack::dpdk {

class frame_exchange {
  public:
    static constexpr std::size_t burst = 32;
    static constexpr std::size_t receive_max = 2 * burst;

    // `spreads`: an RSS hash in a frame is the hash of `owners`.
    frame_exchange(std::uint16_t port, unsigned queues, unsigned workers, flow::flow_owner owners,
                   bool spreads);
    ~frame_exchange();
    frame_exchange(const frame_exchange&) = delete;

    const flow::flow_owner& owners() const { return owners_; }
    // The port's transmit queue that the worker's frames go to.
    std::uint16_t queue_of(unsigned worker) const {
        return static_cast<std::uint16_t>(worker % queues_);
    }

    // On worker w's lcore. What it received and what others handed it, at most a burst of each;
    // copies of what all must see come from `control`.
    std::size_t receive(unsigned w, std::span<rte_mbuf*, receive_max> into, counter_set& count,
                        rte_mempool* control);
    // Returns how many of the frames were taken.
    std::uint16_t send(unsigned w, rte_mbuf** frames, std::uint16_t n);

  private:
    using ring = boost::lockfree::spsc_queue<rte_mbuf*>;
    static constexpr std::size_t ring_frames = 1024;

    struct lot {
        std::array<rte_mbuf*, burst> frames{};
        std::size_t count = 0;
    };
    // What only worker w touches.
    struct alignas(64) own {
        std::vector<lot> staged;   // by the worker it goes to
        std::vector<lot> relayed;  // by the worker it came from; the port's queue was full
        unsigned next_source = 0;
    };

    ring& received(unsigned from, unsigned to) { return *received_[from * workers_ + to]; }
    std::size_t take_handed_over(unsigned w, std::span<rte_mbuf*, burst> into);
    void hand_over(unsigned w, counter_set& count);
    void stage(unsigned w, unsigned to, rte_mbuf* frame);
    void stage_copies(unsigned w, rte_mbuf* frame, counter_set& count, rte_mempool* control);
    void relay(unsigned w);

    std::uint16_t port_;
    unsigned queues_;
    unsigned workers_;
    flow::flow_owner owners_;
    bool spreads_;
    std::vector<std::unique_ptr<ring>> received_;  // from a queue's worker to any other
    std::vector<std::unique_ptr<ring>> sent_;      // by the worker without a queue
    std::vector<own> own_;
};

}  // namespace lastack::dpdk
