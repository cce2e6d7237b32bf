// SPDX-License-Identifier: BSD-3-Clause
// Which of 512 slots in a ring hold something, one bit each, and one a word of them: the first from
// any place on is found in two looks.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace lastack::timer {

class slot_ring {
  public:
    static constexpr std::uint32_t slots = 512;
    static constexpr std::uint64_t none = ~std::uint64_t{0};

    // Numbers count on; slot n is n modulo 512.
    void set(std::uint64_t n) {
        bits_[word(n)] |= std::uint64_t{1} << (n % 64);
        words_ |= static_cast<std::uint8_t>(1u << word(n));
    }
    void clear(std::uint64_t n) {
        bits_[word(n)] &= ~(std::uint64_t{1} << (n % 64));
        if (bits_[word(n)] == 0) {
            words_ &= static_cast<std::uint8_t>(~(1u << word(n)));
        }
    }

    // The lowest number that is set, of the 512 from `from` on.
    std::uint64_t first(std::uint64_t from) const {
        if (const std::uint64_t ahead = bits_[word(from)] >> (from % 64); ahead != 0) {
            return from + static_cast<std::uint32_t>(std::countr_zero(ahead));
        }
        // Around the ring, to those of this word that lie behind.
        const std::uint32_t next = word(from) + 1;
        const auto turned = std::rotr(words_, static_cast<int>(next));
        if (turned == 0) {
            return none;
        }
        const auto on = static_cast<std::uint32_t>(std::countr_zero(turned));
        const auto bit = static_cast<std::uint32_t>(std::countr_zero(bits_[(next + on) % 8]));
        return from - from % 64 + 64 * (1 + on) + bit;
    }

  private:
    static constexpr std::uint32_t word(std::uint64_t n) {
        return static_cast<std::uint32_t>(n % slots / 64);
    }

    std::uint8_t words_ = 0;  // which are not 0
    std::array<std::uint64_t, slots / 64> bits_{};
};

}  // namespace lastack::timer
