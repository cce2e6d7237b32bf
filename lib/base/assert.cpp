// SPDX-License-Identifier: BSD-3-Clause
#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace lastack {

void assertion_failed(const char* what, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
    std::abort();
}

}  // namespace lastack
