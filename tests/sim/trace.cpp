// SPDX-License-Identifier: BSD-3-Clause
#include "sim/trace.hpp"

#include <cstdio>
#include <span>

#include "wire/arp.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/ipv4.hpp"
#include "wire/tcp.hpp"

namespace lastack::sim {
namespace {

std::string describe_arp(std::span<const std::uint8_t> bytes) {
    const auto p = wire::parse_arp(bytes);
    if (!p) {
        return "arp malformed";
    }
    return std::string("arp ") +
           (p->operation == wire::arp_operation::request ? "request " : "reply ") +
           to_string(p->sender) + " -> " + to_string(p->target);
}

std::string describe_tcp(const wire::tcp_segment& s) {
    constexpr std::string_view letters = "FSRP.U";
    std::string flags;
    for (std::size_t i = 0; i < letters.size(); ++i) {
        if ((s.flags & (1u << i)) != 0) {
            flags += letters[i];
        }
    }
    char line[160];
    std::snprintf(line, sizeof line, "%u>%u %-3s %u:%u(%u) ack %u win %u", s.source_port,
                  s.destination_port, flags.c_str(), s.seq.raw, (s.seq + s.length()).raw,
                  s.payload_length, s.ack.raw, s.window);
    std::string text = line;
    const wire::tcp_options& o = s.options;
    if (o.mss != 0) {
        text += " mss " + std::to_string(o.mss);
    }
    if (o.has_wscale) {
        text += " wscale " + std::to_string(o.wscale);
    }
    if (o.has_timestamps) {
        text += " ts " + std::to_string(o.tsval) + "/" + std::to_string(o.tsecr);
    }
    for (std::uint8_t i = 0; i < o.sack_count; ++i) {
        text += " sack " + std::to_string(o.sack[i].left.raw) + "-" +
                std::to_string(o.sack[i].right.raw);
    }
    return text;
}

}  // namespace

std::string describe_frame(const std::string& octets) {
    const std::span bytes{reinterpret_cast<const std::uint8_t*>(octets.data()), octets.size()};
    const auto ethernet = wire::parse_ethernet(bytes);
    if (!ethernet) {
        return "short frame";
    }
    const auto packet = bytes.subspan(wire::ethernet_header_bytes);
    if (ethernet->type == wire::ethertype::arp) {
        return describe_arp(packet);
    }
    const auto ip = wire::parse_ipv4(packet, static_cast<std::uint32_t>(packet.size()),
                                     wire::checksum_check::done_by_hardware);
    if (!ip || ip->protocol != wire::protocol_tcp) {
        return "not TCP";
    }
    const auto segment = wire::parse_tcp(packet.subspan(ip->header_length), ip->payload_length());
    return segment ? describe_tcp(*segment) : "malformed TCP";
}

std::string stamp(instant now) {
    char text[32];
    std::snprintf(text, sizeof text, "%12.6f ", static_cast<double>(now.us) / 1e6);
    return text;
}

}  // namespace lastack::sim
