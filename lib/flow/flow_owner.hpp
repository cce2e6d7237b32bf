// SPDX-License-Identifier: BSD-3-Clause
// Which worker a connection belongs to: receive-side scaling, computed.
//
// A port with RSS spreads received segments over its queues by a Toeplitz hash of the 4-tuple and a
// redirection table. The same sum done here says where a port will deliver the answers to a tuple
// (so an active open takes a local port whose answers come to its own core), and does in software
// what a port cannot do. Only the receive direction is ever hashed, so the key need not be
// symmetric, and it is random: nobody outside can aim at one core.
//
// The sum is a product of polynomials over two elements, whose middle bits are the hash. Processors
// that multiply so without carries (x86 with PCLMULQDQ; no part of x86-64-v2, so the instruction is
// written out, and the branch that remembers who has it is foreseen) need three products and one
// load from a redirection table in the order in which the bits come; others take 12 loads from
// 12 KiB, one for each octet of the tuple.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "flow/key.hpp"

#ifdef __x86_64__
#include <emmintrin.h>
#endif

namespace lastack::flow {

class flow_owner {
  public:
    // Octets of key that a hash over an IPv4 4-tuple uses: its 12, and the width of the result.
    static constexpr std::size_t key_bytes = 16;

    // `key` holds at least key_bytes; what is behind is for longer tuples. `redirection` holds a
    // power of two of worker indices. Precondition: this processor can do what `multiplies` says.
    flow_owner(std::span<const std::uint8_t> key, std::vector<std::uint16_t> redirection,
               bool multiplies = multiplies_here());
    // Whether this processor multiplies without carries.
    static bool multiplies_here();

    // As RSS computes it for a segment from the key's remote to its local side. It is linear: of
    // two keys joined by exclusive or, field by field, the hash is the exclusive or of theirs.
    std::uint32_t hash(const key4& key) const {
        const std::uint32_t words[3] = {key.remote.bits, key.local.bits,
                                        std::uint32_t{key.remote_port} << 16 | key.local_port};
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < octets; ++i) {
            sum ^= part_[i][words[i / 4] >> (24 - 8 * (i % 4)) & 0xff];
        }
        return sum;
    }
    unsigned owner_of_hash(std::uint32_t hash) const {
        return redirection_[hash & (redirection_.size() - 1)];
    }
    unsigned owner_of(const key4& key) const {
#ifdef __x86_64__
        if (multiplies_) [[likely]] {
            return from_product_[product(key) & (redirection_.size() - 1)];
        }
#endif
        return owner_of_hash(hash(key));
    }

  private:
    static constexpr std::size_t octets = 12;

#ifdef __x86_64__
    // The low bits of the hash, in reverse. With x_i the tuple's bits and k_i the key's, both from
    // the front, bit j of the hash is the sum of x_i k_(i+j): of the product of the tuple as a
    // number by the key, taken backwards, the coefficient of z^(95+j).
    std::uint64_t product(const key4& key) const {
        const __m128i addresses = _mm_cvtsi64_si128(
            static_cast<long long>(std::uint64_t{key.remote.bits} << 32 | key.local.bits));
        const __m128i ports = _mm_cvtsi32_si128(
            static_cast<int>(std::uint32_t{key.remote_port} << 16 | key.local_port));
        const __m128i middle = _mm_xor_si128(
            _mm_unpackhi_epi64(times<0x00>(addresses), _mm_setzero_si128()),
            _mm_xor_si128(times<0x10>(addresses), _mm_srli_epi64(times<0x10>(ports), 32)));
        return static_cast<std::uint64_t>(_mm_cvtsi128_si64(middle)) >> product_shift_;
    }
    // By the front half of the key (0x00) or its back half (0x10).
    template <int half>
    __m128i times(__m128i by) const {
#ifdef __AVX__
        asm("vpclmulqdq %2, %1, %0, %0" : "+x"(by) : "xm"(backwards_), "n"(half));
#else
        asm("pclmulqdq %2, %1, %0" : "+x"(by) : "xm"(backwards_), "n"(half));
#endif
        return by;
    }

    __m128i backwards_{};  // the key, its first bit the least
    unsigned product_shift_ = 0;
    bool multiplies_ = false;
    std::vector<std::uint16_t> from_product_;
#endif

    // part_[i][v]: what octet i contributes when it is v. The hash is linear over exclusive or.
    std::array<std::array<std::uint32_t, 256>, octets> part_{};
    std::vector<std::uint16_t> redirection_;
};

// Worker indices in turn, as many as `entries`, which must be a power of two.
std::vector<std::uint16_t> even_redirection(std::size_t entries, unsigned workers);

}  // namespace lastack::flow
