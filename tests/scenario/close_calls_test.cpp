// SPDX-License-Identifier: BSD-3-Clause
// close(), shutdown() and abort() in each state: section A of the requirements.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

// R01
TEST(close_calls, close_sends_fin_and_enters_fin_wait_1) {
    checked_scenario s;
    remote& r = s.make_established();
    s.close(r.id);
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
    EXPECT_EQ(s.core().states().orphans, 1u);
}

// R01
TEST(close_calls, fin_rides_on_the_last_queued_text) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().send(r.id, std::as_bytes(std::span{"abc", 3})));
    s.close(r.id);
    EXPECT_EQ(r.heard(), "FP. 1:5(3) ack 1");
}

// R01
TEST(close_calls, fin_waits_behind_text_that_the_window_holds_back) {
    checked_scenario s;
    peer_options o;
    o.wscale = -1;
    o.window = 1460;
    remote& r = s.make_established(o);
    s.send(r.id, octets(2000));
    s.close(r.id);
    EXPECT_EQ(r.heard(), ". 1:1461(1460) ack 1");
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "FP. 1461:2002(540) ack 1");
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
}

// R02
TEST(close_calls, close_in_close_wait_sends_the_rest_and_fin_and_ends_without_time_wait) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    ASSERT_TRUE(s.calls().send(r.id, std::as_bytes(std::span{"abc", 3})));
    s.close(r.id);
    EXPECT_EQ(r.heard(), "FP. 1:5(3) ack 2");
    EXPECT_EQ(s.in_state(state::last_ack), 1u);
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.events(r.id), "ended:clean_passive");
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
    EXPECT_EQ(s.tcp().connections(), 0u);
}

// R03
TEST(close_calls, close_in_syn_sent_is_silent_and_a_late_syn_ack_is_reset) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.heard();
    s.close(r.id);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.events(r.id), "ended:closed_before_open");
    r.send(seg("S."));
    EXPECT_EQ(r.heard(), "R 1:1(0)");
    s.advance(200s);
    EXPECT_EQ(r.heard(), "");
}

// R04
TEST(close_calls, close_after_a_crossed_syn_sends_fin_behind_the_handshake) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.send(seg("S"));
    r.heard();
    s.close(r.id);
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
    EXPECT_EQ(r.heard(), "");
    r.send(seg("."));  // acknowledges the SYN
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.events(r.id), "ended:clean_active");
}

// R04
TEST(close_calls, close_after_a_crossed_syn_outlives_the_peers_syn_ack) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.send(seg("S"));
    s.close(r.id);
    r.heard();
    r.send(seg("S.").seq(0));  // the peer's answer to our SYN
    s.advance(3s);
    r.send(seg("."));
    s.advance(3s);
    EXPECT_NE(r.heard().find("F. 1:2(0) ack 1"), std::string::npos);
    r.send(seg("F."));
    EXPECT_EQ(s.events(r.id), "ended:clean_active");
}

// R04
TEST(close_calls, abort_after_close_in_a_crossed_open_resets) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.send(seg("S"));
    s.shutdown(r.id, shutdown_how::write);
    r.heard();
    s.abort(r.id);
    EXPECT_EQ(r.heard(), "R. 1:1(0) ack 1");
}

// R04
TEST(close_calls, close_at_once_when_accepted_sends_fin) {
    checked_scenario s;
    s.on_event = [&s](const event& e) {
        if ((e.what & event_bits::opened) != 0) {
            ASSERT_TRUE(s.calls().close(e.conn, completion::event));
        }
    };
    remote& r = s.make_syn_received();
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
    s.on_event = nullptr;
}

// R05
TEST(close_calls, closing_a_listener_forgets_half_open_children_silently) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    s.turn();
    EXPECT_EQ(r.heard(), "");
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "R 1:1(0)");
    s.advance(100s);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.tcp().syn_records(), 0u);
}

// R05
TEST(close_calls, closing_a_listener_resets_children_that_nobody_took) {
    checked_scenario s;
    remote& r = s.make_syn_received();
    // The segment arrives, but before its `opened` is taken the listener is closed.
    const auto frame = r.packet(seg("."));
    rte_mbuf* m = make_frame(s.pools().data, frame);
    s.core().input({&m, 1}, s.now());
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    s.turn();
    EXPECT_EQ(r.heard(), "R. 1:1(0) ack 1");
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.tcp().sockets(), 0u);
    EXPECT_EQ(s.ended(close_outcome::aborted_listener_closed), 1u);
}

// R05
TEST(close_calls, closing_a_listener_leaves_accepted_connections_alone) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().close_listener(s.listener()));
    s.turn();
    EXPECT_EQ(s.state_of(r.id), state::established);
    EXPECT_FALSE(s.calls().close_listener(s.listener()));
    remote& late = s.new_remote();
    late.send(seg("S"));
    EXPECT_EQ(late.heard(), "R. 0:0(0) ack 1");
}

// R06
TEST(close_calls, close_with_unread_data_resets) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").text("abcd"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 5");
    s.events(r.id);
    s.close(r.id);
    EXPECT_EQ(r.heard(), "R. 1:1(0) ack 5");
    EXPECT_EQ(s.events(r.id), "ended:aborted_unread_data");
    EXPECT_EQ(s.count(counter::abort_on_close), 1u);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
    EXPECT_EQ(s.tcp().connections(), 0u);
}

// R06
TEST(close_calls, close_with_half_read_data_resets) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").text("abcd"));
    std::array<std::byte, 2> half;
    ASSERT_EQ(s.calls().receive(r.id, half).value(), 2u);
    r.heard();
    s.close(r.id);
    EXPECT_EQ(r.heard(), "R. 1:1(0) ack 5");
}

// R06
TEST(close_calls, unread_data_goes_before_linger) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_linger(r.id, {true, 5s}));
    r.send(seg("P.").text("abcd"));
    r.heard();
    s.events(r.id);
    s.close(r.id);
    EXPECT_EQ(r.heard(), "R. 1:1(0) ack 5");
    EXPECT_EQ(s.events(r.id), "ended:aborted_unread_data");
}

// R06
TEST(close_calls, a_fin_alone_is_not_unread_data) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    s.close(r.id);
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 2");
}

// R06
TEST(close_calls, data_handed_over_and_retransmissions_of_it_are_read) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").text("abcd"));
    EXPECT_EQ(s.receive(r.id), "abcd");
    r.send(seg("P.").seq(1).text("abcd"));
    r.heard();
    s.close(r.id);
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 5");
}

// R06
TEST(close_calls, close_with_unread_data_behind_a_fin_resets_too) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("FP.").text("abcd"));
    r.heard();
    s.close(r.id);
    EXPECT_EQ(r.heard(), "R. 1:1(0) ack 6");
}

// R07
TEST(close_calls, data_after_close_in_fin_wait_1_is_reset) {
    checked_scenario s;
    remote& r = s.make_established();
    s.close(r.id);
    r.heard();
    r.send(seg("P.").ack(1).text("abc"));
    EXPECT_EQ(r.heard(), "R 1:1(0)");
    EXPECT_EQ(s.events(r.id), "ended:aborted_data_after_close");
    EXPECT_EQ(s.count(counter::abort_on_data), 1u);
    EXPECT_EQ(s.tcp().connections(), 0u);
}

// R07
TEST(close_calls, data_after_close_in_fin_wait_2_is_reset) {
    checked_scenario s;
    remote& r = s.make_orphan_fin_wait_2();
    r.send(seg("P.").text("abc"));
    EXPECT_EQ(r.heard(), "R 2:2(0)");
    EXPECT_EQ(s.events(r.id), "ended:aborted_data_after_close");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 0u);
}

// R07
TEST(close_calls, pure_ack_and_old_segment_after_close_are_tolerated) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("P.").text("abc"));
    s.receive(r.id);
    s.close(r.id);
    r.send(seg("."));
    r.heard();
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    r.send(seg("P.").seq(1).text("abc"));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 4");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
}

// R08
TEST(close_calls, shutdown_write_keeps_the_receive_side_open_for_ever) {
    checked_scenario s;
    remote& r = s.make_fin_wait_2();
    s.advance(3600s);
    EXPECT_EQ(s.state_of(r.id), state::fin_wait_2);
    r.send(seg("P.").text("late"));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 5");
    EXPECT_EQ(s.receive(r.id), "late");
    const auto sent = s.calls().send(r.id, std::as_bytes(std::span{"x", 1}));
    EXPECT_EQ(sent.error(), call_error::closed_for_sending);
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 6");
    EXPECT_EQ(s.events(r.id), "readable peer_closed ended:clean_active");
    EXPECT_TRUE(s.calls().receive(r.id));
    s.close(r.id);
}

// R09
TEST(close_calls, shutdown_read_sends_nothing_and_later_data_is_still_taken) {
    checked_scenario s;
    remote& r = s.make_established();
    s.shutdown(r.id, shutdown_how::read);
    EXPECT_EQ(r.heard(), "");
    std::array<std::byte, 10> text;
    EXPECT_EQ(s.calls().receive(r.id, text).value(), 0u);
    r.send(seg("P.").text("abc"));
    EXPECT_EQ(r.heard(), ". 1:1(0) ack 4");
    EXPECT_EQ(s.receive(r.id), "abc");
    EXPECT_EQ(s.calls().receive(r.id, text).value(), 0u);
}

// R10
TEST(close_calls, data_after_shutdown_both_is_reset) {
    checked_scenario s;
    remote& r = s.make_established();
    s.shutdown(r.id, shutdown_how::both);
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
    r.send(seg("P.").text("abc"));
    EXPECT_EQ(r.heard(), "R 2:2(0)");
    EXPECT_EQ(s.events(r.id), "ended:aborted_data_after_close");
    s.close(r.id);
}

// R10
TEST(close_calls, data_after_shutdown_write_is_accepted) {
    checked_scenario s;
    remote& r = s.make_fin_wait_1();
    r.send(seg("P.").ack(1).text("abc"));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 4");
    EXPECT_EQ(s.receive(r.id), "abc");
}

// R11
TEST(close_calls, close_after_shutdown_sends_nothing_further) {
    checked_scenario s;
    remote& r = s.make_fin_wait_1();
    s.shutdown(r.id, shutdown_how::write);
    s.close(r.id);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
    r.send(seg("."));
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
}

// R11
TEST(close_calls, shutdown_of_an_ended_connection_is_refused) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("R"));
    EXPECT_EQ(s.calls().shutdown(r.id, shutdown_how::write).error(), call_error::not_connected);
}

// R12
TEST(close_calls, linger_zero_aborts) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_linger(r.id, {true, 0s}));
    s.send(r.id, "abc");
    r.heard();
    s.close(r.id);
    EXPECT_EQ(r.heard(), "R. 4:4(0) ack 1");
    EXPECT_EQ(s.events(r.id), "ended:aborted_by_application");
    EXPECT_EQ(s.tcp().connections(), 0u);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R12
TEST(close_calls, abort_after_shutdown_resets_behind_the_fin) {
    checked_scenario s;
    remote& r = s.make_fin_wait_1();
    s.abort(r.id);
    EXPECT_EQ(r.heard(), "R. 2:2(0) ack 1");
    remote& q = s.make_fin_wait_2();
    s.abort(q.id);
    EXPECT_EQ(q.heard(), "R. 2:2(0) ack 1");
}

// R12
TEST(close_calls, abort_resets_from_close_wait_and_syn_received) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    s.abort(r.id);
    EXPECT_EQ(r.heard(), "R. 1:1(0) ack 2");
    remote& q = s.make_syn_sent();
    q.send(seg("S"));
    q.heard();
    s.abort(q.id);
    EXPECT_EQ(q.heard(), "R. 1:1(0) ack 1");
}

// R12
TEST(close_calls, abort_in_closing_and_last_ack_is_silent_when_all_was_sent) {
    checked_scenario s;
    remote& r = s.make_closing();
    s.abort(r.id);
    EXPECT_EQ(r.heard(), "");
    remote& q = s.make_close_wait();
    s.shutdown(q.id, shutdown_how::write);
    EXPECT_EQ(q.heard(), "F. 1:2(0) ack 2");
    s.abort(q.id);
    EXPECT_EQ(q.heard(), "");
    EXPECT_EQ(s.tcp().connections(), 0u);
}

// R12
TEST(close_calls, abort_in_last_ack_resets_when_something_was_not_sent) {
    checked_scenario s;
    peer_options o;
    o.wscale = -1;
    o.window = 4;
    remote& r = s.make_close_wait(o);
    s.send(r.id, "abcdef");
    s.shutdown(r.id, shutdown_how::write);
    r.heard();
    const auto nxt = r.next_ack;
    s.abort(r.id);
    EXPECT_EQ(r.heard(), "R. " + std::to_string(nxt) + ":" + std::to_string(nxt) + "(0) ack 2");
}

// R12
TEST(close_calls, abort_in_syn_sent_and_time_wait_sends_nothing) {
    checked_scenario s;
    remote& r = s.make_syn_sent();
    r.heard();
    s.abort(r.id);
    EXPECT_EQ(r.heard(), "");
    remote& q = s.make_fin_wait_2();
    q.send(seg("F."));
    q.heard();
    s.abort(q.id);
    EXPECT_EQ(q.heard(), "");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
}

// R13
TEST(close_calls, linger_with_a_time_completes_when_the_fin_is_acknowledged) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_linger(r.id, {true, 5s}));
    s.close(r.id);
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
    EXPECT_EQ(s.events(r.id), "");
    r.send(seg("F."));
    EXPECT_EQ(s.events(r.id), "ended:clean_active");
}

// R13
TEST(close_calls, linger_runs_out_and_the_connection_goes_on_in_the_background) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_linger(r.id, {true, 5s}));
    s.close(r.id);
    s.advance(4900ms);
    EXPECT_EQ(s.events(r.id), "");
    s.advance(200ms);
    EXPECT_EQ(s.events(r.id), "ended:none");
    EXPECT_EQ(s.tcp().sockets(), 0u);
    EXPECT_EQ(s.in_state(state::fin_wait_1), 1u);
    EXPECT_EQ(r.heard().find('R'), std::string::npos);
    r.send(seg("F."));
    EXPECT_EQ(r.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.ended(close_outcome::clean_active), 1u);
    EXPECT_EQ(s.events(r.id), "");
}

// R13
TEST(close_calls, linger_completes_in_fin_wait_2) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_linger(r.id, {true, 5s}));
    s.close(r.id);
    r.send(seg("."));
    EXPECT_EQ(s.events(r.id), "ended:none");
    EXPECT_EQ(s.tcp().sockets(), 0u);
    EXPECT_EQ(s.in_state(state::fin_wait_2), 1u);
}

// R14
TEST(close_calls, close_of_an_ended_connection_completes_at_once) {
    checked_scenario s;
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().set_linger(r.id, {true, 5s}));
    r.send(seg("R"));
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
    s.close(r.id);
    EXPECT_EQ(r.heard(), "");
    EXPECT_EQ(s.tcp().sockets(), 0u);
}

// R15
TEST(close_calls, abort_frees_the_tuple_for_the_next_connection_at_once) {
    checked_scenario s;
    connect_options c;
    c.local = endpoint{stack_address, 5555};
    remote& r = s.make_syn_sent({}, c);
    r.send(seg("S."));
    r.heard();
    EXPECT_EQ(s.calls().connect({peer_address, r.port}, c).error(), call_error::address_in_use);
    s.abort(r.id);
    EXPECT_EQ(r.heard(), "R. 1:1(0) ack 1");
    EXPECT_TRUE(s.calls().connect({peer_address, r.port}, c));
    s.turn();
    EXPECT_EQ(r.heard(), "S 0:1(0)");
}

// R16
TEST(close_calls, the_rst_of_an_abort_carries_a_fresh_timestamp) {
    checked_scenario s;
    peer_options o;
    o.timestamps = true;
    remote& r = s.make_established(o);
    s.send(r.id, "abc");
    const std::uint32_t before = r.last().tcp.options.tsval;
    r.send(seg("."));
    s.advance(250ms);
    r.heard();
    s.abort(r.id);
    EXPECT_EQ(r.heard(), "R. 4:4(0) ack 1");
    ASSERT_TRUE(r.last().tcp.options.has_timestamps);
    EXPECT_EQ(r.last().tcp.options.tsval, before + 250);
}

}  // namespace
}  // namespace lastack::test
