// SPDX-License-Identifier: BSD-3-Clause
// What servers have told this core for Fast Open (RFC 7413 4.1.3): by address, the cookie, the MSS
// and how often a SYN with either was lost.
//
// A table of 256 buckets of 4, 36 octets an entry, in the engine's own memory. A full bucket gives
// up the entry whose server answered longest ago, so that those which are spoken to stay. The
// caller brings the address's hash under a secret key, lest a server choose whom it drives out.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.hpp"
#include "lastack/address.hpp"
#include "wire/tcp.hpp"

namespace lastack::tcp {

class cookie_cache {
  public:
    struct entry {
        ipv4_address server{};
        wire::fast_open_cookie cookie{};  // no octets: none was given so far
        std::uint16_t mss = 0;            // as the server offered it last; 0: the place is free
        std::uint8_t losses = 0;          // in a row
        tick answered_at;
        tick lost_at;
    };
    static constexpr std::size_t buckets = 256;
    static constexpr std::size_t bucket_entries = 4;

    // What is known of the server; nullptr: nothing.
    const entry* find(std::uint64_t hash, ipv4_address server) const {
        for (const entry& e : table_[hash % buckets]) {
            if (e.mss != 0 && e.server == server) {
                return &e;
            }
        }
        return nullptr;
    }

    // A SYN-ACK came. `cookie`: a new one, if it had any; `lost`: it answers our second or a later
    // SYN and shows no sign of the first.
    void learn(std::uint64_t hash, ipv4_address server, std::uint16_t mss,
               const std::optional<wire::fast_open_cookie>& cookie, bool lost, tick now) {
        entry& e = place_for(hash, server);
        e.mss = std::max<std::uint16_t>(mss, 1);
        e.cookie = cookie.value_or(e.cookie);
        e.losses = static_cast<std::uint8_t>(lost ? std::min(e.losses + 1, losses_max) : 0);
        e.lost_at = lost ? now : e.lost_at;
        e.answered_at = now;
    }

    void clear() { table_ = {}; }

    // As Linux: after two losses in a row the server is left alone for 4 minutes, twice as long
    // after each further one.
    static bool rests(const entry& e, tick now) {
        const std::int32_t age = distance(e.lost_at, now);
        return e.losses > 1 && age >= 0 && age < static_cast<std::int32_t>(60000u << e.losses);
    }

  private:
    static constexpr int losses_max = 14;  // 60000 << 14 is 11 days, and less than a tick can tell

    // The server's entry; a new one has a free place, or that of the oldest.
    entry& place_for(std::uint64_t hash, ipv4_address server) {
        auto& bucket = table_[hash % buckets];
        entry* oldest = bucket.data();
        for (entry& e : bucket) {
            if (e.mss != 0 && e.server == server) {
                return e;
            }
            if (oldest->mss != 0 && (e.mss == 0 || e.answered_at < oldest->answered_at)) {
                oldest = &e;
            }
        }
        *oldest = entry{};
        oldest->server = server;
        return *oldest;
    }

    std::array<std::array<entry, bucket_entries>, buckets> table_{};
};

}  // namespace lastack::tcp
