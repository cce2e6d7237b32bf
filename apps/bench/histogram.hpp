// SPDX-License-Identifier: BSD-3-Clause
// Nanoseconds, counted log-linearly: 64 steps an octave, so a percentile is exact to 1.6 %.
//
// A value below 64 is its own step. One lcore adds, others may read meanwhile (single-writer
// relaxed). 29 KiB; a sample costs a count of leading zeros and one line.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace bench {

class histogram {
  public:
    static constexpr std::uint32_t step_bits = 6;
    static constexpr std::uint32_t steps = 1u << step_bits;
    static constexpr std::uint32_t octaves = 58;
    static constexpr std::size_t buckets = std::size_t{steps} * octaves;
    using counts = std::array<std::uint64_t, buckets>;

    void add(std::uint64_t ns) {
        auto& cell = cells_[bucket_of(ns)];
        cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    void add_to(counts& sum) const {
        for (std::size_t i = 0; i < buckets; ++i) {
            sum[i] += cells_[i].load(std::memory_order_relaxed);
        }
    }

    static std::size_t bucket_of(std::uint64_t ns) {
        const auto width = static_cast<std::uint32_t>(std::bit_width(ns));
        if (width <= step_bits) {
            return static_cast<std::size_t>(ns);
        }
        const std::uint32_t octave = width - step_bits;
        return std::size_t{octave} * steps + ((ns >> (octave - 1)) & (steps - 1));
    }
    // The largest value that falls into the bucket.
    static std::uint64_t upper_of(std::size_t bucket) {
        const auto octave = static_cast<std::uint32_t>(bucket / steps);
        const std::uint64_t step = bucket % steps;
        return octave == 0 ? step : ((steps + step + 1) << (octave - 1)) - 1;
    }
    // The value that `share` (0 to 1) of all samples do not exceed; 0 without samples.
    static std::uint64_t percentile(const counts& c, double share) {
        std::uint64_t total = 0;
        for (const auto n : c) {
            total += n;
        }
        const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets; ++i) {
            seen += c[i];
            if (c[i] != 0 && seen >= wanted) {
                return upper_of(i);
            }
        }
        return 0;
    }

  private:
    std::array<std::atomic<std::uint64_t>, buckets> cells_{};
};

}  // namespace bench
