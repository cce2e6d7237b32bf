// SPDX-License-Identifier: BSD-3-Clause
// Listeners under load: backlog (R64), SYN floods (R75), accept order.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

// R75
TEST(backlog, a_flood_of_syns_takes_records_and_never_connections) {
    checked_scenario s;
    for (int i = 0; i < 1000; ++i) {
        s.new_remote().send(seg("S"));
    }
    EXPECT_EQ(s.tcp().syn_records(), 64u);
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.tcp().sockets(), 0u);
    EXPECT_EQ(s.count(counter::syn_record_full), 1000u - 64u);
    // The application's own connections still open, and when the flood is over so do the peer's.
    remote& r = s.make_connected();
    EXPECT_EQ(s.state_of(r.id), state::established);
    s.advance(64s);
    EXPECT_EQ(s.tcp().syn_records(), 0u);
    remote& q = s.make_established();
    EXPECT_EQ(s.state_of(q.id), state::established);
}

// R75
TEST(backlog, half_open_connections_are_limited_by_the_backlog) {
    scenario_options o;
    o.listening.backlog = 2;
    checked_scenario s{o};
    s.make_syn_received();
    s.make_syn_received();
    remote& r = s.new_remote();
    r.send(seg("S"));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.count(counter::listen_drops), 1u);
}

// R64
TEST(backlog, when_the_accept_queue_is_full_the_final_ack_is_dropped_and_the_peer_retries) {
    scenario_options o;
    o.listening.backlog = 1;
    checked_scenario s{o};
    remote& first = s.make_syn_received();
    // The second SYN arrives while the first connection is half open, so widen for a moment: the
    // accept queue counts only what is established.
    feed(s, first, seg("."));
    EXPECT_EQ(s.tcp().connections(), 1u);
    remote& second = s.new_remote();
    feed(s, second, seg("S"));
    EXPECT_EQ(s.tcp().syn_records(), 0u);
    EXPECT_EQ(s.count(counter::listen_overflows), 1u);
    s.turn();  // the application takes the first
    second.next_seq = 0;
    second.send(seg("S"));
    EXPECT_EQ(second.heard(), "S. 0:1(0) ack 1");
}

// R64
TEST(backlog, final_ack_beyond_the_accept_queue_is_dropped_and_syn_ack_sent_again) {
    scenario_options o;
    o.listening.backlog = 2;
    checked_scenario s{o};
    remote& a = s.make_syn_received();
    remote& b = s.make_syn_received();
    feed(s, a, seg("."));
    remote& c = s.new_remote();
    feed(s, c, seg("S"));
    s.core().output(s.now());
    c.heard();
    feed(s, b, seg("."));
    feed(s, c, seg("."));  // two wait already
    EXPECT_EQ(s.tcp().connections(), 2u);
    EXPECT_EQ(s.tcp().syn_records(), 1u);
    s.turn();
    s.advance(1100ms);
    EXPECT_EQ(c.heard(), "S. 0:1(0) ack 1");
    c.send(seg("."));
    EXPECT_EQ(s.state_of(c.id), state::established);
}

// R64
TEST(backlog, tcp_abort_on_overflow_resets_instead) {
    scenario_options o;
    o.listening.backlog = 2;
    o.settings.tcp_abort_on_overflow = true;
    checked_scenario s{o};
    remote& a = s.make_syn_received();
    remote& b = s.make_syn_received();
    feed(s, a, seg("."));
    remote& c = s.new_remote();
    feed(s, c, seg("S"));
    s.core().output(s.now());
    c.heard();
    feed(s, b, seg("."));
    feed(s, c, seg("."));
    s.turn();
    EXPECT_EQ(c.heard(), "R 1:1(0)");
    EXPECT_EQ(s.tcp().syn_records(), 0u);
}

TEST(backlog, connections_are_accepted_in_the_order_of_their_handshakes) {
    checked_scenario s;
    remote& a = s.make_syn_received();
    remote& b = s.make_syn_received();
    feed(s, b, seg("."));
    feed(s, a, seg("."));
    std::vector<std::uint16_t> order;
    s.on_event = [&](const event& e) {
        order.push_back(s.calls().remote_endpoint(e.conn).value().port);
    };
    s.turn();
    EXPECT_EQ(order, (std::vector<std::uint16_t>{b.port, a.port}));
    s.on_event = nullptr;
}

TEST(backlog, a_connection_reset_before_it_was_taken_is_still_told) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    feed(s, r, seg("P.").text("x"));
    feed(s, r, seg("R"));
    std::string told;
    conn_id id{};
    s.on_event = [&](const event& e) {
        id = e.conn;
        told += std::to_string(e.what) + " ";
    };
    s.turn();
    EXPECT_EQ(told,
              std::to_string(event_bits::opened | event_bits::readable | event_bits::ended) + " ");
    EXPECT_EQ(s.receive(id), "x");
    s.close(id);
    EXPECT_EQ(s.tcp().sockets(), 0u);
    s.on_event = nullptr;
}

TEST(backlog, when_connections_run_out_the_peer_retries_until_one_is_free) {
    scenario_options o;
    o.settings.connections = 4;
    checked_scenario s{o};
    std::vector<remote*> all;
    for (int i = 0; i < 4; ++i) {
        all.push_back(&s.make_established());
    }
    remote& r = s.make_syn_received();
    r.send(seg("."));
    EXPECT_EQ(s.tcp().connections(), 4u);
    EXPECT_EQ(s.tcp().syn_records(), 1u);
    s.abort(all[0]->id, completion::none);
    s.advance(1100ms);
    EXPECT_EQ(r.heard(), "S. 0:1(0) ack 1");
    r.send(seg("."));
    EXPECT_EQ(s.state_of(r.id), state::established);
}

}  // namespace
}  // namespace lastack::test
