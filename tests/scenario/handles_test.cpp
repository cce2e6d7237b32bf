// SPDX-License-Identifier: BSD-3-Clause
// Handles: how long they are valid, and that a stale one never means another connection.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

TEST(handles, a_closed_handle_is_refused_by_every_call) {
    checked_scenario s;
    remote& r = s.make_established();
    s.close(r.id, completion::none);
    local_stack c = s.calls();
    const std::byte x{};
    std::array<std::byte, 1> into;
    buffer b;
    EXPECT_EQ(c.send(r.id, std::span{&x, 1}).error(), call_error::stale_handle);
    EXPECT_EQ(c.send(r.id, b).error(), call_error::stale_handle);
    EXPECT_EQ(c.receive(r.id).error(), call_error::stale_handle);
    EXPECT_EQ(c.receive(r.id, into).error(), call_error::stale_handle);
    EXPECT_EQ(c.shutdown(r.id, shutdown_how::both).error(), call_error::stale_handle);
    EXPECT_EQ(c.close(r.id).error(), call_error::stale_handle);
    EXPECT_EQ(c.abort(r.id).error(), call_error::stale_handle);
    EXPECT_EQ(c.set_user(r.id, 1).error(), call_error::stale_handle);
    EXPECT_EQ(c.set_linger(r.id, {}).error(), call_error::stale_handle);
    EXPECT_EQ(c.set_no_delay(r.id, true).error(), call_error::stale_handle);
    EXPECT_EQ(c.set_cork(r.id, true).error(), call_error::stale_handle);
    EXPECT_EQ(c.set_keepalive(r.id, {}).error(), call_error::stale_handle);
    EXPECT_EQ(c.set_user_timeout(r.id, 1s).error(), call_error::stale_handle);
    EXPECT_EQ(c.set_linger2(r.id, 1).error(), call_error::stale_handle);
    EXPECT_EQ(c.unread(r.id).error(), call_error::stale_handle);
    EXPECT_EQ(c.unsent(r.id).error(), call_error::stale_handle);
    EXPECT_EQ(c.remote_endpoint(r.id).error(), call_error::stale_handle);
    EXPECT_EQ(c.local_endpoint(r.id).error(), call_error::stale_handle);
    // The connection itself goes on to its end.
    EXPECT_EQ(r.heard(), "F. 1:2(0) ack 1");
}

TEST(handles, a_stale_handle_never_means_the_next_connection_in_its_place) {
    checked_scenario s;
    remote& r = s.make_established();
    const conn_id old = r.id;
    s.abort(old, completion::none);
    for (int i = 0; i < 200; ++i) {
        remote& q = s.make_established();
        EXPECT_NE(q.id, old);
        EXPECT_FALSE(s.calls().abort(old));
        s.abort(q.id, completion::none);
    }
}

TEST(handles, an_invented_handle_is_refused) {
    checked_scenario s;
    EXPECT_EQ(s.calls().close({}).error(), call_error::stale_handle);
    EXPECT_EQ(s.calls().close({0, 0}).error(), call_error::stale_handle);
    EXPECT_EQ(s.calls().close({63, 7}).error(), call_error::stale_handle);
    EXPECT_EQ(s.calls().close_listener({3, 1}).error(), call_error::stale_handle);
}

TEST(handles, completion_comes_once_and_frees_the_handle) {
    checked_scenario s;
    remote& r = s.make_established();
    s.close(r.id);
    r.send(seg("F."));
    EXPECT_EQ(s.events(r.id), "ended:clean_active");
    EXPECT_EQ(s.tcp().sockets(), 0u);
    s.advance(100s);
    EXPECT_EQ(s.events(r.id), "");
}

TEST(handles, without_completion_nothing_is_told) {
    checked_scenario s;
    remote& r = s.make_established();
    s.close(r.id, completion::none);
    EXPECT_EQ(s.tcp().sockets(), 0u);
    r.send(seg("F."));
    EXPECT_EQ(s.events(r.id), "");
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    EXPECT_EQ(s.ended(close_outcome::clean_active), 1u);
}

TEST(handles, a_connection_that_ended_by_itself_keeps_its_handle_until_close) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg("R"));
    EXPECT_EQ(s.events(r.id), "ended:reset_by_peer");
    s.advance(1000s);
    EXPECT_EQ(s.tcp().sockets(), 1u);
    EXPECT_EQ(s.calls().remote_endpoint(r.id).value(), (endpoint{peer_address, r.port}));
    s.close(r.id);
    EXPECT_EQ(s.events(r.id), "");
    EXPECT_EQ(s.tcp().sockets(), 0u);
}

TEST(handles, user_value_comes_with_every_event) {
    checked_scenario s;
    connect_options c;
    c.user = 42;
    std::vector<std::uint64_t> users;
    s.on_event = [&](const event& e) { users.push_back(e.user); };
    remote& r = s.make_syn_sent({}, c);
    r.send(seg("S."));
    ASSERT_TRUE(s.calls().set_user(r.id, 43));
    r.send(seg("P.").text("x"));
    EXPECT_EQ(users, (std::vector<std::uint64_t>{42, 43}));
    s.on_event = nullptr;
}

TEST(handles, endpoints_name_both_sides) {
    checked_scenario s;
    remote& r = s.make_established();
    EXPECT_EQ(s.calls().local_endpoint(r.id).value(), (endpoint{stack_address, listen_port}));
    EXPECT_EQ(s.calls().remote_endpoint(r.id).value(), (endpoint{peer_address, r.port}));
}

TEST(handles, listening_twice_on_a_port_is_refused) {
    checked_scenario s;
    EXPECT_EQ(s.calls().listen({stack_address, listen_port}).error(), call_error::address_in_use);
    EXPECT_EQ(s.calls().listen({ipv4_address{}, listen_port}).error(), call_error::address_in_use);
    EXPECT_EQ(s.calls().listen({ipv4_address{0x01020304}, 81}).error(),
              call_error::address_not_available);
    EXPECT_TRUE(s.calls().listen({ipv4_address{}, 81}));
    EXPECT_TRUE(s.calls().listen({ipv4_address{}, 82}));
    EXPECT_TRUE(s.calls().listen({ipv4_address{}, 83}));
    EXPECT_EQ(s.calls().listen({ipv4_address{}, 84}).error(), call_error::no_memory);
}

TEST(handles, connect_refuses_what_cannot_be_reached) {
    checked_scenario s;
    EXPECT_EQ(s.calls().connect({ipv4_address{0x08080808}, 80}).error(),
              call_error::host_unreachable);
    EXPECT_EQ(s.calls().connect({ipv4_address{}, 80}).error(), call_error::invalid_argument);
    EXPECT_EQ(s.calls().connect({peer_address, 0}).error(), call_error::invalid_argument);
    connect_options c;
    c.local = endpoint{ipv4_address{0x01020304}, 0};
    EXPECT_EQ(s.calls().connect({peer_address, 80}, c).error(), call_error::address_not_available);
}

}  // namespace
}  // namespace lastack::test
