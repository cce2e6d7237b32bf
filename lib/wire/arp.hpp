// SPDX-License-Identifier: BSD-3-Clause
// ARP packets for IPv4 over Ethernet (RFC 826): 28 octets behind the Ethernet header.
//
// Only what this kind of packet can say parses; who may say it is judged in ip/arp.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/byte_order.hpp"
#include "lastack/address.hpp"
#include "wire/ethernet.hpp"

namespace lastack::wire {

enum class arp_operation : std::uint16_t { request = 1, reply = 2 };

inline constexpr std::size_t arp_bytes = 28;

struct arp_packet {
    arp_operation operation = arp_operation::request;
    mac_address sender_mac{};
    ipv4_address sender{};
    mac_address target_mac{};
    ipv4_address target{};
    friend constexpr bool operator==(const arp_packet&, const arp_packet&) = default;
};

// `bytes` begins behind the Ethernet header; padding behind the packet is ignored. nullopt when it
// is short, not IPv4 over Ethernet, or neither request nor reply.
inline std::optional<arp_packet> parse_arp(std::span<const std::uint8_t> bytes) {
    if (bytes.size() < arp_bytes) {
        return std::nullopt;
    }
    const std::uint8_t* p = bytes.data();
    const std::uint16_t operation = load_be16(p + 6);
    const bool ipv4_over_ethernet =
        load_be16(p) == 1 && load_be16(p + 2) == ethertype::ipv4 && p[4] == 6 && p[5] == 4;
    if (!ipv4_over_ethernet || (operation != 1 && operation != 2)) {
        return std::nullopt;
    }
    arp_packet a;
    a.operation = static_cast<arp_operation>(operation);
    std::copy_n(p + 8, 6, a.sender_mac.bytes.begin());
    a.sender = {load_be32(p + 14)};
    std::copy_n(p + 18, 6, a.target_mac.bytes.begin());
    a.target = {load_be32(p + 24)};
    return a;
}

// Writes 28 octets and returns that.
inline std::size_t write_arp(std::uint8_t* out, const arp_packet& a) {
    store_be16(out, 1);  // Ethernet
    store_be16(out + 2, ethertype::ipv4);
    out[4] = 6;
    out[5] = 4;
    store_be16(out + 6, static_cast<std::uint16_t>(a.operation));
    std::copy_n(a.sender_mac.bytes.begin(), 6, out + 8);
    store_be32(out + 14, a.sender.bits);
    std::copy_n(a.target_mac.bytes.begin(), 6, out + 18);
    store_be32(out + 24, a.target.bits);
    return arp_bytes;
}

}  // namespace lastack::wire
