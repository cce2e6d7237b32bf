// SPDX-License-Identifier: BSD-3-Clause
// Which worker is to have a received frame.
//
//   a TCP segment                        the owner of its 4-tuple
//   an ICMP error                        the owner of the 4-tuple it quotes, who alone can judge it
//   an ARP reply or announcement         everybody: each worker keeps neighbours of its own
//   all else (ARP requests, pings, what is broken, fragments)    whoever received it
//
// Nothing is verified here, so that a frame is read once: a wrong checksum sends it to some worker,
// which drops it.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "flow/flow_owner.hpp"

namespace lastack::stack {

struct placement {
    enum class kind : std::uint8_t { receiver, one, all };
    kind who = kind::receiver;
    unsigned worker = 0;  // of kind::one
    friend bool operator==(const placement&, const placement&) = default;
};

// `hashed_by_port`: where a frame says that it carries an RSS hash, that is the hash of `owners`.
placement place_frame(const rte_mbuf* frame, const flow::flow_owner& owners, bool hashed_by_port);

}  // namespace lastack::stack
