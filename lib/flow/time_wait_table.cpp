// SPDX-License-Identifier: BSD-3-Clause
#include "flow/time_wait_table.hpp"

namespace lastack::flow {

namespace {

constexpr std::uint32_t ack_unit_ms = 4;
constexpr std::uint32_t ack_forgotten_ms = 64'000;  // no limit reaches further back
constexpr std::uint16_t ack_stamp(std::uint64_t clock_ms) {
    return static_cast<std::uint16_t>(clock_ms / ack_unit_ms);
}
constexpr std::uint32_t ack_age_ms(std::uint16_t stamp, std::uint64_t clock_ms) {
    return static_cast<std::uint16_t>(ack_stamp(clock_ms) - stamp) * ack_unit_ms;
}

// make_room() leaves so many strays uncounted that each of its steps may make one.
constexpr std::uint32_t strays_before_a_path = time_wait_head::strays_max - 32;

}  // namespace

// A few more for small tables, where chance weighs more.
template <class Key>
std::uint32_t time_wait_table<Key>::buckets_for(std::uint32_t capacity) {
    return static_cast<std::uint32_t>(std::uint64_t{capacity} * 1000 / (fill_permille * ways)) + 4;
}

template <class Key>
std::size_t time_wait_table<Key>::bytes_for(std::uint32_t capacity) {
    const std::uint32_t buckets = buckets_for(capacity) + stash_buckets;
    return time_wait_slots<Key>::bytes_for(buckets) + time_wait_order::bytes_for(buckets);
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
    made.capacity_ = capacity;
    made.bucket_count_ = buckets_for(capacity);
    made.leaving_.fill(no_bucket);
    const std::uint32_t buckets = made.bucket_count_ + stash_buckets;
    const std::string what = "TIME_WAIT table for " + std::to_string(capacity) + " records (" +
                             std::to_string(bytes_for(capacity)) + " bytes in all): ";
    auto slots = time_wait_slots<Key>::make(buckets, preference);
    if (!slots.ok()) {
        return failure{what + slots.error()};
    }
    auto order = time_wait_order::make(buckets, capacity, preference, now);
    if (!order.ok()) {
        return failure{what + order.error()};
    }
    made.slots_ = std::move(slots).value();
    made.order_ = std::move(order).value();
    return made;
}

// --- look-up -----------------------------------------------------------------------------------

template <class Key>
std::uint32_t time_wait_table<Key>::find_in(std::uint32_t bucket, std::uint16_t tag,
                                            const Key& key) const {
    for (std::uint32_t mask = match_tags(slots_.head(bucket).tags.data(), tag); mask != 0;
         mask &= mask - 1) {
        const std::uint32_t slot = slot_of(bucket, mask);
        if (slots_.has_key(slot, key)) {
            return slot;
        }
    }
    return time_wait_slot::none;
}

template <class Key>
std::uint32_t time_wait_table<Key>::first_with_tag(std::uint32_t bucket, std::uint16_t tag) const {
    const std::uint32_t mask = match_tags(slots_.head(bucket).tags.data(), tag);
    return mask != 0 ? slot_of(bucket, mask) : time_wait_slot::none;
}

// Where the home has no strays it is looked at twice, which costs less than to guess.
template <class Key>
std::uint32_t time_wait_table<Key>::find_at(time_wait_buckets where, std::uint16_t tag,
                                            const Key& key) const {
    std::uint32_t slot = find_in(where.home, tag, key);
    if (slot != time_wait_slot::none) {
        return slot;
    }
    const bool strays = slots_.head(where.home).strays() != 0;
    slot = find_in(select(strays, where.other, where.home), tag, key);
    if (slot == time_wait_slot::none && stash_used_ != 0) {
        for (std::uint32_t i = 0; i < stash_buckets && slot == time_wait_slot::none; ++i) {
            slot = find_in(bucket_count_ + i, tag, key);
        }
    }
    return slot;
}

template <class Key>
time_wait_slot time_wait_table<Key>::find(std::uint64_t hash, const Key& key) const {
    if (size_ == 0) {
        return {};
    }
    return {find_at(buckets_of(hash, bucket_count_), tag_of(hash), key)};
}

template <class Key>
void time_wait_table<Key>::find_burst(std::span<const std::uint64_t> hashes,
                                      std::span<const Key> keys,
                                      std::span<time_wait_slot> found) const {
    if (size_ == 0) {
        std::fill(found.begin(), found.end(), time_wait_slot{});
        return;
    }
    struct look {
        time_wait_buckets where;
        std::uint32_t slot;  // the first whose tag is the key's, or none
    };
    std::array<look, batch> looks;
    std::array<std::uint8_t, batch> away;  // those of which the home has no tag, but strays
    for (std::size_t from = 0; from < hashes.size(); from += batch) {
        const std::size_t count = std::min<std::size_t>(hashes.size() - from, batch);
        std::size_t away_count = 0;
        for (std::size_t i = 0; i < count; ++i) {
            look& l = looks[i];
            l.where = buckets_of(hashes[from + i], bucket_count_);
            l.slot = first_with_tag(l.where.home, tag_of(hashes[from + i]));
            const bool strays = slots_.head(l.where.home).strays() != 0;
            if (l.slot != time_wait_slot::none) {
                slots_.prefetch_front(l.slot);
            } else {
                slots_.prefetch_head(select(strays, l.where.other, l.where.home));
            }
            away[away_count] = static_cast<std::uint8_t>(i);
            away_count += l.slot == time_wait_slot::none && strays ? 1 : 0;
        }
        for (std::size_t n = 0; n < away_count; ++n) {
            look& l = looks[away[n]];
            l.slot = first_with_tag(l.where.other, tag_of(hashes[from + away[n]]));
            if (l.slot != time_wait_slot::none) {
                slots_.prefetch_front(l.slot);
            }
        }
        for (std::size_t i = 0; i < count; ++i) {
            const look& l = looks[i];
            const Key& key = keys[from + i];
            const bool none = l.slot == time_wait_slot::none && stash_used_ == 0;
            found[from + i] =
                none || (l.slot != time_wait_slot::none && slots_.has_key(l.slot, key))
                    ? time_wait_slot{l.slot}
                    : time_wait_slot{find_at(l.where, tag_of(hashes[from + i]), key)};
        }
    }
}

// --- one record --------------------------------------------------------------------------------

template <class Key>
void time_wait_table<Key>::set_ts_recent(time_wait_slot slot, std::uint32_t ts_recent) {
    slots_.set_ts_recent(slot.raw, ts_recent);
}

template <class Key>
void time_wait_table<Key>::set_held(time_wait_slot slot, bool held) {
    std::uint32_t& meta = slots_.meta(slot.raw);
    meta = held ? meta | time_wait_meta::held : meta & ~time_wait_meta::held;
}

template <class Key>
void time_wait_table<Key>::become_time_wait(time_wait_slot slot, seq32 rcv_nxt, const waiting& w,
                                            tick now) {
    order_.set_clock(now);
    slots_.set_rcv_nxt(slot.raw, rcv_nxt);
    std::uint32_t& meta = slots_.meta(slot.raw);
    if ((meta & time_wait_meta::fin_wait_2) != 0) {
        meta &= ~(time_wait_meta::fin_wait_2 | time_wait_meta::held);
        --fin_wait_2_size_;
    }
    time_wait_lanes& lanes = order_.lanes();
    lanes.leave(time_wait_meta::lane_of(meta));
    const std::uint32_t lane = lanes.lane_for(w);
    lanes.join(lane);
    meta = order_.with_deadline(meta, lane);
    keep_order(slot.raw);
}

template <class Key>
void time_wait_table<Key>::restart(time_wait_slot slot, tick now) {
    order_.set_clock(now);
    std::uint32_t& meta = slots_.meta(slot.raw);
    meta = order_.with_deadline(meta, time_wait_meta::lane_of(meta));
    keep_order(slot.raw);  // one that is short may have hung on an entry that comes up before
}

template <class Key>
milliseconds time_wait_table<Key>::remaining(time_wait_slot slot, tick now) const {
    const std::uint64_t clock_ms = order_.clock_at(now);
    const std::uint32_t ticks =
        time_wait_meta::ahead(slots_.meta(slot.raw), time_wait_order::coarse(clock_ms));
    const std::uint32_t gone = static_cast<std::uint32_t>(clock_ms % coarse_tick_ms);
    return milliseconds{ticks == 0 ? 0 : ticks * coarse_tick_ms - gone};
}

template <class Key>
milliseconds time_wait_table<Key>::age(time_wait_slot slot, tick now) const {
    const milliseconds length{
        order_.lanes().first_length_ms(time_wait_meta::lane_of(slots_.meta(slot.raw)))};
    return std::max(length - remaining(slot, now), milliseconds{0});
}

// The stamp's 16 bits of 4 ms reach 262 s. It is dropped when the bucket's entry in the expiry
// order comes up, at most a minute apart, so it is never old enough to look new.
template <class Key>
void time_wait_table<Key>::forget_old_acks(std::uint32_t bucket) {
    for (std::uint32_t slot = bucket * ways; slot < (bucket + 1) * ways; ++slot) {
        if ((slots_.meta(slot) & time_wait_meta::acked) != 0 &&
            ack_age_ms(slots_.ack(slot), order_.clock_ms()) >= ack_forgotten_ms) {
            slots_.meta(slot) &= ~time_wait_meta::acked;
        }
    }
}

template <class Key>
bool time_wait_table<Key>::may_ack(time_wait_slot slot, tick now, std::uint32_t ratelimit_ms) {
    order_.set_clock(now);
    std::uint32_t& meta = slots_.meta(slot.raw);
    std::uint16_t& stamp = slots_.ack(slot.raw);
    if ((meta & time_wait_meta::acked) != 0 &&
        ack_age_ms(stamp, order_.clock_ms()) < std::min(ratelimit_ms, 60'000u)) {
        return false;
    }
    stamp = ack_stamp(order_.clock_ms());
    meta |= time_wait_meta::acked;
    return true;
}

// --- leaving -----------------------------------------------------------------------------------

template <class Key>
void time_wait_table<Key>::remove_stray_later(std::uint32_t home) {
    std::uint32_t& place = leaving_[leaving_at_++ % batch];
    if (place != no_bucket) {
        remove_stray(place);
    }
    place = home;
    slots_.prefetch_head_to_write(home);
}

template <class Key>
void time_wait_table<Key>::erase_but_not_its_stray(std::uint32_t slot) {
    const std::uint32_t meta = slots_.meta(slot);
    fin_wait_2_size_ -= (meta & time_wait_meta::fin_wait_2) != 0 ? 1 : 0;
    order_.lanes().leave(time_wait_meta::lane_of(meta));
    --size_;
    stash_used_ -= slot >= stash_begin() ? 1 : 0;
    slots_.clear(slot);
}

template <class Key>
void time_wait_table<Key>::erase(time_wait_slot slot) {
    if (const std::uint32_t home = home_of(slot.raw); home != slot.raw / ways) {
        remove_stray(home);
    }
    erase_but_not_its_stray(slot.raw);
}

// --- entering ----------------------------------------------------------------------------------

template <class Key>
void time_wait_table<Key>::prefetch_enter(std::span<const std::uint64_t> hashes) const {
    std::array<time_wait_buckets, batch> full;  // homes
    for (std::size_t from = 0; from < hashes.size(); from += batch) {
        const std::size_t count = std::min<std::size_t>(hashes.size() - from, batch);
        std::size_t full_count = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const time_wait_buckets where = buckets_of(hashes[from + i], bucket_count_);
            const std::uint32_t free = slots_.head(where.home).free();
            if (free != 0) {
                slots_.prefetch_body_to_write(slot_of(where.home, free));
            } else {
                slots_.prefetch_head_to_write(where.other);
                full[full_count++] = where;
            }
        }
        std::size_t both_full_count = 0;
        for (std::size_t i = 0; i < full_count; ++i) {
            const std::uint32_t free = slots_.head(full[i].other).free();
            if (free != 0) {
                slots_.prefetch_body_to_write(slot_of(full[i].other, free));
                continue;
            }
            const std::uint32_t home = full[i].home;
            slots_.prefetch_bodies(home);
            for (std::uint32_t n = 0; n < looks_at_once; ++n) {
                slots_.prefetch_head_to_write(
                    other_bucket(home, slots_.head(home).tags[n], bucket_count_));
            }
            full[both_full_count++].home = home;
        }
        for (std::size_t i = 0; i < both_full_count; ++i) {
            std::uint32_t to = time_wait_slot::none;
            if (with_room_elsewhere(full[i].home, {}, to) != time_wait_slot::none) {
                slots_.prefetch_body_to_write(to);
            }
        }
    }
}

template <class Key>
void time_wait_table<Key>::keep_order(std::uint32_t slot) {
    const std::uint32_t bucket = slot / ways;
    order_.keep(slots_.head(bucket), bucket,
                time_wait_meta::ahead(slots_.meta(slot), order_.today()));
}

// To the record's other bucket: it comes home, or it leaves home. Strays are counted first: to
// count them takes wide loads, which would wait for the stores of the move, and those for a cache
// line.
template <class Key>
void time_wait_table<Key>::move(std::uint32_t from, std::uint32_t to) {
    if (home_of(from) == from / ways) {
        add_stray(from / ways);
    } else {
        remove_stray(to / ways);
    }
    slots_.move(from, to);
    keep_order(to);
}

// The slot of a full bucket, not in `path`, whose record has room in its other bucket; or none.
// Four of them are under way at a time: most often one of the first four will do.
template <class Key>
std::uint32_t time_wait_table<Key>::with_room_elsewhere(std::uint32_t bucket,
                                                        std::span<const std::uint32_t> path,
                                                        std::uint32_t& to) const {
    constexpr std::uint32_t at_once = looks_at_once;
    const time_wait_head& head = slots_.head(bucket);
    for (std::uint32_t first = 0; first < ways; first += at_once) {
        std::array<std::uint32_t, at_once> others;
        for (std::uint32_t i = 0; i < at_once; ++i) {
            others[i] = other_bucket(bucket, head.tags[first + i], bucket_count_);
            slots_.prefetch_head_to_write(others[i]);
        }
        for (std::uint32_t i = 0; i < at_once; ++i) {
            const std::uint32_t free = slots_.head(others[i]).free();
            const std::uint32_t slot = bucket * ways + first + i;
            if (free != 0 && std::find(path.begin(), path.end(), slot) == path.end()) {
                to = slot_of(others[i], free);
                return slot;
            }
        }
    }
    return time_wait_slot::none;
}

// Frees a slot of a full bucket: along a path of full buckets to one whose record has room in its
// other bucket, and back. Moves nothing unless it gets there. Returns the slot, or none.
template <class Key>
std::uint32_t time_wait_table<Key>::make_room(std::uint32_t bucket) {
    std::array<std::uint32_t, moves_max> steps;
    for (std::uint32_t depth = 0; depth < moves_max; ++depth) {
        const time_wait_head& head = slots_.head(bucket);
        if (head.strays() > strays_before_a_path) {
            break;
        }
        slots_.prefetch_bodies(bucket);
        // A path that comes back to a slot of its own would move the wrong record there.
        const auto path = std::span(steps).first(depth);
        std::uint32_t to = time_wait_slot::none;
        std::uint32_t room = with_room_elsewhere(bucket, path, to);
        if (room != time_wait_slot::none) {
            move(room, to);
            while (depth > 0) {
                const std::uint32_t from = steps[--depth];
                move(from, room);
                room = from;
            }
            return room;
        }
        const std::uint32_t turn = bucket * ways + victim_++ % ways;
        const std::uint32_t other = other_bucket(bucket, slots_.tag(turn), bucket_count_);
        // A key whose two buckets are one leads nowhere.
        if (std::find(path.begin(), path.end(), turn) != path.end() || other == bucket) {
            break;
        }
        steps[depth] = turn;
        bucket = other;
    }
    return time_wait_slot::none;
}

template <class Key>
std::uint32_t time_wait_table<Key>::stash_room() const {
    for (std::uint32_t bucket = bucket_count_; bucket < bucket_count_ + stash_buckets; ++bucket) {
        const std::uint32_t free = slots_.head(bucket).free();
        if (free != 0) {
            return slot_of(bucket, free);
        }
    }
    return time_wait_slot::none;
}

template <class Key>
std::uint32_t time_wait_table<Key>::room_in(time_wait_buckets where) {
    const time_wait_head& home = slots_.head(where.home);
    if (const std::uint32_t free = home.free()) {
        return slot_of(where.home, free);
    }
    const bool may_stray = home.strays() < time_wait_head::strays_max;
    if (const std::uint32_t free = slots_.head(where.other).free(); free != 0 && may_stray) {
        return slot_of(where.other, free);
    }
    std::uint32_t slot = make_room(where.home);
    if (slot == time_wait_slot::none && may_stray) {
        slot = make_room(where.other);
        if (slot == time_wait_slot::none) {
            slot = stash_room();
        }
    }
    return slot;
}

template <class Key>
enter_result time_wait_table<Key>::enter(std::uint64_t hash, const entry& e, const waiting& w,
                                         tick now) {
    order_.set_clock(now);
    if (size_ >= capacity_) {
        return {{}, enter_status::full};
    }
    const time_wait_buckets where = buckets_of(hash, bucket_count_);
    const std::uint32_t slot = room_in(where);
    if (slot == time_wait_slot::none) {
        return {{}, enter_status::no_room};
    }
    if (slot / ways != where.home) {
        add_stray(where.home);
    }
    if (slot >= stash_begin()) {
        stash_homes_[slot - stash_begin()] = where.home;
        ++stash_used_;
    }
    const std::uint32_t lane = order_.lanes().lane_for(w);
    order_.lanes().join(lane);
    ++size_;
    fin_wait_2_size_ += e.fin_wait_2 ? 1 : 0;
    slots_.tag(slot) = tag_of(hash);
    std::uint32_t& meta = slots_.meta(slot);
    meta = order_.with_deadline((meta & time_wait_meta::of_bucket) | time_wait_meta::flags_of(e),
                                lane);
    slots_.write(slot, e);
    keep_order(slot);
    return {{slot}, enter_status::entered};
}

// --- eviction ----------------------------------------------------------------------------------

template <class Key>
time_wait_slot time_wait_table<Key>::oldest(tick now) {
    order_.set_clock(now);
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
            slots_.prefetch_head_to_write(time_wait_order::bucket_of_entry(entries[i]));
        }
        bool settled = false;
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t bucket = time_wait_order::bucket_of_entry(entries[i]);
            time_wait_head& head = slots_.head(bucket);
            const auto [due, acked, nearest_not_due] = head.look_at_deadlines(order_.today());
            const std::uint32_t nearest = due != 0 ? 0 : nearest_not_due;
            for (std::uint32_t used = head.used(); used != 0; used &= used - 1) {
                const std::uint32_t slot = slot_of(bucket, used);
                const std::uint32_t ahead =
                    time_wait_meta::ahead(slots_.meta(slot), order_.today());
                if (!best || ahead < best_ahead) {
                    best = {slot};
                    best_ahead = ahead;
                }
            }
            order_.requeue(head, entries[i], nearest);
            // Nothing is queued behind its deadline, so this day's own are the first.
            settled |= nearest != time_wait_head::nothing_ahead &&
                       static_cast<std::int32_t>(order_.today() + nearest - day) <= 0;
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
