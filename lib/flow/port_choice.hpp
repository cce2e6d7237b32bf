// SPDX-License-Identifier: BSD-3-Clause
// Local ports for connect(): R57, RFC 6056 3.3.4 (algorithm 4).
//
// Each destination has a starting point that only the key's owner can tell, and one of 1024 cursors
// which it shares with others. A cursor only goes forward through the range, so a port comes up
// again after all others have: the one whose TIME_WAIT is oldest is met first, and an observer of
// one destination learns nothing about another. No parity.
//
// The search is bounded by its budget; the caller says which ports may be used (no connection, no
// TIME_WAIT that forbids it).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "flow/key.hpp"
#include "flow/keyed_hash.hpp"

namespace lastack::flow {

// ip_local_port_range, both ends included.
struct port_range {
    std::uint16_t first = 32768;
    std::uint16_t last = 60999;
    friend constexpr bool operator==(port_range, port_range) = default;
};

class port_choice {
  public:
    // The hash must be under a key of its own. Precondition: first <= last.
    port_choice(const keyed_hash& hash, port_range range) : hash_(hash), range_(range) {}

    void set_range(port_range range) { range_ = range; }
    port_range range() const { return range_; }
    // How many ports there are: the budget of a full search.
    std::uint32_t size() const { return std::uint32_t{range_.last} - range_.first + 1u; }

    // The next port towards a destination (the key's local_port does not count) for which
    // is_usable(port) says yes; nullopt after `budget` ports, or all, without one. The next call
    // goes on behind the last port looked at.
    template <class Key, class IsUsable>
    std::optional<std::uint16_t> next(Key destination, std::uint32_t budget, IsUsable&& is_usable) {
        destination.local_port = 0;
        const std::uint64_t h = hash_(destination);
        // RFC 6056 3.3.4: offset = F(destination), index = G(destination): halves of one hash.
        const auto offset = static_cast<std::uint32_t>(h);
        std::uint32_t& cursor = cursors_[h >> 54];
        const std::uint32_t count = size();
        for (std::uint32_t left = budget < count ? budget : count; left > 0; --left) {
            const auto step = static_cast<std::uint32_t>((std::uint64_t{offset} + cursor) % count);
            cursor = cursor + 1 < count ? cursor + 1 : 0;
            const auto port = static_cast<std::uint16_t>(range_.first + step);
            if (is_usable(port)) {
                return port;
            }
        }
        return std::nullopt;
    }

  private:
    keyed_hash hash_;
    port_range range_;
    std::array<std::uint32_t, 1024> cursors_{};
};

}  // namespace lastack::flow
