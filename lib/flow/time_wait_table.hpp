// SPDX-License-Identifier: BSD-3-Clause
// TIME_WAIT, and FIN_WAIT_2 of an orphan, as compact records: tens of millions a core at constant
// cost.
//
// Where a record lies. Buckets of eight (256 bytes for IPv4, 448 for IPv6), two choices a key, a
// 16-bit tag a record. The first bucket is taken while two slots are free in it, then the emptier.
// When both buckets are full a record is moved to its own other bucket to make room (cuckoo, at
// most 32 steps from either, no key is hashed again); when even that fails the record goes to a
// stash of 64. Nothing is ever rehashed and erasing leaves no tombstone. Bucket counts are not
// rounded: slots = capacity / 0.885 (IPv6: 0.935), so the stated capacity is always reached, and
// moves are rare even there.
//
//     IPv4 bucket                            IPv6 bucket
//     0    8 x 16-bit tags (0: free)         0    the same
//     16   8 x 32-bit meta                   16   the same
//     48   8 x 26-byte body                  48   8 x 50-byte body
//
//     meta  0..20   deadline, in coarse ticks of 16 ms, modulo 2^21
//           21..24  lane: which of the 16 kinds of waiting
//           25      timestamps         26  fin_wait_2
//           27      parked (R49); in FIN_WAIT_2: waiter (an application wants to know)
//           28      reuse_addr (R56)   29  reuse_port (R56)
//           30      acked: the slot's ACK stamp is valid
//           31      of a bucket's first slot, used or not: the bucket is queued, it has an entry
//                   in the expiry order
//     body  key (12 or 36), snd_nxt 4, rcv_nxt 4, ts_recent 4, window 2
//
// Beside the buckets: 2 bytes a slot, the time of its last throttled ACK in units of 4 ms (valid
// only with `acked`; cold until then).
//
// Expiry. A lane is what many records have in common, kept once: how long they wait, and TOS. There
// are at most 16; a length that finds none free is rounded up to the next, unless it was reserved.
// The expiry order of all lanes is one calendar (timer/calendar.hpp) of 4-byte entries, one a
// *bucket* and a slack of 1/8, so its memory is fixed whatever the mix and an eighth of what one a
// record would take. Where an entry comes up, the eight deadlines lie in one cache line: what is
// due goes, and the bucket is queued anew for the earliest of the rest. A restart writes the
// deadline and nothing else; entering a record queues nothing, unless its bucket was empty.
//     Some entry of a bucket must lie at or before each deadline in it. Therefore no bucket is
// queued further ahead than the shortest length in use, the horizon: what is entered or restarted
// later ends after that. (To bound the work, the horizon is at least a second and capacity /
// 32,000,000 seconds.) A record that may end before its bucket's entry comes up, because it was
// moved there, or is the first of a shorter length, gets an extra entry that is looked at once;
// these are the slack.
//     A record is never early, and at most one coarse tick late while expire() keeps up and the
// slack lasts; without slack it is late by a horizon at most, in force when its bucket was queued.
//
// Memory (`bytes_for`), a record of capacity: IPv4 (32 + 2 + 0.60) / 0.885 = 39.1 B, IPv6
// (56 + 2 + 0.60) / 0.935 = 62.7 B, and half a megabyte.
//
// Slots: a `time_wait_slot` stays good until its record is erased or another is entered (which may
// move it). Look it up again by key after that.
#pragma once

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
#include "flow/tag_group.hpp"
#include "lastack/result.hpp"
#include "timer/calendar.hpp"

namespace lastack::flow {

// A record as its user sees it.
template <class Key>
struct time_wait_entry {
    Key key;
    seq32 snd_nxt;
    seq32 rcv_nxt;
    std::uint32_t ts_recent = 0;
    std::uint16_t window = 0;  // as last advertised: on the wire, unscaled
    bool timestamps = false;   // the connection had them
    bool fin_wait_2 = false;   // the peer's FIN is still to come (R60)
    bool parked = false;       // TIME_WAIT: a new incarnation is being opened (R49)
    bool waiter = false;       // FIN_WAIT_2: somebody is to be told when it ends
    bool reuse_addr = false;   // SO_REUSEADDR (R56)
    bool reuse_port = false;   // SO_REUSEPORT (R56)
    friend bool operator==(const time_wait_entry&, const time_wait_entry&) = default;
};

// What a record shares with many others.
struct waiting {
    milliseconds length{};     // of its present state
    std::uint8_t tos = 0;      // of what is sent from it (R51)
    milliseconds time_wait{};  // of FIN_WAIT_2: the length of the TIME_WAIT that follows

    constexpr waiting() = default;
    constexpr waiting(milliseconds l, std::uint8_t t = 0, milliseconds then = {})
        : length(l), tos(t), time_wait(then) {}
    friend constexpr bool operator==(const waiting&, const waiting&) = default;
};

struct time_wait_slot {
    static constexpr std::uint32_t none = ~0u;
    std::uint32_t raw = none;
    constexpr explicit operator bool() const { return raw != none; }
    friend constexpr bool operator==(time_wait_slot, time_wait_slot) = default;
};

enum class enter_status : std::uint8_t {
    entered,
    at_cap,   // size() has reached cap() (R54)
    no_room,  // both buckets and the stash are full: practically never below capacity
};

struct enter_result {
    time_wait_slot slot;  // none unless entered
    enter_status status = enter_status::entered;
};

struct expire_result {
    std::uint32_t expired = 0;
    std::uint32_t touched = 0;  // records looked at; at most the budget
    bool more = false;          // the budget ran out before the queue did
};

template <class Key>
class time_wait_table {
  public:
    using entry = time_wait_entry<Key>;

    static constexpr std::uint32_t coarse_tick_ms = 16;
    static constexpr std::uint32_t lanes_max = 16;
    static constexpr milliseconds length_max{coarse_tick_ms * (1u << 19)};  // 2.3 hours

    // The clock starts at `now`. Capacity: 1 to 2^27. The error says what to do.
    static result<time_wait_table, std::string> make(std::uint32_t capacity, page_size preference,
                                                     tick now);
    // What make() would map, in bytes.
    static std::size_t bytes_for(std::uint32_t capacity);

    std::uint32_t size() const { return size_; }
    std::uint32_t fin_wait_2_size() const { return fin_wait_2_size_; }
    std::uint32_t capacity() const { return capacity_; }
    std::uint32_t cap() const { return cap_; }
    // tcp_max_tw_buckets. Evicts nothing. More than capacity() is cut to it.
    void set_cap(std::uint32_t cap) { cap_ = cap < capacity_ ? cap : capacity_; }
    std::uint32_t stashed() const { return stash_used_; }
    bool huge() const { return buckets_.huge(); }

    // --- look-up -----------------------------------------------------------------------------

    // A burst goes in stages: hash all, prefetch() each, then find() or enter() each. Nothing is
    // touched while the table is empty.
    void prefetch(std::uint64_t hash) const {
        if (size_ != 0) {
            const std::uint32_t first = bucket_of(hash, bucket_count_);
            __builtin_prefetch(line(first));
            __builtin_prefetch(line(other_bucket(first, tag_of(hash), bucket_count_)));
        }
    }
    // For enter(), in two stages: the first bucket; then the body to write, or the other bucket.
    void prefetch_bucket(std::uint64_t hash) const {
        __builtin_prefetch(line(bucket_of(hash, bucket_count_)), 1);
    }
    void prefetch_room(std::uint64_t hash) const;
    // Parked records are found too: look at the flag. None when there is none.
    time_wait_slot find(std::uint64_t hash, const Key& key) const;
    // All stages over a whole burst. Precondition: equal lengths.
    // Faster than prefetch() and find(): touches the other bucket only when it must.
    void find_burst(std::span<const std::uint64_t> hashes, std::span<const Key> keys,
                    std::span<time_wait_slot> found) const;

    // --- one record --------------------------------------------------------------------------
    // Precondition of all: the slot holds a record.

    entry read(time_wait_slot slot) const;
    void set_ts_recent(time_wait_slot slot, std::uint32_t ts_recent);
    void set_parked(time_wait_slot slot, bool parked);  // of a record in TIME_WAIT
    void set_waiter(time_wait_slot slot, bool waiter);  // of one in FIN_WAIT_2
    waiting waiting_of(time_wait_slot slot) const;
    // FIN_WAIT_2 has got its FIN: RCV.NXT moves behind it and TIME_WAIT starts.
    void become_time_wait(time_wait_slot slot, seq32 rcv_nxt, const waiting& w, tick now);
    // The whole of the record's length anew (R43 to R45).
    void restart(time_wait_slot slot, tick now);
    // Until it expires; zero if it is due.
    milliseconds remaining(time_wait_slot slot, tick now) const;
    // Since it was entered or restarted last; at most a coarse tick less than the truth.
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
    void expect_length(milliseconds length) { lane_for(length); }
    // A lane for this kind of waiting until it is released, so that it is never rounded. False when
    // none can be had: 15 may be reserved, and a lane in use does not give way.
    bool reserve(const waiting& w);
    void release(const waiting& w);

    // Removes what is due; on_expired(time_wait_slot) is called before each goes, may read() it and
    // must not change the table. Call it every poll: it also moves the clock.
    template <class F>
    expire_result expire(tick now, std::uint32_t budget, F&& on_expired);

    // The earliest tick at which expire() has something to look at; nullopt when nothing is queued.
    std::optional<tick> next_expiry() const;

    // The record with the earliest deadline, for evict_oldest (R54): exact to a coarse tick where
    // one length prevails, else the earliest of 64 buckets that came up first. None when the table
    // is empty (or 1024 looks meet only entries of empty buckets, which are then gone).
    time_wait_slot oldest(tick now);

    // Calls f(time_wait_slot) for all records in `budget` buckets from bucket `from` on. Returns
    // where to go on, 0 at the end.
    template <class F>
    std::size_t walk(std::size_t from, std::size_t budget, F&& f) const;

  private:
    static constexpr std::uint32_t ways = 8;
    static constexpr std::uint32_t stash_buckets = 8;
    static constexpr std::uint32_t moves_max = 32;
    static constexpr std::uint32_t batch = 32;  // of the calendar's entries, prefetched at once
    // Slots used at capacity: the fewest that the byte budget of the family allows.
    static constexpr std::uint32_t fill_permille = sizeof(Key) == sizeof(key4) ? 885 : 935;
    static constexpr std::size_t meta_offset = ways * sizeof(std::uint16_t);
    static constexpr std::size_t body_offset = meta_offset + ways * sizeof(std::uint32_t);
    static constexpr std::size_t body_bytes = sizeof(Key) + 14;
    static constexpr std::size_t bucket_bytes = body_offset + ways * body_bytes;
    static_assert(bucket_bytes % 64 == 0);

    static constexpr std::uint32_t deadline_bits = 21;
    static constexpr std::uint32_t deadline_mask = (1u << deadline_bits) - 1;
    static constexpr std::uint32_t ahead_max = (1u << 19) + 1;  // coarse ticks
    static constexpr std::uint32_t lane_shift = deadline_bits;
    static constexpr std::uint32_t lane_mask = (lanes_max - 1) << lane_shift;
    static constexpr std::uint32_t timestamps_bit = 1u << 25;
    static constexpr std::uint32_t fin_wait_2_bit = 1u << 26;
    static constexpr std::uint32_t held_bit = 1u << 27;  // parked, waiter
    static constexpr std::uint32_t reuse_addr_bit = 1u << 28;
    static constexpr std::uint32_t reuse_port_bit = 1u << 29;
    static constexpr std::uint32_t acked_bit = 1u << 30;
    static constexpr std::uint32_t queued_bit = 1u << 31;
    static constexpr std::uint32_t extra_bit = 1u << 31;  // of an entry in the expiry order
    static constexpr std::uint32_t nothing_ahead = ~0u;

    struct lane {
        std::uint32_t length_ms = 0;  // a multiple of the coarse tick; 0: never used
        std::uint32_t count = 0;      // records
        std::uint32_t reserved = 0;
        milliseconds time_wait{};
        std::uint8_t tos = 0;
        bool is_for(const waiting& w) const { return tos == w.tos && time_wait == w.time_wait; }
        bool idle() const { return count == 0 && reserved == 0; }
    };

    static std::uint32_t buckets_for(std::uint32_t capacity);

    std::byte* line(std::uint32_t bucket) const { return buckets_.data() + bucket * bucket_bytes; }
    std::uint16_t* tags(std::uint32_t bucket) const {
        return reinterpret_cast<std::uint16_t*>(line(bucket));
    }
    std::uint16_t& tag_at(std::uint32_t slot) const { return tags(slot / ways)[slot % ways]; }
    std::uint32_t& meta_at(std::uint32_t slot) const {
        return reinterpret_cast<std::uint32_t*>(line(slot / ways) + meta_offset)[slot % ways];
    }
    std::byte* body_at(std::uint32_t slot) const {
        return line(slot / ways) + body_offset + (slot % ways) * body_bytes;
    }
    std::uint32_t free_in(std::uint32_t bucket) const {
        return match_tags(tags(bucket), tag_empty);
    }
    std::uint32_t stash_begin() const { return bucket_count_ * ways; }

    // The table's clock: milliseconds that never wrap. A step longer than any record lives is
    // cut to that: everything is due after it either way, and no deadline is ever so far behind
    // that its 21 bits could be taken for one ahead.
    std::uint64_t clock_at(tick now) const;
    void set_clock(tick now);
    static std::uint32_t coarse(std::uint64_t clock_ms) {
        return static_cast<std::uint32_t>(clock_ms / coarse_tick_ms);
    }
    static std::uint32_t coarse_up(std::uint64_t clock_ms) {
        return coarse(clock_ms + coarse_tick_ms - 1);
    }
    // Coarse ticks from `today` to the deadline in `meta`; 0 when it is due.
    static std::uint32_t ahead(std::uint32_t meta, std::uint32_t today) {
        const std::uint32_t distance = (meta - today) & deadline_mask;
        return distance <= ahead_max ? distance : 0;
    }

    static std::uint32_t lane_ms(milliseconds length);
    std::uint32_t find_lane(const waiting& w) const;
    std::uint32_t idle_lane() const;
    void become(std::uint32_t lane_index, const waiting& w);
    std::uint32_t lane_for(const waiting& w);
    std::uint32_t lane_of(std::uint32_t meta) const { return (meta & lane_mask) >> lane_shift; }
    void set_horizon();
    std::uint32_t with_deadline(std::uint32_t meta, std::uint32_t lane_index) const;
    // A bucket's eight deadlines at once, a bit a slot.
    struct deadlines {
        std::uint32_t due;      // bits
        std::uint32_t acked;    // bits, of free slots too
        std::uint32_t nearest;  // coarse ticks to the first that is not due; or nothing_ahead
    };
    deadlines deadlines_in(std::uint32_t bucket, std::uint32_t today) const;
    // Gives the bucket its entry in the expiry order, so far ahead of today but at most as far as
    // the horizon.
    void queue(std::uint32_t bucket, std::uint32_t ticks_ahead);
    // A record was put here, or ends earlier than it did: sees that an entry comes up in time.
    void keep_order(std::uint32_t slot);
    // Removes at most `left` records of a bucket that are due, and queues it anew.
    template <class F>
    void visit(std::uint32_t queued, std::uint32_t left, F&& on_expired, expire_result& done);
    void forget_old_acks(std::uint32_t bucket);
    // The second stage of find_burst(): the candidate's body, or the other bucket.
    void prefetch_found(std::uint64_t hash) const;
    struct choice {
        std::uint32_t bucket;
        std::uint32_t free;  // a bit a free slot
    };
    choice emptier(std::uint32_t first, std::uint32_t second) const;
    std::uint32_t find_in(std::uint32_t bucket, std::uint16_t tag, const Key& key) const;
    std::uint32_t make_room(std::uint32_t bucket);
    std::uint32_t stash_room() const;
    void move(std::uint32_t from, std::uint32_t to);
    void erase_at(std::uint32_t slot);

    region buckets_;
    fixed_array<std::uint16_t> acks_;  // a slot's last throttled ACK, in units of 4 ms
    timer::calendar order_;
    std::uint32_t bucket_count_ = 0;  // the stash's buckets come behind these
    std::uint32_t capacity_ = 0;
    std::uint32_t cap_ = 0;
    std::uint32_t size_ = 0;
    std::uint32_t fin_wait_2_size_ = 0;
    std::uint32_t stash_used_ = 0;
    std::uint32_t extras_ = 0;
    std::uint32_t extras_max_ = 0;
    std::uint32_t victim_ = 0;  // turns, so that no record is always the one to move
    std::uint32_t horizon_ms_ = 0;
    std::uint32_t queued_until_ = 0;  // no bucket's own entry lies behind this day
    std::uint64_t clock_ms_ = 0;
    tick last_{};
    std::array<lane, lanes_max> lanes_{};
    waiting recent_{milliseconds{-1}};  // what lane_for() was asked last, and its answer
    std::uint32_t recent_lane_ = 0;
};

template <class Key>
template <class F>
void time_wait_table<Key>::visit(std::uint32_t queued, std::uint32_t left, F&& on_expired,
                                 expire_result& done) {
    const std::uint32_t bucket = queued & ~extra_bit;
    const std::uint32_t today = coarse(clock_ms_);
    const deadlines times = deadlines_in(bucket, today);
    std::uint32_t nearest = times.nearest;
    std::uint32_t expired = 0;
    for (std::uint32_t due = times.due; due != 0; due &= due - 1) {
        if (expired == left) {
            nearest = 0;
            break;
        }
        const std::uint32_t slot =
            bucket * ways + static_cast<std::uint32_t>(std::countr_zero(due));
        on_expired(time_wait_slot{slot});
        erase_at(slot);
        ++expired;
    }
    done.expired += expired;
    done.touched += expired == 0 ? 1 : expired;
    if (queued != bucket) {
        --extras_;
        if (nearest == 0) {  // the budget ran out
            ++extras_;
            order_.push(today, queued);
        }
        return;
    }
    meta_at(bucket * ways) &= ~queued_bit;
    if (nearest != nothing_ahead) {
        if (times.acked != 0) {
            forget_old_acks(bucket);
        }
        queue(bucket, nearest);
    }
}

template <class Key>
template <class F>
expire_result time_wait_table<Key>::expire(tick now, std::uint32_t budget, F&& on_expired) {
    set_clock(now);
    const std::uint32_t today = coarse(clock_ms_);
    expire_result done;
    std::array<std::uint32_t, batch> entries;
    for (;;) {
        const std::uint32_t left = budget - done.touched;
        if (left == 0) {
            done.more = order_.ready(today);
            return done;
        }
        const std::size_t want = left < batch ? left : batch;
        const std::size_t count = order_.take(today, std::span(entries).first(want));
        if (count == 0) {
            return done;
        }
        for (std::size_t i = 0; i < count; ++i) {
            __builtin_prefetch(line(entries[i] & ~extra_bit), 1);
        }
        for (std::size_t i = 0; i < count; ++i) {
            if (done.touched < budget) {
                visit(entries[i], budget - done.touched, on_expired, done);
            } else {
                order_.push(today, entries[i]);  // prefetched in vain: several were due in a bucket
            }
        }
    }
}

template <class Key>
template <class F>
std::size_t time_wait_table<Key>::walk(std::size_t from, std::size_t budget, F&& f) const {
    const std::size_t end = bucket_count_ + stash_buckets;
    std::size_t at = from;
    for (; at < end && budget > 0; ++at, --budget) {
        const auto bucket = static_cast<std::uint32_t>(at);
        for (std::uint32_t used = ~free_in(bucket) & 0xff; used != 0; used &= used - 1) {
            f(time_wait_slot{bucket * ways + static_cast<std::uint32_t>(std::countr_zero(used))});
        }
    }
    return at < end ? at : 0;
}

extern template class time_wait_table<key4>;
extern template class time_wait_table<key6>;

}  // namespace lastack::flow
