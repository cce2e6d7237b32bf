// SPDX-License-Identifier: BSD-3-Clause
// How long connections have been, or will be, where they are: histograms over the rows of a walk
// (inspect.hpp), and the watch over CLOSE_WAIT, which only the application can end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "stack/inspect.hpp"

namespace lastack::stack {

// Seconds; a value counts in the first bucket whose bound it is below.
inline constexpr std::uint32_t unbounded = std::numeric_limits<std::uint32_t>::max();
inline constexpr std::array<std::uint32_t, 16> time_wait_bounds_s{
    1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 90, 120, 300, 600, 3600, unbounded};
inline constexpr std::array<std::uint32_t, 9> age_bounds_s{1,    10,    60,    300,      600,
                                                           3600, 21600, 86400, unbounded};

struct census {
    // CLOSE_WAIT of one listener; port 0: opened by this side, or its listener is closed.
    struct leak {
        std::uint16_t port = 0;
        std::uint64_t waiting = 0;
        std::uint64_t overdue = 0;
    };
    static constexpr std::size_t leaks_max = 16;  // listeners; the rest counts in the last
    static constexpr std::size_t oldest_max = 8;

    std::array<std::uint64_t, time_wait_bounds_s.size()> time_wait_left{};
    std::array<std::array<std::uint64_t, age_bounds_s.size()>, teardown::state_count> age{};
    std::array<leak, leaks_max> leaks{};
    std::size_t leak_count = 0;
    std::array<connection_row, oldest_max> oldest{};  // in CLOSE_WAIT, oldest first
    std::size_t oldest_count = 0;
    std::uint64_t overdue = 0;  // in CLOSE_WAIT for longer than `overdue_ms`

    void add(const connection_row&, std::uint32_t overdue_ms);
    void add(const census&);

  private:
    leak& leak_of(std::uint16_t port);
    void note_old(const connection_row&);
};

}  // namespace lastack::stack
