// SPDX-License-Identifier: BSD-3-Clause
// Asks for cache lines before they are needed.
//
// A function that only prefetches looks to GCC like one that does nothing (ipa-pure-const counts
// __builtin_prefetch as no effect): where it is called and not inlined, the call is left out
// without a word. The empty assembly is an effect, and costs no instruction.
#pragma once

#include <cstddef>

namespace lastack {

[[gnu::always_inline]] inline void prefetch_to_read(const void* address) {
    __builtin_prefetch(address);
    asm volatile("");
}

[[gnu::always_inline]] inline void prefetch_to_write(const void* address) {
    __builtin_prefetch(address, 1);
    asm volatile("");
}

// All lines of a piece of text that something is about to go through, so that they come together:
// the hardware foresees them only when it has met some, and a buffer's 2 KiB are soon over.
[[gnu::always_inline]] inline void prefetch_text_to_read(const void* text, std::size_t octets) {
    for (std::size_t i = 0; i < octets; i += 64) {
        prefetch_to_read(static_cast<const std::byte*>(text) + i);
    }
}

[[gnu::always_inline]] inline void prefetch_text_to_write(const void* text, std::size_t octets) {
    for (std::size_t i = 0; i < octets; i += 64) {
        prefetch_to_write(static_cast<const std::byte*>(text) + i);
    }
}

}  // namespace lastack
