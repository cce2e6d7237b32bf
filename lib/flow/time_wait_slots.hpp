// SPDX-License-Identifier: BSD-3-Clause
// The memory of the TIME_WAIT table: buckets of eight slots, each with a head (time_wait_head.hpp),
// eight bodies, and eight times of the last throttled ACK.
//
// Heads lie side by side, apart from the bodies, so that they spread over a quarter of the memory
// and fewer of them miss the TLB, which costs as much as the line does. The times are apart from
// both, since they are cold: 2 bytes a slot, in units of 4 ms, valid only with `acked`.
//
//     body   front: key (12 or 36), snd_nxt 4; back: rcv_nxt 4, ts_recent 4
//     IPv4   8 x 24 bytes are three lines of two bodies and 16 bytes over; six bodies lie whole in
//            a line, and the other two have their front in one and their back in another, so that
//            no front lies across two lines
//     IPv6   8 x 48 bytes one after the other
//
// Home. A key has two buckets (tag_group.hpp). Its home is the lower one if its tag is even, else
// the higher one, so that either bucket and the tag say which of the two a record is in, and no bit
// has to. The number of strays is never too low: a bucket that has none answers for all keys whose
// home it is, so that a miss reads one line. It is changed by whoever moves a record.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
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
    static constexpr std::size_t front_bytes = sizeof(Key) + 4;
    static constexpr std::size_t back_bytes = 8;
    static constexpr std::size_t bodies_bytes = ways * (front_bytes + back_bytes);  // of a bucket
    static_assert(bodies_bytes % 64 == 0);
    static constexpr std::size_t bucket_bytes =
        sizeof(time_wait_head) + bodies_bytes + ways * sizeof(std::uint16_t);

    static std::size_t bytes_for(std::uint32_t buckets) { return buckets * bucket_bytes; }
    static result<time_wait_slots, std::string> make(std::uint32_t buckets, page_size preference) {
        auto memory = region::map(bytes_for(buckets), preference);
        if (!memory.ok()) {
            return failure{memory.error()};
        }
        // All zeros, which is what every part of it starts as.
        time_wait_slots made;
        made.memory_ = std::move(memory).value();
        made.heads_ = std::launder(reinterpret_cast<time_wait_head*>(made.memory_.data()));
        made.bodies_ = made.memory_.data() + buckets * sizeof(time_wait_head);
        made.acks_ =
            std::launder(reinterpret_cast<std::uint16_t*>(made.bodies_ + buckets * bodies_bytes));
        return made;
    }

    bool huge() const { return memory_.huge(); }

    time_wait_head& head(std::uint32_t bucket) { return heads_[bucket]; }
    const time_wait_head& head(std::uint32_t bucket) const { return heads_[bucket]; }
    std::uint16_t& tag(std::uint32_t slot) { return head(slot / ways).tags[slot % ways]; }
    std::uint16_t tag(std::uint32_t slot) const { return head(slot / ways).tags[slot % ways]; }
    std::uint32_t& meta(std::uint32_t slot) { return head(slot / ways).meta[slot % ways]; }
    std::uint32_t meta(std::uint32_t slot) const { return head(slot / ways).meta[slot % ways]; }
    std::uint16_t& ack(std::uint32_t slot) { return acks_[slot]; }

    void prefetch_head(std::uint32_t bucket) const { prefetch_to_read(&heads_[bucket]); }
    void prefetch_head_to_write(std::uint32_t bucket) const { prefetch_to_write(&heads_[bucket]); }
    void prefetch_front(std::uint32_t slot) const { prefetch_to_read(front(slot)); }
    void prefetch_body_to_write(std::uint32_t slot) const {
        prefetch_to_write(front(slot));
        prefetch_to_write(back(slot) + back_bytes - 1);
    }

    void prefetch_bodies(std::uint32_t bucket) const {
        for (std::size_t at = 0; at < bodies_bytes; at += 64) {
            prefetch_to_read(bodies_ + bucket * bodies_bytes + at);
        }
    }

    bool has_key(std::uint32_t slot, const Key& key) const {
        return std::memcmp(front(slot), &key, sizeof key) == 0;
    }
    time_wait_entry<Key> read(std::uint32_t slot) const;
    // What is not in meta.
    void write(std::uint32_t slot, const time_wait_entry<Key>& e);
    void set_rcv_nxt(std::uint32_t slot, seq32 rcv_nxt) {
        store(back(slot) + rcv_nxt_at, rcv_nxt.raw);
    }
    void set_ts_recent(std::uint32_t slot, std::uint32_t ts_recent) {
        store(back(slot) + ts_recent_at, ts_recent);
    }
    // All of a record but what belongs to the bucket. Precondition: `to` is free.
    void move(std::uint32_t from, std::uint32_t to);
    void clear(std::uint32_t slot);

  private:
    static constexpr std::size_t rcv_nxt_at = 0;
    static constexpr std::size_t ts_recent_at = 4;
    static constexpr std::uint16_t ts_strict_bit = 1;  // in the window, as the next
    static constexpr std::uint16_t ts_plain_bit = 2;
    static constexpr std::uint16_t window_mask = 0xfffc;

    // Where the parts of a bucket's bodies begin.
    static constexpr auto places(bool of_front) {
        std::array<std::uint16_t, ways> at{};
        for (std::uint16_t i = 0; i < ways; ++i) {
            constexpr std::uint16_t body_bytes = front_bytes + back_bytes;
            const std::uint16_t whole = body_bytes == 24 ? i / 2 * 64 + i % 2 * 24 : i * body_bytes;
            at[i] = of_front ? whole : static_cast<std::uint16_t>(whole + front_bytes);
        }
        if (front_bytes == 16) {
            at[6] = of_front ? 48 : 128 + 48;
            at[7] = of_front ? 64 + 48 : 128 + 56;
        }
        return at;
    }
    static constexpr std::array<std::uint16_t, ways> fronts = places(true);
    static constexpr std::array<std::uint16_t, ways> backs = places(false);

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
    std::byte* front(std::uint32_t slot) const {
        return bodies_ + slot / ways * bodies_bytes + fronts[slot % ways];
    }
    std::byte* back(std::uint32_t slot) const {
        return bodies_ + slot / ways * bodies_bytes + backs[slot % ways];
    }

    region memory_;
    time_wait_head* heads_ = nullptr;
    std::byte* bodies_ = nullptr;
    std::uint16_t* acks_ = nullptr;
};

template <class Key>
time_wait_entry<Key> time_wait_slots<Key>::read(std::uint32_t slot) const {
    const std::uint32_t m = meta(slot);
    time_wait_entry<Key> e;
    std::memcpy(&e.key, front(slot), sizeof e.key);
    e.snd_nxt.raw = load<std::uint32_t>(front(slot) + sizeof e.key);
    e.rcv_nxt.raw = load<std::uint32_t>(back(slot) + rcv_nxt_at);
    e.ts_recent = load<std::uint32_t>(back(slot) + ts_recent_at);
    const std::uint16_t window = head(slot / ways).windows[slot % ways];
    e.window = static_cast<std::uint16_t>(window & window_mask);
    e.ts_strict = (window & ts_strict_bit) != 0;
    e.ts_plain = (window & ts_plain_bit) != 0;
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
    std::memcpy(front(slot), &e.key, sizeof e.key);
    store(front(slot) + sizeof e.key, e.snd_nxt.raw);
    store(back(slot) + rcv_nxt_at, e.rcv_nxt.raw);
    store(back(slot) + ts_recent_at, e.ts_recent);
    head(slot / ways).windows[slot % ways] =
        static_cast<std::uint16_t>((e.window & window_mask) | (e.ts_strict ? ts_strict_bit : 0) |
                                   (e.ts_plain ? ts_plain_bit : 0));
}

template <class Key>
void time_wait_slots<Key>::move(std::uint32_t from, std::uint32_t to) {
    tag(to) = tag(from);
    meta(to) = (meta(from) & ~time_wait_meta::of_bucket) | (meta(to) & time_wait_meta::of_bucket);
    head(to / ways).windows[to % ways] = head(from / ways).windows[from % ways];
    if ((meta(from) & time_wait_meta::acked) != 0) {
        ack(to) = ack(from);
    }
    std::memcpy(front(to), front(from), front_bytes);
    std::memcpy(back(to), back(from), back_bytes);
    clear(from);
}

template <class Key>
void time_wait_slots<Key>::clear(std::uint32_t slot) {
    tag(slot) = tag_empty;
    meta(slot) &= time_wait_meta::of_bucket;
}

}  // namespace lastack::flow
