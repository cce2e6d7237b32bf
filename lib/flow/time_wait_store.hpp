// SPDX-License-Identifier: BSD-3-Clause
// The records of the TIME_WAIT table themselves, in the order in which they came.
//
// Places for records lie in blocks of 32. New records take one block's places after the other, and
// then those of the next that has no records at all, which most often is the one that expired last.
// So records that came together lie together: entering writes one line after the other, and so does
// expiring read them. Blocks with holes, where records were erased or live longer than others, are
// taken from only when no whole block is left.
//
//     block   deadlines: 32 x meta, 4 (time_wait_block.hpp)
//             windows: 32 x 2, as last advertised
//             bodies, 4 x 8: each a front, key (12 or 36), snd_nxt 4; and a back, rcv_nxt 4,
//             ts_recent 4. IPv4: 8 x 24 bytes are three lines of two bodies and 16 bytes over; six
//             bodies lie whole in a line, the other two have their front in one and their back in
//             another, so that no front lies across two lines
//
// Besides, 8 bytes a block: its place in the list of free blocks or of those with holes, and where
// in the latter it is.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/prefetch.hpp"
#include "base/seq32.hpp"
#include "flow/time_wait_block.hpp"
#include "flow/time_wait_entry.hpp"

namespace lastack::flow {

template <class Key>
class time_wait_store {
  public:
    static constexpr std::uint32_t block_size = time_wait_deadlines::size;

    static std::uint32_t blocks_for(std::uint32_t capacity) {
        return (capacity + block_size - 1) / block_size;
    }
    static std::size_t bytes_for(std::uint32_t blocks) {
        return blocks * (block_bytes + 2 * sizeof(std::uint32_t));
    }
    time_wait_store() = default;
    // In bytes_for(blocks) of zeros, aligned to a line.
    time_wait_store(std::byte* memory, std::uint32_t blocks);

    // --- places ------------------------------------------------------------------------------

    // A free place. Precondition: there is one.
    std::uint32_t take();
    // A record leaves its place. Where all of a block's have left, made_free() is to be told, or it
    // counts as one with holes for ever.
    void give_back(std::uint32_t body);
    void made_free(std::uint32_t block);
    bool is_used(std::uint32_t body) const { return (meta(body) & time_wait_meta::used) != 0; }
    static std::uint32_t body_of(std::uint32_t block, std::uint32_t places) {
        return block * block_size + static_cast<std::uint32_t>(std::countr_zero(places));
    }

    // --- records -----------------------------------------------------------------------------

    time_wait_deadlines& deadlines(std::uint32_t block) const {
        return *reinterpret_cast<time_wait_deadlines*>(block_at(block));
    }
    std::uint32_t& meta(std::uint32_t body) const {
        return deadlines(body / block_size).meta[body % block_size];
    }
    bool has_key(std::uint32_t body, const Key& key) const {
        if constexpr (sizeof key == 12) {  // which memcmp() would be called for
            const std::byte* const b = reinterpret_cast<const std::byte*>(&key);
            return ((load<std::uint64_t>(front(body)) ^ load<std::uint64_t>(b)) |
                    (load<std::uint32_t>(front(body) + 8) ^ load<std::uint32_t>(b + 8))) == 0;
        } else {
            return std::memcmp(front(body), &key, sizeof key) == 0;
        }
    }
    time_wait_entry<Key> read(std::uint32_t body) const;
    // What is not in meta.
    void write(std::uint32_t body, const time_wait_entry<Key>& e);
    void set_rcv_nxt(std::uint32_t body, seq32 rcv_nxt) { store(back(body), rcv_nxt.raw); }
    void set_ts_recent(std::uint32_t body, std::uint32_t ts_recent) {
        store(back(body) + ts_recent_at, ts_recent);
    }

    // --- lines to come -----------------------------------------------------------------------

    void prefetch_front(std::uint32_t body) const { prefetch_to_read(front(body)); }
    // What a record has besides its front, and what its leaving changes.
    void prefetch_rest(std::uint32_t body) const {
        prefetch_deadlines(body / block_size);
        prefetch_to_read(&window(body));
    }
    void prefetch_deadlines(std::uint32_t block) const {
        prefetch_to_write(&deadlines(block));
        prefetch_to_write(&deadlines(block).meta[block_size / 2]);
    }
    void prefetch_bodies(std::uint32_t block) const {
        prefetch_text_to_read(block_at(block) + bodies_at, block_bytes - bodies_at);
    }

  private:
    void open_next();
    void forget_holes(std::uint32_t block);

    static constexpr std::uint32_t group = 8;
    static constexpr std::size_t front_bytes = sizeof(Key) + 4;
    static constexpr std::size_t back_bytes = 8;
    static constexpr std::size_t ts_recent_at = 4;
    static constexpr std::size_t group_bytes = group * (front_bytes + back_bytes);
    static constexpr std::size_t bodies_at =
        sizeof(time_wait_deadlines) + block_size * sizeof(std::uint16_t);
    static constexpr std::size_t block_bytes = bodies_at + block_size / group * group_bytes;
    static_assert(block_bytes % 64 == 0);

    // Where the parts of a group's bodies begin.
    static constexpr auto parts(bool of_front) {
        std::array<std::uint16_t, group> at{};
        for (std::uint16_t i = 0; i < group; ++i) {
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
    static constexpr std::array<std::uint16_t, group> fronts = parts(true);
    static constexpr std::array<std::uint16_t, group> backs = parts(false);

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
    std::byte* block_at(std::uint32_t block) const { return blocks_ + block * block_bytes; }
    std::byte* group_of(std::uint32_t body) const {
        return block_at(body / block_size) + bodies_at + body % block_size / group * group_bytes;
    }
    std::byte* front(std::uint32_t body) const { return group_of(body) + fronts[body % group]; }
    std::byte* back(std::uint32_t body) const { return group_of(body) + backs[body % group]; }
    std::uint16_t& window(std::uint32_t body) const {
        return reinterpret_cast<std::uint16_t*>(&deadlines(body / block_size) +
                                                1)[body % block_size];
    }

    std::byte* blocks_ = nullptr;
    // Blocks but for the open one: from the front those that are free, from the back those that
    // have holes.
    std::uint32_t* blocks_to_use_ = nullptr;
    std::uint32_t* where_ = nullptr;  // in blocks_to_use_, of one with holes
    std::uint32_t block_count_ = 0;
    std::uint32_t free_blocks_ = 0;
    std::uint32_t holey_blocks_ = 0;
    std::uint32_t open_ = 0;         // whose places are taken now
    std::uint32_t open_free_ = ~0u;  // a bit a place of it
};

template <class Key>
time_wait_store<Key>::time_wait_store(std::byte* memory, std::uint32_t blocks)
    : blocks_(memory),
      blocks_to_use_(reinterpret_cast<std::uint32_t*>(memory + blocks * block_bytes)),
      where_(blocks_to_use_ + blocks),
      block_count_(blocks),
      free_blocks_(blocks - 1) {
    for (std::uint32_t i = 0; i < free_blocks_; ++i) {
        blocks_to_use_[i] = free_blocks_ - i;  // the first block is open
    }
}

template <class Key>
std::uint32_t time_wait_store<Key>::take() {
    if (open_free_ == 0) {
        open_next();
    }
    const std::uint32_t body = body_of(open_, open_free_);
    open_free_ &= open_free_ - 1;
    return body;
}

template <class Key>
void time_wait_store<Key>::open_next() {
    if (free_blocks_ != 0) {
        open_ = blocks_to_use_[--free_blocks_];
        open_free_ = ~0u;
        if (free_blocks_ != 0) {
            prefetch_text_to_write(block_at(blocks_to_use_[free_blocks_ - 1]), block_bytes);
        }
        return;
    }
    open_ = blocks_to_use_[block_count_ - holey_blocks_];
    forget_holes(open_);
    open_free_ = ~deadlines(open_).used();
    if (holey_blocks_ != 0) {
        prefetch_deadlines(blocks_to_use_[block_count_ - holey_blocks_]);
    }
}

// The last of the list takes its place there.
template <class Key>
void time_wait_store<Key>::forget_holes(std::uint32_t block) {
    const std::uint32_t last = blocks_to_use_[block_count_ - holey_blocks_--];
    blocks_to_use_[where_[block]] = last;
    where_[last] = where_[block];
    deadlines(block).clear_holey();
}

template <class Key>
void time_wait_store<Key>::give_back(std::uint32_t body) {
    const std::uint32_t block = body / block_size;
    time_wait_deadlines& d = deadlines(block);
    d.meta[body % block_size] &= time_wait_meta::of_block;
    if (block == open_) {
        open_free_ |= 1u << body % block_size;
    } else if (!d.holey()) {
        d.set_holey();
        where_[block] = block_count_ - ++holey_blocks_;
        blocks_to_use_[where_[block]] = block;
    }
}

template <class Key>
void time_wait_store<Key>::made_free(std::uint32_t block) {
    if (block != open_ && deadlines(block).holey()) {
        forget_holes(block);
        blocks_to_use_[free_blocks_++] = block;
    }
}

template <class Key>
time_wait_entry<Key> time_wait_store<Key>::read(std::uint32_t body) const {
    const std::uint32_t m = meta(body);
    time_wait_entry<Key> e;
    std::memcpy(&e.key, front(body), sizeof e.key);
    e.snd_nxt.raw = load<std::uint32_t>(front(body) + sizeof e.key);
    e.rcv_nxt.raw = load<std::uint32_t>(back(body));
    e.ts_recent = load<std::uint32_t>(back(body) + ts_recent_at);
    e.window = window(body);
    e.timestamps = (m & time_wait_meta::timestamps) != 0;
    e.ts_strict = (m & time_wait_meta::ts_strict) != 0;
    e.ts_plain = e.timestamps && (m & time_wait_meta::ts_plain) != 0;
    e.fin_wait_2 = (m & time_wait_meta::fin_wait_2) != 0;
    e.parked = !e.fin_wait_2 && (m & time_wait_meta::held) != 0;
    e.waiter = e.fin_wait_2 && (m & time_wait_meta::held) != 0;
    e.reuse_addr = (m & time_wait_meta::reuse_addr) != 0;
    e.reuse_port = (m & time_wait_meta::reuse_port) != 0;
    return e;
}

template <class Key>
void time_wait_store<Key>::write(std::uint32_t body, const time_wait_entry<Key>& e) {
    std::memcpy(front(body), &e.key, sizeof e.key);
    store(front(body) + sizeof e.key, e.snd_nxt.raw);
    store(back(body), e.rcv_nxt.raw);
    store(back(body) + ts_recent_at, e.ts_recent);
    window(body) = e.window;
}

}  // namespace lastack::flow
