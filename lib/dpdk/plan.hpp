// SPDX-License-Identifier: BSD-3-Clause
// What each stack gets of a process's configuration. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config/configuration.hpp"
#include "lastack/result.hpp"
#include "stack/core.hpp"

namespace lastack::dpdk {

// Checks addresses and gateway against the number of ports and against each other.
result<bool, std::string> check_addresses(const config::stack_config&, std::size_t ports);

// The addresses of one port.
std::vector<ipv4_prefix> addresses_of(const config::stack_config&, std::size_t port);

// The gateway, for the port on whose network it is.
std::optional<ipv4_address> gateway_of(const config::stack_config&, std::size_t port);

// One stack's part of what the process reserves: an n-th, rounded up. Of connections and TIME_WAIT
// records lastack.core_headroom times that, but no more than there are in all, since the limits on
// them are for the process and stacks lend one another counts (teardown/cap_share.hpp).
config::settings share(const config::settings& resolved, std::size_t stacks);

}  // namespace lastack::dpdk
