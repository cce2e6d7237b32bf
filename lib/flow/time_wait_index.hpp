// SPDX-License-Identifier: BSD-3-Clause
// Where the records of the TIME_WAIT table are: from a key's hash to a place in the store.
//
// Buckets of eight entries (time_wait_bucket.hpp), two a key, one of which is its home, and a
// 14-bit tag an entry. It lies in its home if that has room, else in the other bucket. When both
// are full an entry is moved to its own other bucket to make room (cuckoo, at most 32 steps from
// either, no key is hashed again, no record is touched); when even that fails it goes to a stash
// of 64. Nothing is ever rehashed and removing leaves no tombstone. Bucket counts are not rounded.
//
// Home. A key's home is the lower of its two buckets if its tag is even, else the higher one, so
// that either bucket and the tag say which of the two an entry is in. A bucket that cannot have
// strays of a tag answers for all keys of that tag whose home it is, so that a miss reads one line.
//
// Entries of expired records. Expiry frees places without coming here. expired_until() tells how
// far it has come, and entries up to there are free to who needs the place; of those that are due,
// but beyond it, the record is looked at. An entry older than some twenty minutes could be taken
// for one of the future, so all buckets are swept in the course of 262 s, one after the other, at 3
// ns each; and all at once only where the clock jumps, or polls are so rare that twice that has
// gone by.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/prefetch.hpp"
#include "flow/tag_group.hpp"
#include "flow/time_wait_bucket.hpp"

namespace lastack::flow {

class time_wait_index {
  public:
    static constexpr std::uint32_t ways = time_wait_bucket::ways;
    static constexpr std::uint32_t none = ~0u;

    // Where a hash puts a key.
    struct place {
        std::uint32_t home;
        std::uint32_t other;
        std::uint16_t tag;
    };

    static std::size_t bytes_for(std::uint32_t buckets) {
        return (buckets + stash_buckets) * sizeof(time_wait_bucket);
    }
    time_wait_index() = default;
    // In bytes_for(buckets) of zeros, aligned to a line. Coarse ticks, here and below.
    time_wait_index(std::byte* memory, std::uint32_t buckets, std::uint32_t today)
        : buckets_(reinterpret_cast<time_wait_bucket*>(memory)),
          count_(buckets),
          stash_until_(today),
          expired_(today),
          pass_began_(today) {}

    place place_of(std::uint64_t hash) const {
        const std::uint16_t tag = time_wait_bucket::tag_of(hash);
        const std::uint32_t one = bucket_of(hash, count_);
        const std::uint32_t two = other_bucket(one, tag, count_);
        const std::uint32_t home = home_of(one, two, tag);
        return {home, one ^ two ^ home, tag};
    }
    std::uint32_t stash_size() const;

    // --- look-up -----------------------------------------------------------------------------

    void prefetch(std::uint64_t hash) const { prefetch_to_read(&buckets_[place_of(hash).home]); }
    // The first entry with this tag: at home, in the other bucket.
    std::uint32_t first_at_home(const place& p) const { return first_in(p.home, p.tag); }
    std::uint32_t first_in_other(const place& p) const { return first_in(p.other, p.tag); }
    bool may_stray(const place& p) const {
        return buckets_[p.home].may_have_stray(p.tag, expired_);
    }
    bool stash_in_use() const { return static_cast<std::int32_t>(stash_until_ - expired_) > 0; }
    void prefetch_other(const place& p) const { prefetch_to_read(&buckets_[p.other]); }

    // The entry with this tag of which is_it(at) is true, or none.
    template <class F>
    std::uint32_t find(const place& p, F&& is_it) const;

    // --- entries: the n % 8th of bucket n / 8 ------------------------------------------------

    std::uint32_t body(std::uint32_t at) const { return bucket(at).body(at % ways); }
    // Modulo 2^20, as in time_wait_meta.
    std::uint32_t deadline(std::uint32_t at) const { return bucket(at).deadline(at % ways); }
    void set_deadline(std::uint32_t at, std::uint32_t deadline);
    void remove(std::uint32_t at) { bucket(at).remove(at % ways); }

    // Room for an entry, made if need be; or none. is_gone(at) is asked about entries that are due
    // `today`, while expiry has not come so far: has their record expired all the same?
    template <class F>
    std::uint32_t room_for(const place& p, std::uint32_t today, F&& is_gone);
    void put(std::uint32_t at, const place& p, std::uint32_t body, std::uint32_t deadline);
    // For a burst of room_for() once the homes have come: brings in stages what each will read and
    // write: the other bucket, then those that an entry of the home could be moved to.
    void prefetch_room(std::span<const std::uint64_t> hashes) const;

    // --- time --------------------------------------------------------------------------------

    // No record with a deadline at or before this one is left.
    void expired_until(std::uint32_t today);
    // Whether that says that there is none with this deadline.
    bool is_over(std::uint32_t deadline) const {
        return time_wait_meta::ahead(deadline, expired_) == 0;
    }

  private:
    static constexpr std::uint32_t stash_buckets = 8;
    static constexpr std::uint32_t moves_max = 32;
    static constexpr std::uint32_t looks_at_once = 4;
    static constexpr std::uint32_t batch = 32;
    static constexpr std::uint32_t pass_ticks = 1u << 14;  // 262 s, and twice that at most
    static_assert(2 * 2 * pass_ticks < time_wait_bucket::days_back << time_wait_bucket::day_shift);
    static constexpr std::uint32_t swept_at_once = 256;  // buckets

    static constexpr std::uint32_t home_of(std::uint32_t bucket, std::uint32_t other,
                                           std::uint16_t tag) {
        const bool other_is_home = (bucket > other) != ((tag & 1) != 0);
        // No branch: it would be as likely as not.
        return bucket ^ ((bucket ^ other) & (0u - static_cast<std::uint32_t>(other_is_home)));
    }

    time_wait_bucket& bucket(std::uint32_t at) { return buckets_[at / ways]; }
    const time_wait_bucket& bucket(std::uint32_t at) const { return buckets_[at / ways]; }
    std::uint32_t free_in(std::uint32_t bucket) const { return buckets_[bucket].free(expired_); }
    static std::uint32_t entry_of(std::uint32_t bucket, std::uint32_t mask) {
        return bucket * ways + static_cast<std::uint32_t>(std::countr_zero(mask));
    }
    std::uint32_t first_in(std::uint32_t bucket, std::uint16_t tag) const {
        const std::uint32_t mask = buckets_[bucket].with_tag(tag);
        return mask != 0 ? entry_of(bucket, mask) : none;
    }
    template <class F>
    std::uint32_t find_in(std::uint32_t bucket, std::uint16_t tag, F&& is_it) const;

    template <class F>
    std::uint32_t gone_in(std::uint32_t bucket, std::uint32_t today, F&& is_gone) const;
    std::uint32_t room_by_moves(const place& p);
    void count_stray(std::uint32_t bucket, std::uint16_t tag, std::uint32_t deadline);
    void move(std::uint32_t from, std::uint32_t to);
    std::uint32_t with_room_elsewhere(std::uint32_t bucket, std::span<const std::uint32_t> path,
                                      std::uint32_t& to) const;
    std::uint32_t make_room(std::uint32_t bucket);
    std::uint32_t stash_room() const;
    void sweep(std::uint32_t until);

    time_wait_bucket* buckets_ = nullptr;
    std::uint32_t count_ = 0;   // the stash's buckets come behind these
    std::uint32_t victim_ = 0;  // turns, so that no entry is always the one to move
    std::uint32_t stash_until_ = 0;
    std::uint32_t expired_ = 0;
    std::uint32_t pass_began_ = 0;
    std::uint32_t swept_ = 0;  // buckets of this pass
};

template <class F>
std::uint32_t time_wait_index::find_in(std::uint32_t bucket, std::uint16_t tag, F&& is_it) const {
    for (std::uint32_t mask = buckets_[bucket].with_tag(tag); mask != 0; mask &= mask - 1) {
        if (const std::uint32_t at = entry_of(bucket, mask); is_it(at)) {
            return at;
        }
    }
    return none;
}

template <class F>
std::uint32_t time_wait_index::find(const place& p, F&& is_it) const {
    std::uint32_t at = find_in(p.home, p.tag, is_it);
    if (at == none && may_stray(p)) {
        at = find_in(p.other, p.tag, is_it);
    }
    if (at == none && stash_in_use()) {
        for (std::uint32_t i = 0; i < stash_buckets && at == none; ++i) {
            at = find_in(count_ + i, p.tag, is_it);
        }
    }
    return at;
}

template <class F>
std::uint32_t time_wait_index::gone_in(std::uint32_t bucket, std::uint32_t today,
                                       F&& is_gone) const {
    for (std::uint32_t i = 0; i < ways; ++i) {
        const std::uint32_t at = bucket * ways + i;
        if (time_wait_meta::ahead(deadline(at), today) == 0 && is_gone(at)) {
            return at;
        }
    }
    return none;
}

template <class F>
std::uint32_t time_wait_index::room_for(const place& p, std::uint32_t today, F&& is_gone) {
    if (const std::uint32_t free = free_in(p.home)) {
        return entry_of(p.home, free);
    }
    if (const std::uint32_t free = free_in(p.other)) {
        return entry_of(p.other, free);
    }
    if (today != expired_) {
        for (const std::uint32_t bucket : {p.home, p.other}) {
            if (const std::uint32_t at = gone_in(bucket, today, is_gone); at != none) {
                return at;
            }
        }
    }
    return room_by_moves(p);
}

}  // namespace lastack::flow
