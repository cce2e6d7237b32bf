// SPDX-License-Identifier: BSD-3-Clause
// Captures: frames as the ports see them, from the workers to a pcapng file.
//
// A worker copies each frame into a slot of its own ring; the logging thread writes them out. The
// slots (2 KiB each, 8 MiB a worker, from the first capture on) do not move: two queues pass their
// indices, full ones one way and free ones back. Without a free slot the frame is not captured,
// and counted; the worker never waits.
#pragma once

#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "dpdk/pcapng.hpp"
#include "lastack/result.hpp"

struct rte_mbuf;

namespace lastack::dpdk {

// One worker's end. Written by its lcore, emptied by the logging thread.
class capture_ring {
  public:
    static constexpr std::size_t slot_octets = 2020;  // more of a frame is cut off
    static constexpr std::size_t slots = 4096;

    capture_ring();

    void add(std::span<rte_mbuf* const> frames, std::uint32_t port, pcapng::direction, instant now);

    // Frames wait to be written; asked by the logging thread.
    bool waiting() { return full_.read_available() != 0; }
    std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

  private:
    friend class capture_file;
    struct slot {
        std::int64_t time_us;
        std::uint32_t port;
        std::uint32_t length;    // on the wire
        std::uint32_t captured;  // octets
        pcapng::direction way;
        std::byte octets[slot_octets];
    };
    using index_queue =
        boost::lockfree::spsc_queue<std::uint32_t, boost::lockfree::capacity<slots>>;

    std::unique_ptr<slot[]> memory_;
    index_queue free_;
    index_queue full_;
    std::atomic<std::uint64_t> dropped_{0};
};

// The file. Used by one thread at a time.
class capture_file {
  public:
    // Writes the headers. Error: the file cannot be made.
    static result<std::unique_ptr<capture_file>, std::string> open(
        const std::string& path, const std::vector<std::string>& port_names);
    ~capture_file();

    // Moves what the ring holds into the file, about a megabyte at most. Returns false once the
    // file can no longer be written (the disk is full); the ring is emptied all the same.
    bool drain(capture_ring&);
    std::uint64_t frames() const { return frames_; }  // written so far

  private:
    explicit capture_file(std::FILE* file) : file_(file) {}
    std::FILE* file_;
    std::string text_;  // kept to reuse its memory
    std::uint64_t frames_ = 0;
};

}  // namespace lastack::dpdk
