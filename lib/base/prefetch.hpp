// SPDX-License-Identifier: BSD-3-Clause
// Asks for a cache line before it is needed.
//
// A function that only prefetches looks to GCC like one that does nothing (ipa-pure-const counts
// __builtin_prefetch as no effect): where it is called and not inlined, the call is left out
// without a word. The empty assembly is an effect, and costs no instruction.
#pragma once

namespace lastack {

[[gnu::always_inline]] inline void prefetch_to_read(const void* address) {
    __builtin_prefetch(address);
    asm volatile("");
}

[[gnu::always_inline]] inline void prefetch_to_write(const void* address) {
    __builtin_prefetch(address, 1);
    asm volatile("");
}

}  // namespace lastack
