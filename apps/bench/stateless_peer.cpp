// SPDX-License-Identifier: BSD-3-Clause
#include "stateless_peer.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "wire/arp.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/ipv4.hpp"

namespace bench {

namespace wire = lastack::wire;
namespace flags = lastack::wire::tcp_flags;
using wire::tcp_segment;

stateless_peer::stateless_peer(const load& l, rte_mempool* pool, const lastack::mac_address& server)
    : pool_(pool), server_(server), tuples_(l), request_(l.request_octets, '.') {
    constexpr std::string_view head = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
    std::copy_n(head.begin(), std::min(head.size(), request_.size()), request_.begin());
}

rte_mbuf* stateless_peer::segment(const lastack::flow::key4& between, tcp_segment& s,
                                  std::uint32_t payload) {
    s.source_port = between.local_port;
    s.destination_port = between.remote_port;
    s.window = 64240;
    s.options.has_timestamps = true;
    const auto header = static_cast<std::uint16_t>(wire::tcp_header_length(s.options));
    const auto l4 = static_cast<std::uint16_t>(header + payload);
    const auto octets =
        static_cast<std::uint16_t>(wire::ethernet_header_bytes + wire::ipv4_header_bytes + l4);
    rte_mbuf* const m = rte_pktmbuf_alloc(pool_);
    auto* const at = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, octets));
    wire::write_ethernet(at, {server_, own_, wire::ethertype::ipv4});
    std::uint8_t* const ip = at + wire::ethernet_header_bytes;
    wire::ipv4_header h;
    h.source = between.local;
    h.destination = between.remote;
    h.total_length = static_cast<std::uint16_t>(wire::ipv4_header_bytes + l4);
    h.ttl = 64;
    h.protocol = wire::protocol_tcp;
    h.dont_fragment = true;
    wire::write_ipv4(ip, h);
    std::uint8_t* const tcp = ip + wire::ipv4_header_bytes;
    wire::write_tcp(tcp, s);
    std::memcpy(tcp + header, request_.data(), payload);
    auto sum = wire::tcp_pseudo_header(h.source, h.destination, l4);
    sum.add({tcp, l4});
    lastack::store_be16(tcp + wire::tcp_checksum_offset, sum.value());
    return m;
}

rte_mbuf* stateless_peer::open(std::uint32_t now_ms) {
    tcp_segment s;
    s.seq = {now_ms * 64009};
    s.flags = flags::syn;
    s.options.mss = 1460;
    s.options.has_wscale = true;
    s.options.wscale = 7;
    s.options.sack_permitted = true;
    s.options.tsval = now_ms;
    return segment(tuples_.next(), s, 0);
}

rte_mbuf* stateless_peer::arp(const lastack::mac_address& to, const wire::arp_packet& packet) {
    rte_mbuf* const m = rte_pktmbuf_alloc(pool_);
    auto* const at = reinterpret_cast<std::uint8_t*>(
        rte_pktmbuf_append(m, wire::ethernet_header_bytes + wire::arp_bytes));
    wire::write_ethernet(at, {to, own_, wire::ethertype::arp});
    wire::write_arp(at + wire::ethernet_header_bytes, packet);
    return m;
}

rte_mbuf* stateless_peer::greet(lastack::ipv4_address own, lastack::ipv4_address server) {
    return arp(wire::mac_broadcast, {wire::arp_operation::request, own_, own, {}, server});
}

rte_mbuf* stateless_peer::arp_reply(rte_mbuf* frame) {
    const std::span<const std::uint8_t> bytes{rte_pktmbuf_mtod(frame, const std::uint8_t*),
                                              frame->data_len};
    const auto asked = wire::parse_arp(bytes.subspan(wire::ethernet_header_bytes));
    if (!asked || asked->sender == asked->target) {
        return nullptr;
    }
    return arp(server_, {wire::arp_operation::reply, own_, asked->target, server_, asked->sender});
}

rte_mbuf* stateless_peer::answer(rte_mbuf* frame, std::uint32_t now_ms) {
    const auto* const at = rte_pktmbuf_mtod(frame, const std::uint8_t*);
    const std::size_t octets = frame->data_len;
    if (lastack::load_be16(at + 12) == wire::ethertype::arp) {
        rte_mbuf* const reply = arp_reply(frame);
        rte_pktmbuf_free(frame);
        return reply;
    }
    const std::uint8_t* const ip = at + wire::ethernet_header_bytes;
    const std::size_t behind = wire::ethernet_header_bytes + wire::ipv4_header_bytes;
    const auto got = wire::parse_tcp({at + behind, octets - behind},
                                     static_cast<std::uint32_t>(frame->pkt_len - behind));
    const lastack::flow::key4 between{{lastack::load_be32(ip + 12)},
                                      {lastack::load_be32(ip + 16)},
                                      got->source_port,
                                      got->destination_port};
    const tcp_segment in = *got;
    rte_pktmbuf_free(frame);
    tcp_segment s;
    s.seq = in.ack;
    s.ack = in.seq + in.length();
    s.flags = flags::ack;
    s.options.tsval = now_ms;
    s.options.tsecr = in.options.tsval;
    if (in.has(flags::rst)) {
        ++resets;
        return open(now_ms);
    }
    if (in.has(flags::syn)) {
        s.flags |= flags::psh;
        return segment(between, s, static_cast<std::uint32_t>(request_.size()));
    }
    if (in.has(flags::fin)) {
        s.flags |= flags::fin;
        return segment(between, s, 0);
    }
    ++ended;
    return open(now_ms);
}

}  // namespace bench
