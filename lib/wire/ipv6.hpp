// SPDX-License-Identifier: BSD-3-Clause
// The fixed IPv6 header (RFC 8200 3): 40 octets. Extension headers are not read yet; next_header
// then names one, and the stack, which does not speak IPv6 so far, drops the packet.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/byte_order.hpp"
#include "lastack/address.hpp"

namespace lastack::wire {

inline constexpr std::size_t ipv6_header_bytes = 40;

struct ipv6_header {
    ipv6_address source{};
    ipv6_address destination{};
    std::uint32_t flow_label = 0;      // 20 bits
    std::uint16_t payload_length = 0;  // octets behind this header
    std::uint8_t traffic_class = 0;
    std::uint8_t next_header = 0;
    std::uint8_t hop_limit = 0;
    friend constexpr bool operator==(const ipv6_header&, const ipv6_header&) = default;
};

// nullopt when it is short, not version 6, or its payload runs beyond `available`, the octets from
// the header's first to the end of the frame.
inline std::optional<ipv6_header> parse_ipv6(std::span<const std::uint8_t> front,
                                             std::size_t available) {
    if (front.size() < ipv6_header_bytes || front[0] >> 4 != 6) {
        return std::nullopt;
    }
    const std::uint8_t* p = front.data();
    const std::uint32_t first = load_be32(p);
    ipv6_header h;
    h.traffic_class = static_cast<std::uint8_t>(first >> 20);
    h.flow_label = first & 0xfffff;
    h.payload_length = load_be16(p + 4);
    h.next_header = p[6];
    h.hop_limit = p[7];
    std::copy_n(p + 8, 16, h.source.bytes.begin());
    std::copy_n(p + 24, 16, h.destination.bytes.begin());
    if (ipv6_header_bytes + h.payload_length > available) {
        return std::nullopt;
    }
    return h;
}

// Writes 40 octets and returns that.
inline std::size_t write_ipv6(std::uint8_t* out, const ipv6_header& h) {
    store_be32(out, 6u << 28 | std::uint32_t{h.traffic_class} << 20 | (h.flow_label & 0xfffff));
    store_be16(out + 4, h.payload_length);
    out[6] = h.next_header;
    out[7] = h.hop_limit;
    std::copy_n(h.source.bytes.begin(), 16, out + 8);
    std::copy_n(h.destination.bytes.begin(), 16, out + 24);
    return ipv6_header_bytes;
}

}  // namespace lastack::wire
