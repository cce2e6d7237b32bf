// SPDX-License-Identifier: BSD-3-Clause
// What the peer has told us by SACK (RFC 2018, RFC 6675), sender's side.
//
// At most 16 disjoint ranges above SND.UNA, in order. When a 17th would be needed the new one is
// forgotten: SACK is advisory, so the price is a retransmission too many, never a wrong byte.
// One scoreboard is 136 bytes; a connection has one only while something is sacked.
#pragma once

#include <array>
#include <cstdint>

#include "base/seq32.hpp"

namespace lastack::tcp {

class scoreboard {
  public:
    struct range {
        seq32 left;
        seq32 right;
    };
    static constexpr std::uint32_t ranges_max = 16;

    bool empty() const { return count_ == 0; }
    void clear() { count_ = 0; }
    std::uint32_t count() const { return count_; }
    const range& operator[](std::uint32_t i) const { return ranges_[i]; }

    // Adds [left, right). Returns true when that told something new.
    bool add(seq32 left, seq32 right) {
        std::uint32_t first = 0;
        while (first < count_ && ranges_[first].right < left) {
            ++first;
        }
        std::uint32_t last = first;  // one past those that touch [left, right)
        bool news = true;
        while (last < count_ && ranges_[last].left <= right) {
            news = news && !(ranges_[last].left <= left && right <= ranges_[last].right);
            left = min(left, ranges_[last].left);
            right = max(right, ranges_[last].right);
            ++last;
        }
        if (first == last) {
            if (count_ == ranges_max) {
                return false;
            }
            for (std::uint32_t i = count_; i > first; --i) {
                ranges_[i] = ranges_[i - 1];
            }
            ++count_;
        } else {
            const std::uint32_t gone = last - first - 1;
            for (std::uint32_t i = first + 1; i + gone < count_; ++i) {
                ranges_[i] = ranges_[i + gone];
            }
            count_ -= gone;
        }
        ranges_[first] = {left, right};
        return news;
    }

    // Forgets what lies below `una`.
    void acknowledge(seq32 una) {
        std::uint32_t kept = 0;
        for (std::uint32_t i = 0; i < count_; ++i) {
            if (ranges_[i].right > una) {
                ranges_[kept++] = {max(ranges_[i].left, una), ranges_[i].right};
            }
        }
        count_ = kept;
    }

    std::uint32_t octets() const {
        std::uint32_t sum = 0;
        for (std::uint32_t i = 0; i < count_; ++i) {
            sum += static_cast<std::uint32_t>(distance(ranges_[i].left, ranges_[i].right));
        }
        return sum;
    }
    // The first octet above all that is sacked. Precondition: !empty().
    seq32 highest() const { return ranges_[count_ - 1].right; }

    // RFC 6675 IsLost(): every hole below the returned number is lost: at least three ranges, or
    // more than two segments' worth of octets, are sacked above it. `una` if none is.
    seq32 lost_below(seq32 una, std::uint32_t mss) const {
        std::uint32_t above = 0;
        for (std::uint32_t i = count_; i-- > 0;) {
            above += static_cast<std::uint32_t>(distance(ranges_[i].left, ranges_[i].right));
            if (count_ - i >= 3 || above > 2 * mss) {
                return ranges_[i].left;
            }
        }
        return una;
    }

    // The first hole at or above `from`, bounded by `end`: [left, right), empty when none is left.
    range hole(seq32 from, seq32 end) const {
        for (std::uint32_t i = 0; i < count_ && from < end; ++i) {
            if (from < ranges_[i].left) {
                return {from, min(ranges_[i].left, end)};
            }
            from = max(from, ranges_[i].right);
        }
        return from < end ? range{from, end} : range{end, end};
    }

    // Octets in [from, to) that are not sacked.
    std::uint32_t unsacked(seq32 from, seq32 to) const {
        if (to <= from) {
            return 0;
        }
        std::uint32_t sum = static_cast<std::uint32_t>(distance(from, to));
        for (std::uint32_t i = 0; i < count_; ++i) {
            const seq32 left = max(ranges_[i].left, from);
            const seq32 right = min(ranges_[i].right, to);
            if (left < right) {
                sum -= static_cast<std::uint32_t>(distance(left, right));
            }
        }
        return sum;
    }

  private:
    std::array<range, ranges_max> ranges_{};
    std::uint32_t count_ = 0;
};

}  // namespace lastack::tcp
