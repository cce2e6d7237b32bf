// SPDX-License-Identifier: BSD-3-Clause
#include "flow/time_wait_table.hpp"

namespace lastack::flow {

// A few more for small tables, where chance weighs more.
template <class Key>
std::uint32_t time_wait_table<Key>::buckets_for(std::uint32_t capacity) {
    constexpr std::uint32_t ways = time_wait_index::ways;
    return static_cast<std::uint32_t>(std::uint64_t{capacity} * 1000 / (fill_permille * ways)) + 4;
}

template <class Key>
std::size_t time_wait_table<Key>::bytes_for(std::uint32_t capacity) {
    const std::uint32_t blocks = store::blocks_for(capacity);
    return time_wait_index::bytes_for(buckets_for(capacity)) + store::bytes_for(blocks) +
           time_wait_order::bytes_for(blocks);
}

template <class Key>
result<time_wait_table<Key>, std::string> time_wait_table<Key>::make(std::uint32_t capacity,
                                                                     page_size preference,
                                                                     tick now) {
    if (capacity == 0 || capacity > 1u << 27) {
        return failure{"a core takes 1 to 134217728 TIME_WAIT records, not " +
                       std::to_string(capacity) +
                       ": lower lastack.time_wait_records, or share them among more workers"};
    }
    const std::uint32_t blocks = store::blocks_for(capacity);
    const std::size_t index_bytes = time_wait_index::bytes_for(buckets_for(capacity));
    const std::string what = "TIME_WAIT table for " + std::to_string(capacity) + " records (" +
                             std::to_string(bytes_for(capacity)) + " bytes in all): ";
    auto memory = region::map(index_bytes + store::bytes_for(blocks), preference);
    if (!memory.ok()) {
        return failure{what + memory.error()};
    }
    auto order = time_wait_order::make(blocks, capacity, preference, now);
    if (!order.ok()) {
        return failure{what + order.error()};
    }
    time_wait_table made;
    made.capacity_ = capacity;
    made.memory_ = std::move(memory).value();
    made.order_ = std::move(order).value();
    std::byte* const at = made.memory_.data();
    made.index_ = time_wait_index(at, buckets_for(capacity), made.order_.today());
    made.store_ = store(at + index_bytes, blocks);
    return made;
}

// --- look-up -----------------------------------------------------------------------------------

template <class Key>
bool time_wait_table<Key>::is_there(std::uint32_t at) const {
    const std::uint32_t deadline = index_.deadline(at);
    if (time_wait_meta::ahead(deadline, order_.today()) != 0) {
        return true;
    }
    const std::uint32_t body = index_.body(at);
    return !index_.is_over(deadline) && store_.is_used(body) &&
           ((store_.meta(body) ^ deadline) & time_wait_meta::deadline_mask) == 0;
}

template <class Key>
time_wait_slot time_wait_table<Key>::find_at(const time_wait_index::place& p,
                                             const Key& key) const {
    return slot_at(index_.find(p, [&](std::uint32_t at) { return is_of(at, key); }));
}

template <class Key>
time_wait_slot time_wait_table<Key>::find(std::uint64_t hash, const Key& key) const {
    if (size_ == 0) {
        return {};
    }
    return slot_at(index_.find(index_.place_of(hash), [&](std::uint32_t at) {
        store_.prefetch_rest(index_.body(at));  // while the key comes
        return is_of(at, key);
    }));
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
        time_wait_index::place where;
        std::uint32_t at;  // the first entry whose tag is the key's, or none
    };
    std::array<look, batch> looks;
    std::array<std::uint8_t, batch> away;  // those of which the home has no such tag, but may stray
    const bool stash = index_.stash_in_use();
    for (std::size_t from = 0; from < hashes.size(); from += batch) {
        const std::size_t count = std::min<std::size_t>(hashes.size() - from, batch);
        std::size_t away_count = 0;
        for (std::size_t i = 0; i < count; ++i) {
            look& l = looks[i];
            l.where = index_.place_of(hashes[from + i]);
            l.at = index_.first_at_home(l.where);
            if (l.at != time_wait_index::none) {
                store_.prefetch_front(index_.body(l.at));
            } else if (index_.may_stray(l.where)) {
                index_.prefetch_other(l.where);
                away[away_count++] = static_cast<std::uint8_t>(i);
            }
        }
        for (std::size_t n = 0; n < away_count; ++n) {
            look& l = looks[away[n]];
            l.at = index_.first_in_other(l.where);
            if (l.at != time_wait_index::none) {
                store_.prefetch_front(index_.body(l.at));
            }
        }
        for (std::size_t i = 0; i < count; ++i) {
            const look& l = looks[i];
            const Key& key = keys[from + i];
            const bool none = l.at == time_wait_index::none;
            const bool first = none ? !stash : is_of(l.at, key);
            found[from + i] = first ? slot_at(l.at) : find_at(l.where, key);
        }
    }
}

// --- one record --------------------------------------------------------------------------------

template <class Key>
void time_wait_table<Key>::set_held(time_wait_slot slot, bool held) {
    std::uint32_t& meta = store_.meta(slot.body);
    meta = held ? meta | time_wait_meta::held : meta & ~time_wait_meta::held;
}

template <class Key>
void time_wait_table<Key>::set_waiting(time_wait_slot slot, std::uint32_t lane) {
    using namespace time_wait_meta;
    const std::uint32_t ahead =
        order_.keep_queued(slot.body / store::block_size, order_.ticks_in(lane));
    const std::uint32_t deadline = (order_.today() + ahead) & deadline_mask;
    std::uint32_t& meta = store_.meta(slot.body);
    meta = (meta & ~(deadline_mask | lane_mask)) | deadline | lane << lane_shift;
    index_.set_deadline(slot.at, deadline);
}

template <class Key>
void time_wait_table<Key>::become_time_wait(time_wait_slot slot, seq32 rcv_nxt, const waiting& w,
                                            tick now) {
    order_.set_clock(now);
    store_.set_rcv_nxt(slot.body, rcv_nxt);
    std::uint32_t& meta = store_.meta(slot.body);
    if ((meta & time_wait_meta::fin_wait_2) != 0) {
        meta &= ~(time_wait_meta::fin_wait_2 | time_wait_meta::held);
        --fin_wait_2_size_;
    }
    time_wait_lanes& lanes = order_.lanes();
    lanes.leave(time_wait_meta::lane_of(meta));
    const std::uint32_t lane = lanes.lane_for(w);
    lanes.join(lane);
    set_waiting(slot, lane);
}

// The order is asked anew: a short one may have hung on an entry that comes up before.
template <class Key>
void time_wait_table<Key>::restart(time_wait_slot slot, tick now) {
    order_.set_clock(now);
    set_waiting(slot, time_wait_meta::lane_of(store_.meta(slot.body)));
}

template <class Key>
milliseconds time_wait_table<Key>::remaining(time_wait_slot slot, tick now) const {
    const std::uint64_t clock_ms = order_.clock_at(now);
    const std::uint32_t ticks =
        time_wait_meta::ahead(store_.meta(slot.body), time_wait_order::coarse(clock_ms));
    const std::uint32_t gone = static_cast<std::uint32_t>(clock_ms % coarse_tick_ms);
    return milliseconds{ticks == 0 ? 0 : ticks * coarse_tick_ms - gone};
}

template <class Key>
milliseconds time_wait_table<Key>::age(time_wait_slot slot, tick now) const {
    const milliseconds length{
        order_.lanes().first_length_ms(time_wait_meta::lane_of(store_.meta(slot.body)))};
    return std::max(length - remaining(slot, now), milliseconds{0});
}

// --- entering and leaving ----------------------------------------------------------------------

template <class Key>
void time_wait_table<Key>::leave(std::uint32_t body) {
    const std::uint32_t meta = store_.meta(body);
    fin_wait_2_size_ -= (meta & time_wait_meta::fin_wait_2) != 0 ? 1 : 0;
    order_.lanes().leave(time_wait_meta::lane_of(meta));
    store_.give_back(body);
    --size_;
}

template <class Key>
void time_wait_table<Key>::erase(time_wait_slot slot) {
    index_.remove(slot.at);
    leave(slot.body);
}

template <class Key>
time_wait_slot time_wait_table<Key>::enter(std::uint64_t hash, const entry& e, const waiting& w,
                                           tick now) {
    order_.set_clock(now);
    if (size_ >= capacity_) {
        return {};
    }
    const time_wait_index::place where = index_.place_of(hash);
    const std::uint32_t at = index_.room_for(where, order_.today(),
                                             [this](std::uint32_t due) { return !is_there(due); });
    if (at == time_wait_index::none) {
        return {};
    }
    const std::uint32_t body = store_.take();
    const std::uint32_t lane = order_.lanes().lane_for(w);
    order_.lanes().join(lane);
    ++size_;
    fin_wait_2_size_ += e.fin_wait_2 ? 1 : 0;
    const std::uint32_t block = body / store::block_size;
    const std::uint32_t ahead = order_.keep(store_.deadlines(block), block, order_.ticks_in(lane));
    const std::uint32_t deadline = (order_.today() + ahead) & time_wait_meta::deadline_mask;
    std::uint32_t& meta = store_.meta(body);
    meta = (meta & time_wait_meta::of_block) | time_wait_meta::flags_of(e) | deadline |
           lane << time_wait_meta::lane_shift;
    store_.write(body, e);
    index_.put(at, where, body, deadline);
    return {body, at};
}

// --- eviction ----------------------------------------------------------------------------------

template <class Key>
time_wait_slot time_wait_table<Key>::oldest(tick now) {
    order_.set_clock(now);
    constexpr std::size_t at_once = 8;
    struct looked_at {
        std::uint32_t entry;
        std::uint32_t nearest;
    };
    std::array<looked_at, 64> looked;  // put back when all have been seen
    std::size_t count = 0;
    time_wait_slot best;
    std::uint32_t best_ahead = 0;
    bool settled = false;
    std::uint32_t day = order_.earliest().value_or(order_.today());
    for (std::size_t looks = 0; !settled && count + at_once <= looked.size() && looks < 1024;) {
        std::array<std::uint32_t, at_once> entries;
        const std::size_t taken = order_.take_earliest(day, entries);
        if (taken == 0) {
            break;
        }
        looks += taken;
        for (std::size_t i = 0; i < taken; ++i) {
            store_.prefetch_deadlines(time_wait_order::block_of_entry(entries[i]));
        }
        for (std::size_t i = 0; i < taken; ++i) {
            const std::uint32_t block = time_wait_order::block_of_entry(entries[i]);
            time_wait_deadlines& of_block = store_.deadlines(block);
            const auto [due, nearest_not_due] = of_block.look(order_.today());
            const std::uint32_t nearest = due != 0 ? 0 : nearest_not_due;
            if (nearest == time_wait_deadlines::nothing_ahead) {
                store_.made_free(block);
                order_.requeue(of_block, entries[i], nearest);
                continue;
            }
            looked[count++] = {entries[i], nearest};
            if (!best || nearest < best_ahead) {
                best = {first_with(block, nearest)};
                best_ahead = nearest;
            }
            // Nothing is queued behind its deadline, so this day's own are the first.
            settled |= due != 0 || static_cast<std::int32_t>(order_.today() + nearest - day) <= 0;
        }
    }
    for (const looked_at& l : std::span(looked).first(count)) {
        const std::uint32_t block = time_wait_order::block_of_entry(l.entry);
        order_.requeue(store_.deadlines(block), l.entry, l.nearest);
    }
    return best;
}

// The record of a block that ends so many ticks from today. Precondition: there is one.
template <class Key>
std::uint32_t time_wait_table<Key>::first_with(std::uint32_t block, std::uint32_t ahead) const {
    const time_wait_deadlines& of_block = store_.deadlines(block);
    std::uint32_t used = of_block.used();
    while (time_wait_meta::ahead(of_block.meta[static_cast<std::size_t>(std::countr_zero(used))],
                                 order_.today()) != ahead) {
        used &= used - 1;
    }
    return store::body_of(block, used);
}

template class time_wait_table<key4>;
template class time_wait_table<key6>;

}  // namespace lastack::flow
