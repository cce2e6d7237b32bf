// SPDX-License-Identifier: BSD-3-Clause
// Checksums against a naive sum, and IPv4, IPv6, Ethernet, ARP and ICMP headers.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <random>
#include <vector>

#include "base/byte_order.hpp"
#include "wire/arp.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmp.hpp"
#include "wire/ipv4.hpp"
#include "wire/ipv6.hpp"

using namespace lastack;
using namespace lastack::wire;

namespace {

using bytes = std::vector<std::uint8_t>;

// RFC 1071 1, word for word.
std::uint16_t naive_checksum(const bytes& b) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < b.size(); i += 2) {
        sum += static_cast<std::uint64_t>(b[i]) << 8 | (i + 1 < b.size() ? b[i + 1] : 0);
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(~sum);
}

// The header that textbooks show: 192.168.0.1 to 192.168.0.199, UDP, checksum b861.
const bytes known_header{0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                         0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};

// known_header with this field changed and, unless it is the checksum's turn, summed up again.
bytes changed(std::size_t at, std::uint8_t value) {
    bytes h = known_header;
    h[at] = value;
    store_be16(&h[10], 0);
    store_be16(&h[10], naive_checksum(h));
    return h;
}

bytes with_options(bytes options) {
    options.resize((options.size() + 3) / 4 * 4);
    bytes h = known_header;
    h.insert(h.end(), options.begin(), options.end());
    h[0] = static_cast<std::uint8_t>(0x40 | h.size() / 4);
    store_be16(&h[10], 0);
    store_be16(&h[10], naive_checksum(h));
    return h;
}

std::optional<ipv4_reject> reject_of(const bytes& h, std::size_t available = 0x73) {
    const auto parsed = parse_ipv4(h, available, checksum_check::verify);
    return parsed ? std::nullopt : std::optional{parsed.error()};
}

}  // namespace

TEST(checksum, a_known_header_sums_to_its_known_value) {
    EXPECT_EQ(checksum_of(known_header), 0);
    bytes h = known_header;
    h[10] = h[11] = 0;
    EXPECT_EQ(checksum_of(h), 0xb861);
}

RC_GTEST_PROP(checksum, agrees_with_the_naive_sum_at_any_alignment, (bytes b)) {
    const std::size_t skip = b.empty() ? 0 : *rc::gen::inRange<std::size_t>(0, b.size());
    const bytes tail(b.begin() + static_cast<std::ptrdiff_t>(skip), b.end());
    RC_ASSERT(checksum_of(std::span{b}.subspan(skip)) == naive_checksum(tail));
}

RC_GTEST_PROP(checksum, pieces_of_any_length_sum_like_the_whole, (std::vector<bytes> pieces)) {
    bytes whole;
    checksum c;
    for (const bytes& p : pieces) {
        whole.insert(whole.end(), p.begin(), p.end());
        c.add(p);
    }
    RC_ASSERT(c.value() == naive_checksum(whole));
}

TEST(checksum, long_runs_of_ones_carry_round_to_the_end) {
    for (std::size_t n = 0; n < 200; ++n) {
        const bytes ones(n, 0xff);
        EXPECT_EQ(checksum_of(ones), naive_checksum(ones)) << n;
    }
    const bytes large(65535, 0xfe);
    EXPECT_EQ(checksum_of(large), naive_checksum(large));
}

TEST(checksum, every_length_and_alignment_agrees_with_the_naive_sum) {
    std::mt19937 random{1};
    bytes b(700);
    for (std::uint8_t& octet : b) {
        octet = static_cast<std::uint8_t>(random());
    }
    for (std::size_t n = 0; n < 600; ++n) {
        const std::size_t from = n % 37;
        const auto first = b.begin() + static_cast<std::ptrdiff_t>(from);
        const bytes piece(first, first + static_cast<std::ptrdiff_t>(n));
        EXPECT_EQ(checksum_of(std::span{b}.subspan(from, n)), naive_checksum(piece)) << n;
        checksum cut;
        cut.add(std::span{piece}.first(n / 3));
        cut.add(std::span{piece}.subspan(n / 3));
        EXPECT_EQ(cut.value(), naive_checksum(piece)) << n;
    }
}

TEST(checksum, the_pseudo_headers_are_those_of_the_rfcs) {
    // RFC 9293 3.1: source, destination, zero, protocol, length.
    const bytes v4{10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0x12, 0x34};
    EXPECT_EQ(tcp_pseudo_header(ipv4_address{0x0a000001}, ipv4_address{0x0a000002}, 0x1234).value(),
              naive_checksum(v4));
    EXPECT_EQ(
        tcp_pseudo_header(ipv4_address{0x0a000001}, ipv4_address{0x0a000002}, 0x1234).folded(),
        static_cast<std::uint16_t>(~naive_checksum(v4)));
    // RFC 8200 8.1: source, destination, length in 32 bits, zero, next header.
    ipv6_address a;
    ipv6_address b;
    a.bytes = {0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    b.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 1, 2, 3, 4, 5};
    bytes v6(a.bytes.begin(), a.bytes.end());
    v6.insert(v6.end(), b.bytes.begin(), b.bytes.end());
    for (const std::uint8_t octet : {0, 1, 0x12, 0x34, 0, 0, 0, 6}) {
        v6.push_back(octet);
    }
    EXPECT_EQ(tcp_pseudo_header(a, b, 0x11234).value(), naive_checksum(v6));
}

RC_GTEST_PROP(checksum, an_update_by_difference_equals_a_new_sum, (std::uint16_t word)) {
    bytes b = *rc::gen::container<bytes>(20, rc::gen::arbitrary<std::uint8_t>());
    b[0] |= 1;  // some octet is not zero, before and after
    const std::size_t at = *rc::gen::element<std::size_t>(2, 6, 18);
    const std::uint16_t before = load_be16(&b[at]);
    const std::uint16_t sum = naive_checksum(b);
    store_be16(&b[at], word);
    RC_ASSERT(checksum_after_change(sum, before, word) == naive_checksum(b));
}

RC_GTEST_PROP(checksum, a_changed_address_updates_it_too, (std::uint32_t word)) {
    bytes b = *rc::gen::container<bytes>(20, rc::gen::arbitrary<std::uint8_t>());
    b[0] |= 1;
    const std::uint32_t before = load_be32(&b[12]);
    const std::uint16_t sum = naive_checksum(b);
    store_be32(&b[12], word);
    RC_ASSERT(checksum_after_change(sum, before, word) == naive_checksum(b));
}

TEST(ipv4, every_field_is_read) {
    const auto h = parse_ipv4(known_header, 0x73, checksum_check::verify);
    ASSERT_TRUE(h.ok());
    EXPECT_EQ(h->source.bits, 0xc0a80001u);
    EXPECT_EQ(h->destination.bits, 0xc0a800c7u);
    EXPECT_EQ(h->total_length, 0x73);
    EXPECT_EQ(h->payload_length(), 0x73u - 20);
    EXPECT_EQ(h->ttl, 64);
    EXPECT_EQ(h->protocol, 17);
    EXPECT_EQ(h->header_length, 20);
    EXPECT_TRUE(h->dont_fragment);
    EXPECT_FALSE(h->is_fragment());
}

TEST(ipv4, a_header_that_is_cut_short_is_truncated) {
    for (std::size_t n = 0; n < 20; ++n) {
        EXPECT_EQ(reject_of(bytes(known_header.begin(),
                                  known_header.begin() + static_cast<std::ptrdiff_t>(n))),
                  ipv4_reject::truncated);
    }
    bytes options = with_options({1, 1, 1, 0});
    options.resize(23);
    EXPECT_EQ(reject_of(options), ipv4_reject::truncated);
}

TEST(ipv4, another_version_is_refused) {
    for (int v = 0; v < 16; ++v) {
        if (v != 4) {
            EXPECT_EQ(reject_of(changed(0, static_cast<std::uint8_t>(v << 4 | 5))),
                      ipv4_reject::version);
        }
    }
}

TEST(ipv4, an_ihl_below_five_is_refused) {
    for (int ihl = 0; ihl < 5; ++ihl) {
        EXPECT_EQ(reject_of(changed(0, static_cast<std::uint8_t>(0x40 | ihl))),
                  ipv4_reject::header_length);
    }
}

TEST(ipv4, a_total_length_below_the_header_or_beyond_the_frame_is_refused) {
    EXPECT_EQ(reject_of(changed(3, 19)), ipv4_reject::total_length);
    EXPECT_EQ(reject_of(changed(3, 20)), std::nullopt);
    EXPECT_EQ(reject_of(known_header, 0x72), ipv4_reject::total_length);
    EXPECT_EQ(reject_of(known_header, 0x74), std::nullopt);  // padding
}

TEST(ipv4, a_wrong_checksum_is_refused_unless_hardware_has_verified_it) {
    for (std::size_t i = 0; i < 20 * 8; ++i) {
        bytes h = known_header;
        h[i / 8] ^= static_cast<std::uint8_t>(1 << i % 8);
        EXPECT_TRUE(reject_of(h, 0xffff)) << "bit " << i;
    }
    bytes h = known_header;
    h[8] = 63;
    EXPECT_EQ(reject_of(h), ipv4_reject::checksum);
    EXPECT_EQ(to_counter(ipv4_reject::checksum), counter::ip_in_checksum);
    EXPECT_TRUE(parse_ipv4(h, 0x73, checksum_check::done_by_hardware).ok());
}

TEST(ipv4, options_are_passed_over) {
    const bytes router_alert{148, 4, 0, 0};
    const auto h = parse_ipv4(with_options(router_alert), 0x73, checksum_check::verify);
    ASSERT_TRUE(h.ok());
    EXPECT_EQ(h->header_length, 24);
    EXPECT_EQ(h->payload_length(), 0x73u - 24);
    EXPECT_EQ(reject_of(with_options({1, 7, 7, 4, 0, 0, 0, 0})), std::nullopt);
    EXPECT_EQ(reject_of(with_options({0, 131, 3, 4})), std::nullopt);  // behind the end
}

TEST(ipv4, source_routes_are_refused) {
    EXPECT_EQ(reject_of(with_options({131, 7, 4, 10, 0, 0, 1})), ipv4_reject::source_route);
    EXPECT_EQ(reject_of(with_options({1, 137, 7, 4, 10, 0, 0, 1})), ipv4_reject::source_route);
    EXPECT_EQ(to_counter(ipv4_reject::source_route), counter::ip_in_options);
}

TEST(ipv4, an_option_of_an_impossible_length_is_refused) {
    EXPECT_EQ(reject_of(with_options({7, 0, 0, 0})), ipv4_reject::options);
    EXPECT_EQ(reject_of(with_options({7, 1, 0, 0})), ipv4_reject::options);
    EXPECT_EQ(reject_of(with_options({7, 5, 0, 0})), ipv4_reject::options);
    EXPECT_EQ(reject_of(with_options({1, 1, 1, 7})), ipv4_reject::options);
    EXPECT_EQ(to_counter(ipv4_reject::options), counter::ip_in_hdr_errors);
}

TEST(ipv4, first_and_later_fragments_are_seen_as_such) {
    const auto first = parse_ipv4(changed(6, 0x20), 0x73, checksum_check::verify);
    ASSERT_TRUE(first.ok());
    EXPECT_TRUE(first->is_fragment());
    const auto later = parse_ipv4(changed(7, 3), 0x73, checksum_check::verify);
    ASSERT_TRUE(later.ok());
    EXPECT_TRUE(later->is_fragment());
    EXPECT_EQ(later->fragment_offset, 24);
}

TEST(ipv4, the_known_header_is_written_octet_by_octet) {
    ipv4_header h;
    h.source = {0xc0a80001};
    h.destination = {0xc0a800c7};
    h.total_length = 0x73;
    h.ttl = 64;
    h.protocol = 17;
    h.dont_fragment = true;
    bytes out(20, 0xee);
    EXPECT_EQ(write_ipv4(out.data(), h), 20u);
    EXPECT_EQ(out, known_header);
}

RC_GTEST_PROP(ipv4, what_is_written_reads_the_same_again, ()) {
    ipv4_header h;
    h.source = {*rc::gen::arbitrary<std::uint32_t>()};
    h.destination = {*rc::gen::arbitrary<std::uint32_t>()};
    h.total_length = *rc::gen::inRange<std::uint16_t>(20, 65535);
    h.identification = *rc::gen::arbitrary<std::uint16_t>();
    h.fragment_offset = static_cast<std::uint16_t>(*rc::gen::inRange<std::uint32_t>(0, 0x2000) * 8);
    h.ttl = *rc::gen::arbitrary<std::uint8_t>();
    h.tos = *rc::gen::arbitrary<std::uint8_t>();
    h.protocol = *rc::gen::arbitrary<std::uint8_t>();
    h.dont_fragment = *rc::gen::arbitrary<bool>();
    h.more_fragments = *rc::gen::arbitrary<bool>();
    bytes out(20);
    write_ipv4(out.data(), h);
    const auto again = parse_ipv4(out, h.total_length, checksum_check::verify);
    RC_ASSERT(again.ok());
    RC_ASSERT(*again == h);
}

TEST(ipv4, a_quote_may_be_cut_and_have_a_stale_checksum) {
    bytes h = known_header;
    h[8] = 1;  // TTL as the last router saw it
    const auto q = parse_ipv4_quote(h);
    ASSERT_TRUE(q.ok());
    EXPECT_EQ(q->total_length, 0x73);
}

TEST(ethernet, fourteen_octets_are_read_and_written) {
    const bytes frame{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06};
    const auto h = parse_ethernet(frame);
    ASSERT_TRUE(h);
    EXPECT_EQ(h->destination, mac_broadcast);
    EXPECT_EQ(h->source, (mac_address{{2, 0, 0, 0, 0, 1}}));
    EXPECT_EQ(h->type, ethertype::arp);
    bytes out(14);
    EXPECT_EQ(write_ethernet(out.data(), *h), 14u);
    EXPECT_EQ(out, frame);
    EXPECT_FALSE(parse_ethernet(std::span{frame}.first(13)));
}

namespace {
const bytes known_arp{0,  1, 8, 0, 6, 4, 0, 2, 2, 0, 0,  0, 0, 1,
                      10, 0, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2};
}

TEST(arp, a_reply_is_read_and_written_octet_by_octet) {
    const auto a = parse_arp(known_arp);
    ASSERT_TRUE(a);
    EXPECT_EQ(*a, (arp_packet{arp_operation::reply,
                              {{2, 0, 0, 0, 0, 1}},
                              {0x0a000001},
                              {{2, 0, 0, 0, 0, 2}},
                              {0x0a000002}}));
    bytes out(28);
    EXPECT_EQ(write_arp(out.data(), *a), 28u);
    EXPECT_EQ(out, known_arp);
}

TEST(arp, short_packets_other_hardware_protocols_sizes_and_operations_are_refused) {
    EXPECT_FALSE(parse_arp(std::span{known_arp}.first(27)));
    const std::vector<std::pair<std::size_t, std::uint8_t>> changes{
        {0, 1}, {1, 6}, {2, 0x86}, {3, 6}, {4, 8}, {5, 16}, {6, 1}, {7, 0}, {7, 3}, {7, 8}};
    for (const auto& [at, value] : changes) {
        bytes b = known_arp;
        b[at] = value;
        EXPECT_FALSE(parse_arp(b)) << at;
    }
    bytes padded = known_arp;
    padded.resize(46);
    EXPECT_TRUE(parse_arp(padded));
}

TEST(icmp_header, eight_octets_are_read_and_written) {
    const bytes b{3, 4, 0, 0, 0, 0, 0x05, 0x14};
    const auto h = parse_icmp(b);
    ASSERT_TRUE(h);
    EXPECT_EQ(h->next_hop_mtu(), 1300);
    bytes out(8, 0xee);
    EXPECT_EQ(write_icmp(out.data(), *h), 8u);
    EXPECT_EQ(out, b);
    EXPECT_FALSE(parse_icmp(std::span{b}.first(7)));
}

TEST(ipv6, forty_octets_are_read_and_written) {
    bytes b{0x6a, 0xbc, 0xde, 0xf1, 0, 5, 6, 64};
    for (std::uint8_t i = 0; i < 32; ++i) {
        b.push_back(i);
    }
    const auto h = parse_ipv6(b, 45);
    ASSERT_TRUE(h);
    EXPECT_EQ(h->traffic_class, 0xab);
    EXPECT_EQ(h->flow_label, 0xcdef1u);
    EXPECT_EQ(h->payload_length, 5);
    EXPECT_EQ(h->next_header, 6);
    EXPECT_EQ(h->hop_limit, 64);
    EXPECT_EQ(h->source.bytes[15], 15);
    EXPECT_EQ(h->destination.bytes[0], 16);
    bytes out(40);
    EXPECT_EQ(write_ipv6(out.data(), *h), 40u);
    EXPECT_EQ(out, b);
    EXPECT_FALSE(parse_ipv6(b, 44));
    EXPECT_FALSE(parse_ipv6(std::span{b}.first(39), 45));
    b[0] = 0x45;
    EXPECT_FALSE(parse_ipv6(b, 45));
}
