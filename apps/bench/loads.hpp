// SPDX-License-Identifier: BSD-3-Clause
// The subcommands that put a load on a stack.
#pragma once

#include "harness.hpp"

namespace bench {

std::vector<subject> load_subjects();

}  // namespace bench
