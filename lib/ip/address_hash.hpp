// SPDX-License-Identifier: BSD-3-Clause
// A keyed hash of an IPv4 address for the room's small tables.
//
// One multiplication: the tables are bounded and each costs an attacker a resolved neighbour or a
// connection an entry, so what matters is that he cannot name the buckets, not cryptography.
#pragma once

#include <cstdint>

#include "lastack/address.hpp"

namespace lastack::ip {

// `key` is random. Any bits of the result serve: they are the product's upper half, the mixed one.
constexpr std::uint32_t hash_address(ipv4_address a, std::uint64_t key) {
    return static_cast<std::uint32_t>(((a.bits ^ key) * (key | 1) ^ a.bits) * 0x9e3779b97f4a7c15u >>
                                      32);
}

}  // namespace lastack::ip
