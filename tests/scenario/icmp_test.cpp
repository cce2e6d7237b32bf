// SPDX-License-Identifier: BSD-3-Clause
// ICMP: echo, errors and what they may do to a connection (R52, R68), path MTU (RFC 1191).
#include "wire/icmp.hpp"
#include "support/scenario_test.hpp"
#include "wire/checksum.hpp"

namespace lastack::test {
namespace {

TEST(icmp, echo_is_answered_with_the_same_payload) {
    checked_scenario s;
    const std::string text = octets(100);
    s.inject_icmp(8, 0, 0x12340001,
                  {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, peer_address);
    const auto said = s.heard_other();
    ASSERT_EQ(said.size(), 1u);
    const auto* p = reinterpret_cast<const std::uint8_t*>(said[0].data());
    const auto ip = wire::parse_ipv4({p + 14, said[0].size() - 14}, said[0].size() - 14,
                                     wire::checksum_check::verify);
    ASSERT_TRUE(ip);
    EXPECT_EQ(ip->source, stack_address);
    EXPECT_EQ(ip->destination, peer_address);
    const std::span<const std::uint8_t> message{p + 34, said[0].size() - 34};
    EXPECT_EQ(wire::checksum_of(message), 0);
    EXPECT_EQ(wire::parse_icmp(message)->type, 0);
    EXPECT_EQ(wire::parse_icmp(message)->rest, 0x12340001u);
    EXPECT_EQ(said[0].substr(42), text);
}

// R68
TEST(icmp, no_error_ends_a_synchronized_connection) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, "abc");
    for (const int code : {0, 1, 2, 3, 9, 10, 13}) {
        s.inject_icmp(3, static_cast<std::uint8_t>(code), 0, quote(r, 1));
    }
    s.inject_icmp(11, 0, 0, quote(r, 1));
    s.inject_icmp(12, 0, 0, quote(r, 1));
    EXPECT_EQ(s.state_of(r.id), state::established);
    EXPECT_EQ(s.tcp().connection(r.id)->soft_error, 1);
    EXPECT_EQ(s.count(counter::icmp_quote_out_of_window), 0u);
}

// R68
TEST(icmp, a_quote_outside_what_is_outstanding_is_not_believed) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, "abc");
    s.inject_icmp(3, 1, 0, quote(r, 0));
    s.inject_icmp(3, 1, 0, quote(r, 4));
    s.inject_icmp(3, 4, 576, quote(r, 4000, 1500));
    EXPECT_EQ(s.tcp().connection(r.id)->soft_error, 0);
    EXPECT_EQ(s.tcp().connection(r.id)->mss, 1460);
    EXPECT_EQ(s.count(counter::icmp_quote_out_of_window), 3u);
}

// R68
TEST(icmp, port_unreachable_refuses_a_connection_being_opened) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    s.inject_icmp(3, 3, 0, quote(r, 0));
    EXPECT_EQ(s.events(r.id), "ended:refused");
}

// R68
TEST(icmp, host_unreachable_ends_a_connection_being_opened) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    s.inject_icmp(3, 1, 0, quote(r, 0));
    EXPECT_EQ(s.events(r.id), "ended:host_unreachable");
}

TEST(icmp, time_exceeded_ends_an_attempt_to_connect) {  // R68
    checked_scenario s;
    remote& r = s.make_syn_sent();
    s.inject_icmp(11, 0, 0, quote(r, 0));
    EXPECT_EQ(s.events(r.id), "ended:host_unreachable");
}

TEST(icmp, time_exceeded_is_what_an_open_connection_that_times_out_ends_with) {  // R65, R68
    scenario_options o;
    o.settings.tcp_retries2 = 3;
    checked_scenario s{o};
    remote& told = s.make_established();
    remote& untold = s.make_established();
    s.send(told.id, "abc");
    s.send(untold.id, "abc");
    s.inject_icmp(11, 0, 0, quote(told, 1));
    EXPECT_EQ(s.events(told.id), "");
    s.advance(60s);
    EXPECT_EQ(s.events(told.id), "ended:timed_out_retransmit");
    EXPECT_EQ(s.events(untold.id), "ended:timed_out_retransmit");
    EXPECT_EQ(s.calls().receive(told.id).error(), call_error::host_unreachable);
    EXPECT_EQ(s.calls().receive(untold.id).error(), call_error::timed_out);
}

TEST(icmp, a_soft_error_is_forgotten_when_the_peer_acknowledges) {  // R68
    scenario_options o;
    o.settings.tcp_retries2 = 3;
    checked_scenario s{o};
    remote& r = s.make_established();
    s.send(r.id, "abc");
    s.inject_icmp(11, 0, 0, quote(r, 1));
    r.send(seg("."));
    s.send(r.id, "def");
    s.advance(60s);
    EXPECT_EQ(s.calls().receive(r.id).error(), call_error::timed_out);
}

// R62, R68
TEST(icmp, a_soft_error_takes_no_retries_from_an_orphan_whose_rto_still_grows) {
    scenario_options o;
    o.settings.tcp_early_retrans = 0;
    checked_scenario s{o};
    remote& r = s.make_established();
    s.close(r.id);
    s.advance(250ms);
    s.inject_icmp(3, 1, 0, quote(r, 1));
    s.advance(30s);
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
    r.heard();
    s.advance(60s);
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
    r.send(seg("F."));  // the path is back
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
}

// R62, R68
TEST(icmp, a_pending_soft_error_ends_an_orphan_at_the_longest_rto) {
    scenario_options o;
    o.settings.tcp_early_retrans = 0;
    o.settings.tcp_rto_max_ms = 1000;
    o.settings.tcp_orphan_retries = 100;
    checked_scenario s{o};
    remote& r = s.make_established();
    remote& shut = s.make_established();
    shut.send(seg(".").window(0));
    s.close(r.id);
    s.close(shut.id);
    s.advance(5s);
    EXPECT_EQ(s.tcp().orphans(), 2u);
    s.inject_icmp(3, 1, 0, quote(r, 1));
    s.advance(1100ms);
    EXPECT_EQ(s.events(r.id), "ended:timed_out_orphan");
    EXPECT_EQ(s.tcp().orphans(), 1u);
}

TEST(icmp, fragmentation_needed_lowers_the_mss_and_sends_again) {
    checked_scenario s;
    remote& r = s.make_established();
    s.send(r.id, octets(1460));
    EXPECT_EQ(r.heard(), "P. 1:1461(1460) ack 1");
    s.inject_icmp(3, 4, 1000, quote(r, 1, 1500));
    EXPECT_EQ(r.heard(), ". 1:961(960) ack 1; P. 961:1461(500) ack 1");
    r.send(seg("."));
    s.send(r.id, octets(1000));
    EXPECT_EQ(r.heard(), ". 1461:2421(960) ack 1; P. 2421:2461(40) ack 1");
    // The next connection to that peer begins with it.
    remote& q = s.make_syn_sent();
    EXPECT_EQ(q.last().tcp.options.mss, 960);
}

TEST(icmp, a_bad_checksum_is_dropped) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    auto q = quote(r, 0);
    std::vector<std::uint8_t> message{3, 3, 0xbe, 0xef, 0, 0, 0, 0};
    message.insert(message.end(), q.begin(), q.end());
    wire::ipv4_header ip;
    ip.source = peer_address;
    ip.destination = stack_address;
    ip.ttl = 64;
    ip.protocol = 1;
    s.inject(ip_frame(ip, message));
    EXPECT_EQ(s.state_of(r.id), state::syn_sent);
    EXPECT_EQ(s.count(counter::icmp_in_errors), 1u);
}

}  // namespace
}  // namespace lastack::test
