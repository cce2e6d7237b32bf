// SPDX-License-Identifier: BSD-3-Clause
// R45: of the ACKs that a TIME_WAIT record sends to segments that make no progress, at most one in
// tcp_invalid_ratelimit.
//
// Few records send any, so the times are not kept in the records: here are the last times of those
// that did, sets of eight in a cache line, chosen and told apart by the hash of the record's key. A
// set that is full of times within the limit sends no more. That takes a flood: old segments of
// tens of thousands of connections in half a second, which answers would double.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "base/region.hpp"
#include "base/time.hpp"
#include "lastack/result.hpp"

namespace lastack::flow {

class ack_limit {
  public:
    static constexpr std::uint32_t sets = 4096;
    static constexpr std::uint32_t limit_max_ms = 60'000;

    static std::size_t bytes() { return sets * sizeof(set); }
    static result<ack_limit, std::string> make(page_size pages) {
        auto memory = fixed_array<set>::make(sets, pages);
        if (!memory.ok()) {
            return failure{memory.error()};
        }
        ack_limit made;
        made.sets_ = std::move(memory).value();
        return made;
    }

    // True: send it; the time is kept. No limit at 0, and none longer than limit_max_ms.
    bool may_ack(std::uint64_t hash, tick now, std::uint32_t limit_ms);

  private:
    struct last {
        std::uint32_t who;  // 0: nobody
        tick at;
    };
    struct alignas(64) set {
        std::array<last, 8> of;
    };

    fixed_array<set> sets_;
};

inline bool ack_limit::may_ack(std::uint64_t hash, tick now, std::uint32_t limit_ms) {
    const auto who = static_cast<std::uint32_t>(hash >> 32) | 1;
    const std::uint32_t limit = limit_ms < limit_max_ms ? limit_ms : limit_max_ms;
    last* free = nullptr;
    for (last& l : sets_[hash % sets].of) {
        const bool over = l.who == 0 || now.raw - l.at.raw >= limit;
        if (l.who == who && !over) {
            return false;
        }
        if (over && (free == nullptr || l.who == who)) {
            free = &l;
        }
    }
    if (free != nullptr) {
        *free = {who, now};
    }
    return free != nullptr;
}

}  // namespace lastack::flow
