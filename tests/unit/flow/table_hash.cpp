// SPDX-License-Identifier: BSD-3-Clause
// The tables' hash, and that of sequence numbers: their rounds against AES as FIPS 197 writes it;
// and both methods against what the tables need of a hash: that buckets and tags fill evenly
// however regular the keys are, that each bit of a key moves half of the hash, and that a secret
// decides it.
#include "flow/table_hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "flow/tag_group.hpp"

namespace lastack::flow {
namespace {

using octets = std::array<std::uint8_t, 16>;

// --- FIPS 197, an octet at a time ----------------------------------------------------------------

std::uint8_t times(std::uint8_t a, std::uint8_t b) {
    std::uint8_t product = 0;
    for (int i = 0; i < 8; ++i) {
        product = static_cast<std::uint8_t>((b >> i & 1) != 0 ? product ^ a : product);
        a = static_cast<std::uint8_t>((a << 1) ^ ((a & 0x80) != 0 ? 0x1b : 0));
    }
    return product;
}

std::uint8_t substituted(std::uint8_t x) {
    std::uint8_t inverse = 0;
    for (int i = 0; i < 256; ++i) {
        inverse =
            times(x, static_cast<std::uint8_t>(i)) == 1 ? static_cast<std::uint8_t>(i) : inverse;
    }
    return static_cast<std::uint8_t>(inverse ^ std::rotl(inverse, 1) ^ std::rotl(inverse, 2) ^
                                     std::rotl(inverse, 3) ^ std::rotl(inverse, 4) ^ 0x63);
}

octets aes_round(const octets& state, const octets& key) {
    static const auto box = [] {
        std::array<std::uint8_t, 256> b;
        for (int i = 0; i < 256; ++i) {
            b[static_cast<std::size_t>(i)] = substituted(static_cast<std::uint8_t>(i));
        }
        return b;
    }();
    octets out;
    for (std::size_t column = 0; column < 4; ++column) {
        std::uint8_t s[4];
        for (std::size_t row = 0; row < 4; ++row) {
            s[row] = box[state[4 * ((column + row) % 4) + row]];
        }
        for (std::size_t row = 0; row < 4; ++row) {
            out[4 * column + row] = static_cast<std::uint8_t>(
                times(s[row], 2) ^ times(s[(row + 1) % 4], 3) ^ s[(row + 2) % 4] ^
                s[(row + 3) % 4] ^ key[4 * column + row]);
        }
    }
    return out;
}

octets octets_of(std::uint64_t low, std::uint64_t high) {
    octets o;
    std::memcpy(o.data(), &low, 8);
    std::memcpy(o.data() + 8, &high, 8);
    return o;
}

template <class Key>
std::uint64_t slow_hash(std::uint64_t rounds, std::uint64_t k0, std::uint64_t k1, const Key& key) {
    const keyed_hash secret(k0, k1);
    std::vector<std::uint8_t> in(sizeof key);
    std::memcpy(in.data(), &key, sizeof key);
    in.resize((in.size() + 15) / 16 * 16);
    octets state = octets_of(secret(0, 0), secret(0, 1));
    for (std::size_t at = 0; at < in.size(); at += 16) {
        for (std::size_t i = 0; i < 16; ++i) {
            state[i] ^= in[at + i];
        }
        for (std::uint64_t round = 1; round <= rounds; ++round) {
            state = aes_round(state, octets_of(secret(round, 0), secret(round, 1)));
        }
    }
    std::uint64_t low = 0;
    std::memcpy(&low, state.data(), 8);
    return low;
}

// --- keys ----------------------------------------------------------------------------------------

// Clients in a row, each with its ports in a row.
void make_key(std::uint32_t n, key4& key) {
    key = {ipv4_address{0x0a000000 + (n >> 10)}, ipv4_address{0xc0000201},
           static_cast<std::uint16_t>(32768 + (n & 0x3ff)), 80};
}
void make_key(std::uint32_t n, key6& key) {
    key = {};
    key.remote.bytes[0] = 0x20;
    key.remote.bytes[14] = static_cast<std::uint8_t>(n >> 18);
    key.remote.bytes[15] = static_cast<std::uint8_t>(n >> 10);
    key.remote_port = static_cast<std::uint16_t>(32768 + (n & 0x3ff));
    key.local_port = 80;
}

template <class Key>
Key random_key(std::mt19937_64& random) {
    std::array<std::uint8_t, sizeof(Key)> bytes;
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::uint8_t>(random()); });
    return std::bit_cast<Key>(bytes);
}

std::vector<table_hash::method> methods_here() {
    std::vector<table_hash::method> methods{table_hash::method::siphash};
    if (table_hash::best_here() == table_hash::method::aes) {
        methods.push_back(table_hash::method::aes);
    }
    return methods;
}

// Chi squared of `counts` against an even spread, in standard deviations from what chance gives.
double unevenness(const std::vector<std::uint32_t>& counts, double total) {
    const double expected = total / static_cast<double>(counts.size());
    double chi = 0;
    for (const std::uint32_t n : counts) {
        chi += (n - expected) * (n - expected) / expected;
    }
    const double freedom = static_cast<double>(counts.size()) - 1;
    return (chi - freedom) / std::sqrt(2 * freedom);
}

template <class Key>
void expect_even_spread(const table_hash& hash) {
    constexpr std::uint32_t keys = 1u << 20;
    constexpr std::uint32_t buckets = 50'021;
    std::vector<std::uint32_t> in_bucket(buckets);
    std::vector<std::uint32_t> with_tag(1u << 16);
    std::vector<std::uint32_t> both(1u << 16);  // a tag must say nothing of its bucket
    for (std::uint32_t n = 0; n < keys; ++n) {
        Key key;
        make_key(n, key);
        const std::uint64_t h = hash(key);
        ++in_bucket[bucket_of(h, buckets)];
        ++with_tag[h >> 48];
        ++both[(h >> 56) << 8 | bucket_of(h, 256)];
    }
    EXPECT_LT(std::abs(unevenness(in_bucket, keys)), 5);
    EXPECT_LT(std::abs(unevenness(with_tag, keys)), 5);
    EXPECT_LT(std::abs(unevenness(both, keys)), 5);
}

template <class Key>
void expect_avalanche(const table_hash& hash) {
    std::mt19937_64 random(3);
    constexpr int samples = 2000;
    for (std::size_t bit = 0; bit < 8 * sizeof(Key); ++bit) {
        std::array<int, 64> moved{};
        for (int n = 0; n < samples; ++n) {
            const Key one = random_key<Key>(random);
            auto bytes = std::bit_cast<std::array<std::uint8_t, sizeof(Key)>>(one);
            bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
            const std::uint64_t differs = hash(one) ^ hash(std::bit_cast<Key>(bytes));
            for (std::size_t i = 0; i < 64; ++i) {
                moved[i] += static_cast<int>(differs >> i & 1);
            }
        }
        for (const int n : moved) {  // six standard deviations
            ASSERT_NEAR(n, samples / 2, 6 * std::sqrt(samples) / 2)
                << "bit " << bit << " of the key";
        }
    }
}

// --- tests ---------------------------------------------------------------------------------------

TEST(table_hash, the_slow_round_gives_the_published_vector_of_the_instruction) {
    // Gueron, Intel AES New Instructions Set (2010): AESENC.
    EXPECT_EQ(aes_round(octets_of(0x63746f725d53475d, 0x7b5b546573745665),
                        octets_of(0x5b477565726f6e5d, 0x4869285368617929)),
              octets_of(0x8b104b58ded7e595, 0xa8311c2f9fdba3c5));
}

template <class Hash>
void expect_rounds_of_aes(std::uint64_t rounds) {
    if (Hash::best_here() != Hash::method::aes) {
        GTEST_SKIP() << "this processor has no AES instructions";
    }
    std::mt19937_64 random(1);
    for (int n = 0; n < 500; ++n) {
        const std::uint64_t a = random();
        const std::uint64_t b = random();
        const Hash hash(a, b);
        const auto four = random_key<key4>(random);
        ASSERT_EQ(hash(four), slow_hash(rounds, a, b, four));
        const auto six = random_key<key6>(random);
        ASSERT_EQ(hash(six), slow_hash(rounds, a, b, six));
    }
}

TEST(table_hash, is_four_rounds_of_aes_for_each_sixteen_octets_where_the_processor_has_them) {
    expect_rounds_of_aes<table_hash>(4);
}

TEST(sequence_hash, is_ten) {
    expect_rounds_of_aes<sequence_hash>(10);
}

TEST(table_hash, is_siphash_elsewhere) {
    std::mt19937_64 random(2);
    for (int n = 0; n < 500; ++n) {
        const std::uint64_t a = random();
        const std::uint64_t b = random();
        const table_hash hash(a, b, table_hash::method::siphash);
        const auto four = random_key<key4>(random);
        ASSERT_EQ(hash(four), keyed_hash(a, b)(four));
        const auto six = random_key<key6>(random);
        ASSERT_EQ(hash(six), keyed_hash(a, b)(six));
    }
}

TEST(table_hash, keys_in_a_row_fill_buckets_and_tags_evenly) {
    for (const auto by : methods_here()) {
        const table_hash hash(0x0123456789abcdef, 0xfedcba9876543210, by);
        expect_even_spread<key4>(hash);
        expect_even_spread<key6>(hash);
    }
}

TEST(table_hash, each_bit_of_a_key_moves_each_bit_of_the_hash_every_other_time) {
    for (const auto by : methods_here()) {
        const table_hash hash(5, 6, by);
        expect_avalanche<key4>(hash);
        expect_avalanche<key6>(hash);
    }
}

TEST(table_hash, keys_that_share_a_bucket_under_one_secret_do_not_under_another) {
    for (const auto by : methods_here()) {
        const table_hash one(1, 2, by);
        const table_hash two(1, 3, by);
        constexpr std::uint32_t buckets = 1000;
        std::vector<std::uint32_t> spread(buckets);
        std::uint32_t together = 0;
        for (std::uint32_t n = 0; together < 1000; ++n) {
            key4 key;
            make_key(n, key);
            if (bucket_of(one(key), buckets) == 7) {
                ++together;
                ++spread[bucket_of(two(key), buckets)];
            }
        }
        EXPECT_LT(*std::max_element(spread.begin(), spread.end()), 10u);
    }
}

}  // namespace
}  // namespace lastack::flow
