// SPDX-License-Identifier: BSD-3-Clause
// What this machine has, read once at start and passed on as a value, so that decisions from it can
// be tested without such a machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lastack/result.hpp"

namespace lastack::dpdk {

struct machine {
    std::vector<unsigned> cpus;             // those this process may run on, ascending
    std::uint64_t free_hugepage_bytes = 0;  // of all sizes
    int pid = 0;
};

machine look_at_machine();

// EAL keeps sockets and lock files in $RUNTIME_DIRECTORY/dpdk, by default in /var/run for uid 0.
// Where that cannot be written (an ordinary user, or uid 0 of a user namespace), this sets the
// variable to $XDG_RUNTIME_DIR or else to /tmp/lastack-UID (the uid outside of a user namespace),
// made with mode 0700.
result<bool, std::string> prepare_runtime_directory();

}  // namespace lastack::dpdk
