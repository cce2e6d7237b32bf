// SPDX-License-Identifier: BSD-3-Clause
// The kernel's interface at the other end of a net_tap port.
#pragma once

#include <string>

#include "config/configuration.hpp"
#include "lastack/result.hpp"

namespace lastack::dpdk {

// That no process has the interface's other end: net_tap would join it, take its frames and, at its
// end, the interface. A TAP made in advance has no carrier until then.
result<bool, std::string> check_unused(const std::string& interface);

// Brings the interface up and gives it the address if it has none. Error: which `ip` command to
// run by hand.
result<bool, std::string> bring_up_kernel_side(const config::kernel_config&);

}  // namespace lastack::dpdk
