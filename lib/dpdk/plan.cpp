// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/plan.hpp"

#include <algorithm>

namespace lastack::dpdk {

result<bool, std::string> check_addresses(const config::stack_config& c, std::size_t ports) {
    const auto text = [](const config::interface_address& a) {
        return to_string(a.prefix.address) + "/" + std::to_string(a.prefix.length) + "@" +
               std::to_string(a.port);
    };
    for (auto a = c.addresses.begin(); a != c.addresses.end(); ++a) {
        if (a->port >= ports) {
            return failure{"address " + text(*a) + " names port " + std::to_string(a->port) +
                           ", but there " + (ports == 1 ? "is" : "are") + " only " +
                           std::to_string(ports) + ", counted from 0"};
        }
        const auto twin = std::find_if(c.addresses.begin(), a, [a](const auto& b) {
            return b.prefix.address == a->prefix.address;
        });
        if (twin != a) {
            return failure{"address " + to_string(a->prefix.address) + " is given twice"};
        }
    }
    for (std::size_t port = 0; port < ports; ++port) {
        if (addresses_of(c, port).empty()) {
            return failure{"port " + std::to_string(port) + " has no address; add --address " +
                           "ADDR/LEN@" + std::to_string(port)};
        }
    }
    if (c.gateway) {
        const auto reaches = std::any_of(c.addresses.begin(), c.addresses.end(), [&](auto& a) {
            return a.prefix.contains(*c.gateway) && a.prefix.address != *c.gateway;
        });
        if (!reaches) {
            return failure{"gateway " + to_string(*c.gateway) +
                           " is not on the network of any --address"};
        }
    }
    return true;
}

std::vector<ipv4_prefix> addresses_of(const config::stack_config& c, std::size_t port) {
    std::vector<ipv4_prefix> found;
    for (const auto& a : c.addresses) {
        if (a.port == port) {
            found.push_back(a.prefix);
        }
    }
    return found;
}

std::optional<ipv4_address> gateway_of(const config::stack_config& c, std::size_t port) {
    const auto on_link = [&](const ipv4_prefix& p) { return p.contains(*c.gateway); };
    const auto own = addresses_of(c, port);
    return c.gateway && std::any_of(own.begin(), own.end(), on_link) ? c.gateway : std::nullopt;
}

config::settings share(const config::settings& resolved, std::size_t stacks) {
    config::settings part = resolved;
    for (auto* count : {&part.connections, &part.syn_records, &part.time_wait_records}) {
        *count = static_cast<std::uint32_t>((*count + stacks - 1) / stacks);
    }
    const auto with_headroom = [&](std::uint32_t share, std::uint32_t all) {
        const std::uint64_t wanted =
            (std::uint64_t{share} * resolved.core_headroom.hundredths + 99) / 100;
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, all));
    };
    part.connections = with_headroom(part.connections, resolved.connections);
    part.time_wait_records = with_headroom(part.time_wait_records, resolved.time_wait_records);
    return part;
}

}  // namespace lastack::dpdk
