// SPDX-License-Identifier: BSD-3-Clause
// The memory of the TIME_WAIT table: buckets of eight slots, each with a head (time_wait_head.hpp)
// and eight bodies.
//
// Heads lie side by side, apart from the bodies, so that they spread over a quarter of the memory
// and fewer of them miss the TLB, which costs as much as the line does.
//
//     body  key (12 or 36), snd_nxt 4, rcv_nxt 4, ts_recent 4, window 2 with ts_strict as its
//           lowest bit; on any even address
//
// Home. A key has two buckets (tag_group.hpp). Its home is the lower one if its tag is even, else
// the higher one, so that either bucket and the tag say which of the two a record is in, and no bit
// has to. The number of strays is never too low: a bucket that has none answers for all keys whose
// home it is, so that a miss reads one line. It is changed by whoever moves a record.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "base/prefetch.hpp"
#include "base/region.hpp"
#include "base/seq32.hpp"
#include "flow/key.hpp"
#include "flow/tag_group.hpp"
#include "flow/time_wait_entry.hpp"
#include "flow/time_wait_head.hpp"
#include "lastack/result.hpp"

namespace lastack::flow {

// Where a hash puts a key.
struct time_wait_buckets {
    std::uint32_t home;
    std::uint32_t other;
};

// `yes` or `no` without a branch: for what nobody could foresee, above all about a line that has
// not arrived, where a wrong guess would hold up the ones behind it.
template <class Unsigned>
constexpr Unsigned select(bool condition, Unsigned yes, Unsigned no) {
    return no ^ ((yes ^ no) & (Unsigned{0} - static_cast<Unsigned>(condition)));
}

constexpr std::uint32_t home_of(std::uint32_t bucket, std::uint32_t other, std::uint16_t tag) {
    return select((bucket > other) != ((tag & 1) != 0), other, bucket);
}

constexpr time_wait_buckets buckets_of(std::uint64_t hash, std::uint32_t buckets) {
    const std::uint32_t one = bucket_of(hash, buckets);
    const std::uint32_t two = other_bucket(one, tag_of(hash), buckets);
    const std::uint32_t home = home_of(one, two, tag_of(hash));
    return {home, one ^ two ^ home};
}

// Slot n is the n % 8th of bucket n / 8.
template <class Key>
class time_wait_slots {
  public:
    static constexpr std::uint32_t ways = time_wait_head::ways;
    static constexpr std::size_t body_bytes = sizeof(Key) + 14;
    static constexpr std::size_t bucket_bytes = sizeof(time_wait_head) + ways * body_bytes;

    static std::size_t bytes_for(std::uint32_t buckets) { return buckets * bucket_bytes; }
    static result<time_wait_slots, std::string> make(std::uint32_t buckets, page_size preference) {
        auto heads = fixed_array<time_wait_head>::make(buckets, preference);
        if (!heads.ok()) {
            return failure{heads.error()};
        }
        auto bodies = region::map(std::size_t{buckets} * ways * body_bytes, preference);
        if (!bodies.ok()) {
            return failure{bodies.error()};
        }
        time_wait_slots made;
        made.heads_ = std::move(heads).value();
        made.bodies_ = std::move(bodies).value();
        return made;
    }

    bool huge() const { return bodies_.huge(); }

    time_wait_head& head(std::uint32_t bucket) { return heads_[bucket]; }
    const time_wait_head& head(std::uint32_t bucket) const { return heads_[bucket]; }
    std::uint16_t& tag(std::uint32_t slot) { return head(slot / ways).tags[slot % ways]; }
    std::uint16_t tag(std::uint32_t slot) const { return head(slot / ways).tags[slot % ways]; }
    std::uint32_t& meta(std::uint32_t slot) { return head(slot / ways).meta[slot % ways]; }
    std::uint32_t meta(std::uint32_t slot) const { return head(slot / ways).meta[slot % ways]; }
    std::uint16_t& ack(std::uint32_t slot) { return head(slot / ways).acks[slot % ways]; }

    void prefetch_head(std::uint32_t bucket) const { prefetch_to_read(&heads_[bucket]); }
    void prefetch_head_to_write(std::uint32_t bucket) const { prefetch_to_write(&heads_[bucket]); }
    // The home has arrived: of the slots in `candidates` the first one's body, else, if there are
    // strays, the other bucket.
    void prefetch_found(time_wait_buckets where, std::uint32_t candidates) const {
        if (candidates != 0) {
            const auto way = static_cast<std::uint32_t>(std::countr_zero(candidates));
            prefetch_to_read(body(where.home * ways + way));
        } else {
            prefetch_head(select(head(where.home).strays() != 0, where.other, where.home));
        }
    }
    // A body often lies across two lines.
    void prefetch_body(std::uint32_t slot) const {
        prefetch_to_read(body(slot));
        prefetch_to_read(body(slot) + body_bytes - 1);
    }
    void prefetch_body_to_write(std::uint32_t slot) const {
        prefetch_to_write(body(slot));
        prefetch_to_write(body(slot) + body_bytes - 1);
    }

    bool has_key(std::uint32_t slot, const Key& key) const {
        return std::memcmp(body(slot), &key, sizeof key) == 0;
    }
    time_wait_entry<Key> read(std::uint32_t slot) const;
    // The body alone.
    void write(std::uint32_t slot, const time_wait_entry<Key>& e);
    void set_rcv_nxt(std::uint32_t slot, seq32 rcv_nxt) {
        store(body(slot) + sizeof(Key) + rcv_nxt_at, rcv_nxt.raw);
    }
    void set_ts_recent(std::uint32_t slot, std::uint32_t ts_recent) {
        store(body(slot) + sizeof(Key) + ts_recent_at, ts_recent);
    }
    // All of a record but what belongs to the bucket. Precondition: `to` is free.
    void move(std::uint32_t from, std::uint32_t to);
    void clear(std::uint32_t slot);

  private:
    // Offsets behind the key in a body.
    static constexpr std::size_t snd_nxt_at = 0;
    static constexpr std::size_t rcv_nxt_at = 4;
    static constexpr std::size_t ts_recent_at = 8;
    static constexpr std::size_t window_at = 12;
    static constexpr std::uint16_t ts_strict_bit = 1;  // in the window

    template <class T>
    static T load(const std::byte* p) {
        T v;
        std::memcpy(&v, p, sizeof v);
        return v;
    }
    template <class T>
    static void store(std::byte* p, const T& v) {
        std::memcpy(p, &v, sizeof v);
    }
    std::byte* body(std::uint32_t slot) const { return bodies_.data() + slot * body_bytes; }

    fixed_array<time_wait_head> heads_;
    region bodies_;
};

template <class Key>
time_wait_entry<Key> time_wait_slots<Key>::read(std::uint32_t slot) const {
    const std::byte* rest = body(slot) + sizeof(Key);
    const std::uint32_t m = meta(slot);
    time_wait_entry<Key> e;
    std::memcpy(&e.key, body(slot), sizeof e.key);
    e.snd_nxt.raw = load<std::uint32_t>(rest + snd_nxt_at);
    e.rcv_nxt.raw = load<std::uint32_t>(rest + rcv_nxt_at);
    e.ts_recent = load<std::uint32_t>(rest + ts_recent_at);
    const auto window = load<std::uint16_t>(rest + window_at);
    e.window = static_cast<std::uint16_t>(window & ~ts_strict_bit);
    e.ts_strict = (window & ts_strict_bit) != 0;
    e.timestamps = (m & time_wait_meta::timestamps) != 0;
    e.fin_wait_2 = (m & time_wait_meta::fin_wait_2) != 0;
    e.parked = !e.fin_wait_2 && (m & time_wait_meta::held) != 0;
    e.waiter = e.fin_wait_2 && (m & time_wait_meta::held) != 0;
    e.reuse_addr = (m & time_wait_meta::reuse_addr) != 0;
    e.reuse_port = (m & time_wait_meta::reuse_port) != 0;
    return e;
}

template <class Key>
void time_wait_slots<Key>::write(std::uint32_t slot, const time_wait_entry<Key>& e) {
    std::byte* rest = body(slot) + sizeof(Key);
    std::memcpy(body(slot), &e.key, sizeof e.key);
    store(rest + snd_nxt_at, e.snd_nxt.raw);
    store(rest + rcv_nxt_at, e.rcv_nxt.raw);
    store(rest + ts_recent_at, e.ts_recent);
    store(rest + window_at, static_cast<std::uint16_t>((e.window & ~ts_strict_bit) |
                                                       (e.ts_strict ? ts_strict_bit : 0)));
}

template <class Key>
void time_wait_slots<Key>::move(std::uint32_t from, std::uint32_t to) {
    tag(to) = tag(from);
    ack(to) = ack(from);
    meta(to) = (meta(from) & ~time_wait_meta::of_bucket) | (meta(to) & time_wait_meta::of_bucket);
    std::memcpy(body(to), body(from), body_bytes);
    clear(from);
}

template <class Key>
void time_wait_slots<Key>::clear(std::uint32_t slot) {
    tag(slot) = tag_empty;
    meta(slot) &= time_wait_meta::of_bucket;
}

}  // namespace lastack::flow
