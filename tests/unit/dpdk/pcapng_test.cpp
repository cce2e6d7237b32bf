// SPDX-License-Identifier: BSD-3-Clause
// The octets of a capture file, as draft-ietf-opsawg-pcapng has them, on a little-endian machine.
#include "dpdk/pcapng.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>

namespace lastack::dpdk::pcapng {
namespace {

static_assert(std::endian::native == std::endian::little, "the expected octets are little-endian");

std::string octets(std::initializer_list<int> values) {
    std::string text;
    for (const int v : values) {
        text.push_back(static_cast<char>(v));
    }
    return text;
}

TEST(pcapng, section_header) {
    std::string file;
    append_section_header(file, "lastack");
    EXPECT_EQ(file, octets({0x0a, 0x0d, 0x0d, 0x0a, 44, 0,    0,    0,    0x4d, 0x3c, 0x2b,
                            0x1a, 1,    0,    0,    0,  0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                            0xff, 0xff, 4,    0,    7,  0,    'l',  'a',  's',  't',  'a',
                            'c',  'k',  0,    0,    0,  0,    0,    44,   0,    0,    0}));
}

TEST(pcapng, interface_is_ethernet_with_its_name) {
    std::string file;
    append_interface(file, "net_tap0", 0x7e4);
    EXPECT_EQ(file,
              octets({1, 0, 0,   0,   36,  0,   0,   0,   1,   0,   0, 0, 0xe4, 7, 0,  0, 2, 0,
                      8, 0, 'n', 'e', 't', '_', 't', 'a', 'p', '0', 0, 0, 0,    0, 36, 0, 0, 0}));
}

TEST(pcapng, packet_has_time_lengths_padding_and_direction) {
    const std::array<std::byte, 5> frame{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4},
                                         std::byte{5}};
    std::string file;
    append_packet(file, {3, 0x0000000100000002, direction::outbound, 60, frame});
    EXPECT_EQ(file, octets({6, 0, 0, 0, 52, 0, 0,  0, 3, 0, 0, 0, 1,  0, 0, 0, 2, 0,
                            0, 0, 5, 0, 0,  0, 60, 0, 0, 0, 1, 2, 3,  4, 5, 0, 0, 0,
                            2, 0, 4, 0, 2,  0, 0,  0, 0, 0, 0, 0, 52, 0, 0, 0}));
}

TEST(pcapng, inbound_and_outbound_differ_in_the_flags_only) {
    std::string in, out;
    append_packet(in, {0, 1, direction::inbound, 0, {}});
    append_packet(out, {0, 1, direction::outbound, 0, {}});
    ASSERT_EQ(in.size(), out.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
        EXPECT_EQ(in[i] != out[i], i == 32) << i;
    }
}

}  // namespace
}  // namespace lastack::dpdk::pcapng
