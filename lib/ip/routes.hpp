// SPDX-License-Identifier: BSD-3-Clause
// Which next hop and which source address a destination gets, and which addresses are ours.
//
// One list of routes, longest prefix first: the prefixes of our own addresses are on-link, the
// others name a gateway, and the default gateway is the route 0.0.0.0/0. A stack has a handful of
// each and a connection asks once, so a scan beats a trie. Whether an address is ours is asked for
// every packet: a hash set, with one word a slot. Filled at start; nothing allocates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lastack/address.hpp"

namespace lastack::ip {

struct route {
    ipv4_address next_hop{};  // on-link: whom to ask by ARP
    ipv4_address source{};    // ours
    friend constexpr bool operator==(const route&, const route&) = default;
};

enum class route_error : std::uint8_t {
    full,                 // the table has no room left
    not_a_host,           // the address cannot be a host's: any, loopback, multicast, broadcast
    duplicate,            // we have this address, or a route of this prefix, already
    gateway_is_ours,      // we cannot be our own gateway
    gateway_not_on_link,  // no address of ours has the gateway in its prefix
};

class route_table {
  public:
    static constexpr std::size_t addresses_max = 64;
    static constexpr std::size_t routes_max = addresses_max + 16;

    // One of our own addresses with its prefix. nullopt: done.
    [[nodiscard]] std::optional<route_error> add_address(ipv4_prefix prefix);
    // Destinations in `prefix` go by way of `gateway`, which must be on-link by an address that was
    // added before.
    [[nodiscard]] std::optional<route_error> add_route(ipv4_prefix prefix, ipv4_address gateway);
    [[nodiscard]] std::optional<route_error> set_gateway(ipv4_address gateway) {
        return add_route({{}, 0}, gateway);
    }

    // nullopt when there is no way, and for destinations that no TCP segment may have: ourselves
    // (nothing loops back here), any, loopback, multicast, broadcast.
    std::optional<route> lookup(ipv4_address destination) const;

    bool is_local(ipv4_address a) const {
        std::size_t at = own_slot(a);
        while (own_[at] != a && !own_[at].is_any()) {
            at = (at + 1) % own_.size();
        }
        return !a.is_any() && own_[at] == a;
    }
    // Within the prefix of one of our addresses.
    bool is_on_link(ipv4_address a) const;
    // The limited broadcast, or that of one of our prefixes.
    bool is_broadcast(ipv4_address a) const;
    // RFC 1122 3.2.1.3: may this be the source of a packet that we received?
    bool is_valid_source(ipv4_address a) const { return is_host(a) && !is_local(a); }

    std::span<const ipv4_prefix> addresses() const { return {addresses_.data(), address_count_}; }

  private:
    struct row {
        ipv4_prefix prefix{};
        ipv4_address gateway{};  // any: on-link
        ipv4_address source{};
    };
    // At most half full, so that a probe ends soon.
    static constexpr std::size_t own_slots = std::size_t{2} * addresses_max;
    static std::size_t own_slot(ipv4_address a) { return (a.bits * 0x9e3779b1u) >> (32 - 7); }
    static_assert(own_slots == 1u << 7);

    bool is_host(ipv4_address a) const;
    void insert(const row& r);
    std::span<const row> rows() const { return {routes_.data(), route_count_}; }

    std::array<ipv4_address, own_slots> own_{};  // open addressing; the any-address: empty
    std::array<ipv4_address, addresses_max> broadcasts_{};  // of our prefixes, each once
    std::array<ipv4_prefix, addresses_max> addresses_{};
    std::array<row, routes_max> routes_{};
    std::size_t broadcast_count_ = 0;
    std::size_t address_count_ = 0;
    std::size_t route_count_ = 0;
};

}  // namespace lastack::ip
