// SPDX-License-Identifier: BSD-3-Clause
// The stack's clock: microseconds since 1970, read from the CPU's cycle counter.
//
// Sequence numbers and timestamps follow this clock, and a peer in TIME_WAIT must find them larger
// in the next process than in the last (RFC 9293 3.4.1, RFC 7323 5.4). So its base is real time,
// read once, and from there it follows CLOCK_BOOTTIME, which nobody sets: it never goes back, and
// steps of the system's time while running do not touch it. The cycle counter's rate is only known
// to some 0.1 %, so every tenth of a second the clock is anchored again; a reading costs one
// counter read and one multiplication.
#pragma once

#include <rte_cycles.h>

#include <cstdint>
#include <ctime>

#include "base/time.hpp"

namespace lastack::dpdk {

// Real time minus boot time, in microseconds, for all clocks of a process.
inline std::int64_t clock_base_us() {
    const auto read = [](clockid_t id) {
        timespec t{};
        ::clock_gettime(id, &t);
        return t.tv_sec * std::int64_t{1000000} + t.tv_nsec / 1000;
    };
    return read(CLOCK_REALTIME) - read(CLOCK_BOOTTIME);
}

class cycle_clock {
  public:
    explicit cycle_clock(std::int64_t base_us)
        : base_us_(base_us), us_per_cycle_(1e6 / static_cast<double>(rte_get_tsc_hz())) {
        anchor(rte_get_tsc_cycles());
    }

    instant now() {
        read_ = rte_get_tsc_cycles();
        if (read_ - anchor_cycles_ > rte_get_tsc_hz() / 10) {
            anchor(read_);
        }
        const auto since = static_cast<double>(read_ - anchor_cycles_) * us_per_cycle_;
        const instant reading{anchor_us_ + static_cast<std::int64_t>(since)};
        last_ = reading > last_ ? reading : last_;
        return last_;
    }

    // The cycle counter at the last reading.
    std::uint64_t cycles() const { return read_; }

  private:
    void anchor(std::uint64_t cycles) {
        timespec t{};
        ::clock_gettime(CLOCK_BOOTTIME, &t);
        anchor_us_ = base_us_ + t.tv_sec * std::int64_t{1000000} + t.tv_nsec / 1000;
        anchor_cycles_ = cycles;
    }

    std::int64_t base_us_;
    double us_per_cycle_;
    std::uint64_t anchor_cycles_ = 0;
    std::uint64_t read_ = 0;
    std::int64_t anchor_us_ = 0;
    instant last_{};
};

}  // namespace lastack::dpdk
