// SPDX-License-Identifier: BSD-3-Clause
// Packets out: next hop, neighbour, Ethernet header, and the burst to the port.
//
// What the port does not take at once waits here for the next turn; only when that is full, too, is
// a frame dropped, and TCP sends it again.
#include <rte_mbuf.h>

#include <algorithm>

#include "base/assert.hpp"
#include "ip/arp.hpp"
#include "stack/core.hpp"
#include "wire/ethernet.hpp"
#include "wire/ipv4.hpp"

namespace lastack::stack {
namespace {

constexpr std::uint16_t ip_header_bytes = wire::ipv4_header_bytes;

std::uint8_t* ip_header(rte_mbuf* packet) {
    return rte_pktmbuf_mtod(packet, std::uint8_t*);
}

}  // namespace

void core::send_packets(std::span<rte_mbuf* const> packets) {
    const tick now = now_.to_tick();
    for (rte_mbuf* packet : packets) {
        const ipv4_address destination{load_be32(ip_header(packet) + 16)};
        const hop& known = hop_of(destination);
        if (known.destination == destination && known.made == now && known.epoch == hop_epoch_)
            [[likely]] {
            send_frame(packet, known.mac);
        } else {
            send_packet(packet);
        }
    }
}

void core::send_packet(rte_mbuf* packet) {
    const ipv4_address destination{load_be32(ip_header(packet) + 16)};
    const auto route = routes_.lookup(destination);
    if (!route) {
        drop(packet, counter::ip_no_route);
        return;
    }
    if (const mac_address* mac = neighbours_.lookup(route->next_hop, now_)) {
        // Field by field: made elsewhere, in narrow stores, it would be copied in wide loads.
        hop& known = hop_of(destination);
        known.destination = destination;
        known.made = now_.to_tick();
        known.mac = *mac;
        known.epoch = hop_epoch_;
        send_frame(packet, *mac);
        return;
    }
    const ip::hold_result held = neighbours_.hold(route->next_hop, packet, now_);
    if (held.dropped != nullptr) {
        drop(held.dropped, counter::arp_queue_full);
    }
    if (held.send_request) {
        send_arp(ip::arp_request(config_.port.mac, route->source, route->next_hop, {}));
    }
}

void core::send_frame(rte_mbuf* packet, const mac_address& to) {
    if (packet->pkt_len > config_.port.mtu) {
        drop(packet, counter::tx_drop);  // a port may refuse it for ever, and all behind it wait
        return;
    }
    auto* const ethernet =
        reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, wire::ethernet_header_bytes));
    if (ethernet == nullptr) {
        drop(packet, counter::tx_drop);
        return;
    }
    wire::write_ethernet(ethernet, {to, config_.port.mac, wire::ethertype::ipv4});
    queue_frame(packet);
}

void core::queue_frame(rte_mbuf* frame) {
    if (tx_count_ == tx_.size()) {
        flush_frames();
        if (tx_count_ == tx_.size()) {
            drop(frame, counter::tx_drop);
            return;
        }
    }
    tx_[tx_count_++] = frame;
}

void core::flush_frames() {
    if (tx_count_ == 0 || transmit_.send == nullptr) {
        return;
    }
    counter_set& count = tcp_->counters();
    std::size_t sent = 0;
    while (sent < tx_count_) {
        const auto n =
            static_cast<std::uint16_t>(std::min<std::size_t>(tx_count_ - sent, burst_max));
        std::uint64_t octets[burst_max];
        std::uint64_t total = 0;
        for (std::uint16_t i = 0; i < n; ++i) {
            octets[i] = tx_[sent + i]->pkt_len;  // the port owns what it takes
        }
        const std::uint16_t taken = transmit_.send(transmit_.context, &tx_[sent], n);
        for (std::uint16_t i = 0; i < taken; ++i) {
            total += octets[i];
        }
        count.add(counter::tx_frames, taken);
        count.add(counter::tx_octets, total);
        sent += taken;
        if (taken < n) {
            break;
        }
    }
    std::move(tx_.begin() + static_cast<std::ptrdiff_t>(sent),
              tx_.begin() + static_cast<std::ptrdiff_t>(tx_count_), tx_.begin());
    tx_count_ -= sent;
}

void core::send_arp(const wire::arp_packet& packet) {
    rte_mbuf* const m = rte_pktmbuf_alloc(config_.memory.control);
    if (m == nullptr) {
        tcp_->counters().add(counter::no_mbuf);
        return;
    }
    constexpr std::size_t frame_octets = wire::ethernet_header_bytes + wire::arp_bytes;
    ip::write_arp_frame(reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, frame_octets)),
                        packet);
    queue_frame(m);
}

// RFC 5227 2.3: neighbours that knew these addresses elsewhere learn where they are now.
void core::announce() {
    for (const ipv4_prefix& own : routes_.addresses()) {
        send_arp(ip::arp_announcement(config_.port.mac, own.address));
    }
}

void core::neighbour_due(const ip::neighbour_event& e) {
    using kind = ip::neighbour_event::kind;
    forget_hops();
    if (e.what != kind::failed) {
        const auto route = routes_.lookup(e.address);
        if (route) {
            send_arp(ip::arp_request(config_.port.mac, route->source, e.address, e.mac));
        }
        return;
    }
    tcp_->counters().add(counter::arp_failed);
    for (rte_mbuf* packet : e.packets.view()) {
        const std::uint8_t* const p = ip_header(packet);
        if (packet->data_len >= ip_header_bytes + 4 && p[9] == wire::protocol_tcp) {
            tcp_->neighbour_failed({{load_be32(p + 16)},
                                    {load_be32(p + 12)},
                                    load_be16(p + ip_header_bytes + 2),
                                    load_be16(p + ip_header_bytes)});
        }
        rte_pktmbuf_free(packet);
    }
}

}  // namespace lastack::stack
