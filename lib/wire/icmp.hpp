// SPDX-License-Identifier: BSD-3-Clause
// ICMP messages (RFC 792): the 8 octets every type begins with, and the packet an error quotes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/byte_order.hpp"

namespace lastack::wire {

namespace icmp_type {
inline constexpr std::uint8_t echo_reply = 0;
inline constexpr std::uint8_t unreachable = 3;
inline constexpr std::uint8_t echo_request = 8;
inline constexpr std::uint8_t time_exceeded = 11;
inline constexpr std::uint8_t parameter_problem = 12;
}  // namespace icmp_type

inline constexpr std::size_t icmp_header_bytes = 8;
inline constexpr std::size_t icmp_checksum_offset = 2;  // of the checksum field, in octets

struct icmp_header {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint32_t rest = 0;  // by type: identifier and sequence, or unused and next-hop MTU
    // RFC 1191 4: in 'fragmentation needed'. 0 from a router that does not know the RFC.
    constexpr std::uint16_t next_hop_mtu() const { return static_cast<std::uint16_t>(rest); }
    friend constexpr bool operator==(const icmp_header&, const icmp_header&) = default;
};

// nullopt when it is short. The checksum covers the whole message, which may lie in several pieces:
// the caller verifies it.
inline std::optional<icmp_header> parse_icmp(std::span<const std::uint8_t> message) {
    if (message.size() < icmp_header_bytes) {
        return std::nullopt;
    }
    return icmp_header{message[0], message[1], load_be32(message.data() + 4)};
}

// Writes 8 octets, checksum 0, and returns that.
inline std::size_t write_icmp(std::uint8_t* out, const icmp_header& h) {
    out[0] = h.type;
    out[1] = h.code;
    store_be16(out + icmp_checksum_offset, 0);
    store_be32(out + 4, h.rest);
    return icmp_header_bytes;
}

}  // namespace lastack::wire
