// SPDX-License-Identifier: BSD-3-Clause
// Incarnation after incarnation of one 4-tuple, with old duplicates of each still under way.
//
// A real stack (stack::core) listens on a virtual clock, or connects, and closes first, so
// TIME_WAIT is its own. The peer is scripted: both ports are always the same, it sends octets that
// no two incarnations have in common, and answers the stack's FIN. Each of its segments may leave a
// copy on the wire that arrives up to MSL later, into whatever incarnation is then alive; copies
// arrive in any order. What the application reads is compared with what this incarnation was sent.
//
// To make corruption likely where nothing prevents it, the world is small. An incarnation's text is
// 8 to 48 octets in segments of 8, and the peer's ISNs lie within `isn_range` (256) of one another:
// a copy is delivered only if it falls where the new text is. Over all of 2^32 that would happen to
// one copy in 10^8. Incarnations follow one another within a second, so that dozens of copies meet
// the next ones, and the peer's window is 8 MiB (see duplicate_peer::syn()).
#pragma once

#include <cstdint>
#include <string>

namespace lastack::model {

// How the peer chooses the ISN of its next incarnation.
enum class isn_choice : std::uint8_t {
    random,  // anywhere in the range
    beyond,  // above the last one's end, by up to the range
    below,   // under the last one's end, by up to the range
};
// Whether the peer offers timestamps.
enum class ts_choice : std::uint8_t {
    never,
    always,
    begins,  // pairs: first without, then with, then a pause of 2 MSL (RFC 6191 B1)
    now_and_then,
};

// Who connects.
enum class opener : std::uint8_t {
    peer,
    stack,        // from the one port there is, with tcp_tw_reuse=1 (R55)
    stack_bound,  // from that port bound with SO_REUSEADDR, which needs no delay (R56)
};

struct duplicates_profile {
    const char* name = "";
    bool time_wait = true;  // false: tcp_max_tw_buckets = 0
    isn_choice isn = isn_choice::random;
    ts_choice timestamps = ts_choice::never;
    opener opens = opener::peer;
    std::uint32_t isn_range = 256;
};

struct duplicates_report {
    std::uint64_t incarnations = 0;
    std::uint64_t octets = 0;      // delivered to the application
    std::uint64_t duplicates = 0;  // copies that arrived in a later incarnation than their own
    std::uint64_t reopened = 0;    // incarnations that began in TIME_WAIT (R47, R48)
    std::uint64_t waited = 0;      // that TIME_WAIT kept out at first
    std::uint64_t corrupted = 0;   // that were delivered an octet not theirs
    std::uint64_t broken = 0;      // that did not end as they should, or were reset
    std::string first;             // the first corruption, in words
};

duplicates_report run_duplicates(const duplicates_profile& p, std::uint64_t seed,
                                 std::uint64_t incarnations);

}  // namespace lastack::model
