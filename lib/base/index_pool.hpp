// SPDX-License-Identifier: BSD-3-Clause
// A fixed number of T, named by 32-bit index, reserved at start.
//
// The free list is a stack: what was freed last is handed out first, so that a closed connection's
// memory is still warm for the next. An element is as it was when it was given back, at
// first value-initialised; T must be trivially destructible. Not for more than one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "base/assert.hpp"
#include "base/region.hpp"
#include "lastack/result.hpp"

namespace lastack {

inline constexpr std::uint32_t npos = ~0u;

template <class T>
class index_pool {
    static_assert(std::is_trivially_destructible_v<T>);

  public:
    index_pool() = default;

    static result<index_pool, std::string> make(std::uint32_t capacity, page_size pages) {
        auto items = region::map(std::size_t{capacity} * sizeof(T), pages);
        if (!items) {
            return failure{items.error()};
        }
        auto free = region::map(std::size_t{capacity} * sizeof(std::uint32_t), pages);
        if (!free) {
            return failure{free.error()};
        }
        index_pool pool;
        pool.items_ = std::move(*items);
        pool.free_ = std::move(*free);
        pool.capacity_ = capacity;
        for (std::uint32_t i = 0; i < capacity; ++i) {
            ::new (pool.item(i)) T{};
            pool.free_list()[i] = capacity - 1 - i;
        }
        pool.free_count_ = capacity;
        return pool;
    }

    // npos when none is free.
    std::uint32_t take() { return free_count_ == 0 ? npos : free_list()[--free_count_]; }
    void give_back(std::uint32_t index) {
        LASTACK_ASSERT(index < capacity_ && free_count_ < capacity_);
        free_list()[free_count_++] = index;
    }

    T& operator[](std::uint32_t index) { return *item(index); }
    const T& operator[](std::uint32_t index) const { return *item(index); }
    std::uint32_t index_of(const T& t) const { return static_cast<std::uint32_t>(&t - item(0)); }
    std::uint32_t capacity() const { return capacity_; }
    std::uint32_t in_use() const { return capacity_ - free_count_; }
    std::uint32_t available() const { return free_count_; }

  private:
    T* item(std::uint32_t index) const { return reinterpret_cast<T*>(items_.data()) + index; }
    std::uint32_t* free_list() const { return reinterpret_cast<std::uint32_t*>(free_.data()); }

    region items_;
    region free_;
    std::uint32_t capacity_ = 0;
    std::uint32_t free_count_ = 0;
};

}  // namespace lastack
