// SPDX-License-Identifier: BSD-3-Clause
// The echo server itself: one coroutine a connection.
//
// Payload is not copied: the buffer that came in is the buffer that goes out. While the peer does
// not read, write() waits, so nothing more is read from it either, and its own window closes. A
// peer that has sent its FIN still gets the rest of the echo, and then ours (R08).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

#include "lastack/coroutine.hpp"

namespace echo {

// Of all cores together; written once a connection, when it ends.
struct totals {
    std::atomic<std::uint64_t> octets{0};
    std::array<std::atomic<std::uint64_t>, lastack::close_outcome_count> ended{};
};

inline lastack::task serve(lastack::connection c, totals& sum) {
    std::uint64_t octets = 0;
    for (;;) {
        auto data = co_await c.read();
        if (!data || data->size() == 0) {
            break;  // the connection is gone, or the peer has said all it has to say
        }
        const auto sent = co_await c.write(std::move(*data));
        if (!sent) {
            break;
        }
        octets += *sent;
    }
    const lastack::close_outcome how = co_await c.close();
    sum.octets.fetch_add(octets, std::memory_order_relaxed);
    sum.ended[static_cast<std::size_t>(how)].fetch_add(1, std::memory_order_relaxed);
}

}  // namespace echo
