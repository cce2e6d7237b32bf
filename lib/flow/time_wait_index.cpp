// SPDX-License-Identifier: BSD-3-Clause
#include "flow/time_wait_index.hpp"

namespace lastack::flow {

std::uint32_t time_wait_index::stash_size() const {
    std::uint32_t size = 0;
    for (std::uint32_t i = 0; i < stash_buckets; ++i) {
        size += ways - static_cast<std::uint32_t>(std::popcount(free_in(count_ + i)));
    }
    return size;
}

// --- entries -----------------------------------------------------------------------------------

// Of an entry with this tag in this bucket, should that not be its home: the home learns of it.
void time_wait_index::count_stray(std::uint32_t bucket, std::uint16_t tag, std::uint32_t deadline) {
    const std::uint32_t other = other_bucket(bucket, tag, count_);
    if (const std::uint32_t home = home_of(bucket, other, tag); home != bucket) {
        buckets_[home].add_stray(tag, deadline, expired_);
    }
}

void time_wait_index::set_deadline(std::uint32_t at, std::uint32_t deadline) {
    bucket(at).set_deadline(at % ways, deadline);
    if (at / ways < count_) {
        count_stray(at / ways, bucket(at).tag(at % ways), deadline);
        return;
    }
    const std::uint32_t end = expired_ + ((deadline - expired_) & time_wait_meta::deadline_mask);
    if (static_cast<std::int32_t>(end - stash_until_) > 0) {
        stash_until_ = end;
    }
}

void time_wait_index::put(std::uint32_t at, const place& p, std::uint32_t body,
                          std::uint32_t deadline) {
    bucket(at).put(at % ways, p.tag, body, deadline);
    if (at / ways != p.home) {
        set_deadline(at, deadline);
    }
}

// --- making room -------------------------------------------------------------------------------

void time_wait_index::prefetch_room(std::span<const std::uint64_t> hashes) const {
    std::array<place, batch> full;
    for (std::size_t from = 0; from < hashes.size(); from += batch) {
        const std::size_t count = std::min<std::size_t>(hashes.size() - from, batch);
        std::size_t full_count = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const place p = place_of(hashes[from + i]);
            if (free_in(p.home) == 0) {
                prefetch_to_write(&buckets_[p.other]);
                full[full_count++] = p;
            }
        }
        for (std::size_t i = 0; i < full_count; ++i) {
            if (free_in(full[i].other) != 0) {
                continue;
            }
            const std::uint32_t home = full[i].home;
            for (std::uint32_t n = 0; n < looks_at_once; ++n) {
                prefetch_to_write(&buckets_[other_bucket(home, buckets_[home].tag(n), count_)]);
            }
        }
    }
}

// To the entry's other bucket: it comes home, or it leaves home.
void time_wait_index::move(std::uint32_t from, std::uint32_t to) {
    const time_wait_bucket& b = bucket(from);
    const std::uint32_t i = from % ways;
    count_stray(to / ways, b.tag(i), b.deadline(i));
    bucket(to).put(to % ways, b.tag(i), b.body(i), b.deadline(i));
    remove(from);
}

// The entry of a full bucket, not in `path`, that has room in its other bucket; or none. Four of
// them are under way at a time: most often one of the first four will do.
std::uint32_t time_wait_index::with_room_elsewhere(std::uint32_t bucket,
                                                   std::span<const std::uint32_t> path,
                                                   std::uint32_t& to) const {
    for (std::uint32_t first = 0; first < ways; first += looks_at_once) {
        std::array<std::uint32_t, looks_at_once> others;
        for (std::uint32_t i = 0; i < looks_at_once; ++i) {
            others[i] = other_bucket(bucket, buckets_[bucket].tag(first + i), count_);
            prefetch_to_write(&buckets_[others[i]]);
        }
        for (std::uint32_t i = 0; i < looks_at_once; ++i) {
            const std::uint32_t free = free_in(others[i]);
            const std::uint32_t at = bucket * ways + first + i;
            if (free != 0 && std::find(path.begin(), path.end(), at) == path.end()) {
                to = entry_of(others[i], free);
                return at;
            }
        }
    }
    return none;
}

// Frees an entry of a full bucket: along a path of full buckets to one that has an entry with room
// in its other bucket, and back. Moves nothing unless it gets there. Returns the entry, or none.
std::uint32_t time_wait_index::make_room(std::uint32_t bucket) {
    std::array<std::uint32_t, moves_max> steps;
    for (std::uint32_t depth = 0; depth < moves_max; ++depth) {
        // A path that comes back to an entry of its own would move the wrong one there.
        const auto path = std::span(steps).first(depth);
        std::uint32_t to = none;
        std::uint32_t room = with_room_elsewhere(bucket, path, to);
        if (room != none) {
            move(room, to);
            while (depth > 0) {
                const std::uint32_t from = steps[--depth];
                move(from, room);
                room = from;
            }
            return room;
        }
        const std::uint32_t turn = bucket * ways + victim_++ % ways;
        const std::uint32_t other = other_bucket(bucket, buckets_[bucket].tag(turn % ways), count_);
        // A key whose two buckets are one leads nowhere.
        if (std::find(path.begin(), path.end(), turn) != path.end() || other == bucket) {
            break;
        }
        steps[depth] = turn;
        bucket = other;
    }
    return none;
}

std::uint32_t time_wait_index::stash_room() const {
    for (std::uint32_t i = count_; i < count_ + stash_buckets; ++i) {
        if (const std::uint32_t free = free_in(i)) {
            return entry_of(i, free);
        }
    }
    return none;
}

std::uint32_t time_wait_index::room_by_moves(const place& p) {
    std::uint32_t at = make_room(p.home);
    if (at == none) {
        at = make_room(p.other);
    }
    return at != none ? at : stash_room();
}

// --- time --------------------------------------------------------------------------------------

void time_wait_index::sweep(std::uint32_t until) {
    for (; swept_ < until; ++swept_) {
        buckets_[swept_].sweep(expired_);
    }
    if (swept_ == count_ + stash_buckets) {
        swept_ = 0;
        pass_began_ = expired_;
    }
}

void time_wait_index::expired_until(std::uint32_t today) {
    const std::uint32_t all = count_ + stash_buckets;
    while (today - pass_began_ > 2 * pass_ticks) {
        expired_ = pass_began_ + 2 * pass_ticks;
        sweep(all);
    }
    expired_ = today;
    if (static_cast<std::int32_t>(expired_ - stash_until_) > 0) {
        stash_until_ = expired_;
    }
    const auto due =
        static_cast<std::uint32_t>(std::uint64_t{today - pass_began_} * all / pass_ticks);
    if (due > swept_) {
        sweep(std::min({due, all, swept_ + swept_at_once}));
    }
}

}  // namespace lastack::flow
