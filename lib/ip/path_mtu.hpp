// SPDX-License-Identifier: BSD-3-Clause
// What 'fragmentation needed' taught us: the MTU of the path to a destination (RFC 1191).
//
// A bounded cache in buckets of four; when one is full the entry that would expire first gives way.
// An entry lasts 10 minutes from the last message (RFC 1191 6.3), then the interface's MTU is tried
// again. Nothing but validated messages may come here: the quote must name a connection of ours and
// an octet in flight (R68), or a stranger could shrink every segment. Sizes are of whole IP
// packets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.hpp"
#include "lastack/address.hpp"

namespace lastack::ip {

// Linux's min_pmtu: TCP never gets a smaller one. Below it more would be lost to headers, and to a
// liar, than a path so narrow is worth; packets of this size are then sent without DF.
inline constexpr std::uint16_t path_mtu_floor = 552;
inline constexpr duration path_mtu_lifetime = seconds{600};

struct path_mtu {
    std::uint16_t octets = 0;
    bool dont_fragment = true;  // false: the path is narrower than the floor
    friend constexpr bool operator==(const path_mtu&, const path_mtu&) = default;
};

class path_mtu_cache {
  public:
    // Rounded up to a power of two, at least 4.
    path_mtu_cache(std::size_t entries, std::uint64_t hash_key);

    path_mtu lookup(ipv4_address destination, std::uint16_t interface_mtu, instant now) const;

    // Takes in a message: `reported` is its next-hop MTU (0 from an old router), `quoted_length`
    // the total length of the packet it quotes. Returns true when the path became narrower, and
    // segments of the old size have to be cut anew. A message never widens a path.
    bool lower(ipv4_address destination, std::uint16_t reported, std::uint16_t quoted_length,
               std::uint16_t interface_mtu, instant now);

  private:
    static constexpr std::size_t ways = 4;
    struct entry {
        instant expires{};
        ipv4_address destination{};
        path_mtu mtu{};
    };
    using bucket = std::array<entry, ways>;

    std::size_t index(ipv4_address destination) const;

    std::vector<bucket> buckets_;
    std::uint64_t hash_key_;
    bool ever_lowered_ = false;  // until then nothing need be looked for
};

// RFC 1191 7.1: the next common MTU below the length of a packet that did not fit.
std::uint16_t mtu_plateau_below(std::uint16_t length);

}  // namespace lastack::ip
