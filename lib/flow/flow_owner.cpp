// SPDX-License-Identifier: BSD-3-Clause
#include "flow/flow_owner.hpp"

#include <bit>
#include <utility>

namespace lastack::flow {

bool flow_owner::multiplies_here() {
#ifdef __x86_64__
    __builtin_cpu_init();
    return __builtin_cpu_supports("pclmul");
#else
    return false;
#endif
}

flow_owner::flow_owner(std::span<const std::uint8_t> key, std::vector<std::uint16_t> redirection,
                       [[maybe_unused]] bool multiplies)
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
#ifdef __x86_64__
    multiplies_ = multiplies;
    std::uint64_t halves[2] = {};
    for (std::size_t bit = 0; bit < 128; ++bit) {
        const std::uint64_t set = key[bit / 8] >> (7 - bit % 8) & 1u;
        halves[bit / 64] |= set << bit % 64;
    }
    backwards_ =
        _mm_set_epi64x(static_cast<long long>(halves[1]), static_cast<long long>(halves[0]));
    const auto bits = static_cast<unsigned>(std::countr_zero(redirection_.size()));
    product_shift_ = 31 - bits;
    for (std::size_t i = 0; i < redirection_.size(); ++i) {
        std::size_t turned = 0;
        for (unsigned b = 0; b < bits; ++b) {
            turned |= (i >> b & 1) << (bits - 1 - b);
        }
        from_product_.push_back(redirection_[turned]);
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
