// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer over every parser of wire/ and ip/: no octets may harm, and what a parser accepted, the
// writer must be able to say again so that it parses the same.
//
// Each input goes to all of them; the buffer has its exact size, so that reading one octet too far
// is seen by the address sanitizer.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "ip/arp.hpp"
#include "ip/icmp.hpp"
#include "ip/routes.hpp"
#include "wire/arp.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmp.hpp"
#include "wire/ipv4.hpp"
#include "wire/ipv6.hpp"
#include "wire/tcp.hpp"

namespace {

using namespace lastack;
using input = std::span<const std::uint8_t>;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

void fuzz_tcp(input in) {
    // Its first octet says how many octets follow that do not lie in this piece.
    const std::uint32_t beyond = in.empty() ? 0 : in[0];
    const auto first = wire::parse_tcp(in, static_cast<std::uint32_t>(in.size()) + beyond);
    if (!first) {
        return;
    }
    require(first->header_length >= 20 && first->header_length <= in.size());
    require(first->options.sack_count <= 4 && first->options.wscale <= wire::wscale_max);
    wire::tcp_segment expected = *first;
    // Padding may leave room for fewer blocks than the peer squeezed in.
    const auto blocks = wire::tcp_sack_blocks_written(expected.options);
    for (std::size_t i = blocks; i < expected.options.sack.size(); ++i) {
        expected.options.sack[i] = {};
    }
    expected.options.sack_count = static_cast<std::uint8_t>(blocks);
    expected.header_length = static_cast<std::uint8_t>(wire::tcp_header_length(expected.options));
    require(expected.header_length <= 60);
    const auto out = std::make_unique<std::uint8_t[]>(expected.header_length);
    require(wire::write_tcp(out.get(), *first) == expected.header_length);
    const auto again = wire::parse_tcp({out.get(), expected.header_length},
                                       expected.header_length + expected.payload_length);
    require(again.ok() && *again == expected);
}

void fuzz_ipv4(input in) {
    const auto strict = wire::parse_ipv4(in, in.size(), wire::checksum_check::verify);
    const auto lax = wire::parse_ipv4(in, in.size(), wire::checksum_check::done_by_hardware);
    require(!strict || lax);
    if (!lax) {
        return;
    }
    require(lax->header_length <= lax->total_length && lax->total_length <= in.size());
    wire::ipv4_header expected = *lax;
    expected.header_length = wire::ipv4_header_bytes;
    std::uint8_t out[wire::ipv4_header_bytes];
    wire::write_ipv4(out, *lax);
    const auto again = wire::parse_ipv4(out, in.size(), wire::checksum_check::verify);
    require(again.ok() && *again == expected);
}

void fuzz_echo(input packet) {
    const auto ip = wire::parse_ipv4(packet, packet.size(), wire::checksum_check::verify);
    if (!ip) {
        return;
    }
    const input message = packet.subspan(ip->header_length, ip->payload_length());
    if (ip::judge_icmp(message).what != ip::icmp_verdict::kind::echo_request) {
        return;
    }
    const bool sound = wire::checksum_of(message) == 0;
    const auto copy = std::make_unique<std::uint8_t[]>(packet.size());
    std::copy(packet.begin(), packet.end(), copy.get());
    ip::make_echo_reply({copy.get(), packet.size()}, 64);
    const input reply{copy.get(), packet.size()};
    const auto after = wire::parse_ipv4(reply, reply.size(), wire::checksum_check::verify);
    require(after.ok() && after->source == ip->destination && after->destination == ip->source);
    require(!sound ||
            wire::checksum_of(reply.subspan(ip->header_length, ip->payload_length())) == 0);
}

void fuzz_arp(input in) {
    const auto a = wire::parse_arp(in);
    if (!a) {
        return;
    }
    std::uint8_t out[wire::arp_bytes];
    require(wire::write_arp(out, *a) == sizeof out && std::equal(out, out + sizeof out, in.data()));
    static const ip::route_table routes = [] {
        ip::route_table r;
        require(!r.add_address({{0x0a000002}, 24}));
        return r;
    }();
    const auto v = ip::judge_arp(*a, {{2, 0, 0, 0, 0, 2}}, routes);
    require(!v.learn || (routes.is_on_link(a->sender) && !routes.is_local(a->sender) &&
                         !routes.is_broadcast(a->sender) && !a->sender_mac.is_multicast()));
}

void fuzz_rest(input in) {
    if (const auto e = wire::parse_ethernet(in)) {
        std::uint8_t out[wire::ethernet_header_bytes];
        wire::write_ethernet(out, *e);
        require(std::equal(out, out + sizeof out, in.data()));
    }
    if (const auto v6 = wire::parse_ipv6(in, in.size())) {
        std::uint8_t out[wire::ipv6_header_bytes];
        wire::write_ipv6(out, *v6);
        require(std::equal(out, out + sizeof out, in.data()));
    }
    if (const auto h = wire::parse_icmp(in)) {
        std::uint8_t out[wire::icmp_header_bytes];
        wire::write_icmp(out, *h);
        require(wire::parse_icmp(out) == h);
    }
    static_cast<void>(ip::judge_icmp(in));
    // The sum does not depend on where the octets are cut.
    wire::checksum pieces;
    const std::size_t cut = in.empty() ? 0 : in[0] % in.size();
    pieces.add(in.first(cut));
    pieces.add(in.subspan(cut));
    require(pieces.value() == wire::checksum_of(in));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const input in{data, size};
    fuzz_tcp(in);
    fuzz_ipv4(in);
    fuzz_echo(in);
    fuzz_arp(in);
    fuzz_rest(in);
    return 0;
}
