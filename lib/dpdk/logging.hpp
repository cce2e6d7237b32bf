// SPDX-License-Identifier: BSD-3-Clause
// The logging thread: writes the lines and captured frames that workers leave in their rings.
//
// Threads that are no workers log straight through spdlog, whose sink has a lock. Everything goes
// to standard error; standard output stays the application's.
#pragma once

#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dpdk/capture.hpp"
#include "lastack/log.hpp"

namespace lastack::dpdk {

struct log_record {
    std::int64_t time_us = 0;  // real time
    log_level level = log_level::info;
    std::uint8_t length = 0;
    char text[231];
};
static_assert(sizeof(log_record) <= 248);

// What one worker hands to the logging thread.
struct worker_rings {
    boost::lockfree::spsc_queue<log_record, boost::lockfree::capacity<1024>> log;
    std::atomic<std::uint64_t> log_dropped{0};
    std::unique_ptr<capture_ring> capture;  // from the first capture on
    bool capturing = false;                 // the worker's own: only a task changes it
};

// From now on the calling thread's log() goes into these rings; nullptr: straight to spdlog.
void use_rings(worker_rings*);

class logging_thread {
  public:
    // `rings` outlive this object.
    explicit logging_thread(std::vector<worker_rings*> rings);
    // Writes what is left and ends.
    ~logging_thread();

    // Makes the rings that are missing; from now on what they hold goes into `file`.
    void begin_capture(std::unique_ptr<capture_file> file);
    // Once no worker captures any more: writes what is left and closes the file.
    void end_capture();
    // Of the capture that runs, or ran last.
    struct counts {
        std::uint64_t frames = 0;
        std::uint64_t missed = 0;
    };
    counts capture_counts();

  private:
    void run();
    // True if something was there.
    bool pass();
    bool drain_captures();
    std::uint64_t dropped() const;

    std::vector<worker_rings*> rings_;
    std::vector<std::uint64_t> told_dropped_;
    std::mutex capture_lock_;  // guards the four below, and making rings
    std::unique_ptr<capture_file> file_;
    std::uint64_t dropped_before_ = 0;  // frames, by earlier captures
    counts last_;
    bool capture_failed_ = false;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace lastack::dpdk
