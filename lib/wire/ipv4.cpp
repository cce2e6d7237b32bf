// SPDX-License-Identifier: BSD-3-Clause
// Reading and writing of IPv4 headers. See ipv4.hpp for the model.
#include "wire/ipv4.hpp"

#include <cstring>
#include <optional>

#include "base/byte_order.hpp"
#include "wire/checksum.hpp"

namespace lastack::wire {

namespace {

constexpr std::uint16_t flag_dont_fragment = 0x4000;
constexpr std::uint16_t flag_more_fragments = 0x2000;
constexpr std::uint16_t fragment_offset_mask = 0x1fff;

namespace kind {
constexpr std::uint8_t end = 0;
constexpr std::uint8_t nop = 1;
constexpr std::uint8_t loose_source_route = 131;
constexpr std::uint8_t strict_source_route = 137;
}  // namespace kind

std::optional<ipv4_reject> check_options(const std::uint8_t* p, std::size_t left) {
    while (left != 0 && *p != kind::end) {
        if (*p == kind::nop) {
            ++p;
            --left;
            continue;
        }
        if (left < 2 || p[1] < 2 || p[1] > left) {
            return ipv4_reject::options;
        }
        // RFC 1122 3.2.1.8: a host may have source routes switched off; we never act as a hop, and
        // replies over a route that the sender chose would let it sit on the path.
        if (*p == kind::loose_source_route || *p == kind::strict_source_route) {
            return ipv4_reject::source_route;
        }
        left -= p[1];
        p += p[1];
    }
    return std::nullopt;
}

// Of a header without options, its checksum field included: 0 if that is right.
std::uint16_t plain_header_checksum(const std::uint8_t* p) {
    std::uint64_t words[2];
    std::uint32_t last;
    std::memcpy(words, p, sizeof words);
    std::memcpy(&last, p + sizeof words, sizeof last);
    const std::uint64_t sum = end_around_sum(end_around_sum(words[0], words[1]), last);
    return swap_be(static_cast<std::uint16_t>(~folded_sum(sum)));
}

void read_fields(const std::uint8_t* p, std::size_t header_length, ipv4_header& h) {
    const std::uint16_t fragment = load_be16(p + 6);
    h.header_length = static_cast<std::uint8_t>(header_length);
    h.tos = p[1];
    h.total_length = load_be16(p + 2);
    h.identification = load_be16(p + 4);
    h.dont_fragment = (fragment & flag_dont_fragment) != 0;
    h.more_fragments = (fragment & flag_more_fragments) != 0;
    h.fragment_offset = static_cast<std::uint16_t>((fragment & fragment_offset_mask) * 8);
    h.ttl = p[8];
    h.protocol = p[9];
    h.source = {load_be32(p + 12)};
    h.destination = {load_be32(p + 16)};
}

std::optional<ipv4_reject> read_quote(std::span<const std::uint8_t> quote, ipv4_header& h) {
    if (quote.size() < ipv4_header_bytes) {
        return ipv4_reject::truncated;
    }
    if (quote[0] >> 4 != 4) {
        return ipv4_reject::version;
    }
    read_fields(quote.data(), (quote[0] & 0x0f) * std::size_t{4}, h);
    if (h.header_length < ipv4_header_bytes) {
        return ipv4_reject::header_length;
    }
    if (h.header_length > quote.size()) {
        return ipv4_reject::truncated;
    }
    return std::nullopt;
}

// A header with options, or what is none.
std::optional<ipv4_reject> parse_any(std::span<const std::uint8_t> front, std::size_t available,
                                     checksum_check check, ipv4_header& h) {
    if (const auto reject = read_quote(front, h)) {
        return reject;
    }
    if (h.total_length < h.header_length || h.total_length > available) {
        return ipv4_reject::total_length;
    }
    // As in parse_ipv4_into() below.
    if (check == checksum_check::verify && checksum_of(front.first(h.header_length)) != 0) {
        return ipv4_reject::checksum;
    }
    return check_options(front.data() + ipv4_header_bytes, h.header_length - ipv4_header_bytes);
}

// A header read, or why it was not.
result<ipv4_header, ipv4_reject> as_value(const ipv4_header& h, std::optional<ipv4_reject> reject) {
    if (reject) {
        return failure{*reject};
    }
    return h;
}

}  // namespace

result<ipv4_header, ipv4_reject> parse_ipv4_quote(std::span<const std::uint8_t> quote) {
    ipv4_header h;
    const auto reject = read_quote(quote, h);
    return as_value(h, reject);
}

std::optional<ipv4_reject> parse_ipv4_into(std::span<const std::uint8_t> front,
                                           std::size_t available, checksum_check check,
                                           ipv4_header& h) {
    // Version 4 and no options: nearly every packet. The rest reads into a header of its own, so
    // that this one may live in registers.
    if (front.size() < ipv4_header_bytes || front[0] != 0x45) [[unlikely]] {
        ipv4_header any;
        const auto reject = parse_any(front, available, check, any);
        h = any;
        return reject;
    }
    read_fields(front.data(), ipv4_header_bytes, h);
    if (h.total_length < ipv4_header_bytes || h.total_length > available) {
        return ipv4_reject::total_length;
    }
    // RFC 1122 3.2.1.2: a host must verify the header checksum.
    if (check == checksum_check::verify && plain_header_checksum(front.data()) != 0) {
        return ipv4_reject::checksum;
    }
    return std::nullopt;
}

result<ipv4_header, ipv4_reject> parse_ipv4(std::span<const std::uint8_t> front,
                                            std::size_t available, checksum_check check) {
    ipv4_header h;
    const auto reject = parse_ipv4_into(front, available, check, h);
    return as_value(h, reject);
}

// The checksum is that of the words as they are made, since reading back what was just written in
// narrower stores would wait for them.
std::size_t write_ipv4(std::uint8_t* out, const ipv4_header& h) {
    const std::uint32_t fragment = (h.dont_fragment ? flag_dont_fragment : 0u) |
                                   (h.more_fragments ? flag_more_fragments : 0u) |
                                   h.fragment_offset / 8u;
    const std::uint32_t first = 0x45000000u | std::uint32_t{h.tos} << 16 | h.total_length;
    const std::uint32_t second = std::uint32_t{h.identification} << 16 | fragment;
    const std::uint32_t third = std::uint32_t{h.ttl} << 24 | std::uint32_t{h.protocol} << 16;
    const std::uint64_t sum =
        std::uint64_t{first} + second + third + h.source.bits + h.destination.bits;
    store_be32(out, first);
    store_be32(out + 4, second);
    store_be32(out + 8, third | static_cast<std::uint16_t>(~folded_sum(sum)));
    store_be32(out + 12, h.source.bits);
    store_be32(out + 16, h.destination.bits);
    return ipv4_header_bytes;
}

}  // namespace lastack::wire
