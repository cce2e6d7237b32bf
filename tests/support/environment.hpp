// SPDX-License-Identifier: BSD-3-Clause
// What a test of a whole stack needs of DPDK: EAL, and pools that are watched for leaks.
//
// No port, no hugepages, no telemetry, no root: EAL is there for mbufs only. It starts with the
// first use and once a process, in a runtime directory of its own, so many may run side by side.
// Nothing here knows a test framework; it serves GoogleTest, libFuzzer and benchmarks alike.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "stack/core.hpp"

namespace lastack::test {

// Mbufs a pool. Each data mbuf takes a page (4 KiB) of EAL's memory, and pools get what they ask
// for exactly: nothing hides in a per-lcore cache.
struct pool_sizes {
    std::uint32_t data = 2048;
    std::uint32_t control = 1024;
    std::uint32_t indirect = 1024;
};

class environment {
  public:
    // Starts EAL with so much memory; prints why and exits when it does not start. Calling it again
    // costs nothing and changes nothing.
    static void start(unsigned memory_mib = 128);
};

// Three pools of a core (stack::pools), freed at the end. Must outlive whatever holds their mbufs.
class test_pools {
  public:
    explicit test_pools(const pool_sizes& = {});
    ~test_pools();
    test_pools(const test_pools&) = delete;
    test_pools& operator=(const test_pools&) = delete;

    const stack::pools& get() const { return pools_; }
    // Empty when every mbuf is back in its pool; else a sentence that says which are not.
    std::string leaks() const;

  private:
    stack::pools pools_{};
};

// The bytes as an mbuf of the pool, in one segment; nullptr when the pool is empty or they are
// too many.
rte_mbuf* make_frame(rte_mempool* pool, std::span<const std::uint8_t> bytes);
// The octets of all segments of a frame.
std::string frame_bytes(const rte_mbuf* frame);

}  // namespace lastack::test
