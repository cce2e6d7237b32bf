// SPDX-License-Identifier: BSD-3-Clause
// Assertions for programmers' errors. They stay on in release builds: put them where they are
// cheap.
#pragma once

namespace lastack {

// Prints `file:line: what` to standard error and aborts.
[[noreturn, gnu::cold]] void assertion_failed(const char* what, const char* file, int line);

}  // namespace lastack

#define LASTACK_ASSERT(condition)                      \
    (__builtin_expect(static_cast<bool>(condition), 1) \
         ? static_cast<void>(0)                        \
         : ::lastack::assertion_failed(#condition, __FILE__, __LINE__))
