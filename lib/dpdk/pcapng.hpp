// SPDX-License-Identifier: BSD-3-Clause
// The blocks of a pcapng file (draft-ietf-opsawg-pcapng), as octets: one section, one interface a
// port, one enhanced packet block a frame, microsecond timestamps (the format's default), all in
// this machine's byte order, which the section header tells the reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lastack::dpdk::pcapng {

enum class direction : std::uint32_t { inbound = 1, outbound = 2 };  // bits 0 and 1 of epb_flags

struct packet {
    std::uint32_t interface = 0;  // as it was added, from 0
    std::uint64_t time_us = 0;    // since 1970
    direction way = direction::inbound;
    std::uint32_t original_length = 0;  // octets on the wire
    std::span<const std::byte> octets;  // those captured
};

void append_section_header(std::string& file, std::string_view application);
void append_interface(std::string& file, std::string_view name, std::uint32_t snap_length);
void append_packet(std::string& file, const packet&);

}  // namespace lastack::dpdk::pcapng
