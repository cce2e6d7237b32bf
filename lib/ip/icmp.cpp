// SPDX-License-Identifier: BSD-3-Clause
// ICMP decisions. See icmp.hpp for the model.
#include "ip/icmp.hpp"

#include <array>

#include "base/byte_order.hpp"
#include "wire/checksum.hpp"
#include "wire/icmp.hpp"
#include "wire/ipv4.hpp"

namespace lastack::ip {

namespace {

using kind = icmp_error_kind;

struct unreachable_row {
    kind what;
    bool hard;
};

// By code, RFC 792, 1122 3.2.2.1 and 1812 5.2.7.1. Hard and soft as RFC 9293 3.9.2.2 says for 0 to
// 5 and Linux's icmp_err_convert for the rest; code 4 is neither, it is path MTU discovery.
constexpr std::array<unreachable_row, 16> unreachable_codes{{
    {kind::net_unreachable, false},      // 0
    {kind::host_unreachable, false},     // 1
    {kind::protocol_unreachable, true},  // 2
    {kind::port_unreachable, true},      // 3
    {kind::frag_needed, false},          // 4
    {kind::source_route_failed, false},  // 5
    {kind::net_unreachable, true},       // 6: network unknown
    {kind::host_unreachable, true},      // 7: host unknown
    {kind::net_unreachable, true},       // 8: source host isolated
    {kind::prohibited, true},            // 9: network prohibited
    {kind::prohibited, true},            // 10: host prohibited
    {kind::net_unreachable, false},      // 11: for this type of service
    {kind::host_unreachable, false},     // 12: for this type of service
    {kind::prohibited, true},            // 13: by a filter
    {kind::prohibited, true},            // 14: precedence violation
    {kind::prohibited, true},            // 15: precedence cut-off
}};

constexpr std::uint8_t code_ttl_exceeded = 0;  // the other is a fragment's reassembly time

icmp_verdict drop(counter c) {
    return {icmp_verdict::kind::drop, c, {}};
}

// Fills in what the quote says; false when it is not a TCP segment's beginning.
bool read_quote(std::span<const std::uint8_t> quote, icmp_error& error) {
    const auto ip = wire::parse_ipv4_quote(quote);
    if (!ip || ip->protocol != wire::protocol_tcp || ip->fragment_offset != 0) {
        return false;
    }
    const auto tcp = quote.subspan(ip->header_length);
    if (tcp.size() < 8) {
        return false;
    }
    error.quoted_length = ip->total_length;
    error.local = ip->source;
    error.remote = ip->destination;
    error.local_port = load_be16(tcp.data());
    error.remote_port = load_be16(tcp.data() + 2);
    error.seq = {load_be32(tcp.data() + 4)};
    return true;
}

icmp_verdict judge_error(std::span<const std::uint8_t> quote, icmp_error error, counter count) {
    if (!read_quote(quote, error)) {
        return drop(counter::icmp_quote_unknown);
    }
    return {icmp_verdict::kind::error, count, error};
}

icmp_verdict judge_unreachable(const wire::icmp_header& h, std::span<const std::uint8_t> quote) {
    if (h.code >= unreachable_codes.size()) {
        return drop(counter::icmp_in_errors);
    }
    const unreachable_row& row = unreachable_codes[h.code];
    icmp_error error;
    error.kind = row.what;
    error.hard = row.hard;
    if (row.what != kind::frag_needed) {
        return judge_error(quote, error, counter::icmp_in_unreachable);
    }
    error.mtu = h.next_hop_mtu();
    return judge_error(quote, error, counter::icmp_in_frag_needed);
}

}  // namespace

icmp_verdict judge_icmp(std::span<const std::uint8_t> message) {
    const auto h = wire::parse_icmp(message);
    if (!h) {
        return drop(counter::icmp_in_errors);
    }
    const auto quote = message.subspan(wire::icmp_header_bytes);
    icmp_error error;
    switch (h->type) {
        case wire::icmp_type::echo_request:
            return {icmp_verdict::kind::echo_request, counter::icmp_echo_in, {}};
        case wire::icmp_type::unreachable:
            return judge_unreachable(*h, quote);
        case wire::icmp_type::time_exceeded:
            if (h->code != code_ttl_exceeded) {
                // A packet that was sent whole with DF cannot run out of reassembly time.
                return drop(counter::icmp_in_errors);
            }
            error.kind = kind::time_exceeded;
            return judge_error(quote, error, counter::icmp_in_time_exceeded);
        case wire::icmp_type::parameter_problem:
            error.kind = kind::parameter_problem;
            return judge_error(quote, error, counter::icmp_in_unreachable);
        default:
            // RFC 9293 3.9.2.2: source quench is discarded; the rest is not for us.
            return drop(counter::icmp_in_errors);
    }
}

void make_echo_reply(std::span<std::uint8_t> packet, std::uint8_t ttl) {
    std::uint8_t* ip = packet.data();
    const std::uint32_t source = load_be32(ip + 12);
    store_be32(ip + 12, load_be32(ip + 16));
    store_be32(ip + 16, source);

    const std::uint16_t ttl_before = load_be16(ip + 8);
    const auto ttl_after = static_cast<std::uint16_t>(ttl << 8 | ip[9]);
    std::uint8_t* ip_sum = ip + wire::ipv4_checksum_offset;
    store_be16(ip + 8, ttl_after);
    store_be16(ip_sum, wire::checksum_after_change(load_be16(ip_sum), ttl_before, ttl_after));

    std::uint8_t* icmp = ip + (ip[0] & 0x0f) * 4;
    const std::uint16_t type_before = load_be16(icmp);
    const std::uint16_t type_after = wire::icmp_type::echo_reply << 8;
    std::uint8_t* icmp_sum = icmp + wire::icmp_checksum_offset;
    const std::uint16_t sum =
        wire::checksum_after_change(load_be16(icmp_sum), type_before, type_after);
    store_be16(icmp, type_after);
    // A reply of zeros alone needs 0xffff, which the difference cannot tell from 0 (RFC 1624 3);
    // for any other message the two say the same.
    store_be16(icmp_sum, sum == 0 ? 0xffff : sum);
}

}  // namespace lastack::ip
