// SPDX-License-Identifier: BSD-3-Clause
// The connections that the benchmarks are about: record n of a server that closed first.
#pragma once

#include <cstdint>
#include <cstring>

#include "flow/table_hash.hpp"
#include "flow/tag_group.hpp"

namespace bench {

inline const lastack::flow::table_hash hash(0x0123456789abcdef, 0xfedcba9876543210);
inline constexpr std::uint16_t server_port = 80;
inline constexpr std::uint16_t absent_port = 81;  // no record has it

// Each client address has 16384 connections.
inline void make_key(std::uint32_t n, std::uint16_t local_port, lastack::flow::key4& key) {
    key = {lastack::ipv4_address{0x0a000000 + (n >> 14)}, lastack::ipv4_address{0xc0000201},
           static_cast<std::uint16_t>(32768 + (n & 0x3fff)), local_port};
}
inline void make_key(std::uint32_t n, std::uint16_t local_port, lastack::flow::key6& key) {
    const std::uint32_t client = n >> 14;
    key = {};
    std::memcpy(key.remote.bytes.data() + 12, &client, sizeof client);
    key.remote_port = static_cast<std::uint16_t>(32768 + (n & 0x3fff));
    key.local_port = local_port;
}

// A cheap stream of numbers below `range`.
class numbers {
  public:
    explicit numbers(std::uint32_t range) : range_(range) {}
    std::uint32_t next() {
        x_ ^= x_ << 13;
        x_ ^= x_ >> 7;
        x_ ^= x_ << 17;
        return lastack::flow::reduce(static_cast<std::uint32_t>(x_ >> 32), range_);
    }

  private:
    std::uint64_t x_ = 88172645463325252;
    std::uint32_t range_;
};

// Keeps the compiler from leaving out what computes `value`.
template <class T>
void keep(const T& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace bench
