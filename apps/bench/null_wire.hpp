// SPDX-License-Identifier: BSD-3-Clause
// --wire null: the server's stack alone, fed with the segments that a client would send.
//
// The peer keeps nothing: each of its segments follows from the one it answers, so it costs little
// and what it costs is not counted. The clock is virtual, 10 us a turn, which is what a turn of 32
// frames takes at about a million connections a second; nothing here depends on the machine or on
// when it runs, so a count of instructions (tests/bench/check_instructions.py) is repeatable.
#pragma once

#include <string>
#include <vector>

#include "harness.hpp"

namespace bench {

// A run of `l.connections`. The error says what to do.
lastack::result<std::vector<figures>, std::string> run_null(load& l);

}  // namespace bench
