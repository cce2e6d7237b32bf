// SPDX-License-Identifier: BSD-3-Clause
// What to do with a received ARP packet, and the packets we send.
//
// Pure functions: the stack sends, counts and tells the neighbour table. Packets whose sender
// cannot be a host, or claims an address of ours, teach nothing and get no answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/counters.hpp"
#include "ip/neighbours.hpp"
#include "ip/routes.hpp"
#include "lastack/address.hpp"
#include "wire/arp.hpp"

namespace lastack::ip {

struct arp_verdict {
    bool reply = false;                   // send arp_reply_to(packet, our_mac)
    std::optional<arp_evidence> learn{};  // call neighbour_table::learned with the sender
    std::optional<counter> count{};
};

arp_verdict judge_arp(const wire::arp_packet& packet, const mac_address& our_mac,
                      const route_table& routes);

// Each goes in a frame to `target_mac`, or to the broadcast address where that is zero.
wire::arp_packet arp_reply_to(const wire::arp_packet& request, const mac_address& our_mac);
wire::arp_packet arp_request(const mac_address& our_mac, ipv4_address our_address,
                             ipv4_address target, const mac_address& target_mac);
// RFC 5227 2.3: tells the link, at start, that the address is ours now.
wire::arp_packet arp_announcement(const mac_address& our_mac, ipv4_address our_address);

// Writes the frame of `packet`, 42 octets, and returns that. Padding to the link's minimum is the
// port's business.
std::size_t write_arp_frame(std::uint8_t* out, const wire::arp_packet& packet);

}  // namespace lastack::ip
