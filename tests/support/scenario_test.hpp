// SPDX-License-Identifier: BSD-3-Clause
// A scenario for GoogleTest: what finish() finds wrong fails the test.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "support/peer.hpp"

namespace lastack::test {

class checked_scenario : public scenario {
  public:
    using scenario::scenario;
    ~checked_scenario() override { EXPECT_EQ(finish(), ""); }
};

using teardown::state;

// Octets that differ from their neighbours, so that a slip shows.
inline std::string octets(std::size_t n, std::size_t from = 0) {
    std::string s(n, '\0');
    for (std::size_t i = 0; i < n; ++i) {
        s[i] = static_cast<char>((from + i) * 31 + (from + i) / 256);
    }
    return s;
}

// The peer says it, and the stack takes it in; the rest of the turn is to come.
inline void feed(scenario& s, remote& r, const seg& say) {
    rte_mbuf* m = make_frame(s.pools().data, r.packet(say));
    ASSERT_NE(m, nullptr);
    s.core().input({&m, 1}, s.now());
}

// The first 28 octets of a packet of ours, as a router would quote them.
inline std::vector<std::uint8_t> quote(const remote& r, std::int64_t seq,
                                       std::uint16_t length = 40) {
    std::vector<std::uint8_t> q(28);
    wire::ipv4_header ip;
    ip.source = stack_address;
    ip.destination = peer_address;
    ip.ttl = 60;
    ip.protocol = 6;
    ip.total_length = length;
    wire::write_ipv4(q.data(), ip);
    store_be16(q.data() + 20, r.stack_port);
    store_be16(q.data() + 22, r.port);
    store_be32(q.data() + 24, r.irs + static_cast<std::uint32_t>(seq));
    return q;
}

// When each of the segments was heard, in milliseconds after `start`.
inline std::vector<std::int64_t> times_ms(const std::vector<heard_segment>& segments,
                                          instant start) {
    std::vector<std::int64_t> times;
    for (const heard_segment& h : segments) {
        times.push_back((h.at.us - start.us) / 1000);
    }
    return times;
}

}  // namespace lastack::test
