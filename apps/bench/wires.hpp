// SPDX-License-Identifier: BSD-3-Clause
// The wires of lastack-bench: which device each means, who has which address, how much is reserved.
#pragma once

#include <string>

#include "lastack/options.hpp"
#include "lastack/result.hpp"
#include "load.hpp"

namespace bench {

// Completes `l` and the options for the wire that was asked for. The error says what to give.
lastack::result<bool, std::string> set_up_wire(load& l, lastack::runtime_options& options);

// Where server and clients are when there is no device: clients behind a gateway.
void set_up_null(load& l);

}  // namespace bench
