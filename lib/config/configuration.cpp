// SPDX-License-Identifier: BSD-3-Clause
#include "config/configuration.hpp"

#include <charconv>

namespace lastack::config {

configuration built_in() {
    configuration c;
    c.stack.addresses = {{{{0x0a000002}, 24}, 0}};
    c.stack.listen = {80};
    c.eal = {"--vdev=net_tap0,iface=lastack0"};
    c.kernel.interface = "lastack0";
    c.kernel.address = ipv4_prefix{{0x0a000001}, 24};
    return c;
}

void forget_driver(configuration& c) {
    c.eal.clear();
    c.kernel = {};
}

result<interface_address, std::string> parse_interface_address(std::string_view text) {
    const auto bad = [text](std::string_view why) {
        return failure{"'" + std::string(text) +
                       "' is not an interface address: " + std::string(why) +
                       "; write ADDR/LEN or ADDR/LEN@PORT, for example "
                       "10.0.0.2/24"};
    };
    interface_address found;
    const auto at = text.find('@');
    if (at != text.npos) {
        const auto number = text.substr(at + 1);
        const auto [end, error] =
            std::from_chars(number.data(), number.data() + number.size(), found.port);
        if (error != std::errc{} || end != number.data() + number.size()) {
            return bad("what follows '@' is the index of a port");
        }
    }
    const auto prefix = text.substr(0, at);
    if (prefix.find('/') == prefix.npos) {
        return bad("the prefix length is missing");
    }
    const auto parsed = parse_ipv4_prefix(prefix);
    if (!parsed) {
        return bad("not an IPv4 address and a prefix length of 0 to 32");
    }
    found.prefix = *parsed;
    const auto a = parsed->address;
    if (a.is_any() || a.is_multicast() || a.is_loopback() || a.is_limited_broadcast()) {
        return bad("no interface can have that address");
    }
    // A /31 or /32 has no network and broadcast addresses (RFC 3021).
    if (parsed->length < 31 &&
        ((a.bits & ~parsed->mask()) == 0 || (a.bits | parsed->mask()) == 0xffffffffu)) {
        return bad("that is the network's or the broadcast address");
    }
    return found;
}

}  // namespace lastack::config
