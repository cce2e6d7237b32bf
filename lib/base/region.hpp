// SPDX-License-Identifier: BSD-3-Clause
// Memory taken at start: one anonymous mapping, outside EAL's heap, faulted in before it is used.
//
// Tables of millions of records live here. A region asks for 2 MiB pages when told to and falls
// back to 4 KiB pages with transparent huge pages where the kernel has them. Every page is
// populated by map(), so the packet path never faults; all bytes are zero at first. Moving a
// region does not move its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "lastack/result.hpp"

namespace lastack {

enum class page_size : std::uint8_t {
    normal,  // 4 KiB; transparent huge pages where the kernel grants them
    huge,    // 2 MiB if enough are free, else as `normal`
};

// What may be reserved now: MemAvailable, and the free 2 MiB pages where those are used. 0 when the
// system does not say.
std::size_t reservable_bytes(page_size preference);

class region {
  public:
    region() = default;
    region(region&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          mapped_bytes_(std::exchange(other.mapped_bytes_, 0)),
          huge_(other.huge_) {}
    region& operator=(region&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(mapped_bytes_, other.mapped_bytes_);
        std::swap(huge_, other.huge_);
        return *this;
    }
    ~region();

    // The error says how much was asked for, how much there is, and what to do.
    static result<region, std::string> map(std::size_t bytes, page_size preference);

    std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }                  // as asked for
    std::size_t mapped_bytes() const { return mapped_bytes_; }  // rounded up to pages
    bool huge() const { return huge_; }                         // 2 MiB pages were granted

  private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t mapped_bytes_ = 0;
    bool huge_ = false;
};

// A fixed number of objects in a region, each made by its default constructor.
template <class T>
class fixed_array {
    static_assert(std::is_trivially_destructible_v<T>, "a region is unmapped, not destroyed");

  public:
    fixed_array() = default;

    static result<fixed_array, std::string> make(std::size_t count, page_size preference) {
        auto memory = region::map(count * sizeof(T), preference);
        if (!memory.ok()) {
            return failure{memory.error()};
        }
        fixed_array made;
        made.memory_ = std::move(memory).value();
        made.count_ = count;
        // Zero pages are the value of anything that has nothing to construct.
        if constexpr (!std::is_trivially_default_constructible_v<T>) {
            std::uninitialized_value_construct_n(made.data(), count);
        }
        return made;
    }

    T* data() { return std::launder(reinterpret_cast<T*>(memory_.data())); }
    const T* data() const { return std::launder(reinterpret_cast<const T*>(memory_.data())); }
    std::size_t size() const { return count_; }
    // Precondition: i < size().
    T& operator[](std::size_t i) { return data()[i]; }
    const T& operator[](std::size_t i) const { return data()[i]; }
    T* begin() { return data(); }
    T* end() { return data() + count_; }
    const T* begin() const { return data(); }
    const T* end() const { return data() + count_; }

  private:
    region memory_;
    std::size_t count_ = 0;
};

}  // namespace lastack
