// SPDX-License-Identifier: BSD-3-Clause
#include "flow/flow_owner.hpp"

#include <utility>

namespace lastack::flow {

flow_owner::flow_owner(std::span<const std::uint8_t> key, std::vector<std::uint16_t> redirection,
                       method by)
    : turned_redirection_(redirection.size()), by_(by), redirection_(std::move(redirection)) {
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
    const auto index_bits = static_cast<unsigned>(std::countr_zero(redirection_.size()));
    turned_shift_ = 32 - index_bits;
    for (std::size_t i = 0; i < redirection_.size(); ++i) {
        std::size_t turned = 0;
        for (unsigned bit = 0; bit < index_bits; ++bit) {
            turned |= (i >> bit & 1) << (index_bits - 1 - bit);
        }
        turned_redirection_[turned] = redirection_[i];
    }
#ifdef __x86_64__
    for (std::size_t word = 0; word < 3; ++word) {
        std::uint64_t stretch = 0;
        for (std::size_t bit = 0; bit < 63; ++bit) {
            stretch |= std::uint64_t{window(word * 32 + bit) >> 31} << bit;
        }
        stretches_[word] = _mm_cvtsi64_si128(static_cast<long long>(stretch));
    }
#endif
}

std::vector<std::uint16_t> even_redirection(std::size_t entries, unsigned workers) {
    std::vector<std::uint16_t> table(entries);
    for (std::size_t i = 0; i < entries; ++i) {
        table[i] = static_cast<std::uint16_t>(i % workers);
    }
    return table;
}

}  // namespace lastack::flow
