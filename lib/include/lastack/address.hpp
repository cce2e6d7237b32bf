// SPDX-License-Identifier: BSD-3-Clause
// Addresses as an application writes them. All numbers are in host byte order.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lastack {

// An IPv4 address. `bits` is in host byte order: 10.0.0.1 is 0x0a000001.
struct ipv4_address {
    std::uint32_t bits = 0;
    friend constexpr auto operator<=>(ipv4_address, ipv4_address) = default;
    constexpr bool is_any() const { return bits == 0; }
    constexpr bool is_multicast() const { return (bits >> 28) == 0xe; }
    constexpr bool is_loopback() const { return (bits >> 24) == 127; }
    constexpr bool is_limited_broadcast() const { return bits == 0xffffffffu; }
};

// An IPv6 address in network byte order.
struct ipv6_address {
    std::array<std::uint8_t, 16> bytes{};
    friend constexpr auto operator<=>(const ipv6_address&, const ipv6_address&) = default;
};

// An address of either family. An IPv4 address keeps its family; it is never mapped into IPv6.
class ip_address {
  public:
    constexpr ip_address() = default;
    constexpr ip_address(ipv4_address a) : v4_(a) {}
    constexpr ip_address(const ipv6_address& a) : v6_(a), is_v6_(true) {}

    constexpr bool is_v4() const { return !is_v6_; }
    constexpr bool is_v6() const { return is_v6_; }
    // Preconditions: is_v4(), is_v6() respectively; otherwise the unspecified address.
    constexpr ipv4_address v4() const { return v4_; }
    constexpr const ipv6_address& v6() const { return v6_; }
    constexpr bool is_any() const { return is_v6_ ? v6_ == ipv6_address{} : v4_.is_any(); }
    friend constexpr bool operator==(const ip_address&, const ip_address&) = default;

  private:
    ipv6_address v6_{};
    ipv4_address v4_{};
    bool is_v6_ = false;
};

// An address and a TCP port (host byte order).
struct endpoint {
    ip_address address{};
    std::uint16_t port = 0;
    friend constexpr bool operator==(const endpoint&, const endpoint&) = default;
};

// An interface address with its prefix, "10.0.0.2/24".
struct ipv4_prefix {
    ipv4_address address{};
    std::uint8_t length = 32;  // bits, 0 to 32
    constexpr std::uint32_t mask() const { return length == 0 ? 0 : ~0u << (32 - length); }
    constexpr bool contains(ipv4_address a) const {
        return ((a.bits ^ address.bits) & mask()) == 0;
    }
    friend constexpr bool operator==(const ipv4_prefix&, const ipv4_prefix&) = default;
};

// An Ethernet address.
struct mac_address {
    std::array<std::uint8_t, 6> bytes{};
    friend constexpr bool operator==(const mac_address&, const mac_address&) = default;
    constexpr bool is_multicast() const { return (bytes[0] & 1) != 0; }  // broadcast included
};

// Dotted quads only: four decimal numbers without leading zeros. nullopt on anything else.
std::optional<ipv4_address> parse_ipv4(std::string_view text);
// ADDR/LEN; a missing /LEN means /32.
std::optional<ipv4_prefix> parse_ipv4_prefix(std::string_view text);

std::string to_string(ipv4_address a);
std::string to_string(const ip_address& a);  // IPv6 by RFC 5952
std::string to_string(const endpoint& e);    // 10.0.0.1:80, [::1]:80
std::string to_string(const mac_address& a);

}  // namespace lastack
