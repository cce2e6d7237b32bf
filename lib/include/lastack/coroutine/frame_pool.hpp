// SPDX-License-Identifier: BSD-3-Clause
// Where coroutine frames come from: a fixed number of blocks of one size, all of them reserved when
// the pool is made, none taken from the heap after that.
//
// One size, not size classes: a program has a handful of coroutine functions, their frames lie
// within a few hundred octets of each other, and with one size a free block always fits. How large
// a frame is only the compiler knows; a frame that does not fit ends the program with a line that
// says what to ask for, on the first call, since no later call could go better.
//
// Layout of a block: a header of 16 octets that names the pool (so that a frame finds home without
// help), then the frame, aligned to 16. Blocks lie on cache lines of their own. Taking and giving
// back are a few instructions; the block given back last is taken first, while it is in the cache.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

namespace lastack {

class frame_pool {
  public:
    static constexpr std::size_t header_octets = 16;
    static constexpr std::size_t line_octets = 64;

    // `frames` blocks, each good for a coroutine frame of up to `frame_octets`.
    frame_pool(std::size_t frames, std::size_t frame_octets)
        : block_octets_((frame_octets + header_octets + line_octets - 1) / line_octets *
                        line_octets),
          memory_(static_cast<std::byte*>(
              ::operator new (block_octets_* frames, std::align_val_t{line_octets}))) {
        for (std::size_t i = frames; i-- > 0;) {
            push(new (memory_.get() + i * block_octets_) block);
        }
    }
    frame_pool(const frame_pool&) = delete;
    frame_pool& operator=(const frame_pool&) = delete;

    // A frame of `octets`, or nullptr when the pool is empty.
    void* take(std::size_t octets) noexcept {
        if (octets > block_octets_ - header_octets) {
            std::fprintf(stderr,
                         "lastack: a coroutine's frame takes %zu octets, the pool's blocks hold "
                         "%zu: raise coroutine_options::frame_octets\n",
                         octets, block_octets_ - header_octets);
            std::abort();
        }
        block* b = free_;
        if (b == nullptr) {
            return nullptr;
        }
        free_ = b->next;
        --available_;
        b->pool = this;
        return reinterpret_cast<std::byte*>(b) + header_octets;
    }

    // Precondition: `frame` came from take() of some pool that still lives.
    static void give_back(void* frame) noexcept {
        auto* b = reinterpret_cast<block*>(static_cast<std::byte*>(frame) - header_octets);
        b->pool->push(b);
    }

    std::size_t available() const { return available_; }

  private:
    union block {
        block* next;       // while free
        frame_pool* pool;  // while taken
    };
    static_assert(sizeof(block) <= header_octets);

    struct aligned_delete {
        void operator()(std::byte* p) const {
            ::operator delete (p, std::align_val_t{line_octets});
        }
    };

    void push(block* b) noexcept {
        b->next = free_;
        free_ = b;
        ++available_;
    }

    std::size_t block_octets_;
    std::unique_ptr<std::byte[], aligned_delete> memory_;
    block* free_ = nullptr;
    std::size_t available_ = 0;
};

}  // namespace lastack
