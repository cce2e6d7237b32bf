// SPDX-License-Identifier: BSD-3-Clause
// TIME_WAIT, and FIN_WAIT_2 of an orphan, as compact records: tens of millions a core at constant
// cost.
//
// Three parts. The store (time_wait_store.hpp) has the records, in the order in which they came.
// The index (time_wait_index.hpp) finds them: a random cache line for a miss, and a second, the
// record's, for a hit. The order (time_wait_order.hpp) says which blocks of the store have records
// that are due. So entering touches one random line, the index's, and writes the record behind the
// one before; and expiring reads records one after the other and touches no random line at all: the
// index has the deadline too, and an entry whose time is over is free to whoever needs the place.
//
// Three rules hold this together. An entry ahead of the clock is that of a living record. One that
// is not is so only if the record is there and ends at the same time: it may have expired, and its
// place may have another record, or the same key's next. And the index gives away what is over only
// up to where expiry has come, or what it has asked about: a record that waits for its turn is
// found.
//
// A record is never early, and at most one coarse tick late while expire() keeps up. Slots of the
// index = capacity / 0.86 (IPv6: 0.88), so the stated capacity is always reached, and moves are
// rare even there.
//
// Memory (`bytes_for`), a record of capacity: store 30.25 (IPv6: 54.25), order 0.14, index 9.3
// (9.1): 39.7 B and 63.5 B, and half a megabyte.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/region.hpp"
#include "base/seq32.hpp"
#include "base/time.hpp"
#include "flow/key.hpp"
#include "flow/time_wait_block.hpp"
#include "flow/time_wait_entry.hpp"
#include "flow/time_wait_index.hpp"
#include "flow/time_wait_lanes.hpp"
#include "flow/time_wait_order.hpp"
#include "flow/time_wait_store.hpp"
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
    std::uint32_t stashed() const { return index_.stash_size(); }
    bool huge() const { return memory_.huge(); }

    // --- look-up -----------------------------------------------------------------------------

    // A burst goes in stages: hash and prefetch() each, then find_burst(). Nothing is touched while
    // the table is empty.
    void prefetch(std::uint64_t hash) const {
        if (size_ != 0) {
            index_.prefetch(hash);
        }
    }
    // For a burst of enter() once the homes have come: what each will read and write besides.
    void prefetch_enter(std::span<const std::uint64_t> hashes) const {
        if (size_ != 0) {
            index_.prefetch_room(hashes);
        }
    }
    // Parked records are found too: look at the flag. None when there is none.
    time_wait_slot find(std::uint64_t hash, const Key& key) const;
    // find() for a whole burst, faster: also prefetches what the homes lead to.
    // Precondition: equal lengths.
    void find_burst(std::span<const std::uint64_t> hashes, std::span<const Key> keys,
                    std::span<time_wait_slot> found) const;

    // For a burst of found records that will be read, changed or erased: brings the rest of them.
    void prefetch_found(time_wait_slot slot) const { store_.prefetch_rest(slot.body); }

    // --- one record --------------------------------------------------------------------------
    // Precondition of all: the slot holds a record. Of those that say so also: find() gave it.

    entry read(time_wait_slot slot) const { return store_.read(slot.body); }
    void set_ts_recent(time_wait_slot slot, std::uint32_t ts_recent) {
        store_.set_ts_recent(slot.body, ts_recent);
    }
    // Of a record in TIME_WAIT, and of one in FIN_WAIT_2.
    void set_parked(time_wait_slot slot, bool parked) { set_held(slot, parked); }
    void set_waiter(time_wait_slot slot, bool waiter) { set_held(slot, waiter); }
    const waiting& waiting_of(time_wait_slot slot) const {
        return order_.lanes().waiting_in(time_wait_meta::lane_of(store_.meta(slot.body)));
    }
    // FIN_WAIT_2 has got its FIN: RCV.NXT moves behind it and TIME_WAIT starts. Found.
    void become_time_wait(time_wait_slot slot, seq32 rcv_nxt, const waiting& w, tick now);
    // The whole of the record's length anew (R43 to R45). Found.
    void restart(time_wait_slot slot, tick now);
    // Until it expires; zero if it is due.
    milliseconds remaining(time_wait_slot slot, tick now) const;
    // Since it was entered or restarted last; at most a coarse tick less than the truth, but where
    // lanes or the order's slack ran out: never more.
    milliseconds age(time_wait_slot slot, tick now) const;
    // Found.
    void erase(time_wait_slot slot);

    // --- entering and leaving ----------------------------------------------------------------

    // None where size() has reached capacity(), or, practically never below that, both buckets and
    // the stash are full. Precondition: no record has this key. Lengths above length_max are cut to
    // it.
    time_wait_slot enter(std::uint64_t hash, const entry& e, const waiting& w, tick now);

    // Says that records of this length are to come, so that none of another length is queued too
    // far ahead to be on time when its block gets one of these. For the lengths in the settings.
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
    // one length prevails, else the earliest of the 64 blocks that come up first. None when the
    // table is empty (or 1024 looks meet only entries of empty blocks, which are then gone).
    time_wait_slot oldest(tick now);

    // Calls f(time_wait_slot) for all records in `budget` steps of walk_step places from step
    // `from` on. Returns where to go on, 0 at the end.
    static constexpr std::uint32_t walk_step = 8;
    template <class F>
    std::size_t walk(std::size_t from, std::size_t budget, F&& f) const;

  private:
    using store = time_wait_store<Key>;
    static constexpr std::uint32_t batch = 32;       // keys looked up at once
    static constexpr std::uint32_t looks_ahead = 8;  // blocks prefetched before one is visited
    // Of the index, at capacity: what the byte budget of the family allows.
    static constexpr std::uint32_t fill_permille = sizeof(Key) == sizeof(key4) ? 860 : 880;

    static std::uint32_t buckets_for(std::uint32_t capacity);

    // An entry of the index: has it a record, and is that the key's?
    bool is_there(std::uint32_t at) const;
    bool is_of(std::uint32_t at, const Key& key) const {
        return store_.has_key(index_.body(at), key) && is_there(at);
    }
    time_wait_slot slot_at(std::uint32_t at) const {
        return at == time_wait_index::none ? time_wait_slot{} : time_wait_slot{index_.body(at), at};
    }
    time_wait_slot find_at(const time_wait_index::place& p, const Key& key) const;

    std::uint32_t first_with(std::uint32_t block, std::uint32_t ahead) const;

    void set_held(time_wait_slot slot, bool held);
    // Gives a record this lane and its whole length.
    void set_waiting(time_wait_slot slot, std::uint32_t lane);
    void leave(std::uint32_t body);

    // Removes at most `left` records of a block that are due, and queues it anew.
    template <class F>
    void visit(std::uint32_t queued, std::uint32_t left, F&& on_expired, expire_result& done);

    region memory_;  // the index's and the store's
    time_wait_index index_;
    store store_;
    time_wait_order order_;
    std::uint32_t capacity_ = 0;
    std::uint32_t size_ = 0;
    std::uint32_t fin_wait_2_size_ = 0;
};

template <class Key>
template <class F>
void time_wait_table<Key>::visit(std::uint32_t queued, std::uint32_t left, F&& on_expired,
                                 expire_result& done) {
    const std::uint32_t block = time_wait_order::block_of_entry(queued);
    time_wait_deadlines& of_block = store_.deadlines(block);
    auto [due, nearest] = of_block.look(order_.today());
    done.touched += due == 0 ? 1 : 0;
    if (due != 0) {
        store_.prefetch_bodies(block);
    }
    for (; due != 0; due &= due - 1) {
        if (left-- == 0) {
            nearest = 0;
            break;
        }
        const std::uint32_t body = store::body_of(block, due);
        on_expired(time_wait_slot{body});
        leave(body);
        ++done.expired;
        ++done.touched;
    }
    if (nearest == time_wait_deadlines::nothing_ahead) {
        store_.made_free(block);
    }
    order_.requeue(of_block, queued, nearest);
}

// Between the prefetch of a block and its visit lie those of some others, so that lines arrive
// while others are worked on.
template <class Key>
template <class F>
expire_result time_wait_table<Key>::expire(tick now, std::uint32_t budget, F&& on_expired) {
    order_.set_clock(now);
    expire_result done;
    std::array<std::uint32_t, looks_ahead> entries;
    while (done.touched < budget) {
        const std::uint32_t want = std::min(budget - done.touched, looks_ahead);
        const std::size_t taken = order_.take(std::span(entries).first(want));
        if (taken == 0) {
            break;
        }
        for (std::size_t i = 0; i < taken; ++i) {
            store_.prefetch_deadlines(time_wait_order::block_of_entry(entries[i]));
        }
        for (std::size_t i = 0; i < taken; ++i) {
            if (done.touched < budget) {
                visit(entries[i], budget - done.touched, on_expired, done);
            } else {
                order_.put_back(entries[i]);
            }
        }
    }
    done.more = order_.ready();
    if (!done.more) {
        order_.all_expired();
        index_.expired_until(order_.today());
    }
    return done;
}

template <class Key>
template <class F>
std::size_t time_wait_table<Key>::walk(std::size_t from, std::size_t budget, F&& f) const {
    constexpr std::uint32_t steps = store::block_size / walk_step;  // a block
    const std::size_t end = std::size_t{store::blocks_for(capacity_)} * steps;
    std::size_t at = from;
    for (; at < end && budget > 0; ++at, --budget) {
        const auto block = static_cast<std::uint32_t>(at / steps);
        const std::uint32_t here = ((1u << walk_step) - 1) << at % steps * walk_step;
        std::uint32_t used = store_.deadlines(block).used() & here;
        for (; used != 0; used &= used - 1) {
            f(time_wait_slot{store::body_of(block, used)});
        }
    }
    return at < end ? at : 0;
}

extern template class time_wait_table<key4>;
extern template class time_wait_table<key6>;

}  // namespace lastack::flow
