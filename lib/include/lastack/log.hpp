// SPDX-License-Identifier: BSD-3-Clause
// A line for the log. On a worker it is copied into a ring that the logging thread empties; when
// the ring is full the line is dropped and counted, and the count is logged. So a worker never
// waits.
#pragma once

#include <cstdint>
#include <string_view>

namespace lastack {

enum class log_level : std::uint8_t { debug, info, warning, error };

// What exceeds 231 octets is cut off.
void log(log_level level, std::string_view text);

}  // namespace lastack
