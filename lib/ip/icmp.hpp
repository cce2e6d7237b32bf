// SPDX-License-Identifier: BSD-3-Clause
// What a received ICMP message means for us: an echo to answer, an error about a TCP segment of
// ours, or nothing.
//
// An error says which segment it is about by the IP header and 8 TCP octets that it quotes. Anybody
// can send one, so TCP must find the connection and check that the quoted sequence number lies in
// SND.UNA..SND.NXT (R68) before it, or the path MTU cache, believes a word.
#pragma once

#include <cstdint>
#include <span>

#include "base/counters.hpp"
#include "base/seq32.hpp"
#include "lastack/address.hpp"

namespace lastack::ip {

enum class icmp_error_kind : std::uint8_t {
    net_unreachable,
    host_unreachable,
    protocol_unreachable,
    port_unreachable,
    frag_needed,
    source_route_failed,
    prohibited,  // by a filter: codes 9, 10, 13 to 15
    time_exceeded,
    parameter_problem,
};

struct icmp_error {
    icmp_error_kind kind = icmp_error_kind::net_unreachable;
    // RFC 9293 3.9.2.2: hard errors may end a connection that is being opened; soft ones and, R68,
    // all errors for a synchronized one are only remembered.
    bool hard = false;
    std::uint16_t mtu = 0;            // of frag_needed, as the router says; 0: it does not
    std::uint16_t quoted_length = 0;  // octets of the IP packet that met the error
    // The quoted segment was ours: its source is the local side.
    ipv4_address local{};
    ipv4_address remote{};
    std::uint16_t local_port = 0;
    std::uint16_t remote_port = 0;
    seq32 seq;
};

struct icmp_verdict {
    enum class kind : std::uint8_t { drop, echo_request, error };
    kind what = kind::drop;
    counter count = counter::icmp_in_errors;
    icmp_error error{};  // of kind::error
};

// `message` begins with the ICMP header; of a message in several pieces the first will do. The
// checksum, over all of it, has been verified.
icmp_verdict judge_icmp(std::span<const std::uint8_t> message);

// Makes the packet that holds an echo request its own reply, in place: addresses exchanged, type
// and TTL set, both checksums kept right by difference, so the payload need not be touched or even
// be near. `packet` begins with the IP header and holds at least that and the ICMP header.
// Precondition: it parsed as IPv4 and was judged an echo_request to an address of ours.
void make_echo_reply(std::span<std::uint8_t> packet, std::uint8_t ttl);

}  // namespace lastack::ip
