// SPDX-License-Identifier: BSD-3-Clause
// From a hash to a 32-bit value: the index of a connection, or of a SYN_RECEIVED record.
//
// Keys stay with the caller, who compares them in the object the value names. A bucket is one cache
// line: ten 16-bit tags, ten values, and how many values whose home it is lie elsewhere. A key goes
// into its home bucket; if that is full, into its other one; if both are, one of their values moves
// to its own other bucket, for which its key need not be hashed again. Only where none can (twenty
// full buckets beside the two) does a stash of 64 take the key. A look-up that finds nothing at home
// ends there unless something has strayed from there: after much coming and going that is so of one
// home in 70 at half of the stated capacity, and of two in three at all of it, where buckets are
// 78 % full and one value in five is away. Nothing is ever rehashed, erasing leaves no tombstone.
// An empty table is not touched by a look-up.
//
// Cost: 8.2 B a value of capacity; find touches one or two lines, of which prefetch() asks for the
// first.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>

#include "base/prefetch.hpp"
#include "base/region.hpp"
#include "flow/tag_group.hpp"
#include "lastack/result.hpp"

namespace lastack::flow {

class connection_table {
  public:
    static constexpr std::uint32_t npos = ~0u;  // not a value

    // The error says what to do. Capacity: 1 to 2^30.
    static result<connection_table, std::string> make(std::uint32_t capacity, page_size preference);
    // What make() would map.
    static std::size_t bytes_for(std::uint32_t capacity);

    void prefetch(std::uint64_t hash) const {
        if (size_ != 0) {
            prefetch_to_read(&buckets_[bucket_of(hash, bucket_count_)]);
        }
    }

    // The value for which matches(value) says yes, or npos.
    template <class Matches>
    std::uint32_t find(std::uint64_t hash, Matches&& matches) const {
        if (size_ == 0) {
            return npos;
        }
        const std::uint32_t* found = locate(hash, matches);
        return found == nullptr ? npos : *found;
    }

    // False when the table is at its capacity, or (never by chance) the stash is full too.
    // Precondition: the key is not in the table.
    [[nodiscard]] bool insert(std::uint64_t hash, std::uint32_t value);
    // False when the pair is not in the table.
    bool erase(std::uint64_t hash, std::uint32_t value);
    // Puts new_value where old_value was, in one step. False when the pair is not in the table.
    bool replace(std::uint64_t hash, std::uint32_t old_value, std::uint32_t new_value);

    std::uint32_t size() const { return size_; }
    std::uint32_t capacity() const { return capacity_; }
    std::uint32_t stashed() const { return stash_used_; }

    // Calls f(value) for all values in `budget` buckets from bucket `from` on. Returns where to go
    // on, 0 at the end. An insert meanwhile may make a value be seen twice or not at all.
    template <class F>
    std::size_t walk(std::size_t from, std::size_t budget, F&& f) const {
        std::size_t at = from;
        for (; at < bucket_count_ && budget > 0; ++at, --budget) {
            for (std::uint32_t i = 0; i < ways; ++i) {
                if (buckets_[at].tags[i] != tag_empty) {
                    f(buckets_[at].values[i]);
                }
            }
        }
        if (at < bucket_count_ || budget == 0) {
            return at;
        }
        for (std::uint32_t i = 0; i < stash_used_; ++i) {
            f(stash_[i].value);
        }
        return 0;
    }

  private:
    static constexpr std::uint32_t ways = 10;
    static constexpr std::uint32_t stash_size = 64;

    struct alignas(64) bucket {
        std::uint16_t tags[ways];
        std::uint16_t astray;  // a bit a way: what is there has its home elsewhere
        std::uint16_t strays;  // values whose home this is that are elsewhere, the stash included
        std::uint32_t values[ways];

        std::uint32_t match(std::uint16_t tag) const {
            return match_tags(tags, tag) | match_tags(tags + 2, tag) << 2;
        }
        std::uint32_t free() const { return match(tag_empty); }
        // Into the first of the ways `free`.
        void put(std::uint32_t free, std::uint16_t tag, std::uint32_t value, bool is_astray) {
            const auto way = static_cast<std::uint32_t>(std::countr_zero(free));
            tags[way] = tag;
            values[way] = value;
            astray = static_cast<std::uint16_t>(astray | (is_astray ? 1u << way : 0u));
        }
        // True when what was there had its home elsewhere.
        bool take_out(std::uint32_t way) {
            tags[way] = tag_empty;
            const bool was_astray = (astray >> way & 1) != 0;
            astray = static_cast<std::uint16_t>(astray & ~(1u << way));
            return was_astray;
        }
    };
    static_assert(sizeof(bucket) == 64);

    struct stashed_value {
        std::uint64_t hash;
        std::uint32_t value;
    };

    static std::uint32_t buckets_for(std::uint32_t capacity);
    std::uint32_t make_room(std::uint32_t from);
    bool insert_where_home_is_full(std::uint64_t hash, std::uint32_t value);

    template <class Matches>
    static const std::uint32_t* locate_in(const bucket& b, std::uint16_t tag, Matches&& matches) {
        for (std::uint32_t mask = b.match(tag); mask != 0; mask &= mask - 1) {
            const std::uint32_t* value = &b.values[std::countr_zero(mask)];
            if (matches(*value)) {
                return value;
            }
        }
        return nullptr;
    }

    template <class Matches>
    const std::uint32_t* locate(std::uint64_t hash, Matches&& matches) const {
        const std::uint16_t tag = tag_of(hash);
        const std::uint32_t home = bucket_of(hash, bucket_count_);
        const std::uint32_t* const found = locate_in(buckets_[home], tag, matches);
        if (found != nullptr || buckets_[home].strays == 0) [[likely]] {
            return found;
        }
        return locate_stray(hash, other_bucket(home, tag, bucket_count_), matches);
    }

    template <class Matches>
    [[gnu::noinline]] const std::uint32_t* locate_stray(std::uint64_t hash, std::uint32_t second,
                                                        Matches&& matches) const {
        if (const std::uint32_t* found = locate_in(buckets_[second], tag_of(hash), matches)) {
            return found;
        }
        for (std::uint32_t i = 0; i < stash_used_; ++i) {
            if (stash_[i].hash == hash && matches(stash_[i].value)) {
                return &stash_[i].value;
            }
        }
        return nullptr;
    }

    fixed_array<bucket> buckets_;
    std::uint32_t bucket_count_ = 0;
    std::uint32_t capacity_ = 0;
    std::uint32_t size_ = 0;
    std::uint32_t stash_used_ = 0;
    std::array<stashed_value, stash_size> stash_{};
};

}  // namespace lastack::flow
