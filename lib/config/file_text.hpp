// SPDX-License-Identifier: BSD-3-Clause
// Whole files as text.
#pragma once

#include <string>

#include "lastack/result.hpp"

namespace lastack::config {

// The error says which file and why.
result<std::string, std::string> read_text_file(const std::string& path);

}  // namespace lastack::config
