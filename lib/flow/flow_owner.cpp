// SPDX-License-Identifier: BSD-3-Clause
#include "flow/flow_owner.hpp"

#include <utility>

namespace lastack::flow {

flow_owner::flow_owner(std::span<const std::uint8_t> key, std::vector<std::uint16_t> redirection)
    : redirection_(std::move(redirection)) {
    // Bit b of the tuple, from the front, contributes the 32 bits of the key that begin at its
    // bit b.
    const auto window = [key](std::size_t bit) {
        std::uint64_t five = 0;
        for (std::size_t i = 0; i < 5; ++i) {
            const std::size_t at = bit / 8 + i;
            five = five << 8 | (at < key.size() ? key[at] : 0);
        }
        return static_cast<std::uint32_t>(five >> (8 - bit % 8));
    };
    for (std::size_t octet = 0; octet < octets; ++octet) {
        for (std::uint32_t value = 0; value < 256; ++value) {
            for (std::uint32_t bit = 0; bit < 8; ++bit) {
                if ((value & (0x80u >> bit)) != 0) {
                    part_[octet][value] ^= window(octet * 8 + bit);
                }
            }
        }
    }
}

std::vector<std::uint16_t> even_redirection(std::size_t entries, unsigned workers) {
    std::vector<std::uint16_t> table(entries);
    for (std::size_t i = 0; i < entries; ++i) {
        table[i] = static_cast<std::uint16_t>(i % workers);
    }
    return table;
}

}  // namespace lastack::flow
