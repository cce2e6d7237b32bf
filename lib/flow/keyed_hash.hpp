// SPDX-License-Identifier: BSD-3-Clause
// SipHash-1-3 under a secret key.
//
// It is the F() of RFC 6056 (local ports); and where a processor has nothing cheaper, that of RFC
// 6528 (ISN) and RFC 7323 5.4 (timestamp offset) and what chooses the tables' buckets and tags
// (flow/table_hash.hpp), so that nobody who lacks the key can choose collisions. The forms here
// hash exactly the bytes of a key as it lies in a little-endian machine's memory; lengths are
// constants, so nothing loops and all lives in registers.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "flow/key.hpp"

namespace lastack::flow {

class keyed_hash {
  public:
    constexpr keyed_hash(std::uint64_t k0, std::uint64_t k1) : k0_(k0), k1_(k1) {}

    constexpr std::uint64_t operator()(const key4& k) const {
        state s(k0_, k1_);
        s.compress(std::uint64_t{k.remote.bits} | std::uint64_t{k.local.bits} << 32);
        s.compress(std::uint64_t{k.remote_port} | std::uint64_t{k.local_port} << 16 | length(12));
        return s.finish();
    }

    std::uint64_t operator()(const key6& k) const {
        std::uint64_t words[4];
        std::memcpy(words, k.remote.bytes.data(), 16);
        std::memcpy(words + 2, k.local.bytes.data(), 16);
        state s(k0_, k1_);
        s.compress(words[0]);
        s.compress(words[1]);
        s.compress(words[2]);
        s.compress(words[3]);
        s.compress(std::uint64_t{k.remote_port} | std::uint64_t{k.local_port} << 16 | length(36));
        return s.finish();
    }

    // Two words, as 16 bytes: a host pair, or a destination.
    constexpr std::uint64_t operator()(std::uint64_t first, std::uint64_t second) const {
        state s(k0_, k1_);
        s.compress(first);
        s.compress(second);
        s.compress(length(16));
        return s.finish();
    }

  private:
    static constexpr std::uint64_t length(std::uint64_t bytes) { return bytes << 56; }

    struct state {
        constexpr state(std::uint64_t k0, std::uint64_t k1)
            : v0(k0 ^ 0x736f6d6570736575u),
              v1(k1 ^ 0x646f72616e646f6du),
              v2(k0 ^ 0x6c7967656e657261u),
              v3(k1 ^ 0x7465646279746573u) {}
        constexpr void round() {
            v0 += v1;
            v1 = std::rotl(v1, 13) ^ v0;
            v0 = std::rotl(v0, 32);
            v2 += v3;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1;
            v1 = std::rotl(v1, 17) ^ v2;
            v2 = std::rotl(v2, 32);
        }
        constexpr void compress(std::uint64_t m) {
            v3 ^= m;
            round();
            v0 ^= m;
        }
        constexpr std::uint64_t finish() {
            v2 ^= 0xff;
            round();
            round();
            round();
            return v0 ^ v1 ^ v2 ^ v3;
        }
        std::uint64_t v0, v1, v2, v3;
    };

    std::uint64_t k0_;
    std::uint64_t k1_;
};

}  // namespace lastack::flow
