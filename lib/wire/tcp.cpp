// SPDX-License-Identifier: BSD-3-Clause
// Reading and writing of TCP headers. See tcp.hpp for the model.
#include "wire/tcp.hpp"

#include <algorithm>

#include "base/byte_order.hpp"

namespace lastack::wire {

namespace {

namespace kind {
constexpr std::uint8_t end = 0;
constexpr std::uint8_t nop = 1;
constexpr std::uint8_t mss = 2;
constexpr std::uint8_t wscale = 3;
constexpr std::uint8_t sack_permitted = 4;
constexpr std::uint8_t sack = 5;
constexpr std::uint8_t timestamps = 8;
constexpr std::uint8_t fast_open = 34;
}  // namespace kind

// Octets of an option, its kind and length included.
namespace octets {
constexpr std::uint8_t mss = 4;
constexpr std::uint8_t wscale = 3;
constexpr std::uint8_t sack_permitted = 2;
constexpr std::uint8_t timestamps = 10;
constexpr std::uint8_t sack_base = 2;
constexpr std::uint8_t sack_block = 8;
constexpr std::uint8_t fast_open_base = 2;
}  // namespace octets

constexpr std::uint32_t word(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    return std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d;
}

// The whole option list of nearly every segment on an established connection.
constexpr std::uint32_t aligned_timestamps =
    word(kind::nop, kind::nop, kind::timestamps, octets::timestamps);
constexpr std::size_t aligned_timestamps_bytes = 12;

// And that of a SYN with all options, of Linux's as of ours.
constexpr std::uint32_t syn_mss = word(0, 0, kind::mss, octets::mss);
constexpr std::uint32_t sack_permitted_timestamps =
    word(kind::sack_permitted, octets::sack_permitted, kind::timestamps, octets::timestamps);
constexpr std::uint32_t syn_wscale = word(0, kind::nop, kind::wscale, octets::wscale);
constexpr std::size_t syn_options_bytes = 20;

// RFC 7323 2.3: a shift count above 14 is used as 14.
void read_wscale(const std::uint8_t* value, tcp_options& options) {
    options.has_wscale = true;
    options.wscale = std::min(*value, wscale_max);
}

void read_timestamps(const std::uint8_t* value, tcp_options& options) {
    options.has_timestamps = true;
    options.tsval = load_be32(value);
    options.tsecr = load_be32(value + 4);
}

void read_sack(const std::uint8_t* value, std::size_t value_octets, tcp_options& options) {
    const std::size_t blocks = value_octets / octets::sack_block;
    if (blocks == 0 || value_octets % octets::sack_block != 0) {
        return;
    }
    // 40 octets of options hold four blocks at most, so this cannot leave the array.
    options.sack_count = static_cast<std::uint8_t>(std::min(blocks, options.sack.size()));
    for (std::size_t i = 0; i < options.sack_count; ++i, value += octets::sack_block) {
        options.sack[i] = {{load_be32(value)}, {load_be32(value + 4)}};
    }
}

// An option whose length is not that of its kind is passed over, as Linux does.
void read_option(const std::uint8_t* option, std::size_t length, tcp_options& options) {
    const std::uint8_t* value = option + 2;
    switch (option[0]) {
        case kind::mss:
            if (length == octets::mss) {
                options.mss = load_be16(value);
            }
            break;
        case kind::wscale:
            if (length == octets::wscale) {
                read_wscale(value, options);
            }
            break;
        case kind::sack_permitted:
            options.sack_permitted |= length == octets::sack_permitted;
            break;
        case kind::sack:
            read_sack(value, length - 2, options);
            break;
        case kind::timestamps:
            if (length == octets::timestamps) {
                read_timestamps(value, options);
            }
            break;
        default:
            // RFC 9293 3.2: options that are not implemented are ignored (MUST-6).
            break;
    }
}

// Calls `read` with each option and its length.
template <class Read>
void each_option(const std::uint8_t* p, std::size_t left, Read&& read) {
    while (left != 0 && *p != kind::end) {
        if (*p == kind::nop) {
            ++p;
            --left;
            continue;
        }
        // RFC 9293 3.2: an illegal option length must be survived (MUST-7). The RFC suggests a
        // reset; Linux, and so lastack, keeps what stood before it and reads no further, since a
        // reset would be one more way to kill a connection from aside.
        if (left < 2 || p[1] < 2 || p[1] > left) {
            return;
        }
        const std::size_t length = p[1];
        read(p, length);
        p += length;
        left -= length;
    }
}

void read_options(const std::uint8_t* p, std::size_t left, tcp_options& options) {
    if (left == aligned_timestamps_bytes && load_be32(p) == aligned_timestamps) {
        read_timestamps(p + 4, options);
        return;
    }
    if (left == syn_options_bytes && load_be32(p + 4) == sack_permitted_timestamps &&
        load_be32(p) >> 16 == syn_mss && load_be32(p + 16) >> 8 == syn_wscale) {
        options.mss = load_be16(p + 2);
        options.sack_permitted = true;
        read_timestamps(p + 8, options);
        read_wscale(p + 19, options);
        return;
    }
    each_option(p, left, [&](const std::uint8_t* option, std::size_t length) {
        read_option(option, length, options);
    });
}

// Octets of all options but SACK blocks, in the layout that write_tcp gives them.
std::size_t plain_options_length(const tcp_options& o) {
    std::size_t n = 0;
    n += o.mss != 0 ? 4 : 0;
    n += o.has_timestamps ? 12 : 0;
    n += o.sack_permitted && !o.has_timestamps ? 4 : 0;
    n += o.has_wscale ? 4 : 0;
    return n;
}

// Writes words one behind the other, and sums them on the way: reading back what was just written,
// in wider loads than the stores were, would wait for the stores.
struct word_writer {
    std::uint8_t* at;
    std::uint64_t sum = 0;

    void put(std::uint32_t value) {
        store_be32(at, value);
        sum += value;
        at += 4;
    }
};

// RFC 9293 3.1: the order is free; this one is Linux's (tcp_options_write), every option padded to
// a multiple of four, so that a stranger cannot tell the two apart and fast paths match.
void write_options(word_writer& out, const tcp_options& o) {
    if (o.mss != 0) {
        out.put(word(kind::mss, octets::mss, static_cast<std::uint8_t>(o.mss >> 8),
                     static_cast<std::uint8_t>(o.mss)));
    }
    if (o.has_timestamps) {
        out.put(o.sack_permitted ? sack_permitted_timestamps : aligned_timestamps);
        out.put(o.tsval);
        out.put(o.tsecr);
    } else if (o.sack_permitted) {
        out.put(word(kind::nop, kind::nop, kind::sack_permitted, octets::sack_permitted));
    }
    if (o.has_wscale) {
        out.put(word(kind::nop, kind::wscale, octets::wscale, o.wscale));
    }
    const std::size_t blocks = o.sack_count == 0 ? 0 : tcp_sack_blocks_written(o);
    if (blocks != 0) {
        const auto length =
            static_cast<std::uint8_t>(octets::sack_base + octets::sack_block * blocks);
        out.put(word(kind::nop, kind::nop, kind::sack, length));
        for (std::size_t i = 0; i < blocks; ++i) {
            out.put(o.sack[i].left.raw);
            out.put(o.sack[i].right.raw);
        }
    }
}

// The header with its checksum 0, and the sum of its words.
inline std::uint64_t write_words(std::uint8_t* at, const tcp_segment& s,
                                 std::size_t header_length) {
    word_writer out{at};
    const auto words = static_cast<std::uint32_t>(header_length / 4 + s.options.more_words);
    out.put(std::uint32_t{s.source_port} << 16 | s.destination_port);
    out.put(s.seq.raw);
    out.put(s.ack.raw);
    out.put(words << 28 | std::uint32_t{s.flags} << 16 | s.window);
    out.put(0);  // checksum, urgent pointer
    write_options(out, s.options);
    return out.sum;
}

}  // namespace

std::optional<tcp_reject> parse_tcp_into(std::span<const std::uint8_t> front,
                                         std::uint32_t l4_length, tcp_segment& into) {
    if (l4_length < tcp_header_bytes) {
        return tcp_reject::truncated;
    }
    if (front.size() < tcp_header_bytes) {
        return tcp_reject::chained;
    }
    const std::uint8_t* h = front.data();
    const std::size_t header_length = std::size_t{h[12]} >> 4 << 2;
    if (header_length < tcp_header_bytes || header_length > l4_length) {
        return tcp_reject::data_offset;
    }
    if (header_length > front.size()) {
        return tcp_reject::chained;
    }
    into.source_port = load_be16(h);
    into.destination_port = load_be16(h + 2);
    into.seq = {load_be32(h + 4)};
    into.ack = {load_be32(h + 8)};
    into.header_length = static_cast<std::uint8_t>(header_length);
    into.flags = h[13];
    into.window = load_be16(h + 14);
    into.payload_length = l4_length - static_cast<std::uint32_t>(header_length);
    into.options = {};
    read_options(h + tcp_header_bytes, header_length - tcp_header_bytes, into.options);
    return std::nullopt;
}

result<tcp_segment, tcp_reject> parse_tcp(std::span<const std::uint8_t> front,
                                          std::uint32_t l4_length) {
    tcp_segment s;
    if (const auto reject = parse_tcp_into(front, l4_length, s)) {
        return failure{*reject};
    }
    return s;
}

std::size_t tcp_sack_blocks_written(const tcp_options& o) {
    const std::size_t used = plain_options_length(o) + 4;  // nop, nop, kind, length
    if (used > tcp_options_bytes_max) {
        return 0;
    }
    return std::min<std::size_t>(o.sack_count, (tcp_options_bytes_max - used) / octets::sack_block);
}

std::size_t tcp_header_length(const tcp_options& o) {
    const std::size_t blocks = o.sack_count == 0 ? 0 : tcp_sack_blocks_written(o);
    return tcp_header_bytes + plain_options_length(o) +
           (blocks == 0 ? 0 : 4 + octets::sack_block * blocks);
}

std::size_t write_tcp(std::uint8_t* out, const tcp_segment& s) {
    const std::size_t header_length = tcp_header_length(s.options);
    write_words(out, s, header_length);
    return header_length;
}

void write_tcp(std::uint8_t* out, const tcp_segment& s, std::size_t header_length,
               checksum beside) {
    beside.add_be(write_words(out, s, header_length));
    store_be16(out + tcp_checksum_offset, beside.value());
}

std::optional<fast_open_cookie> read_fast_open(std::span<const std::uint8_t> options) {
    std::optional<fast_open_cookie> found;
    each_option(options.data(), options.size(), [&](const std::uint8_t* option, std::size_t n) {
        const std::size_t value = n - octets::fast_open_base;
        const bool possible = option[0] == kind::fast_open && value % 2 == 0 &&
                              value >= fast_open_cookie::octets_min &&
                              value <= fast_open_cookie::octets_max;
        if (possible) {
            found.emplace().octets = static_cast<std::uint8_t>(value);
            std::copy_n(option + octets::fast_open_base, value, found->value.begin());
        }
    });
    return found;
}

std::size_t fast_open_length(const fast_open_cookie& cookie) {
    return (octets::fast_open_base + std::size_t{cookie.octets} + 3) / 4 * 4;
}

void write_fast_open(std::uint8_t* out, const fast_open_cookie& cookie) {
    const std::size_t length = octets::fast_open_base + std::size_t{cookie.octets};
    out[0] = kind::fast_open;
    out[1] = static_cast<std::uint8_t>(length);
    std::copy_n(cookie.value.begin(), cookie.octets, out + octets::fast_open_base);
    std::fill(out + length, out + fast_open_length(cookie), kind::nop);
}

}  // namespace lastack::wire
