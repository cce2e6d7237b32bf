// SPDX-License-Identifier: BSD-3-Clause
#include "stack/frame_owner.hpp"

#include <span>

#include "base/byte_order.hpp"
#include "ip/icmp.hpp"
#include "wire/arp.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/ipv4.hpp"

namespace lastack::stack {
namespace {

using bytes_view = std::span<const std::uint8_t>;

placement to_owner(unsigned worker) {
    return {placement::kind::one, worker};
}

placement place_arp(bytes_view packet) {
    const auto arp = wire::parse_arp(packet);
    // An announcement is a request in which a host asks for itself.
    const bool tells =
        arp && (arp->operation == wire::arp_operation::reply || arp->sender == arp->target);
    return {tells ? placement::kind::all : placement::kind::receiver, 0};
}

placement place_icmp(bytes_view message, const flow::flow_owner& owners) {
    const auto v = ip::judge_icmp(message);
    if (v.what != ip::icmp_verdict::kind::error) {
        return {};
    }
    const auto& e = v.error;
    return to_owner(owners.owner_of({e.remote, e.local, e.remote_port, e.local_port}));
}

}  // namespace

placement place_frame(const rte_mbuf* frame, const flow::flow_owner& owners, bool hashed_by_port) {
    const bytes_view all{rte_pktmbuf_mtod(frame, const std::uint8_t*), frame->data_len};
    if (all.size() < wire::ethernet_header_bytes + wire::ipv4_header_bytes) {
        return {};
    }
    const bytes_view packet = all.subspan(wire::ethernet_header_bytes);
    const std::uint16_t type = load_be16(all.data() + 12);
    if (type == wire::ethertype::arp) {
        return place_arp(packet);
    }
    if (type != wire::ethertype::ipv4) {
        return {};
    }
    // The fields as they lie: the stack that gets the packet parses it with every check.
    const std::size_t header = (packet[0] & 0xfu) * 4;
    const bool fragment = (load_be16(packet.data() + 6) & 0x3fff) != 0;
    const std::uint8_t protocol = packet[9];
    if (header < wire::ipv4_header_bytes || packet.size() < header + 4 || fragment) {
        return {};
    }
    if (protocol == wire::protocol_icmp) {
        return place_icmp(packet.subspan(header), owners);
    }
    if (protocol != wire::protocol_tcp) {
        return {};
    }
    if (hashed_by_port && (frame->ol_flags & RTE_MBUF_F_RX_RSS_HASH) != 0) {
        return to_owner(owners.owner_of_hash(frame->hash.rss));
    }
    const std::uint8_t* ports = packet.data() + header;
    return to_owner(owners.owner_of({{load_be32(packet.data() + 12)},
                                     {load_be32(packet.data() + 16)},
                                     load_be16(ports),
                                     load_be16(ports + 2)}));
}

}  // namespace lastack::stack
