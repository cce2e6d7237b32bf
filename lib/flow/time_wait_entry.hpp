// SPDX-License-Identifier: BSD-3-Clause
// A TIME_WAIT record as the table's user sees it, and what the table answers with.
#pragma once

#include <cstdint>

#include "base/seq32.hpp"

namespace lastack::flow {

template <class Key>
struct time_wait_entry {
    Key key;
    seq32 snd_nxt;
    seq32 rcv_nxt;
    std::uint32_t ts_recent = 0;
    std::uint16_t window = 0;  // as last advertised: on the wire, unscaled
    bool timestamps = false;   // the connection had them
    bool ts_strict = false;    // only timestamps tell older text from newer (R69)
    bool ts_plain = false;     // its timestamps have no offset (tcp_timestamps=2)
    bool fin_wait_2 = false;   // the peer's FIN is still to come (R60)
    bool parked = false;       // TIME_WAIT: a new incarnation is being opened (R49)
    bool waiter = false;       // FIN_WAIT_2: somebody is to be told when it ends
    bool reuse_addr = false;   // SO_REUSEADDR (R56)
    bool reuse_port = false;   // SO_REUSEPORT (R56)
    friend bool operator==(const time_wait_entry&, const time_wait_entry&) = default;
};

// Where a record is. Good until the record goes; `at`, where the index has it, until another record
// is entered, which may move that. `at` is none in what expire(), walk() and oldest() give: such a
// record can be read and marked, but must be found by its key before it is restarted or erased.
struct time_wait_slot {
    static constexpr std::uint32_t none = ~0u;
    std::uint32_t body = none;
    std::uint32_t at = none;
    constexpr explicit operator bool() const { return body != none; }
    friend constexpr bool operator==(time_wait_slot, time_wait_slot) = default;
};

struct expire_result {
    std::uint32_t expired = 0;
    std::uint32_t touched = 0;  // records looked at; at most the budget
    bool more = false;          // the budget ran out before the queue did
};

}  // namespace lastack::flow
