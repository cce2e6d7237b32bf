// SPDX-License-Identifier: BSD-3-Clause
// `lastack-bench cores`: how far apart two CPUs are, as the time a cache line takes from one to the
// other.
//
// Two threads, each on its CPU, hand one line to and fro; half a round trip is one way. On a shared
// host this changes within seconds, by as much as the two virtual CPUs are moved about, and every
// figure taken with one lcore at each end changes with it: state it beside them. The median of many
// short batches is taken, so that a moment in which a thread was not running does not count.
#pragma once

namespace bench {

// Reads argv (--cpus A B) and prints the nanoseconds. Returns the exit status.
int run_cores(int argc, const char* const* argv);

}  // namespace bench
