// SPDX-License-Identifier: BSD-3-Clause
// The route table. See routes.hpp for the model.
#include "ip/routes.hpp"

#include <algorithm>

namespace lastack::ip {

namespace {

// RFC 3021: a /31 has no broadcast address; nor has a /32.
constexpr std::optional<ipv4_address> broadcast_of(const ipv4_prefix& p) {
    return p.length <= 30 ? std::optional{ipv4_address{p.address.bits | ~p.mask()}} : std::nullopt;
}

}  // namespace

std::optional<route_error> route_table::add_address(ipv4_prefix prefix) {
    if (!is_host(prefix.address) || prefix.length > 32 || broadcast_of(prefix) == prefix.address) {
        return route_error::not_a_host;
    }
    if (is_local(prefix.address)) {
        return route_error::duplicate;
    }
    if (address_count_ == addresses_max || route_count_ == routes_max) {
        return route_error::full;
    }
    addresses_[address_count_++] = prefix;
    taken_[slot_of(prefix.address)] = {prefix.address, use::ours};
    if (const auto broadcast = broadcast_of(prefix)) {
        taken& there = taken_[slot_of(*broadcast)];
        if (there.what == use::none) {  // an address of ours stays one
            there = {*broadcast, use::broadcast};
        }
    }
    insert({prefix, {}, prefix.address});
    return std::nullopt;
}

std::optional<route_error> route_table::add_route(ipv4_prefix prefix, ipv4_address gateway) {
    if (!is_host(gateway) || prefix.length > 32) {
        return route_error::not_a_host;
    }
    if (is_local(gateway)) {
        return route_error::gateway_is_ours;
    }
    const auto on_link = std::ranges::find_if(rows(), [gateway](const row& r) {
        return r.gateway.is_any() && r.prefix.contains(gateway);
    });
    if (on_link == rows().end()) {
        return route_error::gateway_not_on_link;
    }
    if (std::ranges::any_of(rows(), [&prefix](const row& r) {
            return !r.gateway.is_any() && r.prefix.length == prefix.length &&
                   r.prefix.contains(prefix.address);
        })) {
        return route_error::duplicate;
    }
    if (route_count_ == routes_max) {
        return route_error::full;
    }
    insert({prefix, gateway, on_link->source});
    return std::nullopt;
}

std::optional<route> route_table::lookup(ipv4_address destination) const {
    if (!is_host(destination) || is_local(destination)) {
        return std::nullopt;
    }
    for (const row& r : rows()) {
        if (r.prefix.contains(destination)) {
            return route{r.gateway.is_any() ? destination : r.gateway, r.source};
        }
    }
    return std::nullopt;
}

bool route_table::is_on_link(ipv4_address a) const {
    return std::ranges::any_of(addresses(), [a](const ipv4_prefix& p) { return p.contains(a); });
}

// Behind all that are as long, so that of two addresses in one prefix the first is the source.
void route_table::insert(const row& r) {
    const auto end = routes_.begin() + static_cast<std::ptrdiff_t>(route_count_);
    const auto at = std::find_if(routes_.begin(), end, [&r](const row& other) {
        return other.prefix.length < r.prefix.length;
    });
    std::move_backward(at, end, end + 1);
    *at = r;
    ++route_count_;
}

}  // namespace lastack::ip
