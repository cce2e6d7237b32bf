// SPDX-License-Identifier: BSD-3-Clause
// Prints docs/settings.md from the table of settings; see scripts/make-docs.
#include <cstdio>

#include "config/options.hpp"

int main() {
    return std::fputs(lastack::config::markdown().c_str(), stdout) < 0 ? 1 : 0;
}
