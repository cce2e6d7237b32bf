// SPDX-License-Identifier: BSD-3-Clause
// TCP headers: every malformed shape, options read as Linux reads them, and written byte for byte
// as Linux writes them.
#include "wire/tcp.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

using namespace lastack;
using namespace lastack::wire;

namespace {

using bytes = std::vector<std::uint8_t>;

// A header with these options, which are padded with zeros to a multiple of 4.
bytes header_with(bytes options, std::uint8_t flags = tcp_flags::ack) {
    options.resize((options.size() + 3) / 4 * 4);
    bytes h{0x12, 0x34, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 0xa0, 0xb0,
            0xc0, 0xd0, 0x00, 0x00, 0xfe, 0xdc, 0xbe, 0xef, 0x00, 0x00};
    h[12] = static_cast<std::uint8_t>((20 + options.size()) / 4 << 4);
    h[13] = flags;
    h.insert(h.end(), options.begin(), options.end());
    return h;
}

tcp_options options_of(const bytes& options) {
    const bytes h = header_with(options);
    const auto s = parse_tcp(h, static_cast<std::uint32_t>(h.size()));
    EXPECT_TRUE(s.ok());
    return s.ok() ? s->options : tcp_options{};
}

bytes written_options(const tcp_options& o) {
    tcp_segment s;
    s.options = o;
    bytes out(60, 0xee);
    const std::size_t n = write_tcp(out.data(), s);
    EXPECT_EQ(n, tcp_header_length(o));
    EXPECT_EQ(out[12], n / 4 << 4);
    for (std::size_t i = n; i < out.size(); ++i) {
        EXPECT_EQ(out[i], 0xee) << "wrote behind the header at " << i;
    }
    return {out.begin() + 20, out.begin() + static_cast<std::ptrdiff_t>(n)};
}

const bytes timestamps{8, 10, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};

bytes join(std::initializer_list<bytes> parts) {
    bytes out;
    for (const bytes& p : parts) {
        out.insert(out.end(), p.begin(), p.end());
    }
    return out;
}

tcp_options full_syn() {
    tcp_options o;
    o.mss = 1460;
    o.has_wscale = true;
    o.wscale = 7;
    o.has_timestamps = true;
    o.tsval = 0x11223344;
    o.tsecr = 0x55667788;
    o.sack_permitted = true;
    return o;
}

}  // namespace

TEST(tcp_parse, every_field_is_read_in_host_order) {
    bytes h = header_with({}, tcp_flags::syn | tcp_flags::ack | 0xc0);
    h.resize(25);
    const auto s = parse_tcp(h, 1000);
    ASSERT_TRUE(s.ok());
    EXPECT_EQ(s->source_port, 0x1234);
    EXPECT_EQ(s->destination_port, 80);
    EXPECT_EQ(s->seq.raw, 0x01020304u);
    EXPECT_EQ(s->ack.raw, 0xa0b0c0d0u);
    EXPECT_EQ(s->window, 0xfedc);
    EXPECT_EQ(s->flags, 0xd2);
    EXPECT_EQ(s->header_length, 20);
    EXPECT_EQ(s->payload_length, 980u);
    EXPECT_EQ(s->length(), 981u);
    EXPECT_EQ(s->options, tcp_options{});
}

TEST(tcp_parse, a_segment_shorter_than_a_header_is_truncated) {
    const bytes h = header_with({});
    for (std::uint32_t n = 0; n < 20; ++n) {
        const auto s = parse_tcp(h, n);
        ASSERT_FALSE(s.ok());
        EXPECT_EQ(s.error(), tcp_reject::truncated);
        EXPECT_EQ(to_counter(s.error()), counter::tcp_in_errs);
    }
}

TEST(tcp_parse, a_data_offset_below_five_is_malformed) {
    bytes h = header_with({});
    for (int words = 0; words < 5; ++words) {
        h[12] = static_cast<std::uint8_t>(words << 4);
        const auto s = parse_tcp(h, 20);
        ASSERT_FALSE(s.ok());
        EXPECT_EQ(s.error(), tcp_reject::data_offset);
    }
}

TEST(tcp_parse, a_data_offset_beyond_the_segment_is_malformed) {
    bytes h = header_with(timestamps);  // 32 octets
    h.resize(60);
    for (std::uint32_t n = 20; n < 32; ++n) {
        const auto s = parse_tcp(h, n);
        ASSERT_FALSE(s.ok());
        EXPECT_EQ(s.error(), tcp_reject::data_offset);
    }
    EXPECT_TRUE(parse_tcp(h, 32).ok());
}

TEST(tcp_parse, a_header_that_does_not_lie_in_one_piece_is_chained) {
    const bytes h = header_with(timestamps);
    for (std::size_t n = 0; n < 32; ++n) {
        const auto s = parse_tcp(std::span{h}.first(n), 1000);
        ASSERT_FALSE(s.ok());
        EXPECT_EQ(s.error(), tcp_reject::chained);
        EXPECT_EQ(to_counter(s.error()), counter::tcp_header_chained);
    }
    EXPECT_TRUE(parse_tcp(h, 1000).ok());
}

TEST(tcp_parse, aligned_and_unaligned_timestamps_read_the_same) {
    for (const bytes& o :
         {join({{1, 1}, timestamps}), join({timestamps, {1, 1}}), join({timestamps, {0, 0}}),
          join({{1}, timestamps}), join({{1, 1, 1, 1}, timestamps})}) {
        const tcp_options got = options_of(o);
        EXPECT_TRUE(got.has_timestamps);
        EXPECT_EQ(got.tsval, 0x11223344u);
        EXPECT_EQ(got.tsecr, 0x55667788u);
    }
}

TEST(tcp_parse, all_options_of_a_syn_are_read_in_any_order) {
    EXPECT_EQ(options_of(join({{2, 4, 0x05, 0xb4, 4, 2}, timestamps, {1, 3, 3, 7}})), full_syn());
    EXPECT_EQ(options_of(join({{3, 3, 7}, timestamps, {4, 2}, {2, 4, 0x05, 0xb4}})), full_syn());
}

TEST(tcp_parse, a_window_scale_above_14_is_used_as_14) {
    EXPECT_EQ(options_of({3, 3, 14}).wscale, 14);
    EXPECT_EQ(options_of({3, 3, 15}).wscale, 14);
    EXPECT_EQ(options_of({3, 3, 255}).wscale, 14);
    EXPECT_TRUE(options_of({3, 3, 0}).has_wscale);
}

TEST(tcp_parse, one_to_four_sack_blocks_are_read) {
    for (std::uint8_t n = 1; n <= 4; ++n) {
        bytes o{5, static_cast<std::uint8_t>(2 + 8 * n)};
        for (std::uint8_t i = 0; i < n; ++i) {
            o = join({o, {0, 0, i, 1, 0, 0, i, 2}});
        }
        const tcp_options got = options_of(o);
        ASSERT_EQ(got.sack_count, n);
        for (std::uint8_t i = 0; i < n; ++i) {
            EXPECT_EQ(got.sack[i], (sack_block{{i * 256u + 1}, {i * 256u + 2}}));
        }
    }
}

TEST(tcp_parse, a_sack_option_of_an_odd_length_or_without_blocks_is_passed_over) {
    EXPECT_EQ(options_of({5, 2, 3, 3, 7}).sack_count, 0);
    EXPECT_TRUE(options_of({5, 2, 3, 3, 7}).has_wscale);
    EXPECT_EQ(options_of({5, 9, 0, 0, 0, 1, 0, 0, 0}).sack_count, 0);
    EXPECT_EQ(options_of({5, 11, 0, 0, 0, 1, 0, 0, 0, 2, 9}).sack_count, 0);
}

// RFC 9293 3.2, MUST-7.
TEST(tcp_parse, an_illegal_option_length_ends_the_list_and_keeps_what_stood_before) {
    for (const bytes& bad :
         {bytes{8, 0}, bytes{8, 1}, bytes{253, 0}, bytes{8, 11}, bytes{5, 255}}) {
        const tcp_options got = options_of(join({{2, 4, 2, 0}, {1, 1}, bad, {3, 3, 7}, {1}}));
        EXPECT_EQ(got.mss, 512);
        EXPECT_FALSE(got.has_wscale);
        EXPECT_FALSE(got.has_timestamps);
    }
    // A kind in the last octet has no length at all.
    EXPECT_EQ(options_of({2, 4, 2, 0, 1, 1, 1, 8}).mss, 512);
    // One octet too long: what would be read lies behind the header.
    EXPECT_EQ(options_of({1, 2, 4, 5}).mss, 0);
}

// RFC 9293 3.2, MUST-6.
TEST(tcp_parse, unknown_options_and_known_ones_of_a_wrong_length_are_passed_over) {
    const tcp_options got =
        options_of({2, 3, 9, 4, 3, 9, 3, 4, 7, 7, 8, 4, 1, 1, 34, 2, 2, 4, 2, 0});
    tcp_options expected;
    expected.mss = 512;
    EXPECT_EQ(got, expected);
}

TEST(tcp_parse, nothing_behind_the_end_of_options_is_read) {
    EXPECT_EQ(options_of({0, 2, 4, 2, 0}), tcp_options{});
    EXPECT_EQ(options_of({1, 1, 0, 3, 3, 7}), tcp_options{});
}

TEST(tcp_write, a_bare_header_is_twenty_octets_with_checksum_and_urgent_pointer_zero) {
    tcp_segment s;
    s.source_port = 0x1234;
    s.destination_port = 80;
    s.seq = {0x01020304};
    s.ack = {0xa0b0c0d0};
    s.window = 0xfedc;
    s.flags = tcp_flags::ack | tcp_flags::fin;
    bytes out(20, 0xee);
    EXPECT_EQ(write_tcp(out.data(), s), 20u);
    EXPECT_EQ(out, (bytes{0x12, 0x34, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 0xa0, 0xb0,
                          0xc0, 0xd0, 0x50, 0x11, 0xfe, 0xdc, 0x00, 0x00, 0x00, 0x00}));
}

TEST(tcp_write, a_syn_has_linuxs_options_in_linuxs_order) {
    const bytes mss{2, 4, 0x05, 0xb4};
    const bytes wscale{1, 3, 3, 7};
    const bytes nops{1, 1};
    const bytes sack_ok{4, 2};
    tcp_options o = full_syn();
    EXPECT_EQ(written_options(o), join({mss, sack_ok, timestamps, wscale}));
    o.sack_permitted = false;
    EXPECT_EQ(written_options(o), join({mss, nops, timestamps, wscale}));
    o.has_timestamps = false;
    EXPECT_EQ(written_options(o), join({mss, wscale}));
    o.sack_permitted = true;
    EXPECT_EQ(written_options(o), join({mss, nops, sack_ok, wscale}));
    o.has_wscale = false;
    EXPECT_EQ(written_options(o), join({mss, nops, sack_ok}));
    o.sack_permitted = false;
    EXPECT_EQ(written_options(o), mss);
}

TEST(tcp_write, data_has_timestamps_and_then_sack_blocks) {
    tcp_options o;
    o.has_timestamps = true;
    o.tsval = 0x11223344;
    o.tsecr = 0x55667788;
    EXPECT_EQ(written_options(o), join({{1, 1}, timestamps}));
    o.sack_count = 1;
    o.sack[0] = {{0x01020304}, {0x05060708}};
    EXPECT_EQ(written_options(o),
              join({{1, 1}, timestamps, {1, 1, 5, 10, 1, 2, 3, 4, 5, 6, 7, 8}}));
    o.has_timestamps = false;
    EXPECT_EQ(written_options(o), (bytes{1, 1, 5, 10, 1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(tcp_write, at_most_three_sack_blocks_beside_timestamps_and_four_without) {
    tcp_options o;
    o.sack_count = 4;
    EXPECT_EQ(tcp_sack_blocks_written(o), 4u);
    EXPECT_EQ(tcp_header_length(o), 56u);
    EXPECT_EQ(written_options(o)[3], 34);
    o.has_timestamps = true;
    EXPECT_EQ(tcp_sack_blocks_written(o), 3u);
    EXPECT_EQ(tcp_header_length(o), 60u);
    EXPECT_EQ(written_options(o)[12 + 3], 26);
}

// --- Fast Open (RFC 7413) ------------------------------------------------------------------------

namespace {

fast_open_cookie cookie_of(const bytes& value) {
    fast_open_cookie c;
    c.octets = static_cast<std::uint8_t>(value.size());
    std::copy(value.begin(), value.end(), c.value.begin());
    return c;
}

bytes written_fast_open(const fast_open_cookie& cookie) {
    bytes out(24, 0xee);
    write_fast_open(out.data(), cookie);
    EXPECT_EQ(out[fast_open_length(cookie)], 0xee) << "wrote behind the option";
    out.resize(fast_open_length(cookie));
    return out;
}

}  // namespace

TEST(fast_open, the_option_is_written_as_linux_does_with_nops_behind_it) {
    EXPECT_EQ(written_fast_open({}), (bytes{34, 2, 1, 1}));
    EXPECT_EQ(written_fast_open(cookie_of({1, 2, 3, 4})), (bytes{34, 6, 1, 2, 3, 4, 1, 1}));
    EXPECT_EQ(written_fast_open(cookie_of({1, 2, 3, 4, 5, 6})), (bytes{34, 8, 1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(fast_open_length(cookie_of(bytes(16, 7))), 20u);
}

TEST(fast_open, the_longest_cookie_fits_behind_all_options_of_a_syn) {
    const auto cookie = cookie_of(bytes(16, 9));
    tcp_segment s;
    s.flags = tcp_flags::syn;
    s.options = full_syn();
    s.options.more_words = static_cast<std::uint8_t>(fast_open_length(cookie) / 4);
    bytes out(60);
    const std::size_t n = write_tcp(out.data(), s);
    write_fast_open(out.data() + n, cookie);
    EXPECT_EQ(n + fast_open_length(cookie), 60u);
    const auto again = parse_tcp(out, 60);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->header_length, 60);
    EXPECT_EQ(again->options, full_syn());
    EXPECT_EQ(read_fast_open(std::span(out).subspan(20)), cookie);
}

TEST(fast_open, a_cookie_is_found_among_other_options_and_the_last_one_counts) {
    const bytes mss{2, 4, 0x05, 0xb4};
    EXPECT_EQ(read_fast_open(mss), std::nullopt);
    EXPECT_EQ(read_fast_open(bytes{}), std::nullopt);
    EXPECT_EQ(read_fast_open(join({mss, {34, 6, 1, 2, 3, 4, 1, 1}, timestamps})),
              cookie_of({1, 2, 3, 4}));
    EXPECT_EQ(read_fast_open(join({{34, 6, 1, 2, 3, 4}, {34, 8, 9, 8, 7, 6, 5, 4}})),
              cookie_of({9, 8, 7, 6, 5, 4}));
    EXPECT_EQ(read_fast_open(join({{0}, {34, 6, 1, 2, 3, 4}})), std::nullopt) << "behind the end";
}

TEST(fast_open, a_cookie_of_an_impossible_length_is_none) {
    for (const std::uint8_t n : {0, 1, 2, 3, 5, 7, 15, 17, 18}) {
        bytes option(std::size_t{n} + 2, 7);
        option[0] = 34;
        option[1] = static_cast<std::uint8_t>(n + 2);
        EXPECT_EQ(read_fast_open(option), std::nullopt) << int{n};
    }
    EXPECT_EQ(read_fast_open(bytes{34, 6, 1, 2, 3}), std::nullopt) << "runs over";
    EXPECT_EQ(read_fast_open(bytes{34}), std::nullopt);
    for (const std::uint8_t n : {4, 6, 14, 16}) {
        bytes option(std::size_t{n} + 2, 7);
        option[0] = 34;
        option[1] = static_cast<std::uint8_t>(n + 2);
        EXPECT_EQ(read_fast_open(option), cookie_of(bytes(n, 7))) << int{n};
    }
}

// The whole list of a SYN is read in one go where it is Linux's; padded it is read option by
// option.
TEST(tcp_options, a_syns_list_reads_the_same_padded_or_not_whatever_octet_of_it_is_another) {
    const bytes list{2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7};
    for (std::size_t at = 0; at < list.size(); ++at) {
        for (int value = 0; value < 256; ++value) {
            bytes options = list;
            options[at] = static_cast<std::uint8_t>(value);
            const bytes plain = header_with(options, tcp_flags::syn);
            options.resize(24);
            const bytes padded = header_with(options, tcp_flags::syn);
            const auto one = parse_tcp(plain, static_cast<std::uint32_t>(plain.size()));
            const auto two = parse_tcp(padded, static_cast<std::uint32_t>(padded.size()));
            ASSERT_TRUE(one.ok() && two.ok());
            ASSERT_EQ(one->options, two->options) << "octet " << at << " is " << value;
        }
    }
}

RC_GTEST_PROP(tcp_write, what_is_written_reads_the_same_again, ()) {
    tcp_segment s;
    s.source_port = *rc::gen::arbitrary<std::uint16_t>();
    s.destination_port = *rc::gen::arbitrary<std::uint16_t>();
    s.seq = {*rc::gen::arbitrary<std::uint32_t>()};
    s.ack = {*rc::gen::arbitrary<std::uint32_t>()};
    s.window = *rc::gen::arbitrary<std::uint16_t>();
    s.flags = *rc::gen::arbitrary<std::uint8_t>();
    s.payload_length = *rc::gen::inRange<std::uint32_t>(0, 65000);
    tcp_options& o = s.options;
    o.mss = *rc::gen::arbitrary<std::uint16_t>();
    o.has_wscale = *rc::gen::arbitrary<bool>();
    o.wscale = o.has_wscale ? *rc::gen::inRange<std::uint8_t>(0, 15) : 0;
    o.has_timestamps = *rc::gen::arbitrary<bool>();
    if (o.has_timestamps) {
        o.tsval = *rc::gen::arbitrary<std::uint32_t>();
        o.tsecr = *rc::gen::arbitrary<std::uint32_t>();
    }
    o.sack_permitted = *rc::gen::arbitrary<bool>();
    o.sack_count = *rc::gen::inRange<std::uint8_t>(0, 5);
    o.sack_count = static_cast<std::uint8_t>(tcp_sack_blocks_written(o));
    for (std::size_t i = 0; i < o.sack_count; ++i) {
        o.sack[i] = {{*rc::gen::arbitrary<std::uint32_t>()},
                     {*rc::gen::arbitrary<std::uint32_t>()}};
    }
    s.header_length = static_cast<std::uint8_t>(tcp_header_length(o));
    RC_ASSERT(s.header_length <= 60);
    bytes out(s.header_length);
    RC_ASSERT(write_tcp(out.data(), s) == out.size());
    const auto again = parse_tcp(out, s.header_length + s.payload_length);
    RC_ASSERT(again.ok());
    RC_ASSERT(*again == s);

    // And with its checksum, before some text.
    const bytes text = *rc::gen::arbitrary<bytes>();
    checksum beside = tcp_pseudo_header(ipv4_address{0xc0000201}, ipv4_address{0xc6336402},
                                        static_cast<std::uint32_t>(out.size() + text.size()));
    checksum whole = beside;
    beside.add(text);
    bytes summed(out.size());
    write_tcp(summed.data(), s, summed.size(), beside);
    whole.add(summed);
    whole.add(text);
    RC_ASSERT(whole.value() == 0);
    summed[tcp_checksum_offset] = summed[tcp_checksum_offset + 1] = 0;
    RC_ASSERT(summed == out);
}
