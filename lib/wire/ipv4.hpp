// SPDX-License-Identifier: BSD-3-Clause
// IPv4 headers (RFC 791): what a received one says, in host order, and how one is written.
//
// Parsing checks what makes the packet readable: version, lengths, checksum, options. Whether its
// addresses make sense and whether it is a fragment are the stack's questions. Options are passed
// over, but for source routes, which a host that forwards nothing has no use for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/counters.hpp"
#include "lastack/address.hpp"
#include "lastack/result.hpp"

namespace lastack::wire {

inline constexpr std::size_t ipv4_header_bytes = 20;
inline constexpr std::size_t ipv4_checksum_offset = 10;  // of the checksum field, in octets

struct ipv4_header {
    ipv4_address source{};
    ipv4_address destination{};
    std::uint16_t total_length = 0;  // octets, header included
    std::uint16_t identification = 0;
    std::uint16_t fragment_offset = 0;  // octets, a multiple of 8
    std::uint8_t ttl = 0;
    std::uint8_t tos = 0;
    std::uint8_t protocol = 0;
    std::uint8_t header_length = ipv4_header_bytes;  // octets, options included
    bool dont_fragment = false;
    bool more_fragments = false;

    constexpr bool is_fragment() const { return more_fragments || fragment_offset != 0; }
    constexpr std::uint32_t payload_length() const {
        return static_cast<std::uint32_t>(total_length - header_length);
    }
    friend constexpr bool operator==(const ipv4_header&, const ipv4_header&) = default;
};

enum class ipv4_reject : std::uint8_t {
    truncated,      // the header does not lie whole in the first piece
    version,        // not 4
    header_length,  // IHL below 5
    total_length,   // shorter than the header, or longer than the frame
    checksum,       // of the header
    options,        // an option's length is impossible
    source_route,   // LSRR or SSRR
};
constexpr counter to_counter(ipv4_reject r) {
    switch (r) {
        case ipv4_reject::checksum:
            return counter::ip_in_checksum;
        case ipv4_reject::source_route:
            return counter::ip_in_options;
        default:
            return counter::ip_in_hdr_errors;
    }
}

enum class checksum_check : std::uint8_t { verify, done_by_hardware };

// `front` is what lies in one piece of the packet, from the header's first octet on; `available`
// the octets from there to the end of the frame, in all pieces. Octets behind total_length are
// padding. The header is written where it is to stay, as parse_tcp_into() does, and for its reason.
std::optional<ipv4_reject> parse_ipv4_into(std::span<const std::uint8_t> front,
                                           std::size_t available, checksum_check check,
                                           ipv4_header& into);
// The same as a value.
result<ipv4_header, ipv4_reject> parse_ipv4(std::span<const std::uint8_t> front,
                                            std::size_t available, checksum_check check);

// Reads a header of which a router may have changed TTL and checksum, cut the payload and sent the
// rest back in an ICMP error: neither the total length against the octets nor the checksum is
// checked.
result<ipv4_header, ipv4_reject> parse_ipv4_quote(std::span<const std::uint8_t> quote);

// Writes 20 octets, checksum included, and returns that. header_length is not read.
std::size_t write_ipv4(std::uint8_t* out, const ipv4_header& header);

}  // namespace lastack::wire
