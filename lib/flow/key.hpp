// SPDX-License-Identifier: BSD-3-Clause
// A connection's name from the stack's point of view: its own side is `local`.
#pragma once

#include <cstdint>

#include "lastack/address.hpp"

namespace lastack::flow {

struct key4 {
    ipv4_address remote{};
    ipv4_address local{};
    std::uint16_t remote_port = 0;  // host order
    std::uint16_t local_port = 0;   // host order
    friend constexpr bool operator==(const key4&, const key4&) = default;
};
static_assert(sizeof(key4) == 12);

struct key6 {
    ipv6_address remote{};
    ipv6_address local{};
    std::uint16_t remote_port = 0;
    std::uint16_t local_port = 0;
    friend constexpr bool operator==(const key6&, const key6&) = default;
};

}  // namespace lastack::flow
