// SPDX-License-Identifier: BSD-3-Clause
#include "flow/connection_table.hpp"

namespace lastack::flow {

// 78 % full at capacity. A few more for small tables, where chance weighs more.
std::uint32_t connection_table::buckets_for(std::uint32_t capacity) {
    return static_cast<std::uint32_t>(std::uint64_t{capacity} * 100 / (78 * ways)) + 4;
}

std::size_t connection_table::bytes_for(std::uint32_t capacity) {
    return std::size_t{buckets_for(capacity)} * sizeof(bucket);
}

result<connection_table, std::string> connection_table::make(std::uint32_t capacity,
                                                             page_size preference) {
    if (capacity == 0 || capacity > 1u << 30) {
        return failure{std::string("a connection table takes 1 to 1073741824 connections, not ") +
                       std::to_string(capacity)};
    }
    connection_table made;
    made.capacity_ = capacity;
    made.bucket_count_ = buckets_for(capacity);
    auto buckets = fixed_array<bucket>::make(made.bucket_count_, preference);
    if (!buckets.ok()) {
        return failure{"connection table for " + std::to_string(capacity) +
                       " connections: " + buckets.error()};
    }
    made.buckets_ = std::move(buckets).value();
    return made;
}

// Moves one value of a full bucket to its own other bucket. Returns the mask of the freed way.
std::uint32_t connection_table::make_room(std::uint32_t from) {
    bucket& full = buckets_[from];
    for (std::uint32_t way = 0; way < ways; ++way) {
        bucket& other = buckets_[other_bucket(from, full.tags[way], bucket_count_)];
        const std::uint32_t free = other.free();
        if (free != 0) {
            const std::uint16_t tag = full.tags[way];
            const bool goes_home = full.take_out(way);
            other.put(free, tag, full.values[way], !goes_home);
            if (goes_home) {
                --other.strays;
            } else {
                ++full.strays;
            }
            return 1u << way;
        }
    }
    return 0;
}

bool connection_table::insert(std::uint64_t hash, std::uint32_t value) {
    if (size_ == capacity_) {
        return false;
    }
    const std::uint16_t tag = tag_of(hash);
    const std::uint32_t first = bucket_of(hash, bucket_count_);
    bucket& home = buckets_[first];
    if (const std::uint32_t free = home.free(); free != 0) [[likely]] {
        home.put(free, tag, value, false);
    } else if (!insert_where_home_is_full(hash, value)) {
        return false;
    }
    ++size_;
    return true;
}

bool connection_table::insert_where_home_is_full(std::uint64_t hash, std::uint32_t value) {
    const std::uint16_t tag = tag_of(hash);
    const std::uint32_t first = bucket_of(hash, bucket_count_);
    const std::uint32_t second = other_bucket(first, tag, bucket_count_);
    bucket& home = buckets_[first];
    std::uint32_t free = buckets_[second].free();
    if (free == 0) {
        if (const std::uint32_t freed = make_room(first); freed != 0) {
            home.put(freed, tag, value, false);
            return true;
        }
        free = make_room(second);
    }
    if (free != 0) {
        buckets_[second].put(free, tag, value, true);
    } else if (stash_used_ < stash_size) {
        stash_[stash_used_++] = {hash, value};
    } else {
        return false;
    }
    ++home.strays;
    return true;
}

bool connection_table::erase(std::uint64_t hash, std::uint32_t value) {
    const auto is_value = [value](std::uint32_t v) { return v == value; };
    const std::uint32_t* found = locate(hash, is_value);
    if (found == nullptr) {
        return false;
    }
    --size_;
    bucket& home = buckets_[bucket_of(hash, bucket_count_)];
    for (std::uint32_t i = 0; i < stash_used_; ++i) {
        if (found == &stash_[i].value) {
            stash_[i] = stash_[--stash_used_];
            --home.strays;
            return true;
        }
    }
    const auto at = reinterpret_cast<const std::byte*>(found) -
                    reinterpret_cast<const std::byte*>(buckets_.data());
    bucket& b = buckets_[static_cast<std::size_t>(at) / sizeof(bucket)];
    if (b.take_out(static_cast<std::uint32_t>(found - b.values))) {
        --home.strays;
    }
    return true;
}

bool connection_table::replace(std::uint64_t hash, std::uint32_t old_value,
                               std::uint32_t new_value) {
    const auto is_old = [old_value](std::uint32_t v) { return v == old_value; };
    const std::uint32_t* found = locate(hash, is_old);
    if (found == nullptr) {
        return false;
    }
    *const_cast<std::uint32_t*>(found) = new_value;
    return true;
}

}  // namespace lastack::flow
