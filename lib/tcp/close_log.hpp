// SPDX-License-Identifier: BSD-3-Clause
// The last closes of a core: how each connection ended, for those who ask when it is gone.
//
// A ring of 4096 entries of 40 bytes, written once a close and never read on the packet path. A
// closed connection whose peer is still to close (FIN_WAIT_2 as a record) leaves two entries: one
// without an outcome when its tcb goes, one when the record ends.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/time.hpp"
#include "flow/key.hpp"
#include "lastack/outcome.hpp"
#include "teardown/state.hpp"

namespace lastack::tcp {

// The states a connection went through: four bits each, the latest lowest, at most sixteen.
constexpr std::uint64_t then(std::uint64_t taken, teardown::state next) {
    return taken << 4 | static_cast<std::uint64_t>(next);
}

struct close_entry {
    std::int64_t at_us = 0;  // on the stack's clock
    std::uint64_t taken = 0;
    flow::key4 key{};
    close_outcome outcome = close_outcome::none;
};

class close_log {
  public:
    static constexpr std::size_t entries = 4096;

    close_log() : ring_(std::make_unique<close_entry[]>(entries)) {}

    // Field by field: an entry made first and copied then would wait for its own stores.
    void add(std::int64_t at_us, std::uint64_t taken, const flow::key4& key, close_outcome how) {
        close_entry& e = ring_[count_++ % entries];
        e.at_us = at_us;
        e.taken = taken;
        e.key = key;
        e.outcome = how;
    }
    std::uint64_t count() const { return count_; }
    // The n-th latest, from 0. Precondition: n < min(count(), entries).
    const close_entry& latest(std::size_t n) const { return ring_[(count_ - 1 - n) % entries]; }

    // The latest entries of one connection, latest first; returns how many were found.
    std::size_t find(const flow::key4& key, std::span<close_entry> into) const {
        std::size_t found = 0;
        const auto kept = std::min<std::uint64_t>(count_, entries);
        for (std::size_t n = 0; n < kept && found < into.size(); ++n) {
            if (latest(n).key == key) {
                into[found++] = latest(n);
            }
        }
        return found;
    }

  private:
    std::unique_ptr<close_entry[]> ring_;
    std::uint64_t count_ = 0;
};

}  // namespace lastack::tcp
