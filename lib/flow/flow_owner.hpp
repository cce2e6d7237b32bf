// SPDX-License-Identifier: BSD-3-Clause
// Which worker a connection belongs to: receive-side scaling, computed.
//
// A port with RSS spreads received segments over its queues by a Toeplitz hash of the 4-tuple and a
// redirection table. The same sum done here says where a port will deliver the answers to a tuple
// (so an active open takes a local port whose answers come to its own core), and does in software
// what a port cannot do. Only the receive direction is ever hashed, so the key need not be
// symmetric, and it is random: nobody outside can aim at one core.
//
// Cost: 12 loads from 12 KiB, one for each octet of the tuple, and one from the redirection table.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "flow/key.hpp"

namespace lastack::flow {

class flow_owner {
  public:
    // Octets of key that a hash over an IPv4 4-tuple uses: its 12, and the width of the result.
    static constexpr std::size_t key_bytes = 16;

    // `key` holds at least key_bytes; what is behind is for longer tuples. `redirection` holds a
    // power of two of worker indices.
    flow_owner(std::span<const std::uint8_t> key, std::vector<std::uint16_t> redirection);

    // As RSS computes it for a segment from the key's remote to its local side. It is linear: of
    // two keys joined by exclusive or, field by field, the hash is the exclusive or of theirs.
    std::uint32_t hash(const key4& key) const {
        const std::uint32_t words[3] = {key.remote.bits, key.local.bits,
                                        std::uint32_t{key.remote_port} << 16 | key.local_port};
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < octets; ++i) {
            sum ^= part_[i][words[i / 4] >> (24 - 8 * (i % 4)) & 0xff];
        }
        return sum;
    }
    unsigned owner_of_hash(std::uint32_t hash) const {
        return redirection_[hash & (redirection_.size() - 1)];
    }
    unsigned owner_of(const key4& key) const { return owner_of_hash(hash(key)); }

  private:
    static constexpr std::size_t octets = 12;

    // part_[i][v]: what octet i contributes when it is v. The hash is linear over exclusive or.
    std::array<std::array<std::uint32_t, 256>, octets> part_{};
    std::vector<std::uint16_t> redirection_;
};

// Worker indices in turn, as many as `entries`, which must be a power of two.
std::vector<std::uint16_t> even_redirection(std::size_t entries, unsigned workers);

}  // namespace lastack::flow
