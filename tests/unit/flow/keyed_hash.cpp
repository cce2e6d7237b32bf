// SPDX-License-Identifier: BSD-3-Clause
// The keyed hash against a plain SipHash-c-d over bytes, itself checked by the published vectors
// of SipHash-2-4 (Aumasson and Bernstein, 2012: appendix A and the reference code's vectors).
#include "flow/keyed_hash.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "flow/tag_group.hpp"

namespace lastack::flow {
namespace {

std::uint64_t siphash(int c, int d, std::uint64_t k0, std::uint64_t k1,
                      const std::vector<std::uint8_t>& in) {
    std::uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                          k1 ^ 0x7465646279746573};
    const auto rotate = [](std::uint64_t x, int b) { return x << b | x >> (64 - b); };
    const auto rounds = [&](int n) {
        for (int i = 0; i < n; ++i) {
            v[0] += v[1];
            v[2] += v[3];
            v[1] = rotate(v[1], 13) ^ v[0];
            v[3] = rotate(v[3], 16) ^ v[2];
            v[0] = rotate(v[0], 32);
            v[2] += v[1];
            v[0] += v[3];
            v[1] = rotate(v[1], 17) ^ v[2];
            v[3] = rotate(v[3], 21) ^ v[0];
            v[2] = rotate(v[2], 32);
        }
    };
    std::vector<std::uint8_t> padded = in;
    padded.resize(in.size() / 8 * 8 + 8);
    padded.back() = static_cast<std::uint8_t>(in.size());
    for (std::size_t at = 0; at < padded.size(); at += 8) {
        std::uint64_t m = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            m |= std::uint64_t{padded[at + i]} << (8 * i);
        }
        v[3] ^= m;
        rounds(c);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    rounds(d);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

constexpr std::uint64_t k0 = 0x0706050403020100;
constexpr std::uint64_t k1 = 0x0f0e0d0c0b0a0908;

std::vector<std::uint8_t> counting(std::size_t length) {
    std::vector<std::uint8_t> bytes(length);
    for (std::size_t i = 0; i < length; ++i) {
        bytes[i] = static_cast<std::uint8_t>(i);
    }
    return bytes;
}

template <class T>
std::vector<std::uint8_t> bytes_of(const T& value) {
    std::vector<std::uint8_t> bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

TEST(keyed_hash, the_slow_form_gives_the_published_siphash_2_4_vectors) {
    EXPECT_EQ(siphash(2, 4, k0, k1, counting(0)), 0x726fdb47dd0e0e31u);
    EXPECT_EQ(siphash(2, 4, k0, k1, counting(1)), 0x74f839c593dc67fdu);
    EXPECT_EQ(siphash(2, 4, k0, k1, counting(2)), 0x0d6c8009d9a94f5au);
    EXPECT_EQ(siphash(2, 4, k0, k1, counting(8)), 0x93f5f5799a932462u);
    EXPECT_EQ(siphash(2, 4, k0, k1, counting(15)), 0xa129ca6149be45e5u);
}

TEST(keyed_hash, hashes_keys_as_siphash_1_3_does_their_bytes) {
    std::mt19937_64 random(1);
    for (int n = 0; n < 10'000; ++n) {
        const std::uint64_t a = random();
        const std::uint64_t b = random();
        const keyed_hash hash(a, b);
        const key4 four{ipv4_address{static_cast<std::uint32_t>(random())},
                        ipv4_address{static_cast<std::uint32_t>(random())},
                        static_cast<std::uint16_t>(random()), static_cast<std::uint16_t>(random())};
        ASSERT_EQ(hash(four), siphash(1, 3, a, b, bytes_of(four)));
        key6 six;
        for (std::size_t i = 0; i < 16; ++i) {
            six.remote.bytes[i] = static_cast<std::uint8_t>(random());
            six.local.bytes[i] = static_cast<std::uint8_t>(random());
        }
        six.remote_port = static_cast<std::uint16_t>(random());
        six.local_port = static_cast<std::uint16_t>(random());
        static_assert(sizeof six == 36);
        ASSERT_EQ(hash(six), siphash(1, 3, a, b, bytes_of(six)));
        const std::uint64_t pair[2] = {random(), random()};
        ASSERT_EQ(hash(pair[0], pair[1]), siphash(1, 3, a, b, bytes_of(pair)));
    }
}

TEST(keyed_hash, another_key_gives_another_hash) {
    const key4 key{ipv4_address{1}, ipv4_address{2}, 3, 4};
    EXPECT_NE(keyed_hash(1, 2)(key), keyed_hash(2, 1)(key));
}

TEST(tag_group, the_other_bucket_of_the_other_bucket_is_the_first) {
    std::mt19937_64 random(2);
    for (int n = 0; n < 100'000; ++n) {
        const auto buckets =
            static_cast<std::uint32_t>(1 + random() % (n % 2 == 0 ? 50 : 1u << 24));
        const std::uint64_t hash = random();
        const std::uint32_t bucket = bucket_of(hash, buckets);
        ASSERT_LT(bucket, buckets);
        const std::uint32_t other = other_bucket(bucket, tag_of(hash), buckets);
        ASSERT_LT(other, buckets);
        ASSERT_EQ(other_bucket(other, tag_of(hash), buckets), bucket);
    }
}

TEST(tag_group, matches_exactly_the_equal_tags) {
    const std::uint16_t tags[8] = {1, 0, 0xffff, 0x8000, 0x7fff, 1, 0, 0x0100};
    EXPECT_EQ(match_tags(tags, 1), 0b00100001u);
    EXPECT_EQ(match_tags(tags, 0), 0b01000010u);
    EXPECT_EQ(match_tags(tags, 0xffff), 0b00000100u);
    EXPECT_EQ(match_tags(tags, 0x8000), 0b00001000u);
    EXPECT_EQ(match_tags(tags, 2), 0u);
    EXPECT_NE(tag_of(0), tag_empty);
}

}  // namespace
}  // namespace lastack::flow
