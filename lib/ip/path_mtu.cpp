// SPDX-License-Identifier: BSD-3-Clause
// The path MTU cache. See path_mtu.hpp for the model.
#include "ip/path_mtu.hpp"

#include <algorithm>
#include <bit>

#include "ip/address_hash.hpp"

namespace lastack::ip {

std::uint16_t mtu_plateau_below(std::uint16_t length) {
    constexpr std::array<std::uint16_t, 11> plateaus{65535, 32000, 17914, 8166, 4352, 2002,
                                                     1492,  1006,  508,   296,  68};
    for (const std::uint16_t p : plateaus) {
        if (p < length) {
            return p;
        }
    }
    return plateaus.back();
}

path_mtu_cache::path_mtu_cache(std::size_t entries, std::uint64_t hash_key)
    : buckets_(std::bit_ceil(std::max(entries, ways)) / ways), hash_key_(hash_key) {}

std::size_t path_mtu_cache::index(ipv4_address destination) const {
    return hash_address(destination, hash_key_) & (buckets_.size() - 1);
}

path_mtu path_mtu_cache::lookup(ipv4_address destination, std::uint16_t interface_mtu,
                                instant now) const {
    if (!ever_lowered_) {
        return {interface_mtu, true};
    }
    for (const entry& e : buckets_[index(destination)]) {
        if (e.destination == destination && now < e.expires && e.mtu.octets <= interface_mtu) {
            return e.mtu;
        }
    }
    return {interface_mtu, true};
}

bool path_mtu_cache::lower(ipv4_address destination, std::uint16_t reported,
                           std::uint16_t quoted_length, std::uint16_t interface_mtu, instant now) {
    const path_mtu current = lookup(destination, interface_mtu, now);
    // RFC 1191 5: a router that knows nothing of this RFC reports 0; then the next plateau below
    // the packet that it dropped is tried. A report below 68, which no IPv4 link may have, is no
    // better.
    std::uint16_t octets = reported;
    if (octets < 68) {
        octets = mtu_plateau_below(std::min(quoted_length, current.octets));
    }
    path_mtu wanted{octets, true};
    if (octets < path_mtu_floor) {
        wanted = {std::min(path_mtu_floor, current.octets), false};
    }
    if (wanted.octets > current.octets ||
        (wanted.octets == interface_mtu && wanted.dont_fragment)) {
        return false;
    }
    // A repetition keeps the entry alive; it must not give DF back to a path below the floor.
    wanted.dont_fragment = wanted.dont_fragment && current.dont_fragment;
    bucket& b = buckets_[index(destination)];
    auto at = std::ranges::find(b, destination, &entry::destination);
    if (at == b.end()) {
        at = std::ranges::min_element(b, {}, &entry::expires);
    }
    *at = {now + path_mtu_lifetime, destination, wanted};
    ever_lowered_ = true;
    return wanted != current;
}

}  // namespace lastack::ip
