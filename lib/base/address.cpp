// SPDX-License-Identifier: BSD-3-Clause
#include "lastack/address.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <cstdio>

namespace lastack {
namespace {

// A decimal number up to `most`, without sign or leading zeros, that ends where `text` ends.
std::optional<unsigned> parse_number(std::string_view text, unsigned most) {
    if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) {
        return std::nullopt;
    }
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > most) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

std::optional<ipv4_address> parse_ipv4(std::string_view text) {
    ipv4_address address;
    for (int part = 0; part < 4; ++part) {
        const auto dot = part < 3 ? text.find('.') : text.size();
        if (dot == std::string_view::npos) {
            return std::nullopt;
        }
        const auto number = parse_number(text.substr(0, dot), 255);
        if (!number) {
            return std::nullopt;
        }
        address.bits = address.bits << 8 | *number;
        text.remove_prefix(part < 3 ? dot + 1 : dot);
    }
    return address;
}

std::optional<ipv4_prefix> parse_ipv4_prefix(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = parse_ipv4(text.substr(0, slash));
    if (!address) {
        return std::nullopt;
    }
    if (slash == std::string_view::npos) {
        return ipv4_prefix{*address, 32};
    }
    const auto length = parse_number(text.substr(slash + 1), 32);
    if (!length) {
        return std::nullopt;
    }
    return ipv4_prefix{*address, static_cast<std::uint8_t>(*length)};
}

std::string to_string(ipv4_address a) {
    char text[16];
    std::snprintf(text, sizeof text, "%u.%u.%u.%u", a.bits >> 24, a.bits >> 16 & 255,
                  a.bits >> 8 & 255, a.bits & 255);
    return text;
}

std::string to_string(const ip_address& a) {
    if (a.is_v4()) {
        return to_string(a.v4());
    }
    char text[INET6_ADDRSTRLEN];
    ::inet_ntop(AF_INET6, a.v6().bytes.data(), text, sizeof text);
    return text;
}

std::string to_string(const endpoint& e) {
    const auto address = to_string(e.address);
    return (e.address.is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(e.port);
}

std::string to_string(const mac_address& a) {
    char text[18];
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", a.bytes[0], a.bytes[1],
                  a.bytes[2], a.bytes[3], a.bytes[4], a.bytes[5]);
    return text;
}

}  // namespace lastack
