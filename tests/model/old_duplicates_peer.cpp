// SPDX-License-Identifier: BSD-3-Clause
#include "model/old_duplicates_peer.hpp"

#include <rte_mbuf.h>

#include "wire/arp.hpp"
#include "wire/ethernet.hpp"
#include "wire/ipv4.hpp"

namespace lastack::model {

namespace flags = wire::tcp_flags;
using test::peer_address;
using test::peer_mac;
using test::stack_address;
using test::stack_mac;

namespace {

constexpr std::size_t headers = wire::ethernet_header_bytes + wire::ipv4_header_bytes;

}  // namespace

void duplicate_peer::begin(std::uint64_t incarnation, seq32 isn, bool timestamps) {
    incarnation_ = incarnation;
    iss_ = isn;
    nxt_ = isn;
    sent_ = 0;
    ts_recent_ = 0;
    timestamps_ = timestamps;
    connecting_ = listening_ = connected_ = closed_ = reset_ = false;
}

wire::tcp_segment duplicate_peer::make(std::uint8_t control, seq32 seq) const {
    wire::tcp_segment s;
    s.source_port = port;
    s.destination_port = test::listen_port;
    s.seq = seq;
    s.flags = control;
    s.ack = (control & flags::ack) != 0 ? rcv_nxt_ : seq32{};
    s.window = 65535;
    s.options.has_timestamps = timestamps_ && (control & flags::rst) == 0;
    s.options.tsval = static_cast<std::uint32_t>(now_.us / 1000);
    s.options.tsecr = ts_recent_;
    return s;
}

wire::tcp_segment duplicate_peer::syn() {
    connecting_ = true;
    return opening(flags::syn);
}

wire::tcp_segment duplicate_peer::opening(std::uint8_t control) {
    nxt_ = iss_ + 1;
    wire::tcp_segment s = make(control, iss_);
    s.options.mss = 1460;
    // A window of 8 MiB: a stack refuses ACKs older than the largest window it was offered
    // (RFC 5961 5.2), and its ISNs move on by as much in an MSL. With a small window that alone
    // would catch nearly all copies.
    s.options.has_wscale = true;
    s.options.wscale = 7;
    return s;
}

wire::tcp_segment duplicate_peer::text(std::uint32_t octets) {
    wire::tcp_segment s = make(flags::ack | flags::psh, nxt_);
    s.payload_length = octets;
    nxt_ += octets;
    sent_ += octets;
    return s;
}

std::optional<wire::tcp_segment> duplicate_peer::hear(const wire::tcp_segment& s) {
    if (s.has(flags::rst)) {
        const bool refused = connecting_ && !connected_ && s.has(flags::ack) && s.ack == iss_ + 1;
        reset_ = reset_ || refused || (connected_ && !closed_ && s.seq == rcv_nxt_);
        return std::nullopt;
    }
    if (s.has(flags::syn) && listening_ && !s.has(flags::ack)) {
        rcv_nxt_ = s.seq + 1;
        ts_recent_ = s.options.tsval;
        return opening(flags::syn | flags::ack);
    }
    if (listening_ && !connected_) {
        connected_ = nxt_ == iss_ + 1 && s.has(flags::ack) && s.ack == nxt_;
        if (!connected_) {
            return make(flags::rst, s.ack);
        }
    }
    if (s.has(flags::syn)) {
        if (!connecting_ || s.ack != iss_ + 1) {
            return make(flags::rst, s.ack);
        }
        if (!connected_) {
            connected_ = true;
            rcv_nxt_ = s.seq + 1;
            ts_recent_ = s.options.tsval;
        }
        return make(flags::ack, nxt_);
    }
    if (!connected_) {
        // RFC 9293 3.10.7.3: an ACK of something else shows an old connection at the other end.
        return connecting_ ? std::optional{make(flags::rst, s.ack)} : std::nullopt;
    }
    if (s.has(flags::fin) && s.seq == rcv_nxt_) {
        rcv_nxt_ += 1;
        ts_recent_ = s.options.tsval;
        const wire::tcp_segment fin = make(flags::fin | flags::ack, nxt_);
        nxt_ += 1;
        return fin;
    }
    closed_ = closed_ || s.ack == nxt_;
    return std::nullopt;
}

std::span<const std::uint8_t> duplicate_peer::frame(std::uint64_t incarnation,
                                                    const wire::tcp_segment& s,
                                                    std::uint32_t first_octet) {
    const std::size_t tcp = wire::tcp_header_length(s.options);
    frame_.resize(headers + tcp + s.payload_length);
    wire::write_ethernet(frame_.data(), {stack_mac, peer_mac, wire::ethertype::ipv4});
    wire::ipv4_header ip;
    ip.source = peer_address;
    ip.destination = stack_address;
    ip.total_length = static_cast<std::uint16_t>(frame_.size() - wire::ethernet_header_bytes);
    ip.ttl = 64;
    ip.protocol = 6;
    wire::write_ipv4(frame_.data() + wire::ethernet_header_bytes, ip);
    wire::write_tcp(frame_.data() + headers, s);
    for (std::uint32_t i = 0; i < s.payload_length; ++i) {
        frame_[headers + tcp + i] = stream_octet(incarnation, first_octet + i);
    }
    return frame_;
}

std::vector<std::uint8_t> duplicate_peer::arp_reply() {
    std::vector<std::uint8_t> octets(wire::ethernet_header_bytes + wire::arp_bytes);
    wire::write_ethernet(octets.data(), {stack_mac, peer_mac, wire::ethertype::arp});
    wire::write_arp(octets.data() + wire::ethernet_header_bytes,
                    {wire::arp_operation::reply, peer_mac, peer_address, stack_mac, stack_address});
    return octets;
}

std::optional<wire::tcp_segment> duplicate_peer::parse(rte_mbuf* frame) {
    const auto* octets = rte_pktmbuf_mtod(frame, const std::uint8_t*);
    const auto ethernet = wire::parse_ethernet({octets, frame->data_len});
    if (!ethernet || ethernet->type != wire::ethertype::ipv4) {
        return std::nullopt;
    }
    const auto tcp = wire::parse_tcp({octets + headers, frame->data_len - headers},
                                     static_cast<std::uint32_t>(frame->pkt_len - headers));
    return tcp ? std::optional{*tcp} : std::nullopt;
}

}  // namespace lastack::model
