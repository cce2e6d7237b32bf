// SPDX-License-Identifier: BSD-3-Clause
// Keyed hashes by rounds of AES, for processors that have an instruction for one.
//
//   table_hash     4 rounds: chooses buckets and tags, what every frame and every table operation
//                  pays
//   sequence_hash  10 rounds: of what leaves the process, the F() of RFC 6528 (ISN) and RFC 7323
//                  5.4 (timestamp offset), two a connection
//
// A key's octets are added to one round key, and each round adds another, all of them independent.
//
// Over four rounds no difference of two inputs becomes a given difference of outputs with more than
// 2^-113 (Keliher and Sui, 2007). Buckets and tags are parts of the output, for which that is no
// proof; but what a peer could learn from is only which listener of an SO_REUSEPORT group answers
// it, and when, so that who lacks the secret has no way known to us to choose keys that share a
// bucket. Ten rounds are what AES-128 has, a pseudorandom permutation by all that is known, also to
// whom is told the outputs: here parts of them, of inputs that differ. A longer key goes through
// the rounds 16 octets at a time, each added to what came out before (a CBC-MAC, which is safe
// where, as here, every input is equally long).
//
// The instruction is no part of x86-64-v2, so it is written out where the compiler may not choose
// it; which processor has it is asked once, and the branch that remembers is foreseen. Processors
// that lack it, and those of other kinds, hash by SipHash (flow/keyed_hash.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "flow/key.hpp"
#include "flow/keyed_hash.hpp"

#ifdef __x86_64__
#include <emmintrin.h>
#endif
#ifdef __AES__
#include <wmmintrin.h>
#endif

namespace lastack::flow {

template <std::size_t rounds>
class aes_hash {
  public:
    enum class method : std::uint8_t { aes, siphash };

    static method best_here() {
#ifdef __x86_64__
        __builtin_cpu_init();
        return __builtin_cpu_supports("aes") ? method::aes : method::siphash;
#else
        return method::siphash;
#endif
    }

    // Precondition: this processor can do what `by` says.
    aes_hash(std::uint64_t k0, std::uint64_t k1, method by = best_here())
        : siphash_(k0, k1), by_(by) {
#ifdef __x86_64__
        for (std::size_t i = 0; i <= rounds; ++i) {
            round_keys_[i] = block(siphash_(i, 0), siphash_(i, 1));
        }
#endif
    }

    std::uint64_t operator()(const key4& k) const {
        return hash(k, std::uint64_t{k.remote.bits} | std::uint64_t{k.local.bits} << 32,
                    std::uint64_t{k.remote_port} | std::uint64_t{k.local_port} << 16);
    }
    std::uint64_t operator()(const key6& k) const {
        std::uint64_t words[4];
        std::memcpy(words, k.remote.bytes.data(), 16);
        std::memcpy(words + 2, k.local.bytes.data(), 16);
        return hash(k, words[0], words[1], words[2], words[3],
                    std::uint64_t{k.remote_port} | std::uint64_t{k.local_port} << 16,
                    std::uint64_t{0});
    }

  private:
    // `words`: the key's octets, in pairs.
    template <class Key, class... Words>
    std::uint64_t hash(const Key& k, [[maybe_unused]] Words... words) const {
#ifdef __x86_64__
        if (by_ == method::aes) [[likely]] {
            return static_cast<std::uint64_t>(_mm_cvtsi128_si64(mixed(round_keys_[0], words...)));
        }
#endif
        return siphash_(k);
    }

#ifdef __x86_64__
    static __m128i block(std::uint64_t low, std::uint64_t high) {
        return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
    }
    static __m128i round(__m128i state, const __m128i& key) {
#if defined(__AES__)
        return _mm_aesenc_si128(state, key);
#elif defined(__AVX__)
        asm("vaesenc %1, %0, %0" : "+x"(state) : "xm"(key));
        return state;
#else
        asm("aesenc %1, %0" : "+x"(state) : "xm"(key));
        return state;
#endif
    }
    template <class... Words>
    __m128i mixed(__m128i state, std::uint64_t low, std::uint64_t high, Words... more) const {
        state = _mm_xor_si128(state, block(low, high));
        for (std::size_t i = 1; i <= rounds; ++i) {
            state = round(state, round_keys_[i]);
        }
        if constexpr (sizeof...(more) > 0) {
            return mixed(state, more...);
        } else {
            return state;
        }
    }

    __m128i round_keys_[rounds + 1];
#endif
    keyed_hash siphash_;
    method by_;
};

using table_hash = aes_hash<4>;
using sequence_hash = aes_hash<10>;

}  // namespace lastack::flow
