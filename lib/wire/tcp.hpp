// SPDX-License-Identifier: BSD-3-Clause
// TCP segments: what a received header says, in host order, and how a header is written.
//
// RFC 9293 3.1 (header), 3.2 (options), RFC 7323 (window scale, timestamps), RFC 2018 (SACK),
// RFC 7413 (Fast Open's cookie, which parsing passes over: who has asked for one reads it).
// A view judges nothing: it only cannot hold what the wire cannot mean. Whether an option may stand
// on this segment (MSS only on a SYN, say) is for the reader of the segment to say.
//
// Reading: options that run over or have no length end the list; what stood before them counts.
// Writing: options in Linux's order and padding, so that a peer's fast path finds nop, nop, TS.
// The urgent pointer is neither read nor written, and the reserved bits are written 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/counters.hpp"
#include "base/seq32.hpp"
#include "lastack/result.hpp"
#include "wire/checksum.hpp"

namespace lastack::wire {

namespace tcp_flags {
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t rst = 0x04;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
inline constexpr std::uint8_t urg = 0x20;
}  // namespace tcp_flags

inline constexpr std::size_t tcp_header_bytes = 20;
inline constexpr std::size_t tcp_options_bytes_max = 40;
inline constexpr std::size_t tcp_checksum_offset = 16;  // of the checksum field, in octets
inline constexpr std::uint8_t wscale_max = 14;          // RFC 7323 2.3

// Octets [left, right).
struct sack_block {
    seq32 left;
    seq32 right;
    friend constexpr bool operator==(sack_block, sack_block) = default;
};

struct tcp_options {
    std::uint32_t tsval = 0;
    std::uint32_t tsecr = 0;
    std::uint16_t mss = 0;    // 0: absent
    std::uint8_t wscale = 0;  // meaningful with has_wscale; clamped to 14
    bool has_wscale = false;
    bool has_timestamps = false;
    bool sack_permitted = false;
    std::uint8_t sack_count = 0;
    // Words of four octets that the caller has put behind the options written here; of a segment
    // that was read, 0.
    std::uint8_t more_words = 0;
    std::array<sack_block, 4> sack{};
    friend constexpr bool operator==(const tcp_options&, const tcp_options&) = default;
};

// One segment, as parsed or to be written. Ports in host order; window as on the wire (unscaled).
struct tcp_segment {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    seq32 seq;
    seq32 ack;
    std::uint16_t window = 0;
    std::uint8_t flags = 0;
    std::uint8_t header_length = tcp_header_bytes;  // octets, options included
    std::uint32_t payload_length = 0;               // octets
    tcp_options options;

    constexpr bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
    // SEG.LEN: payload plus one each for SYN and FIN.
    constexpr std::uint32_t length() const {
        return payload_length + (has(tcp_flags::syn) ? 1 : 0) + (has(tcp_flags::fin) ? 1 : 0);
    }
    friend constexpr bool operator==(const tcp_segment&, const tcp_segment&) = default;
};

enum class tcp_reject : std::uint8_t {
    truncated,    // fewer than 20 octets of TCP
    data_offset,  // the header would be shorter than 20 octets or longer than the segment
    chained,      // the header runs on beyond the octets that lie in one piece
};
constexpr counter to_counter(tcp_reject r) {
    return r == tcp_reject::chained ? counter::tcp_header_chained : counter::tcp_in_errs;
}

// `front` is what lies in one piece of the segment, from its first octet on; `l4_length` the octets
// of header and payload by the IP header. The checksum is the caller's affair.
//
// The segment is written where it is to stay: a copy of fields just written, in wider loads than
// the stores were, waits until the stores have reached the cache.
std::optional<tcp_reject> parse_tcp_into(std::span<const std::uint8_t> front,
                                         std::uint32_t l4_length, tcp_segment& into);
// The same as a value, where that wait does not matter.
result<tcp_segment, tcp_reject> parse_tcp(std::span<const std::uint8_t> front,
                                          std::uint32_t l4_length);

// How many of `options.sack` find room beside the other options: at most 3 with timestamps, 4
// without.
std::size_t tcp_sack_blocks_written(const tcp_options& options);

// RFC 7413 4.1.1: what a server gives a client, to be shown with the next SYN. 4 to 16 octets, an
// even number; none is the request for one.
struct fast_open_cookie {
    static constexpr std::size_t octets_min = 4;
    static constexpr std::size_t octets_max = 16;
    std::uint8_t octets = 0;
    std::array<std::uint8_t, octets_max> value{};
    friend constexpr bool operator==(const fast_open_cookie&, const fast_open_cookie&) = default;
};

// The last cookie in a header's options; one whose length cannot be is as none.
std::optional<fast_open_cookie> read_fast_open(std::span<const std::uint8_t> options);
// Octets of the option as it is written: 4 to 20, a multiple of 4.
std::size_t fast_open_length(const fast_open_cookie& cookie);
// Writes the option. It stands behind all others, so `out` is where the header written by
// write_tcp() ends; tcp_options::more_words has told that one.
void write_fast_open(std::uint8_t* out, const fast_open_cookie& cookie);

// Octets of the header that write_tcp would write: 20 to 60, a multiple of 4.
std::size_t tcp_header_length(const tcp_options& options);

// Writes the header, checksum 0, and returns its octets; `out` has room for
// tcp_header_length(segment.options). header_length and payload_length are not read.
std::size_t write_tcp(std::uint8_t* out, const tcp_segment& segment);

// The same with the checksum. `header_length`: what tcp_header_length() says. `beside`: the sum of
// all else that counts, which is the pseudo header and what follows the header.
void write_tcp(std::uint8_t* out, const tcp_segment& segment, std::size_t header_length,
               checksum beside);

}  // namespace lastack::wire
