// SPDX-License-Identifier: BSD-3-Clause
// Which next hop and which source address a destination gets, and which addresses are ours.
//
// One list of routes, longest prefix first: the prefixes of our own addresses are on-link, the
// others name a gateway, and the default gateway is the route 0.0.0.0/0. A stack has a handful of
// each and a connection asks once, so a scan beats a trie. Whether an address is ours is asked for
// every packet, and so is whether its source can be somebody else's: a hash set of what cannot, our
// addresses and the broadcast addresses of their prefixes. Filled at start; nothing allocates.
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

    bool is_local(ipv4_address a) const { return taken_[slot_of(a)].what == use::ours; }
    // Within the prefix of one of our addresses.
    bool is_on_link(ipv4_address a) const;
    // The limited broadcast, or that of one of our prefixes.
    bool is_broadcast(ipv4_address a) const {
        return a.is_limited_broadcast() || taken_[slot_of(a)].what == use::broadcast;
    }
    // RFC 1122 3.2.1.3: may this be the source of a packet that we received?
    bool is_valid_source(ipv4_address a) const {
        return is_unicast(a) && taken_[slot_of(a)].what == use::none;
    }

    std::span<const ipv4_prefix> addresses() const { return {addresses_.data(), address_count_}; }

  private:
    struct row {
        ipv4_prefix prefix{};
        ipv4_address gateway{};  // any: on-link
        ipv4_address source{};
    };
    enum class use : std::uint8_t { none, ours, broadcast };
    struct taken {
        ipv4_address address{};
        use what = use::none;
    };
    // An address and a broadcast for each: at most half full, so that a probe ends soon.
    static constexpr unsigned taken_bits = 8;
    static_assert(1u << taken_bits == 4 * addresses_max);

    // Where the address is; else the free slot where its probe ends.
    std::size_t slot_of(ipv4_address a) const {
        std::size_t at = (a.bits * 0x9e3779b1u) >> (32 - taken_bits);
        while (taken_[at].address != a && taken_[at].what != use::none) {
            at = (at + 1) % taken_.size();
        }
        return at;
    }
    // RFC 1122 3.2.1.3: 0.0.0.0/8 is 'this host on this network' and never on the wire but to boot.
    static constexpr bool is_unicast(ipv4_address a) {
        const std::uint32_t first = a.bits >> 24;
        return first < 224 ? first != 0 && !a.is_loopback()
                           : !a.is_multicast() && !a.is_limited_broadcast();
    }
    bool is_host(ipv4_address a) const { return is_unicast(a) && !is_broadcast(a); }
    void insert(const row& r);
    std::span<const row> rows() const { return {routes_.data(), route_count_}; }

    std::array<taken, 1u << taken_bits> taken_{};  // open addressing
    std::array<ipv4_prefix, addresses_max> addresses_{};
    std::array<row, routes_max> routes_{};
    std::size_t address_count_ = 0;
    std::size_t route_count_ = 0;
};

}  // namespace lastack::ip
