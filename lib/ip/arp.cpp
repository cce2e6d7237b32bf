// SPDX-License-Identifier: BSD-3-Clause
// ARP decisions. See arp.hpp for the model.
#include "ip/arp.hpp"

#include "wire/ethernet.hpp"

namespace lastack::ip {

using wire::arp_operation;
using wire::arp_packet;

arp_verdict judge_arp(const arp_packet& p, const mac_address& our_mac, const route_table& routes) {
    if (p.sender_mac.is_multicast() || p.sender_mac == mac_address{}) {
        return {.count = counter::arp_malformed};
    }
    if (routes.is_local(p.sender)) {
        // Our own announcement may come back from a wire that loops; nobody else may make one.
        return {.count = p.sender_mac == our_mac ? counter::drop_not_for_us : counter::arp_spoof};
    }
    // RFC 5227 2.1.1: a probe comes from 0.0.0.0. It gets its answer, and teaches nothing.
    if (!p.sender.is_any() && !routes.is_valid_source(p.sender)) {
        return {.count = counter::arp_malformed};
    }
    const bool teaches = !p.sender.is_any() && routes.is_on_link(p.sender);
    const bool for_us = routes.is_local(p.target);
    arp_verdict v;
    if (p.operation == arp_operation::request && for_us) {
        v.reply = true;
        v.count = counter::arp_requests_in;
        if (teaches) {
            v.learn = arp_evidence::request_for_us;
        }
    } else if (teaches && for_us) {
        v.learn = arp_evidence::reply_to_us;
    } else if (teaches && (p.operation == arp_operation::request || p.sender == p.target)) {
        v.learn = arp_evidence::overheard;
    } else {
        v.count = counter::drop_not_for_us;
    }
    return v;
}

arp_packet arp_reply_to(const arp_packet& request, const mac_address& our_mac) {
    return {arp_operation::reply, our_mac, request.target, request.sender_mac, request.sender};
}

arp_packet arp_request(const mac_address& our_mac, ipv4_address our_address, ipv4_address target,
                       const mac_address& target_mac) {
    return {arp_operation::request, our_mac, our_address, target_mac, target};
}

arp_packet arp_announcement(const mac_address& our_mac, ipv4_address our_address) {
    return {arp_operation::request, our_mac, our_address, {}, our_address};
}

std::size_t write_arp_frame(std::uint8_t* out, const arp_packet& p) {
    const mac_address to = p.target_mac == mac_address{} ? wire::mac_broadcast : p.target_mac;
    const std::size_t header = wire::write_ethernet(out, {to, p.sender_mac, wire::ethertype::arp});
    return header + wire::write_arp(out + header, p);
}

}  // namespace lastack::ip
