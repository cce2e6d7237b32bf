// SPDX-License-Identifier: BSD-3-Clause
// ICMP: echo answered in place, errors read, the rest dropped under a name.
#include "ip/icmp.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

#include "base/byte_order.hpp"
#include "wire/checksum.hpp"
#include "wire/icmp.hpp"
#include "wire/ipv4.hpp"

using namespace lastack;
using namespace lastack::ip;

namespace {

using bytes = std::vector<std::uint8_t>;
using verdict = icmp_verdict::kind;
using error = icmp_error_kind;

// The IP header of 10.0.0.2 -> 10.0.0.9, 1500 octets of TCP, and 8 octets of the segment.
bytes quote() {
    bytes q(20);
    wire::ipv4_header h;
    h.source = {0x0a000002};
    h.destination = {0x0a000009};
    h.total_length = 1500;
    h.ttl = 1;
    h.protocol = wire::protocol_tcp;
    wire::write_ipv4(q.data(), h);
    for (const std::uint8_t octet : {0x00, 0x50, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef}) {
        q.push_back(octet);
    }
    return q;
}

bytes message(std::uint8_t type, std::uint8_t code, const bytes& payload, std::uint32_t rest = 0) {
    bytes m(8);
    wire::write_icmp(m.data(), {type, code, rest});
    m.insert(m.end(), payload.begin(), payload.end());
    return m;
}

void expect_dropped(const bytes& m, counter c) {
    const icmp_verdict v = judge_icmp(m);
    EXPECT_EQ(v.what, verdict::drop);
    EXPECT_EQ(v.count, c);
}

bytes echo_packet(const bytes& ip_options, const bytes& icmp) {
    bytes p(20);
    wire::ipv4_header h;
    h.source = {0x0a000001};
    h.destination = {0x0a000002};
    h.total_length = static_cast<std::uint16_t>(20 + ip_options.size() + icmp.size());
    h.identification = 77;
    h.ttl = 3;
    h.protocol = wire::protocol_icmp;
    wire::write_ipv4(p.data(), h);
    p.insert(p.end(), ip_options.begin(), ip_options.end());
    p[0] = static_cast<std::uint8_t>(0x40 | p.size() / 4);
    store_be16(&p[10], 0);
    store_be16(&p[10], wire::checksum_of(p));
    const std::size_t at = p.size();
    p.insert(p.end(), icmp.begin(), icmp.end());
    store_be16(&p[at + 2], 0);
    store_be16(&p[at + 2], wire::checksum_of(std::span{p}.subspan(at)));
    return p;
}

void expect_reply(const bytes& request) {
    bytes reply = request;
    make_echo_reply(reply, 64);
    const auto ip =
        wire::parse_ipv4(reply, reply.size(), wire::checksum_check::verify);  // sums it up anew
    ASSERT_TRUE(ip.ok());
    EXPECT_EQ(ip->source.bits, 0x0a000002u);
    EXPECT_EQ(ip->destination.bits, 0x0a000001u);
    EXPECT_EQ(ip->ttl, 64);
    const auto icmp = std::span{reply}.subspan(ip->header_length);
    EXPECT_EQ(icmp[0], wire::icmp_type::echo_reply);
    EXPECT_EQ(wire::checksum_of(icmp), 0);
    const auto before = std::span{request}.subspan(ip->header_length);
    EXPECT_TRUE(std::equal(icmp.begin() + 4, icmp.end(), before.begin() + 4, before.end()));
}

}  // namespace

TEST(icmp, an_echo_request_becomes_its_reply_in_place) {
    const bytes request = message(8, 0, {1, 2, 3, 4, 5}, 0x12340001);
    EXPECT_EQ(judge_icmp(request).what, verdict::echo_request);
    EXPECT_EQ(judge_icmp(request).count, counter::icmp_echo_in);
    expect_reply(echo_packet({}, request));
    expect_reply(echo_packet({148, 4, 0, 0}, request));
}

TEST(icmp, a_reply_that_is_all_zeros_has_a_checksum_that_holds) {
    expect_reply(echo_packet({}, message(8, 0, {})));
    expect_reply(echo_packet({}, message(8, 0, bytes(56))));
    expect_reply(echo_packet({}, message(8, 0, {}, 0xf7ff0000)));
    expect_reply(echo_packet({}, message(8, 0, {}, 0xffff0000)));
}

RC_GTEST_PROP(icmp, every_echo_reply_has_a_checksum_that_holds,
              (bytes payload, std::uint32_t rest)) {
    expect_reply(echo_packet({}, message(8, 0, payload, rest)));
    RC_ASSERT(!testing::Test::HasFailure());
}

// R68
TEST(icmp, an_error_names_the_segment_it_is_about) {
    const icmp_verdict v = judge_icmp(message(3, 1, quote()));
    ASSERT_EQ(v.what, verdict::error);
    EXPECT_EQ(v.count, counter::icmp_in_unreachable);
    EXPECT_EQ(v.error.kind, error::host_unreachable);
    EXPECT_EQ(v.error.local.bits, 0x0a000002u);
    EXPECT_EQ(v.error.remote.bits, 0x0a000009u);
    EXPECT_EQ(v.error.local_port, 80);
    EXPECT_EQ(v.error.remote_port, 0x1234);
    EXPECT_EQ(v.error.seq.raw, 0xdeadbeefu);
    EXPECT_EQ(v.error.quoted_length, 1500);
}

TEST(icmp, a_quote_with_ip_options_is_read_behind_them) {
    bytes q = quote();
    q[0] = 0x46;
    q.insert(q.begin() + 20, {148, 4, 0, 0});
    const icmp_verdict v = judge_icmp(message(3, 3, q));
    ASSERT_EQ(v.what, verdict::error);
    EXPECT_EQ(v.error.local_port, 80);
}

// R68: RFC 9293 3.9.2.2 for codes 0 to 5, Linux for the others.
TEST(icmp, unreachable_codes_are_hard_or_soft) {
    const bool hard[] = {false, false, true, true,  false, false, true, true,
                         true,  true,  true, false, false, true,  true, true};
    const error kinds[] = {
        error::net_unreachable,  error::host_unreachable, error::protocol_unreachable,
        error::port_unreachable, error::frag_needed,      error::source_route_failed,
        error::net_unreachable,  error::host_unreachable, error::net_unreachable,
        error::prohibited,       error::prohibited,       error::net_unreachable,
        error::host_unreachable, error::prohibited,       error::prohibited,
        error::prohibited};
    for (std::uint8_t code = 0; code < 16; ++code) {
        const icmp_verdict v = judge_icmp(message(3, code, quote()));
        ASSERT_EQ(v.what, verdict::error) << int{code};
        EXPECT_EQ(v.error.hard, hard[code]) << int{code};
        EXPECT_EQ(v.error.kind, kinds[code]) << int{code};
    }
    expect_dropped(message(3, 16, quote()), counter::icmp_in_errors);
}

// RFC 1191 4
TEST(icmp, fragmentation_needed_carries_the_next_hops_mtu) {
    const icmp_verdict v = judge_icmp(message(3, 4, quote(), 1300));
    ASSERT_EQ(v.what, verdict::error);
    EXPECT_EQ(v.count, counter::icmp_in_frag_needed);
    EXPECT_EQ(v.error.mtu, 1300);
    // The upper half is unused and may hold anything.
    EXPECT_EQ(judge_icmp(message(3, 4, quote(), 0xffff0000)).error.mtu, 0);
    EXPECT_EQ(judge_icmp(message(3, 1, quote(), 1300)).error.mtu, 0);
}

TEST(icmp, time_exceeded_is_soft_and_that_of_reassembly_means_nothing) {
    const icmp_verdict v = judge_icmp(message(11, 0, quote()));
    ASSERT_EQ(v.what, verdict::error);
    EXPECT_EQ(v.count, counter::icmp_in_time_exceeded);
    EXPECT_EQ(v.error.kind, error::time_exceeded);
    EXPECT_FALSE(v.error.hard);
    expect_dropped(message(11, 1, quote()), counter::icmp_in_errors);
}

TEST(icmp, a_parameter_problem_is_soft) {
    const icmp_verdict v = judge_icmp(message(12, 0, quote()));
    ASSERT_EQ(v.what, verdict::error);
    EXPECT_EQ(v.error.kind, error::parameter_problem);
    EXPECT_FALSE(v.error.hard);
}

// RFC 9293 3.9.2.2: source quench (type 4) is discarded silently.
TEST(icmp, other_types_and_short_messages_are_dropped) {
    for (int type = 0; type < 256; ++type) {
        if (type != 3 && type != 8 && type != 11 && type != 12) {
            expect_dropped(message(static_cast<std::uint8_t>(type), 0, quote()),
                           counter::icmp_in_errors);
        }
    }
    for (std::size_t n = 0; n < 8; ++n) {
        expect_dropped(bytes(n, 8), counter::icmp_in_errors);
    }
}

TEST(icmp, a_quote_that_is_not_the_beginning_of_a_tcp_segment_is_dropped) {
    const bytes whole = quote();
    for (std::size_t n = 0; n < whole.size(); ++n) {
        expect_dropped(
            message(3, 1, bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n))),
            counter::icmp_quote_unknown);
    }
    const std::vector<std::pair<std::size_t, std::uint8_t>> changes{
        {0, 0x65}, {0, 0x44}, {0, 0x4f}, {9, 17}, {7, 1}};
    for (const auto& [at, value] : changes) {
        bytes q = whole;
        q[at] = value;
        expect_dropped(message(3, 1, q), counter::icmp_quote_unknown);
    }
}
