// SPDX-License-Identifier: BSD-3-Clause
// Unaligned network-order loads and stores.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace lastack {

constexpr std::uint16_t swap_be(std::uint16_t v) {
    return std::endian::native == std::endian::big ? v : __builtin_bswap16(v);
}
constexpr std::uint32_t swap_be(std::uint32_t v) {
    return std::endian::native == std::endian::big ? v : __builtin_bswap32(v);
}

inline std::uint16_t load_be16(const void* p) {
    std::uint16_t v;
    std::memcpy(&v, p, sizeof v);
    return swap_be(v);
}
inline std::uint32_t load_be32(const void* p) {
    std::uint32_t v;
    std::memcpy(&v, p, sizeof v);
    return swap_be(v);
}
inline void store_be16(void* p, std::uint16_t v) {
    v = swap_be(v);
    std::memcpy(p, &v, sizeof v);
}
inline void store_be32(void* p, std::uint32_t v) {
    v = swap_be(v);
    std::memcpy(p, &v, sizeof v);
}

}  // namespace lastack
