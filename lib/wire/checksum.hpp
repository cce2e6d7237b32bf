// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071) over pieces, the TCP pseudo header, and its incremental update.
//
// A sum is kept in memory order, not in host order: the one's complement sum does not care (RFC
// 1071 2.B), so words are added as they are loaded and only the result is turned round. The sum
// remembers whether an odd number of octets has gone in, so that the pieces of an mbuf chain may
// end anywhere. Long pieces go through vector lanes, several times faster than words with carry; no
// alignment is asked for.
//
// To verify: add everything, the checksum field included; value() is then 0.
// To write: store 0 in the field, add everything, store_be16(field, value()).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/byte_order.hpp"
#include "lastack/address.hpp"

namespace lastack::wire {

// A sum of words of 16 octets' places, any number of them side by side, brought down to one: each
// fold adds the halves, whose carry comes back at the other end.
constexpr std::uint16_t folded_sum(std::uint64_t s) {
    s += std::rotl(s, 32);
    auto half = static_cast<std::uint32_t>(s >> 32);
    half += std::rotl(half, 16);
    return static_cast<std::uint16_t>(half >> 16);
}

// Their sum, the carry coming back; 2^64 - 1 is 0, modulo 2^16 - 1 too.
constexpr std::uint64_t end_around_sum(std::uint64_t a, std::uint64_t b) {
    const bool carry = __builtin_add_overflow(a, b, &a);
    return a + (carry ? 1 : 0);
}

class checksum {
  public:
    // Adds the next octets of the message.
    void add(std::span<const std::uint8_t> bytes) {
        std::uint64_t piece = sum(bytes.data(), bytes.size());
        if (odd_) {
            piece = std::rotl(piece, 8);  // every octet counts for the other half of its word
        }
        add_words(piece);
        odd_ ^= (bytes.size() & 1) != 0;
    }

    // Adds numbers of 16 or 32 bits, or a sum of such, as their octets in network order.
    // They count as if an even number of octets stood before them, whatever was added before.
    void add_be(std::uint64_t numbers) {
        // 2^16 is 1 here, so eight bits to the left is every octet in the other's place.
        add_words(std::endian::native == std::endian::big ? numbers : std::rotl(numbers, 8));
    }

    // The sum so far, not complemented, in host order: what a NIC that completes a TCP checksum
    // wants to find in the field when only the pseudo header has been added.
    std::uint16_t folded() const { return swap_be(folded_sum(sum_)); }

    // The checksum, in host order.
    std::uint16_t value() const { return static_cast<std::uint16_t>(~folded()); }

  private:
    void add_words(std::uint64_t words) { sum_ = end_around_sum(sum_, words); }

    // Below this the setting up of vectors costs more than it saves.
    static constexpr std::size_t wide_octets_min = 128;

    static std::uint64_t sum(const std::uint8_t* p, std::size_t left);

    std::uint64_t sum_ = 0;
    bool odd_ = false;
};

inline std::uint64_t checksum::sum(const std::uint8_t* p, std::size_t left) {
    std::uint64_t total = 0;
    const auto add = [&total](std::uint64_t w) { total = end_around_sum(total, w); };
    const auto add_next = [&](std::size_t words) {
        for (std::size_t i = 0; i < words; ++i, p += 8) {
            std::uint64_t w;
            std::memcpy(&w, p, sizeof w);
            add(w);
        }
    };
    if (left >= wide_octets_min) {
        // 32-bit halves in 64-bit lanes: no carry is lost before 2^32 of them. 16 octets are a
        // register everywhere; two pairs of sums keep the additions from waiting for each other.
        using lanes = std::uint64_t __attribute__((vector_size(16)));
        lanes low_0{};
        lanes low_1{};
        lanes high_0{};
        lanes high_1{};
        for (; left >= 2 * sizeof(lanes); left -= 2 * sizeof(lanes), p += 2 * sizeof(lanes)) {
            lanes w_0;
            lanes w_1;
            std::memcpy(&w_0, p, sizeof w_0);
            std::memcpy(&w_1, p + sizeof w_0, sizeof w_1);
            low_0 += w_0 & 0xffffffff;
            low_1 += w_1 & 0xffffffff;
            high_0 += w_0 >> 32;
            high_1 += w_1 >> 32;
        }
        const lanes low = low_0 + low_1;
        const lanes high = high_0 + high_1;
        add(low[0]);
        add(low[1]);
        add(std::rotl(std::uint64_t{high[0]}, 32));
        add(std::rotl(std::uint64_t{high[1]}, 32));
    }
    for (; left >= 32; left -= 32) {
        add_next(4);
    }
    if ((left & 16) != 0) {
        add_next(2);
    }
    if ((left & 8) != 0) {
        add_next(1);
    }
    if ((left & 4) != 0) {
        std::uint32_t w;
        std::memcpy(&w, p, sizeof w);
        add(w);
        p += 4;
    }
    if ((left & 2) != 0) {
        std::uint16_t w;
        std::memcpy(&w, p, sizeof w);
        add(w);
        p += 2;
    }
    if ((left & 1) != 0) {
        // The missing octet counts as 0, behind this one.
        add(swap_be(static_cast<std::uint16_t>(*p << 8)));
    }
    return total;
}

// The checksum of one piece.
inline std::uint16_t checksum_of(std::span<const std::uint8_t> bytes) {
    checksum c;
    c.add(bytes);
    return c.value();
}

inline constexpr std::uint8_t protocol_icmp = 1;
inline constexpr std::uint8_t protocol_tcp = 6;

// RFC 9293 3.1: a sum that has the pseudo header in it; `length` is header and payload in octets.
inline checksum tcp_pseudo_header(ipv4_address source, ipv4_address destination,
                                  std::uint32_t length) {
    checksum c;
    c.add_be(std::uint64_t{source.bits} + destination.bits + protocol_tcp + length);
    return c;
}
inline checksum tcp_pseudo_header(const ipv6_address& source, const ipv6_address& destination,
                                  std::uint32_t length) {
    checksum c;
    c.add(source.bytes);
    c.add(destination.bytes);
    c.add_be(std::uint64_t{protocol_tcp} + length);
    return c;
}

// RFC 1624 3 (eqn. 3): the checksum after one 16-bit word changed from `before` to `after`. Not for
// a message of which nothing but zeros is left.
constexpr std::uint16_t checksum_after_change(std::uint16_t value, std::uint16_t before,
                                              std::uint16_t after) {
    std::uint32_t s = static_cast<std::uint16_t>(~value);
    s += static_cast<std::uint16_t>(~before);
    s += after;
    s = (s >> 16) + (s & 0xffff);
    s = (s >> 16) + (s & 0xffff);
    return static_cast<std::uint16_t>(~s);
}
constexpr std::uint16_t checksum_after_change(std::uint16_t value, std::uint32_t before,
                                              std::uint32_t after) {
    value = checksum_after_change(value, static_cast<std::uint16_t>(before >> 16),
                                  static_cast<std::uint16_t>(after >> 16));
    return checksum_after_change(value, static_cast<std::uint16_t>(before),
                                 static_cast<std::uint16_t>(after));
}

}  // namespace lastack::wire
