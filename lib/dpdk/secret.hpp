// SPDX-License-Identifier: BSD-3-Clause
// The key of hashes, initial sequence numbers (RFC 6528) and timestamp offsets.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "lastack/result.hpp"

namespace lastack::dpdk {

using secret = std::array<std::uint64_t, 2>;

// From the kernel's random source.
result<secret, std::string> random_secret();

// From `path`: 32 hexadecimal digits. A missing file is made with a random secret and mode 0600.
// Error: it cannot be read or made, others may read it, or it holds something else.
result<secret, std::string> secret_from_file(const std::string& path);

}  // namespace lastack::dpdk
