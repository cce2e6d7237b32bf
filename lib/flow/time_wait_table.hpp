// SPDX-License-Identifier: BSD-3-Clause
// TIME_WAIT, and FIN_WAIT_2 of an orphan, as compact records: tens of millions a core at constant
// cost.
//
// Where a record lies. Buckets of eight (time_wait_slots.hpp), two a key, one of which is its home,
// and a 16-bit tag a record. It lies in its home if that has room, else in the other bucket. When
// both are full a record is moved to its own other bucket to make room (cuckoo, at most 32 steps
// from either, no key is hashed again); when even that fails it goes to a stash of 64. Nothing is
// ever rehashed and erasing leaves no tombstone. Bucket counts are not rounded: slots = capacity /
// 0.88 (IPv6: 0.925), so the stated capacity is always reached, and moves are rare even there. A
// bucket counts its strays, the records whose home it is and that lie elsewhere; a bucket without
// any is all that a look-up needs to see, hit or miss.
//
// Expiry. One calendar of buckets, not of records, for at most 16 lanes (time_wait_order.hpp).
// Where a bucket comes up, what is due goes. A record is never early, and at most one coarse tick
// late while expire() keeps up and the order's slack lasts; without slack it is late by a horizon
// at most, in force when its bucket was queued. A stray's home counts one less some expiries later,
// when that line has arrived too.
//
// Memory (`bytes_for`), a record of capacity: IPv4 (34 + 0.58) / 0.88 = 39.3 B, IPv6
// (58 + 0.58) / 0.925 = 63.3 B, and half a megabyte.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/seq32.hpp"
#include "base/time.hpp"
#include "flow/key.hpp"
#include "flow/tag_group.hpp"
#include "flow/time_wait_entry.hpp"
#include "flow/time_wait_lanes.hpp"
#include "flow/time_wait_order.hpp"
#include "flow/time_wait_slots.hpp"
#include "lastack/result.hpp"

namespace lastack::flow {

template <class Key>
class time_wait_table {
  public:
    using entry = time_wait_entry<Key>;

    static constexpr std::uint32_t coarse_tick_ms = time_wait_order::coarse_tick_ms;
    static constexpr milliseconds length_max = time_wait_lanes::length_max;

    // The clock starts at `now`. Capacity: 1 to 2^27. The error says what to do.
    static result<time_wait_table, std::string> make(std::uint32_t capacity, page_size preference,
                                                     tick now);
    // What make() would map, in bytes.
    static std::size_t bytes_for(std::uint32_t capacity);

    std::uint32_t size() const { return size_; }
    std::uint32_t fin_wait_2_size() const { return fin_wait_2_size_; }
    std::uint32_t capacity() const { return capacity_; }
    std::uint32_t stashed() const { return stash_used_; }
    bool huge() const { return slots_.huge(); }

    // --- look-up -----------------------------------------------------------------------------

    // A burst goes in stages: hash and prefetch() each, then find_burst(). Nothing is touched while
    // the table is empty.
    void prefetch(std::uint64_t hash) const {
        if (size_ != 0) {
            slots_.prefetch_head(buckets_of(hash, bucket_count_).home);
        }
    }
    // For a burst of enter() once the homes have come: what each will read and write, in stages:
    // the body or the other bucket, what a record of the home could be moved to, the body of that.
    void prefetch_enter(std::span<const std::uint64_t> hashes) const;
    // Parked records are found too: look at the flag. None when there is none.
    time_wait_slot find(std::uint64_t hash, const Key& key) const;
    // find() for a whole burst, faster: also prefetches what the homes lead to.
    // Precondition: equal lengths.
    void find_burst(std::span<const std::uint64_t> hashes, std::span<const Key> keys,
                    std::span<time_wait_slot> found) const;

    // --- one record --------------------------------------------------------------------------
    // Precondition of all: the slot holds a record.

    entry read(time_wait_slot slot) const { return slots_.read(slot.raw); }
    void set_ts_recent(time_wait_slot slot, std::uint32_t ts_recent);
    // Of a record in TIME_WAIT, and of one in FIN_WAIT_2.
    void set_parked(time_wait_slot slot, bool parked) { set_held(slot, parked); }
    void set_waiter(time_wait_slot slot, bool waiter) { set_held(slot, waiter); }
    const waiting& waiting_of(time_wait_slot slot) const {
        return order_.lanes().waiting_in(time_wait_meta::lane_of(slots_.meta(slot.raw)));
    }
    // FIN_WAIT_2 has got its FIN: RCV.NXT moves behind it and TIME_WAIT starts.
    void become_time_wait(time_wait_slot slot, seq32 rcv_nxt, const waiting& w, tick now);
    // The whole of the record's length anew (R43 to R45).
    void restart(time_wait_slot slot, tick now);
    // Until it expires; zero if it is due.
    milliseconds remaining(time_wait_slot slot, tick now) const;
    // Since it was entered or restarted last; at most a coarse tick less than the truth, but where
    // lanes ran out and this record's was stretched: never more.
    milliseconds age(time_wait_slot slot, tick now) const;
    // R45: at most one throttled ACK a record in `ratelimit_ms` (0: no limit; more than a minute
    // counts as a minute; good to 4 ms). True: send it; the time is kept.
    bool may_ack(time_wait_slot slot, tick now, std::uint32_t ratelimit_ms);
    void erase(time_wait_slot slot);

    // --- entering and leaving ----------------------------------------------------------------

    // Precondition: no record has this key. Lengths above length_max are cut to it.
    enter_result enter(std::uint64_t hash, const entry& e, const waiting& w, tick now);

    // Says that records of this length are to come, so that none of another length is queued too
    // far ahead to be on time when its slot gets one of these. For the lengths in the settings.
    void expect_length(milliseconds length) { order_.lanes().expect(length); }
    // A lane for this kind of waiting until it is released, so that it is never rounded. False when
    // none can be had: 15 may be reserved, and a lane in use does not give way.
    bool reserve(const waiting& w) { return order_.lanes().reserve(w); }
    void release(const waiting& w) { order_.lanes().release(w); }

    // Removes what is due; on_expired(time_wait_slot) is called before each goes, may read() it and
    // must not change the table. Call it every poll: it also moves the clock.
    template <class F>
    expire_result expire(tick now, std::uint32_t budget, F&& on_expired);

    // The earliest tick at which expire() has something to look at; nullopt when nothing is queued.
    std::optional<tick> next_expiry() const { return order_.next(); }

    // The record with the earliest deadline, for evict_oldest (R54): exact to a coarse tick where
    // one length prevails, else the earliest of 64 buckets that came up first. None when the table
    // is empty (or 1024 looks meet only entries of empty buckets, which are then gone).
    time_wait_slot oldest(tick now);

    // Calls f(time_wait_slot) for all records in `budget` buckets from bucket `from` on. Returns
    // where to go on, 0 at the end.
    template <class F>
    std::size_t walk(std::size_t from, std::size_t budget, F&& f) const;

  private:
    static constexpr std::uint32_t ways = time_wait_head::ways;
    static constexpr std::uint32_t stash_buckets = 8;
    static constexpr std::uint32_t moves_max = 32;
    static constexpr std::uint32_t looks_at_once = 4;
    static constexpr std::uint32_t batch = 32;  // of the order's entries, prefetched at once
    static constexpr std::uint32_t no_bucket = ~0u;
    // Slots used at capacity: the fewest that the byte budget of the family allows.
    static constexpr std::uint32_t fill_permille = sizeof(Key) == sizeof(key4) ? 880 : 925;

    static std::uint32_t buckets_for(std::uint32_t capacity);
    static std::uint32_t slot_of(std::uint32_t bucket, std::uint32_t mask) {
        return bucket * ways + static_cast<std::uint32_t>(std::countr_zero(mask));
    }
    std::uint32_t stash_begin() const { return bucket_count_ * ways; }

    void set_held(time_wait_slot slot, bool held);

    std::uint32_t find_in(std::uint32_t bucket, std::uint16_t tag, const Key& key) const;
    std::uint32_t first_with_tag(std::uint32_t bucket, std::uint16_t tag) const;
    std::uint32_t find_at(time_wait_buckets where, std::uint16_t tag, const Key& key) const;

    // A free slot for a record of these two buckets, made free if need be; or none.
    std::uint32_t room_in(time_wait_buckets where);
    std::uint32_t make_room(std::uint32_t bucket);
    std::uint32_t with_room_elsewhere(std::uint32_t bucket, std::span<const std::uint32_t> path,
                                      std::uint32_t& to) const;
    std::uint32_t stash_room() const;
    void move(std::uint32_t from, std::uint32_t to);
    void keep_order(std::uint32_t slot);

    std::uint32_t home_of(std::uint32_t slot) const {
        const std::uint32_t bucket = slot / ways;
        const std::uint16_t tag = slots_.tag(slot);
        return bucket < bucket_count_
                   ? flow::home_of(bucket, other_bucket(bucket, tag, bucket_count_), tag)
                   : stash_homes_[slot - stash_begin()];
    }
    void add_stray(std::uint32_t home) {
        time_wait_head& head = slots_.head(home);
        head.set_strays(head.strays() + 1);
    }
    void remove_stray(std::uint32_t home) {
        time_wait_head& head = slots_.head(home);
        head.set_strays(head.strays() - 1);
    }
    // The same some calls later, when the line has arrived.
    void remove_stray_later(std::uint32_t home);
    void erase_but_not_its_stray(std::uint32_t slot);

    // Removes at most `left` records of a bucket that are due, and queues it anew.
    template <class F>
    void visit(std::uint32_t queued, std::uint32_t left, F&& on_expired, expire_result& done);
    void forget_old_acks(std::uint32_t bucket);

    time_wait_slots<Key> slots_;
    time_wait_order order_;
    std::uint32_t bucket_count_ = 0;  // the stash's buckets come behind these
    std::uint32_t capacity_ = 0;
    std::uint32_t size_ = 0;
    std::uint32_t fin_wait_2_size_ = 0;
    std::uint32_t stash_used_ = 0;
    std::uint32_t victim_ = 0;  // turns, so that no record is always the one to move
    std::array<std::uint32_t, stash_buckets * ways> stash_homes_{};
    // Homes whose count of strays is one too high; no_bucket: none.
    std::array<std::uint32_t, batch> leaving_;
    std::uint32_t leaving_at_ = 0;
};

template <class Key>
template <class F>
void time_wait_table<Key>::visit(std::uint32_t queued, std::uint32_t left, F&& on_expired,
                                 expire_result& done) {
    const std::uint32_t bucket = time_wait_order::bucket_of_entry(queued);
    time_wait_head& head = slots_.head(bucket);
    auto [due, acked, nearest] = head.look_at_deadlines(order_.today());
    std::uint32_t expired = 0;
    for (; due != 0; due &= due - 1) {
        if (expired == left) {
            nearest = 0;
            break;
        }
        const std::uint32_t slot = slot_of(bucket, due);
        on_expired(time_wait_slot{slot});
        if (const std::uint32_t home = home_of(slot); home != bucket) {
            remove_stray_later(home);
        }
        erase_but_not_its_stray(slot);
        ++expired;
    }
    done.expired += expired;
    done.touched += expired == 0 ? 1 : expired;
    if (time_wait_order::is_extra(queued)) {
        if (nearest == 0) {  // the budget ran out
            order_.put_back(queued);
        } else {
            order_.extra_is_done();
        }
        return;
    }
    if (nearest == time_wait_head::nothing_ahead) {
        head.clear_queued();
        return;
    }
    if (acked != 0) {
        forget_old_acks(bucket);
    }
    order_.queue(head, bucket, nearest);
}

// Between the prefetch of a bucket and its visit lie those of `batch` others, so that lines arrive
// while others are worked on.
template <class Key>
template <class F>
expire_result time_wait_table<Key>::expire(tick now, std::uint32_t budget, F&& on_expired) {
    order_.set_clock(now);
    expire_result done;
    std::array<std::uint32_t, 2 * batch> ring;
    std::uint32_t visited = 0;
    std::uint32_t prefetched = 0;
    std::uint32_t taken = 0;
    while (done.touched < budget) {
        if (prefetched == taken) {
            const std::uint32_t at = taken % (2 * batch);
            const std::uint32_t want = std::min({budget - done.touched, batch, 2 * batch - at});
            taken += static_cast<std::uint32_t>(order_.take(std::span(ring).subspan(at, want)));
        }
        if (prefetched != taken) {
            slots_.prefetch_head_to_write(
                time_wait_order::bucket_of_entry(ring[prefetched++ % (2 * batch)]));
            if (prefetched - visited < batch) {
                continue;
            }
        }
        if (visited == taken) {
            return done;
        }
        visit(ring[visited++ % (2 * batch)], budget - done.touched, on_expired, done);
    }
    for (; visited != taken; ++visited) {  // several were due in a bucket
        order_.put_back(ring[visited % (2 * batch)]);
    }
    done.more = order_.ready();
    return done;
}

template <class Key>
template <class F>
std::size_t time_wait_table<Key>::walk(std::size_t from, std::size_t budget, F&& f) const {
    const std::size_t end = bucket_count_ + stash_buckets;
    std::size_t at = from;
    for (; at < end && budget > 0; ++at, --budget) {
        const auto bucket = static_cast<std::uint32_t>(at);
        for (std::uint32_t used = slots_.head(bucket).used(); used != 0; used &= used - 1) {
            f(time_wait_slot{slot_of(bucket, used)});
        }
    }
    return at < end ? at : 0;
}

extern template class time_wait_table<key4>;
extern template class time_wait_table<key6>;

}  // namespace lastack::flow
