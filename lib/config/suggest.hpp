// SPDX-License-Identifier: BSD-3-Clause
// Which known name a mistyped one was meant to be.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace lastack::config {

// How many letters must be inserted, removed, replaced, or swapped with their neighbour.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The known name nearest to `name`; empty when there is none.
std::string_view nearest(std::string_view name, std::span<const std::string_view> known);

}  // namespace lastack::config
