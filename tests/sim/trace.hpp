// SPDX-License-Identifier: BSD-3-Clause
// What a replayed run prints: one line a frame, one a call.
#pragma once

#include <string>

#include "base/time.hpp"

namespace lastack::sim {

// A frame in one line: flags, ports, SEQ and ACK, octets of text, window and options, or ARP.
std::string describe_frame(const std::string& octets);
// "   12.345678 "
std::string stamp(instant now);

}  // namespace lastack::sim
