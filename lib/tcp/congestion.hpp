// SPDX-License-Identifier: BSD-3-Clause
// How much may be in flight: NewReno, behind the interface that another control would fill.
//
// A congestion control is a plain value inside the tcb with the members of `congestion_control`; it
// is called with octets and decides only cwnd and ssthresh. What is lost, and when a recovery
// begins and ends, is loss recovery's business (recovery.hpp). RFC 5681, RFC 6582, RFC 6928 (IW
// 10).
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>

#include "base/time.hpp"

namespace lastack::tcp {

template <class T>
concept congestion_control = requires(T t, const T& c, std::uint32_t n, instant now) {
    t.open(n);                // mss in octets: initial window
    t.on_ack(n, n, n, now);   // octets newly acknowledged outside recovery, in flight before, mss
    t.on_loss(n, now);        // mss: fast recovery begins
    t.on_timeout(n, n, now);  // octets in flight, mss
    t.on_idle(n);             // mss: restart after idle (RFC 5681 4.1)
    { c.window() } -> std::same_as<std::uint32_t>;
    { c.slow_start_threshold() } -> std::same_as<std::uint32_t>;
};

class new_reno {
  public:
    void open(std::uint32_t mss) {
        window_ = initial_window(mss);
        threshold_ = ~0u;
        acked_ = largest_flight_ = 0;
    }
    // RFC 5681 3.1 with appropriate byte counting.
    // DEVIATES RFC 3465 2.3: slow start grows by all that an ACK covers, not by at most two
    // segments, because receivers that gather segments acknowledge many at once; as Linux.
    // RFC 7661 1: a window that is not used does not grow: in slow start at most to twice what has
    // been in flight, later only when it was full.
    void on_ack(std::uint32_t acked, std::uint32_t flight, std::uint32_t mss, instant) {
        largest_flight_ = std::max(largest_flight_, flight);
        if (window_ < threshold_) {
            window_ += window_ / 2 < largest_flight_ ? acked : 0;
            return;
        }
        if (largest_flight_ + mss <= window_) {
            return;
        }
        acked_ += acked;
        if (acked_ >= window_) {
            acked_ -= window_;
            window_ += mss;
        }
    }
    // RFC 6582 3.2 step 2, with the window at ssthresh: what may be sent is judged by the pipe.
    // DEVIATES RFC 5681 3.1 (4): half the window instead of half of what is in flight, because the
    // window follows its use, and short segments or a short pause must not stall a recovery; as
    // Linux.
    void on_loss(std::uint32_t mss, instant) {
        threshold_ = std::max(window_ / 2, 2 * mss);
        window_ = threshold_;
        acked_ = largest_flight_ = 0;
    }
    // RFC 5681 3.1: loss window of one segment.
    void on_timeout(std::uint32_t flight, std::uint32_t mss, instant) {
        threshold_ = std::max(flight / 2, 2 * mss);
        window_ = mss;
        acked_ = largest_flight_ = 0;
    }
    void on_idle(std::uint32_t mss) {
        if (window_ > initial_window(mss)) {
            window_ = initial_window(mss);
            acked_ = largest_flight_ = 0;
        }
    }
    // A SYN was retransmitted: RFC 6298 and RFC 5681 3.1 want one segment.
    void open_after_syn_loss(std::uint32_t mss) { window_ = mss; }

    std::uint32_t window() const { return window_; }
    std::uint32_t slow_start_threshold() const { return threshold_; }

  private:
    static std::uint32_t initial_window(std::uint32_t mss) { return 10 * mss; }

    std::uint32_t window_ = 0;
    std::uint32_t threshold_ = ~0u;
    std::uint32_t acked_ = 0;
    std::uint32_t largest_flight_ = 0;  // since the window was last cut
};
static_assert(congestion_control<new_reno>);
static_assert(sizeof(new_reno) <= 16);

}  // namespace lastack::tcp
