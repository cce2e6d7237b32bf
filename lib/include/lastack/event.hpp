// SPDX-License-Identifier: BSD-3-Clause
// What a poll tells the application: at most one event a connection, with all that happened to it.
#pragma once

#include <cstdint>

#include "lastack/outcome.hpp"

namespace lastack {

// Names a connection for as long as the application holds it. A handle whose connection is gone is
// refused (call_error::stale_handle); the generation keeps it from ever meaning another one.
struct conn_id {
    std::uint32_t index = ~0u;
    std::uint32_t generation = 0;
    friend constexpr bool operator==(conn_id, conn_id) = default;
};

struct listener_id {
    std::uint16_t index = 0xffff;
    std::uint16_t generation = 0;
    friend constexpr bool operator==(listener_id, listener_id) = default;
};

// Bits of event::what, in the order in which they are dispatched.
namespace event_bits {
inline constexpr std::uint8_t opened = 1;       // accepted, or connect() succeeded
inline constexpr std::uint8_t readable = 2;     // receive() has something
inline constexpr std::uint8_t writable = 4;     // send() may go on after it came back short
inline constexpr std::uint8_t peer_closed = 8;  // the peer's FIN: end of stream behind the data
inline constexpr std::uint8_t ended = 16;       // TIME_WAIT or CLOSED; `outcome` says how
}  // namespace event_bits

struct event {
    conn_id conn;
    std::uint64_t user = 0;                       // what set_user() stored
    listener_id listener;                         // which one accepted it; none if connect() did
    std::uint8_t what = 0;                        // event_bits
    close_outcome outcome = close_outcome::none;  // with event_bits::ended
};

}  // namespace lastack
