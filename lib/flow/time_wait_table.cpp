// SPDX-License-Identifier: BSD-3-Clause
#include "flow/time_wait_table.hpp"

#include <algorithm>
#include <cstring>

#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

namespace lastack::flow {

namespace {

constexpr std::uint32_t ack_unit_ms = 4;
constexpr std::uint32_t ack_forgotten_ms = 64'000;  // no limit reaches further back
constexpr std::uint32_t horizon_max_ms = 64'000;    // must stay below the calendar's ring

constexpr std::uint32_t slack = 8;  // buckets for one extra entry of the order

template <class T>
T load(const std::byte* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class T>
void store(std::byte* p, const T& v) {
    std::memcpy(p, &v, sizeof v);
}

// Offsets behind the key in a body.
constexpr std::size_t snd_nxt_at = 0;
constexpr std::size_t rcv_nxt_at = 4;
constexpr std::size_t ts_recent_at = 8;
constexpr std::size_t window_at = 12;

// With so many free slots in its first bucket a record does not look at the other one.
constexpr std::uint32_t roomy = 2;

// Set bits of a mask of eight. (Baseline x86-64 has no instruction for it.)
constexpr std::uint32_t count8(std::uint32_t mask) {
    mask -= mask >> 1 & 0x55;
    mask = (mask & 0x33) + (mask >> 2 & 0x33);
    return (mask + (mask >> 4)) & 0x0f;
}

}  // namespace

// A few more for small tables, where chance weighs more.
template <class Key>
std::uint32_t time_wait_table<Key>::buckets_for(std::uint32_t capacity) {
    return static_cast<std::uint32_t>(std::uint64_t{capacity} * 1000 / (fill_permille * ways)) + 4;
}

template <class Key>
std::size_t time_wait_table<Key>::bytes_for(std::uint32_t capacity) {
    const std::size_t buckets = buckets_for(capacity) + stash_buckets;
    const std::size_t slots = buckets * ways;
    return buckets * bucket_bytes + slots * sizeof(std::uint16_t) +
           timer::calendar::bytes_for(static_cast<std::uint32_t>(buckets + buckets / slack + 8));
}

template <class Key>
result<time_wait_table<Key>, std::string> time_wait_table<Key>::make(std::uint32_t capacity,
                                                                     page_size preference,
                                                                     tick now) {
    if (capacity == 0 || capacity > 1u << 27) {
        return failure{std::string("a TIME_WAIT table takes 1 to 134217728 records, not ") +
                       std::to_string(capacity)};
    }
    time_wait_table made;
    made.capacity_ = made.cap_ = capacity;
    made.bucket_count_ = buckets_for(capacity);
    made.last_ = now;
    made.clock_ms_ = now.raw;
    made.queued_until_ = coarse(made.clock_ms_);
    const std::uint32_t buckets = made.bucket_count_ + stash_buckets;
    const std::string what = "TIME_WAIT table for " + std::to_string(capacity) + " records (" +
                             std::to_string(bytes_for(capacity)) + " bytes in all): ";
    auto records = region::map(buckets * bucket_bytes, preference);
    if (!records.ok()) {
        return failure{what + records.error()};
    }
    auto acks = fixed_array<std::uint16_t>::make(std::size_t{buckets} * ways, preference);
    if (!acks.ok()) {
        return failure{what + acks.error()};
    }
    made.extras_max_ = buckets / slack + 8;
    auto order =
        timer::calendar::make(buckets + made.extras_max_, coarse(made.clock_ms_), preference);
    if (!order.ok()) {
        return failure{what + order.error()};
    }
    made.buckets_ = std::move(records).value();
    made.acks_ = std::move(acks).value();
    made.order_ = std::move(order).value();
    return made;
}

// --- clock and lanes ---------------------------------------------------------------------------

template <class Key>
std::uint64_t time_wait_table<Key>::clock_at(tick now) const {
    constexpr std::int32_t step_max = static_cast<std::int32_t>(length_max.count()) +
                                      static_cast<std::int32_t>(2 * coarse_tick_ms);
    const std::int32_t step = std::clamp(distance(last_, now), 0, step_max);
    return clock_ms_ + static_cast<std::uint32_t>(step);
}

template <class Key>
void time_wait_table<Key>::set_clock(tick now) {
    clock_ms_ = clock_at(now);
    last_ = max(last_, now);
}

template <class Key>
void time_wait_table<Key>::set_horizon() {
    std::uint32_t shortest = horizon_max_ms;
    for (const lane& l : lanes_) {
        if (l.length_ms != 0) {
            shortest = std::min(shortest, l.length_ms);
        }
    }
    const std::uint32_t least = std::max(1000u, capacity_ / 32000);
    horizon_ms_ = std::max(shortest, least);
}

template <class Key>
std::uint32_t time_wait_table<Key>::lane_ms(milliseconds length) {
    const auto cut = std::clamp<milliseconds::rep>(length.count(), 1, length_max.count());
    return coarse_up(static_cast<std::uint64_t>(cut)) * coarse_tick_ms;
}

// lanes_max when there is none.
template <class Key>
std::uint32_t time_wait_table<Key>::find_lane(const waiting& w) const {
    const std::uint32_t length_ms = lane_ms(w.length);
    std::uint32_t i = 0;
    while (i < lanes_max && !(lanes_[i].length_ms == length_ms && lanes_[i].is_for(w))) {
        ++i;
    }
    return i;
}

// One never used, else one that nobody uses now; lanes_max when there is none.
template <class Key>
std::uint32_t time_wait_table<Key>::idle_lane() const {
    std::uint32_t idle = lanes_max;
    for (std::uint32_t i = 0; i < lanes_max; ++i) {
        if (lanes_[i].idle() && (idle == lanes_max || lanes_[i].length_ms == 0)) {
            idle = i;
        }
    }
    return idle;
}

template <class Key>
void time_wait_table<Key>::become(std::uint32_t lane_index, const waiting& w) {
    lane& l = lanes_[lane_index];
    l.length_ms = lane_ms(w.length);
    l.tos = w.tos;
    l.time_wait = w.time_wait;
    recent_ = {milliseconds{-1}};
    set_horizon();
}

// The lane of this kind; else an idle one becomes it; else the next longer one, of the same TOS if
// there is one; else, all being shorter, the longest that is not reserved becomes it, so that its
// records' next restart is longer than need be.
template <class Key>
std::uint32_t time_wait_table<Key>::lane_for(const waiting& w) {
    if (w == recent_) {
        return recent_lane_;
    }
    std::uint32_t found = find_lane(w);
    if (found == lanes_max && (found = idle_lane()) != lanes_max) {
        become(found, w);
    }
    if (found == lanes_max) {
        std::uint32_t longest = lanes_max;
        const auto worse = [&](const lane& a, const lane& b) {  // of two that are long enough
            return a.is_for(w) != b.is_for(w) ? b.is_for(w) : a.length_ms > b.length_ms;
        };
        for (std::uint32_t i = 0; i < lanes_max; ++i) {
            const lane& l = lanes_[i];
            if (l.length_ms >= lane_ms(w.length) &&
                (found == lanes_max || worse(lanes_[found], l))) {
                found = i;
            }
            if (l.reserved == 0 &&
                (longest == lanes_max || l.length_ms > lanes_[longest].length_ms)) {
                longest = i;
            }
        }
        if (found == lanes_max) {
            found = longest;
            become(found, w);
        }
    }
    recent_ = w;
    return recent_lane_ = found;
}

template <class Key>
bool time_wait_table<Key>::reserve(const waiting& w) {
    std::uint32_t found = find_lane(w);
    if (found == lanes_max || lanes_[found].reserved == 0) {
        const auto reserved = std::count_if(lanes_.begin(), lanes_.end(),
                                            [](const lane& l) { return l.reserved != 0; });
        if (reserved == lanes_max - 1) {
            return false;  // one stays free for all other lengths
        }
        if (found == lanes_max && (found = idle_lane()) == lanes_max) {
            return false;
        }
        become(found, w);
    }
    ++lanes_[found].reserved;
    return true;
}

template <class Key>
void time_wait_table<Key>::release(const waiting& w) {
    --lanes_[find_lane(w)].reserved;
}

template <class Key>
waiting time_wait_table<Key>::waiting_of(time_wait_slot slot) const {
    const lane& l = lanes_[lane_of(meta_at(slot.raw))];
    return {milliseconds{l.length_ms}, l.tos, l.time_wait};
}

template <class Key>
std::uint32_t time_wait_table<Key>::with_deadline(std::uint32_t meta,
                                                  std::uint32_t lane_index) const {
    const std::uint32_t deadline = coarse_up(clock_ms_ + lanes_[lane_index].length_ms);
    return (meta & ~(deadline_mask | lane_mask)) | (deadline & deadline_mask) |
           lane_index << lane_shift;
}

template <class Key>
typename time_wait_table<Key>::deadlines time_wait_table<Key>::deadlines_in(
    std::uint32_t bucket, std::uint32_t today) const {
    const std::uint32_t used = ~free_in(bucket) & 0xff;
    const std::uint32_t* metas = &meta_at(bucket * ways);
    deadlines d{0, 0, nothing_ahead};
#ifdef __SSE4_1__
    __m128i nearest = _mm_set1_epi32(-1);
    const __m128i free = _mm_cmpeq_epi16(
        _mm_load_si128(reinterpret_cast<const __m128i*>(tags(bucket))), _mm_setzero_si128());
    for (std::uint32_t half = 0; half < 2; ++half) {
        const __m128i meta = _mm_load_si128(reinterpret_cast<const __m128i*>(metas + half * 4));
        __m128i left = _mm_and_si128(_mm_sub_epi32(meta, _mm_set1_epi32(static_cast<int>(today))),
                                     _mm_set1_epi32(static_cast<int>(deadline_mask)));
        const __m128i passed = _mm_cmpgt_epi32(left, _mm_set1_epi32(static_cast<int>(ahead_max)));
        left = _mm_andnot_si128(passed, left);
        const __m128i due = _mm_cmpeq_epi32(left, _mm_setzero_si128());
        const __m128i absent =
            half == 0 ? _mm_unpacklo_epi16(free, free) : _mm_unpackhi_epi16(free, free);
        nearest = _mm_min_epu32(nearest, _mm_or_si128(left, _mm_or_si128(due, absent)));
        const auto bits = [half](__m128i v) {
            return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(v))) << half * 4;
        };
        d.due |= bits(due);
        d.acked |= bits(_mm_slli_epi32(meta, std::countl_zero(acked_bit)));
    }
    nearest = _mm_min_epu32(nearest, _mm_shuffle_epi32(nearest, 0x4e));
    nearest = _mm_min_epu32(nearest, _mm_shuffle_epi32(nearest, 0xb1));
    d.nearest = static_cast<std::uint32_t>(_mm_cvtsi128_si32(nearest));
    d.due &= used;
#else
    for (std::uint32_t i = 0; i < ways; ++i) {
        const std::uint32_t left = ahead(metas[i], today);
        const std::uint32_t bit = used & 1u << i;
        d.acked |= (metas[i] & acked_bit) != 0 ? 1u << i : 0;
        d.due |= left == 0 ? bit : 0;
        d.nearest = bit != 0 && left != 0 ? std::min(d.nearest, left) : d.nearest;
    }
#endif
    return d;
}

template <class Key>
void time_wait_table<Key>::queue(std::uint32_t bucket, std::uint32_t ticks_ahead) {
    meta_at(bucket * ways) |= queued_bit;
    const std::uint32_t today = coarse(clock_ms_);
    const std::uint32_t limit = coarse_up(clock_ms_ + horizon_ms_) - today;
    const std::uint32_t at = today + std::min(ticks_ahead, limit);
    if (static_cast<std::int32_t>(at - queued_until_) > 0) {
        queued_until_ = at;
    }
    order_.push(at, bucket);
}

template <class Key>
void time_wait_table<Key>::keep_order(std::uint32_t slot) {
    const std::uint32_t bucket = slot / ways;
    const std::uint32_t today = coarse(clock_ms_);
    const std::uint32_t left = ahead(meta_at(slot), today);
    if ((meta_at(bucket * ways) & queued_bit) == 0) {
        queue(bucket, left);
    } else if (static_cast<std::int32_t>(queued_until_ - (today + left)) > 0 &&
               extras_ < extras_max_) {
        ++extras_;
        order_.push(today + left, bucket | extra_bit);
    }
}

// --- look-up -----------------------------------------------------------------------------------

template <class Key>
std::uint32_t time_wait_table<Key>::find_in(std::uint32_t bucket, std::uint16_t tag,
                                            const Key& key) const {
    for (std::uint32_t mask = match_tags(tags(bucket), tag); mask != 0; mask &= mask - 1) {
        const std::uint32_t slot =
            bucket * ways + static_cast<std::uint32_t>(std::countr_zero(mask));
        if (std::memcmp(body_at(slot), &key, sizeof key) == 0) {
            return slot;
        }
    }
    return time_wait_slot::none;
}

template <class Key>
time_wait_slot time_wait_table<Key>::find(std::uint64_t hash, const Key& key) const {
    if (size_ == 0) {
        return {};
    }
    const std::uint16_t tag = tag_of(hash);
    const std::uint32_t first = bucket_of(hash, bucket_count_);
    std::uint32_t slot = find_in(first, tag, key);
    if (slot == time_wait_slot::none) {
        slot = find_in(other_bucket(first, tag, bucket_count_), tag, key);
    }
    if (slot == time_wait_slot::none && stash_used_ != 0) {
        for (std::uint32_t i = 0; i < stash_buckets && slot == time_wait_slot::none; ++i) {
            slot = find_in(bucket_count_ + i, tag, key);
        }
    }
    return {slot};
}

template <class Key>
void time_wait_table<Key>::prefetch_found(std::uint64_t hash) const {
    const std::uint16_t tag = tag_of(hash);
    const std::uint32_t first = bucket_of(hash, bucket_count_);
    const std::uint32_t mask = match_tags(tags(first), tag);
    if (mask == 0) {
        __builtin_prefetch(line(other_bucket(first, tag, bucket_count_)));
    } else {
        __builtin_prefetch(
            body_at(first * ways + static_cast<std::uint32_t>(std::countr_zero(mask))));
    }
}

template <class Key>
typename time_wait_table<Key>::choice time_wait_table<Key>::emptier(std::uint32_t first,
                                                                    std::uint32_t second) const {
    const std::uint32_t free_first = free_in(first);
    if (count8(free_first) >= roomy) {
        return {first, free_first};
    }
    const std::uint32_t free_second = free_in(second);
    return count8(free_first) >= count8(free_second) ? choice{first, free_first}
                                                     : choice{second, free_second};
}

template <class Key>
void time_wait_table<Key>::prefetch_room(std::uint64_t hash) const {
    const std::uint32_t first = bucket_of(hash, bucket_count_);
    const std::uint32_t free = free_in(first);
    if (count8(free) < roomy) {
        __builtin_prefetch(line(other_bucket(first, tag_of(hash), bucket_count_)), 1);
    }
    if (free != 0) {
        const std::byte* body =
            body_at(first * ways + static_cast<std::uint32_t>(std::countr_zero(free)));
        __builtin_prefetch(body, 1);
        __builtin_prefetch(body + body_bytes - 1, 1);
    }
}

template <class Key>
void time_wait_table<Key>::find_burst(std::span<const std::uint64_t> hashes,
                                      std::span<const Key> keys,
                                      std::span<time_wait_slot> found) const {
    if (size_ == 0) {
        std::fill(found.begin(), found.end(), time_wait_slot{});
        return;
    }
    for (const std::uint64_t hash : hashes) {
        __builtin_prefetch(line(bucket_of(hash, bucket_count_)));
    }
    for (const std::uint64_t hash : hashes) {
        prefetch_found(hash);
    }
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        found[i] = find(hashes[i], keys[i]);
    }
}

// --- one record --------------------------------------------------------------------------------

template <class Key>
time_wait_entry<Key> time_wait_table<Key>::read(time_wait_slot slot) const {
    const std::byte* body = body_at(slot.raw);
    const std::byte* rest = body + sizeof(Key);
    const std::uint32_t meta = meta_at(slot.raw);
    entry e;
    std::memcpy(&e.key, body, sizeof e.key);
    e.snd_nxt.raw = load<std::uint32_t>(rest + snd_nxt_at);
    e.rcv_nxt.raw = load<std::uint32_t>(rest + rcv_nxt_at);
    e.ts_recent = load<std::uint32_t>(rest + ts_recent_at);
    e.window = load<std::uint16_t>(rest + window_at);
    e.timestamps = (meta & timestamps_bit) != 0;
    e.fin_wait_2 = (meta & fin_wait_2_bit) != 0;
    e.parked = !e.fin_wait_2 && (meta & held_bit) != 0;
    e.waiter = e.fin_wait_2 && (meta & held_bit) != 0;
    e.reuse_addr = (meta & reuse_addr_bit) != 0;
    e.reuse_port = (meta & reuse_port_bit) != 0;
    return e;
}

template <class Key>
void time_wait_table<Key>::set_ts_recent(time_wait_slot slot, std::uint32_t ts_recent) {
    store(body_at(slot.raw) + sizeof(Key) + ts_recent_at, ts_recent);
}

template <class Key>
void time_wait_table<Key>::set_parked(time_wait_slot slot, bool parked) {
    std::uint32_t& meta = meta_at(slot.raw);
    meta = parked ? meta | held_bit : meta & ~held_bit;
}

template <class Key>
void time_wait_table<Key>::set_waiter(time_wait_slot slot, bool waiter) {
    std::uint32_t& meta = meta_at(slot.raw);
    meta = waiter ? meta | held_bit : meta & ~held_bit;
}

template <class Key>
void time_wait_table<Key>::become_time_wait(time_wait_slot slot, seq32 rcv_nxt, const waiting& w,
                                            tick now) {
    set_clock(now);
    store(body_at(slot.raw) + sizeof(Key) + rcv_nxt_at, rcv_nxt.raw);
    std::uint32_t& meta = meta_at(slot.raw);
    if ((meta & fin_wait_2_bit) != 0) {
        meta &= ~(fin_wait_2_bit | held_bit);
        --fin_wait_2_size_;
    }
    --lanes_[lane_of(meta)].count;
    const std::uint32_t lane_index = lane_for(w);
    ++lanes_[lane_index].count;
    meta = with_deadline(meta, lane_index);
    keep_order(slot.raw);
}

template <class Key>
void time_wait_table<Key>::restart(time_wait_slot slot, tick now) {
    set_clock(now);
    std::uint32_t& meta = meta_at(slot.raw);
    meta = with_deadline(meta, lane_of(meta));
}

template <class Key>
milliseconds time_wait_table<Key>::remaining(time_wait_slot slot, tick now) const {
    const std::uint64_t clock_ms = clock_at(now);
    const std::uint32_t ticks = ahead(meta_at(slot.raw), coarse(clock_ms));
    const std::uint32_t gone = static_cast<std::uint32_t>(clock_ms % coarse_tick_ms);
    return milliseconds{ticks == 0 ? 0 : ticks * coarse_tick_ms - gone};
}

template <class Key>
milliseconds time_wait_table<Key>::age(time_wait_slot slot, tick now) const {
    const lane& l = lanes_[lane_of(meta_at(slot.raw))];
    return std::max(milliseconds{l.length_ms} - remaining(slot, now), milliseconds{0});
}

// The stamp's 16 bits of 4 ms reach 262 s. It is dropped when the bucket's entry in the expiry
// order comes up, at most a minute apart, so it is never old enough to look new.
template <class Key>
void time_wait_table<Key>::forget_old_acks(std::uint32_t bucket) {
    for (std::uint32_t slot = bucket * ways; slot < (bucket + 1) * ways; ++slot) {
        if ((meta_at(slot) & acked_bit) != 0) {
            const auto age = static_cast<std::uint16_t>(clock_ms_ / ack_unit_ms - acks_[slot]);
            if (age >= ack_forgotten_ms / ack_unit_ms) {
                meta_at(slot) &= ~acked_bit;
            }
        }
    }
}

template <class Key>
bool time_wait_table<Key>::may_ack(time_wait_slot slot, tick now, std::uint32_t ratelimit_ms) {
    set_clock(now);
    const auto stamp = static_cast<std::uint16_t>(clock_ms_ / ack_unit_ms);
    std::uint32_t& meta = meta_at(slot.raw);
    if ((meta & acked_bit) != 0) {
        const std::uint32_t limit = std::min(ratelimit_ms, 60'000u);
        const auto age = static_cast<std::uint16_t>(stamp - acks_[slot.raw]);
        if (age * ack_unit_ms < limit) {
            return false;
        }
    }
    acks_[slot.raw] = stamp;
    meta |= acked_bit;
    return true;
}

template <class Key>
void time_wait_table<Key>::erase_at(std::uint32_t slot) {
    std::uint32_t& meta = meta_at(slot);
    fin_wait_2_size_ -= (meta & fin_wait_2_bit) != 0 ? 1 : 0;
    --lanes_[lane_of(meta)].count;
    --size_;
    stash_used_ -= slot >= stash_begin() ? 1 : 0;
    meta &= queued_bit;
    tag_at(slot) = tag_empty;
}

template <class Key>
void time_wait_table<Key>::erase(time_wait_slot slot) {
    erase_at(slot.raw);
}

// --- entering ----------------------------------------------------------------------------------

template <class Key>
void time_wait_table<Key>::move(std::uint32_t from, std::uint32_t to) {
    tag_at(to) = tag_at(from);
    std::memcpy(body_at(to), body_at(from), body_bytes);
    const std::uint32_t meta = meta_at(from);
    if ((meta & acked_bit) != 0) {
        acks_[to] = acks_[from];
    }
    meta_at(to) = (meta & ~queued_bit) | (meta_at(to) & queued_bit);
    meta_at(from) = meta & queued_bit;
    tag_at(from) = tag_empty;
    keep_order(to);
}

// Frees a slot of a full bucket: along a path of full buckets to one whose record has room in its
// other bucket, and back. Moves nothing unless it gets there. Returns the slot, or none.
template <class Key>
std::uint32_t time_wait_table<Key>::make_room(std::uint32_t bucket) {
    std::array<std::uint32_t, moves_max> path;
    for (std::uint32_t depth = 0; depth < moves_max; ++depth) {
        // A path that comes back to a slot of its own would move the wrong record there.
        const auto in_path = [steps = std::span(path).first(depth)](std::uint32_t slot) {
            return std::find(steps.begin(), steps.end(), slot) != steps.end();
        };
        std::array<std::uint32_t, ways> others;
        for (std::uint32_t i = 0; i < ways; ++i) {
            others[i] = other_bucket(bucket, tags(bucket)[i], bucket_count_);
            __builtin_prefetch(line(others[i]));
        }
        for (std::uint32_t i = 0; i < ways; ++i) {
            const std::uint32_t free = free_in(others[i]);
            std::uint32_t room = bucket * ways + i;
            if (free == 0 || in_path(room)) {
                continue;
            }
            move(room, others[i] * ways + static_cast<std::uint32_t>(std::countr_zero(free)));
            while (depth > 0) {
                const std::uint32_t from = path[--depth];
                move(from, room);
                room = from;
            }
            return room;
        }
        const std::uint32_t turn = victim_++ % ways;
        if (in_path(bucket * ways + turn)) {
            break;
        }
        path[depth] = bucket * ways + turn;
        bucket = others[turn];
    }
    return time_wait_slot::none;
}

template <class Key>
std::uint32_t time_wait_table<Key>::stash_room() const {
    for (std::uint32_t i = 0; i < stash_buckets; ++i) {
        const std::uint32_t free = free_in(bucket_count_ + i);
        if (free != 0) {
            return (bucket_count_ + i) * ways + static_cast<std::uint32_t>(std::countr_zero(free));
        }
    }
    return time_wait_slot::none;
}

template <class Key>
enter_result time_wait_table<Key>::enter(std::uint64_t hash, const entry& e, const waiting& w,
                                         tick now) {
    set_clock(now);
    if (size_ >= cap_) {
        return {{}, enter_status::at_cap};
    }
    const std::uint16_t tag = tag_of(hash);
    const std::uint32_t first = bucket_of(hash, bucket_count_);
    const std::uint32_t second = other_bucket(first, tag, bucket_count_);
    const auto [bucket, free] = emptier(first, second);
    std::uint32_t slot;
    if (free != 0) {
        slot = bucket * ways + static_cast<std::uint32_t>(std::countr_zero(free));
    } else {
        slot = make_room(first);
        if (slot == time_wait_slot::none) {
            slot = make_room(second);
        }
        if (slot == time_wait_slot::none) {
            slot = stash_room();
            if (slot == time_wait_slot::none) {
                return {{}, enter_status::no_room};
            }
            ++stash_used_;
        }
    }
    const std::uint32_t lane_index = lane_for(w);
    ++lanes_[lane_index].count;
    ++size_;
    fin_wait_2_size_ += e.fin_wait_2 ? 1 : 0;
    tag_at(slot) = tag;
    std::uint32_t& meta = meta_at(slot);
    meta = with_deadline(
        (meta & queued_bit) | (e.timestamps ? timestamps_bit : 0) |
            (e.fin_wait_2 ? fin_wait_2_bit : 0) | (e.parked || e.waiter ? held_bit : 0) |
            (e.reuse_addr ? reuse_addr_bit : 0) | (e.reuse_port ? reuse_port_bit : 0),
        lane_index);
    std::byte* body = body_at(slot);
    std::memcpy(body, &e.key, sizeof e.key);
    store(body + sizeof(Key) + snd_nxt_at, e.snd_nxt.raw);
    store(body + sizeof(Key) + rcv_nxt_at, e.rcv_nxt.raw);
    store(body + sizeof(Key) + ts_recent_at, e.ts_recent);
    store(body + sizeof(Key) + window_at, e.window);
    keep_order(slot);
    return {{slot}, enter_status::entered};
}

// --- expiry order ------------------------------------------------------------------------------

template <class Key>
std::optional<tick> time_wait_table<Key>::next_expiry() const {
    const std::optional<std::uint32_t> day = order_.earliest();
    if (!day) {
        return std::nullopt;
    }
    const auto days = static_cast<std::int32_t>(*day - coarse(clock_ms_));
    const auto gone = static_cast<std::uint32_t>(clock_ms_ % coarse_tick_ms);
    return days <= 0 ? last_ : last_ + (static_cast<std::uint32_t>(days) * coarse_tick_ms - gone);
}

template <class Key>
time_wait_slot time_wait_table<Key>::oldest(tick now) {
    set_clock(now);
    const std::uint32_t today = coarse(clock_ms_);
    constexpr std::size_t at_once = 8;
    time_wait_slot best;
    std::uint32_t best_ahead = 0;
    const std::optional<std::uint32_t> first = order_.earliest();
    if (!first) {
        return best;
    }
    std::uint32_t day = *first;
    for (std::size_t looks = 0; looks < (best ? 64u : 1024u); ++day) {
        std::array<std::uint32_t, at_once> entries;
        const std::size_t count = order_.take_earliest(day, entries);
        if (count == 0) {
            return best;
        }
        looks += count;
        for (std::size_t i = 0; i < count; ++i) {
            __builtin_prefetch(line(entries[i] & ~extra_bit), 1);
        }
        bool settled = false;
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t bucket = entries[i] & ~extra_bit;
            for (std::uint32_t used = ~free_in(bucket) & 0xff; used != 0; used &= used - 1) {
                const std::uint32_t slot =
                    bucket * ways + static_cast<std::uint32_t>(std::countr_zero(used));
                const std::uint32_t distance = ahead(meta_at(slot), today);
                if (!best || distance < best_ahead) {
                    best = {slot};
                    best_ahead = distance;
                }
            }
            const deadlines times = deadlines_in(bucket, today);
            const std::uint32_t nearest = times.due != 0 ? 0 : times.nearest;
            const bool extra = entries[i] != bucket;
            if (nearest == nothing_ahead) {
                extras_ -= extra ? 1 : 0;
                meta_at(bucket * ways) &= extra ? ~0u : ~queued_bit;
                continue;
            }
            // Nothing is queued behind its deadline, so this day's own are the first.
            settled |= static_cast<std::int32_t>(today + nearest - day) <= 0;
            if (extra) {
                order_.push(today + nearest, entries[i]);
            } else {
                queue(bucket, nearest);
            }
        }
        if (settled) {
            return best;
        }
    }
    return best;
}

template class time_wait_table<key4>;
template class time_wait_table<key6>;

}  // namespace lastack::flow
