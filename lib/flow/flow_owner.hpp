// SPDX-License-Identifier: BSD-3-Clause
// Which worker a connection belongs to: receive-side scaling, computed.
//
// A port with RSS spreads received segments over its queues by a Toeplitz hash of the 4-tuple and a
// redirection table. The same sum done here says where a port will deliver the answers to a tuple
// (so an active open takes a local port whose answers come to its own core), and does in software
// what a port cannot do. Only the receive direction is ever hashed, so the key need not be
// symmetric, and it is random: nobody outside can aim at one core.
//
// Cost: three multiplications without carry, one for each word of the tuple, and a load from the
// redirection table. PCLMULQDQ is no part of x86-64-v2, so it is written out where the compiler may
// not choose it; where the processor lacks it, 12 loads from 12 KiB, one for each octet.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "flow/key.hpp"

#ifdef __x86_64__
#include <emmintrin.h>
#endif
#ifdef __PCLMUL__
#include <wmmintrin.h>
#endif

namespace lastack::flow {

class flow_owner {
  public:
    // Octets of key that a hash over an IPv4 4-tuple uses: its 12, and the width of the result.
    static constexpr std::size_t key_bytes = 16;

    enum class method : std::uint8_t { carryless, octets };

    static method best_here() {
#ifdef __x86_64__
        __builtin_cpu_init();
        return __builtin_cpu_supports("pclmul") ? method::carryless : method::octets;
#else
        return method::octets;
#endif
    }

    // `key` holds at least key_bytes; what is behind is for longer tuples. `redirection` holds a
    // power of two of worker indices. Precondition: this processor can do what `by` says.
    flow_owner(std::span<const std::uint8_t> key, std::vector<std::uint16_t> redirection,
               method by = best_here());

    // As RSS computes it for a segment from the key's remote to its local side.
    std::uint32_t hash(const key4& key) const {
        const auto words = words_of(key);
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
        if (by_ == method::carryless) [[likely]] {
            return turned_redirection_[turned_hash(key) >> turned_shift_];
        }
#endif
        return owner_of_hash(hash(key));
    }

  private:
    static constexpr std::size_t octets = 12;

    static std::array<std::uint32_t, 3> words_of(const key4& key) {
        return {key.remote.bits, key.local.bits,
                std::uint32_t{key.remote_port} << 16 | key.local_port};
    }

#ifdef __x86_64__
    // Bit i of a word, from the front, contributes bits i to i + 31 of its stretch of the key. With
    // the stretch's first bit lowest, the product has these sums at 31 to 62: the hash, its first
    // bit lowest.
    std::uint64_t turned_hash(const key4& key) const {
        const auto words = words_of(key);
        __m128i sum = _mm_setzero_si128();
        for (std::size_t i = 0; i < words.size(); ++i) {
            sum = _mm_xor_si128(sum, product(words[i], stretches_[i]));
        }
        return static_cast<std::uint64_t>(_mm_cvtsi128_si64(sum)) << 1 >> 32;
    }
    static __m128i product(std::uint32_t word, const __m128i& stretch) {
        __m128i p = _mm_cvtsi32_si128(static_cast<int>(word));
#if defined(__PCLMUL__)
        return _mm_clmulepi64_si128(p, stretch, 0);
#elif defined(__AVX__)
        asm("vpclmulqdq $0, %1, %0, %0" : "+x"(p) : "xm"(stretch));
        return p;
#else
        asm("pclmulqdq $0, %1, %0" : "+x"(p) : "xm"(stretch));
        return p;
#endif
    }

    __m128i stretches_[3];  // of the key: 63 bits for each word of the tuple
#endif
    std::vector<std::uint16_t> turned_redirection_;  // by the hash's last bits, the very last first
    unsigned turned_shift_ = 0;
    method by_;

    // part_[i][v]: what octet i contributes when it is v. The hash is linear over exclusive or.
    std::array<std::array<std::uint32_t, 256>, octets> part_{};
    std::vector<std::uint16_t> redirection_;
};

// Worker indices in turn, as many as `entries`, which must be a power of two.
std::vector<std::uint16_t> even_redirection(std::size_t entries, unsigned workers);

}  // namespace lastack::flow
