// SPDX-License-Identifier: BSD-3-Clause
// Frames in: Ethernet, ARP, IPv4, ICMP, and TCP segments on their way to the engine.
//
// A burst goes through in stages: parse and verify all, hash and prefetch all, then look up and
// process each, so that the misses of a burst overlap. Headers must lie in a frame's first mbuf.
#include <rte_mbuf.h>

#include "base/byte_order.hpp"
#include "base/prefetch.hpp"
#include "ip/arp.hpp"
#include "ip/icmp.hpp"
#include "stack/core.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmp.hpp"
#include "wire/ipv4.hpp"

namespace lastack::stack {
namespace {

constexpr std::size_t frames_ahead = 4;  // of the one that is parsed: their headers are prefetched

std::span<const std::uint8_t> first_piece(const rte_mbuf* frame) {
    return {rte_pktmbuf_mtod(frame, const std::uint8_t*), frame->data_len};
}

// Adds `octets` of the frame from `at` on.
void add_octets(wire::checksum& sum, const rte_mbuf* m, std::uint32_t at, std::uint32_t octets) {
    if (at + octets <= m->data_len) [[likely]] {
        sum.add({rte_pktmbuf_mtod_offset(m, const std::uint8_t*, at), octets});
        return;
    }
    for (; m != nullptr && octets > 0; m = m->next) {
        if (at >= m->data_len) {
            at -= m->data_len;
            continue;
        }
        const std::uint32_t n = std::min<std::uint32_t>(octets, m->data_len - at);
        sum.add({rte_pktmbuf_mtod_offset(m, const std::uint8_t*, at), n});
        octets -= n;
        at = 0;
    }
}

}  // namespace

void core::drop(rte_mbuf* frame, counter why) {
    tcp_->counters().add(why);
    rte_pktmbuf_free(frame);
}

// A frame that somebody else in the process may want.
void core::not_ours(rte_mbuf* frame, counter why) {
    if (foreign_.take == nullptr || !foreign_.take(foreign_.context, frame)) {
        drop(frame, why);
    }
}

void core::input(std::span<rte_mbuf* const> frames, instant now) {
    now_ = now;
    tcp_->begin(now);
    while (!frames.empty()) {
        const std::size_t n = std::min(frames.size(), burst_max);
        input_burst(frames.first(n));
        frames = frames.subspan(n);
    }
}

void core::input_burst(std::span<rte_mbuf* const> frames) {
    counter_set& count = tcp_->counters();
    count.add(counter::rx_frames, frames.size());
    std::uint64_t octets = 0;
    std::size_t n = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        rte_mbuf* const frame = frames[i];
        if (i + frames_ahead < frames.size()) {
            prefetch_to_read(rte_pktmbuf_mtod(frames[i + frames_ahead], const void*));
        }
        octets += frame->pkt_len;
        tcp::arrival& a = arrivals_[n];
        if (parse_frame(frame, a)) {
            ++n;
            a.hash = tcp_->hash(a.key);
        }
    }
    // In a loop of their own, so that many are under way: each may wait for the page tables.
    for (std::size_t i = 0; i < n; ++i) {
        tcp_->prefetch(arrivals_[i]);
    }
    count.add(counter::rx_octets, octets);
    tcp_->prefetch_records(std::span(arrivals_).first(n));
    for (std::size_t i = 0; i < n; ++i) {
        tcp_->input(arrivals_[i]);
    }
}

// Returns true for a TCP segment to one of our addresses; consumes every other frame.
bool core::parse_frame(rte_mbuf* frame, tcp::arrival& into) {
    const std::span<const std::uint8_t> front = first_piece(frame);
    if (front.size() < wire::ethernet_header_bytes) {
        drop(frame, counter::drop_frame_short);
        return false;
    }
    const wire::ethernet_view ethernet{front.data()};
    const bool to_us = ethernet.is_to(config_.port.mac);
    if (!to_us && !ethernet.is_to_group()) {
        drop(frame, counter::drop_not_for_us);
        return false;
    }
    switch (ethernet.type()) {
        case wire::ethertype::ipv4:
            if (!to_us) {
                not_ours(frame, counter::drop_not_for_us);
                return false;
            }
            return parse_packet(frame, front, into);
        case wire::ethertype::arp:
            arp_input(frame);
            return false;
        case wire::ethertype::vlan:
        case wire::ethertype::qinq:
            drop(frame, counter::drop_vlan);
            return false;
        default:
            not_ours(frame, counter::drop_ethertype);
            return false;
    }
}

bool core::parse_packet(rte_mbuf* frame, std::span<const std::uint8_t> front, tcp::arrival& into) {
    constexpr std::uint16_t ip_at = wire::ethernet_header_bytes;
    const bool hardware = config_.port.checksum_rx;
    const bool ip_good =
        hardware && (frame->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    wire::ipv4_header ip;
    if (const auto reject = wire::parse_ipv4_into(
            front.subspan(ip_at), frame->pkt_len - ip_at,
            ip_good ? wire::checksum_check::done_by_hardware : wire::checksum_check::verify, ip)) {
        drop(frame, wire::to_counter(*reject));
        return false;
    }
    if (!routes_.is_local(ip.destination)) {
        not_ours(frame, counter::ip_in_addr_errors);
        return false;
    }
    if (!routes_.is_valid_source(ip.source)) {
        drop(frame, counter::ip_source_invalid);
        return false;
    }
    if (ip.is_fragment()) {
        drop(frame, counter::ip_fragment);
        return false;
    }
    if (ip.ttl == 0) {
        drop(frame, counter::ip_ttl_zero);
        return false;
    }
    const auto l4_at = static_cast<std::uint16_t>(ip_at + ip.header_length);
    const std::uint32_t l4_octets = ip.payload_length();
    if (ip.protocol == wire::protocol_icmp) {
        icmp_input(frame, l4_at, l4_octets);
        return false;
    }
    if (ip.protocol != wire::protocol_tcp) {
        not_ours(frame, counter::ip_protocol_unknown);
        return false;
    }
    const std::uint64_t l4_flags = frame->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    if (!hardware || l4_flags != RTE_MBUF_F_RX_L4_CKSUM_GOOD) {
        auto sum = wire::tcp_pseudo_header(ip.source, ip.destination, l4_octets);
        add_octets(sum, frame, l4_at, l4_octets);
        if (sum.value() != 0) {
            tcp_->counters().add(counter::tcp_in_csum_errors);
            drop(frame, counter::tcp_in_errs);
            return false;
        }
    }
    wire::tcp_segment& segment = into.segment;
    if (const auto reject = wire::parse_tcp_into(front.subspan(l4_at), l4_octets, segment)) {
        drop(frame, wire::to_counter(*reject));
        return false;
    }
    // The ports from the frame: the segment's own were just written, and are not yet to be had as
    // one word.
    const std::uint8_t* const ports = front.data() + l4_at;
    into.key = {ip.source, ip.destination, load_be16(ports), load_be16(ports + 2)};
    into.mbuf = frame;
    into.text_at = static_cast<std::uint16_t>(l4_at + segment.header_length);
    into.tos = ip.tos;
    return true;
}

void core::arp_input(rte_mbuf* frame) {
    const auto packet = wire::parse_arp(first_piece(frame).subspan(wire::ethernet_header_bytes));
    if (!packet) {
        drop(frame, counter::arp_malformed);
        return;
    }
    rte_pktmbuf_free(frame);
    const ip::arp_verdict v = ip::judge_arp(*packet, config_.port.mac, routes_);
    if (v.count) {
        tcp_->counters().add(*v.count);
    }
    if (v.learn) {
        forget_hops();
        const auto held = neighbours_.learned(packet->sender, packet->sender_mac, *v.learn, now_);
        for (rte_mbuf* m : held.view()) {
            send_frame(m, packet->sender_mac);
        }
    }
    if (v.reply) {
        tcp_->counters().add(counter::arp_replies_out);
        send_arp(ip::arp_reply_to(*packet, config_.port.mac));
    }
}

void core::icmp_input(rte_mbuf* frame, std::uint16_t at, std::uint32_t octets) {
    wire::checksum sum;
    add_octets(sum, frame, at, octets);
    if (octets < wire::icmp_header_bytes || frame->data_len < at || sum.value() != 0) {
        drop(frame, counter::icmp_in_errors);
        return;
    }
    const auto piece = first_piece(frame).subspan(at);
    const ip::icmp_verdict v =
        ip::judge_icmp(piece.first(std::min<std::size_t>(piece.size(), octets)));
    tcp_->counters().add(v.count);
    if (v.what == ip::icmp_verdict::kind::echo_request) {
        // Headers other than ours may be in front and padding behind: keep just the packet.
        rte_pktmbuf_adj(frame, wire::ethernet_header_bytes);
        const std::uint32_t packet_octets = at - wire::ethernet_header_bytes + octets;
        const auto padding = static_cast<std::uint16_t>(frame->pkt_len - packet_octets);
        if (packet_octets > config_.port.mtu ||
            (padding > 0 && rte_pktmbuf_trim(frame, padding) != 0)) {
            drop(frame, counter::icmp_in_errors);
            return;
        }
        ip::make_echo_reply({rte_pktmbuf_mtod(frame, std::uint8_t*), frame->data_len},
                            static_cast<std::uint8_t>(settings().ip_default_ttl));
        tcp_->counters().add(counter::icmp_echo_reply_out);
        send_packet(frame);
        return;
    }
    if (v.what == ip::icmp_verdict::kind::error) {
        const ip::icmp_error& e = v.error;
        tcp::path_error error;
        if (e.kind == ip::icmp_error_kind::frag_needed) {
            error = {tcp::path_error::kind::packet_too_big, e.mtu, e.quoted_length};
        } else if (e.hard) {
            error.what = tcp::path_error::kind::refused;
        }
        tcp_->path_failed({e.remote, e.local, e.remote_port, e.local_port}, e.seq, error);
    }
    rte_pktmbuf_free(frame);
}

}  // namespace lastack::stack
