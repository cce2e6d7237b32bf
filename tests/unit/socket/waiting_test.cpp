// SPDX-License-Identifier: BSD-3-Clause
// Calls that wait: for how long, what ends them, who may make them.
#include <fcntl.h>
#include <linux/tcp.h>
#include <sys/time.h>

#include <thread>

#include "unit/socket/socket_fixture.hpp"

namespace lastack::test {
namespace {

TEST_F(sockets, a_call_from_a_thread_without_a_layer_is_refused) {
    std::string told;
    testing::internal::CaptureStderr();
    std::thread([&] { told = answer(new_socket()) + " " + answer(lastack_close(3)); }).join();
    EXPECT_EQ(told, "EPERM EPERM");
    const std::string line = testing::internal::GetCapturedStderr();
    EXPECT_NE(line.find("owns no stack"), std::string::npos) << line;
    EXPECT_EQ(line.find('\n'), line.size() - 1) << "said once";
}

TEST_F(sockets, connect_to_nobody_is_told_when_the_neighbour_is_given_up) {
    const int fd = new_socket();
    std::string told;
    const duration took = time_of([&] { told = answer(connect_to(fd, ipv4_address{0x0a000009})); });
    EXPECT_EQ(told, "EHOSTUNREACH");
    EXPECT_GT(took, 1s);
    EXPECT_LT(took, 30s);
    EXPECT_EQ(answer(connect_to(fd, ipv4_address{0xc0000201})), "ENETUNREACH");
    EXPECT_EQ(answer(connect_to(fd, ipv4_address{0xe0000001})), "ENETUNREACH");
}

// R65
TEST_F(sockets, connect_times_out_when_every_syn_is_lost) {
    listen_at_server();
    at(client);
    const int first = new_socket();
    EXPECT_EQ(connect_to(first), 0);  // the neighbours know each other
    cut(server, true);
    const int fd = new_socket();
    std::string told;
    const duration took = time_of([&] { told = answer(connect_to(fd)); });
    EXPECT_EQ(told, "ETIMEDOUT");
    EXPECT_GT(took, 60s);
    EXPECT_EQ(get(fd, SOL_SOCKET, SO_ERROR), 0) << "connect() has told it";
}

TEST_F(sockets, connect_with_a_send_timeout_goes_on_without_the_caller) {
    listen_at_server();
    at(client);
    EXPECT_EQ(connect_to(new_socket()), 0);
    cut(server, true);
    const int fd = new_socket();
    EXPECT_EQ(set(fd, SOL_SOCKET, SO_SNDTIMEO, timeval{0, 500000}), 0);
    const duration took = time_of([&] { EXPECT_EQ(answer(connect_to(fd)), "EINPROGRESS"); });
    EXPECT_EQ(took, 500ms);
    EXPECT_EQ(answer(connect_to(fd)), "EALREADY");
    cut(server, false);
    EXPECT_EQ(set(fd, SOL_SOCKET, SO_SNDTIMEO, timeval{}), 0);
    EXPECT_EQ(answer(connect_to(fd)), "0");
    EXPECT_EQ(answer(connect_to(fd)), "EISCONN");
}

TEST_F(sockets, read_waits_for_its_timeout_and_not_longer) {
    establish();
    EXPECT_EQ(set(client_fd, SOL_SOCKET, SO_RCVTIMEO, timeval{3, 250000}), 0);
    const duration took =
        time_of([&] { EXPECT_EQ(answer(lastack_read(client_fd, text, 8)), "EAGAIN"); });
    EXPECT_EQ(took, 3250ms);
}

TEST_F(sockets, read_waits_for_data_that_another_thread_causes) {
    establish();
    while_waiting = [this] {
        at(server);
        EXPECT_EQ(lastack_write(server_fd, "here", 4), 4);
        at(client);
    };
    EXPECT_EQ(answer(lastack_read(client_fd, text, 8)), "4");
}

TEST_F(sockets, write_waits_while_nobody_reads_and_tells_what_went) {
    establish();
    EXPECT_EQ(set(client_fd, SOL_SOCKET, SO_SNDTIMEO, timeval{5, 0}), 0);
    const std::string much(4 << 20, 'x');
    ssize_t n = 0;
    const duration took = time_of([&] { n = lastack_write(client_fd, much.data(), much.size()); });
    EXPECT_GT(n, 0);
    EXPECT_LT(n, static_cast<ssize_t>(much.size()));
    EXPECT_EQ(took, 5s);
    EXPECT_EQ(answer(lastack_write(client_fd, much.data(), much.size())), "EAGAIN");
}

TEST_F(sockets, a_descriptor_closed_meanwhile_ends_the_call_that_waits) {
    establish();
    while_waiting = [this] { EXPECT_EQ(lastack_close(client_fd), 0); };
    EXPECT_EQ(answer(lastack_read(client_fd, text, 8)), "EBADF");
    // Not even if the number means another socket by now.
    at(server);
    while_waiting = [this] {
        lastack_close(listener_fd);
        EXPECT_EQ(new_socket(), listener_fd);
    };
    EXPECT_EQ(answer(lastack_accept(listener_fd, nullptr, nullptr)), "EBADF");
}

TEST_F(sockets, a_listener_shut_meanwhile_ends_accept) {
    const int l = listen_at_server();
    while_waiting = [l] { EXPECT_EQ(lastack_shutdown(l, SHUT_RD), 0); };
    EXPECT_EQ(answer(lastack_accept(l, nullptr, nullptr)), "EINVAL");
}

TEST_F(sockets, a_disconnect_meanwhile_ends_connect) {
    const int fd = new_socket();
    while_waiting = [fd] {
        sockaddr none{};
        EXPECT_EQ(lastack_connect(fd, &none, sizeof none), 0);
    };
    EXPECT_EQ(answer(connect_to(fd, ipv4_address{0x0a000009})), "EPIPE");
}

TEST_F(sockets, where_nobody_can_wait_a_blocking_call_is_refused_and_others_work) {
    establish();
    refuse_waiting(EDEADLK);
    EXPECT_EQ(answer(lastack_read(client_fd, text, 8)), "EDEADLK");
    EXPECT_EQ(answer(lastack_recv(client_fd, text, 8, MSG_DONTWAIT)), "EAGAIN");
    EXPECT_EQ(answer(lastack_write(client_fd, "x", 1)), "1");
    refuse_waiting(ESHUTDOWN);
    EXPECT_EQ(answer(lastack_read(client_fd, text, 8)), "ESHUTDOWN");
    pollfd p{client_fd, POLLIN, 0};
    EXPECT_EQ(answer(lastack_poll(&p, 1, 10)), "ESHUTDOWN");
    EXPECT_EQ(answer(lastack_poll(&p, 1, 0)), "0");
}

TEST_F(sockets, a_loop_of_non_blocking_calls_makes_progress) {
    const int l = listen_at_server(16, SOCK_NONBLOCK);
    at(client);
    const int fd = new_socket(SOCK_NONBLOCK);
    EXPECT_EQ(answer(connect_to(fd)), "EINPROGRESS");
    int tries = 0;
    while (connect_to(fd) != 0 && ++tries < 100) {
        EXPECT_EQ(errno, EALREADY);
    }
    EXPECT_LT(tries, 100);
    at(server);
    int s = -1;
    for (tries = 0; s < 0 && tries < 100; ++tries) {
        s = lastack_accept(l, nullptr, nullptr);
    }
    EXPECT_LT(tries, 100);
    EXPECT_EQ(lastack_write(s, "x", 1), 1);
    at(client);
    for (tries = 0; lastack_read(fd, text, 1) != 1 && tries < 100; ++tries) {
        EXPECT_EQ(errno, EAGAIN);
    }
    EXPECT_LT(tries, 100);
}

TEST_F(sockets, the_first_eagain_of_a_turn_is_answered_without_another_turn) {
    establish();
    at(server);
    EXPECT_EQ(lastack_write(server_fd, "x", 1), 1);  // on its way with the next turn
    at(client);
    EXPECT_EQ(answer(lastack_recv(client_fd, text, 8, MSG_DONTWAIT)), "EAGAIN");
    EXPECT_EQ(answer(lastack_recv(client_fd, text, 8, MSG_DONTWAIT)), "1");
}

// R13
TEST_F(sockets, close_lingers_until_the_fin_is_acknowledged) {
    establish();
    set(client_fd, SOL_SOCKET, SO_LINGER, linger{1, 10});
    EXPECT_EQ(lastack_fcntl(client_fd, F_SETFL, O_NONBLOCK), 0);  // does not shorten it
    EXPECT_EQ(lastack_write(client_fd, "end", 3), 3);
    const duration took = time_of([&] { EXPECT_EQ(answer(lastack_close(client_fd)), "0"); });
    EXPECT_LT(took, 1s);
    EXPECT_EQ(core(client).counts().by_state[static_cast<std::size_t>(teardown::state::fin_wait_2)],
              1u);
}

// R13
TEST_F(sockets, close_lingers_no_longer_than_it_was_told_and_the_stack_goes_on) {
    establish();
    set(client_fd, SOL_SOCKET, SO_LINGER, linger{1, 3});
    cut(server, true);
    const duration took = time_of([&] { EXPECT_EQ(answer(lastack_close(client_fd)), "0"); });
    EXPECT_GE(took, 3s);
    EXPECT_LT(took, 3100ms);
    EXPECT_EQ(core(client).counts().by_state[static_cast<std::size_t>(teardown::state::fin_wait_1)],
              1u);
    cut(server, false);
    advance(10s);
    at(server);
    EXPECT_EQ(answer(lastack_read(server_fd, text, 8)), "0") << "FIN, not RST";
}

// R13: more often than there are places, so none may be lost.
TEST_F(sockets, where_nobody_can_wait_close_does_not_linger_and_leaves_nothing_behind) {
    const int l = listen_at_server();
    for (int i = 0; i < 100; ++i) {
        refuse_waiting(0);
        at(client);
        const int fd = new_socket();
        ASSERT_EQ(answer(connect_to(fd)), "0") << i;
        set(fd, SOL_SOCKET, SO_LINGER, linger{1, 10});
        refuse_waiting(EDEADLK);
        EXPECT_EQ(answer(lastack_close(fd)), "0");
        refuse_waiting(0);
        at(server);
        const int s = lastack_accept(l, nullptr, nullptr);
        ASSERT_GE(s, 0) << i;
        lastack_close(s);
        advance(1s);
    }
}

TEST_F(sockets, the_end_of_a_process_does_not_linger) {  // R13
    establish();
    set(client_fd, SOL_SOCKET, SO_LINGER, linger{1, 10});
    cut(server, true);
    EXPECT_EQ(time_of([&] { layer(client).close_all(); }), 0s);
    EXPECT_EQ(answer(lastack_read(client_fd, text, 1)), "EBADF");
}

// R66
TEST_F(sockets, a_user_timeout_ends_a_wait_with_etimedout_once) {
    establish();
    EXPECT_EQ(set(client_fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 4000), 0);
    cut(server, true);
    EXPECT_EQ(lastack_write(client_fd, "lost", 4), 4);
    const duration took =
        time_of([&] { EXPECT_EQ(answer(lastack_read(client_fd, text, 8)), "ETIMEDOUT"); });
    EXPECT_GE(took, 4s);
    EXPECT_LT(took, 5s);
    EXPECT_EQ(answer(lastack_read(client_fd, text, 8)), "0");
    EXPECT_EQ(answer(lastack_write(client_fd, "x", 1)), "EPIPE");
}

// R67
TEST_F(sockets, keepalive_ends_a_wait_with_etimedout) {
    establish();
    EXPECT_EQ(set(client_fd, IPPROTO_TCP, TCP_KEEPIDLE, 10), 0);
    EXPECT_EQ(set(client_fd, IPPROTO_TCP, TCP_KEEPINTVL, 2), 0);
    EXPECT_EQ(set(client_fd, IPPROTO_TCP, TCP_KEEPCNT, 3), 0);
    EXPECT_EQ(set(client_fd, SOL_SOCKET, SO_KEEPALIVE, 1), 0);
    cut(server, true);
    const duration took =
        time_of([&] { EXPECT_EQ(answer(lastack_read(client_fd, text, 8)), "ETIMEDOUT"); });
    EXPECT_GE(took, 15s);
    EXPECT_LE(took, 17s);
}

TEST_F(sockets, poll_looks_at_what_an_epoll_instance_has_ready) {
    establish();
    const int ep = lastack_epoll_create1(0);
    epoll_event e{};
    e.events = EPOLLIN;
    ASSERT_EQ(lastack_epoll_ctl(ep, EPOLL_CTL_ADD, client_fd, &e), 0);
    at(server);
    ASSERT_EQ(lastack_send(server_fd, "abc", 3, 0), 3);
    advance(1s);
    at(client);
    pollfd p{ep, POLLIN, 0};
    EXPECT_EQ(lastack_poll(&p, 1, 0), 1);
    epoll_event got{};
    ASSERT_EQ(lastack_epoll_wait(ep, &got, 1, 0), 1);
    ASSERT_EQ(lastack_recv(client_fd, text, sizeof text, 0), 3);
    EXPECT_EQ(lastack_poll(&p, 1, 0), 0);
    EXPECT_EQ(lastack_epoll_wait(ep, &got, 1, 0), 0);
}

}  // namespace
}  // namespace lastack::test
