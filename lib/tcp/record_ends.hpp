// SPDX-License-Identifier: BSD-3-Clause
// Where records end in what was given to send, for connections that send with MSG_EOR: no segment,
// sent first or again, holds octets of both sides of such an end.
//
// In order of sequence, and no more than `ends_max` at a time: who has so many unacknowledged waits
// as if the send queue were full. Taken from a pool with the first record and given back with the
// last. The numbers of one entry's neighbours are less than 2^31 apart, as the send queue is.
#pragma once

#include <array>
#include <cstdint>

#include "base/seq32.hpp"

namespace lastack::tcp {

class record_ends {
  public:
    static constexpr std::uint32_t ends_max = 64;

    bool empty() const { return count_ == 0; }
    bool full() const { return count_ == ends_max; }
    void clear() { count_ = 0; }

    // Precondition: !full(). `end` is beyond all there are.
    void add(seq32 end) { ends_[(first_ + count_++) % ends_max] = end; }

    // Forgets what lies at or below `una`.
    void acknowledge(seq32 una) {
        while (count_ > 0 && ends_[first_] <= una) {
            first_ = (first_ + 1) % ends_max;
            --count_;
        }
    }

    // `right`, or the first end beyond `left` if that comes sooner.
    seq32 bound(seq32 left, seq32 right) const {
        for (std::uint32_t i = 0; i < count_; ++i) {
            const seq32 end = ends_[(first_ + i) % ends_max];
            if (left < end) {
                return min(end, right);
            }
        }
        return right;
    }

    bool ends_at(seq32 seq) const { return bound(seq - 1, seq + 1) == seq; }

  private:
    std::array<seq32, ends_max> ends_{};
    std::uint32_t first_ = 0;
    std::uint32_t count_ = 0;
};

}  // namespace lastack::tcp
