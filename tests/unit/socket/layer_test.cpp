// SPDX-License-Identifier: BSD-3-Clause
// The layer's own: descriptors and their numbers, what is full, options that reach the wire.
#include <time.h>  // linux/errqueue.h wants its timespec

#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <vector>

#include "unit/socket/socket_fixture.hpp"

namespace lastack::test {
namespace {

TEST_F(sockets, the_lowest_free_number_is_given_from_3_on) {
    EXPECT_EQ(new_socket(), 3);
    EXPECT_EQ(lastack_epoll_create1(0), 4);
    EXPECT_EQ(new_socket(), 5);
    EXPECT_EQ(lastack_close(4), 0);
    EXPECT_EQ(lastack_close(3), 0);
    EXPECT_EQ(new_socket(), 3);
    EXPECT_EQ(new_socket(), 4);
    EXPECT_EQ(new_socket(), 6);
}

TEST_F(sockets, descriptors_run_out_with_emfile) {
    std::vector<int> all;
    for (int fd = new_socket(); fd >= 0; fd = new_socket()) {
        all.push_back(fd);
    }
    EXPECT_EQ(errno, EMFILE);
    EXPECT_EQ(all.size(), 64u - 3);
    EXPECT_EQ(answer(lastack_epoll_create1(0)), "EMFILE");
    EXPECT_EQ(lastack_close(all.back()), 0);
    EXPECT_EQ(new_socket(), all.back());
}

TEST_F(sockets, a_full_table_leaves_the_connection_in_the_accept_queue) {
    const int l = listen_at_server();
    at(client);
    ASSERT_EQ(connect_to(new_socket()), 0);
    at(server);
    std::vector<int> all;
    for (int fd = new_socket(); fd >= 0; fd = new_socket()) {
        all.push_back(fd);
    }
    EXPECT_EQ(answer(lastack_accept(l, nullptr, nullptr)), "EMFILE");
    EXPECT_EQ(lastack_close(all[0]), 0);
    EXPECT_EQ(lastack_accept(l, nullptr, nullptr), all[0]);
}

struct numbers {
    std::vector<int> given{9, 7, 99};
    std::vector<int> back;
};

TEST_F(sockets, numbers_may_come_from_the_host) {
    numbers n;
    socket_layer_options o;
    o.descriptors = 16;
    o.hooks.context = &n;
    o.hooks.wait = [](void*, std::int64_t) { return EDEADLK; };
    o.hooks.now_us = [](void*) { return std::int64_t{0}; };
    o.hooks.take_descriptor = [](void* context) {
        auto& all = static_cast<numbers*>(context)->given;
        if (all.empty()) {
            return -ENFILE;
        }
        const int fd = all.front();
        all.erase(all.begin());
        return fd;
    };
    o.hooks.give_descriptor = [](void* context, int fd) {
        static_cast<numbers*>(context)->back.push_back(fd);
    };
    auto made = socket_layer::make(core(client).calls(), o);
    ASSERT_TRUE(made);
    const socket_layer::scope here(**made);
    EXPECT_EQ(new_socket(), 9);
    EXPECT_EQ(new_socket(), 7);
    EXPECT_EQ(answer(new_socket()), "EMFILE") << "99 is above what the layer has room for";
    EXPECT_EQ(answer(new_socket()), "ENFILE");
    EXPECT_EQ(lastack_close(9), 0);
    EXPECT_EQ(n.back, (std::vector{99, 9}));
    EXPECT_EQ(answer(lastack_close(9)), "EBADF");
}

TEST_F(sockets, a_layer_without_a_clock_is_refused_with_a_sentence) {
    const auto made = socket_layer::make(core(client).calls(), {});
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().find("now_us"), std::string::npos);
}

TEST_F(sockets, a_listener_takes_one_more_than_its_backlog) {
    const int l = listen_at_server(2);
    at(client);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(answer(connect_to(new_socket())), "0") << i;
        advance(1ms);
    }
    const int late = new_socket(SOCK_NONBLOCK);
    connect_to(late);
    advance(500ms);
    EXPECT_EQ(answer(connect_to(late)), "EALREADY") << "its SYN was dropped";
    at(server);
    EXPECT_GE(lastack_accept(l, nullptr, nullptr), 0);
    advance(3s);
    at(client);
    EXPECT_EQ(answer(connect_to(late)), "0") << "and let in when it came again";
}

// R05
TEST_F(sockets, what_the_accept_queues_cannot_hold_is_reset) {
    listen_at_server(60);
    at(client);
    std::vector<int> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(new_socket());
        EXPECT_EQ(answer(connect_to(all.back())), "0");
    }
    at(server);
    std::vector<int> own;
    for (int fd = new_socket(); fd >= 0; fd = new_socket()) {
        own.push_back(fd);
    }
    at(client);
    for (int i = 0; i < 10; ++i) {
        all.push_back(new_socket());
        EXPECT_EQ(answer(connect_to(all.back())), "0");
    }
    advance(1s);
    int reset = 0;
    for (const int fd : all) {
        reset += lastack_recv(fd, text, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET ? 1 : 0;
    }
    // 64 + 16 places: a listener and 60 sockets leave 19.
    EXPECT_EQ(reset, 11);
}

TEST_F(sockets, interests_run_out_with_enospc_and_come_back) {
    const int e = lastack_epoll_create1(0);
    epoll_event what{EPOLLIN, {}};
    std::vector<int> all;
    for (int i = 0; i < 16; ++i) {
        all.push_back(new_socket());
        EXPECT_EQ(lastack_epoll_ctl(e, EPOLL_CTL_ADD, all.back(), &what), 0);
    }
    const int more = new_socket();
    EXPECT_EQ(answer(lastack_epoll_ctl(e, EPOLL_CTL_ADD, more, &what)), "ENOSPC");
    EXPECT_EQ(lastack_close(all[4]), 0);
    EXPECT_EQ(lastack_epoll_ctl(e, EPOLL_CTL_ADD, more, &what), 0);
    EXPECT_EQ(lastack_close(e), 0);
    const int again = lastack_epoll_create1(0);
    EXPECT_EQ(lastack_epoll_ctl(again, EPOLL_CTL_ADD, more, &what), 0);
}

TEST_F(sockets, two_instances_are_told_of_one_socket_each_by_its_own_words) {
    establish();
    const int level = lastack_epoll_create1(0);
    const int edge = lastack_epoll_create1(0);
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.u64 = 1;
    EXPECT_EQ(lastack_epoll_ctl(level, EPOLL_CTL_ADD, client_fd, &e), 0);
    e.events = EPOLLIN | EPOLLET;
    e.data.u64 = 2;
    EXPECT_EQ(lastack_epoll_ctl(edge, EPOLL_CTL_ADD, client_fd, &e), 0);
    at(server);
    EXPECT_EQ(lastack_write(server_fd, "x", 1), 1);
    advance(10ms);
    at(client);
    for (const int turn : {0, 1}) {
        EXPECT_EQ(lastack_epoll_wait(level, &e, 1, 0), 1);
        EXPECT_EQ(std::uint64_t{e.data.u64}, 1u);
        EXPECT_EQ(lastack_epoll_wait(edge, &e, 1, 0), turn == 0 ? 1 : 0);
    }
    // EPOLLEXCLUSIVE cannot be changed later, nor go with EPOLLRDHUP.
    e.events = EPOLLIN | EPOLLEXCLUSIVE;
    EXPECT_EQ(answer(lastack_epoll_ctl(level, EPOLL_CTL_MOD, client_fd, &e)), "EINVAL");
    EXPECT_EQ(lastack_epoll_ctl(level, EPOLL_CTL_DEL, client_fd, nullptr), 0);
    EXPECT_EQ(lastack_epoll_ctl(level, EPOLL_CTL_ADD, client_fd, &e), 0);
    e.events = EPOLLIN | EPOLLRDHUP | EPOLLEXCLUSIVE;
    EXPECT_EQ(lastack_epoll_ctl(edge, EPOLL_CTL_DEL, client_fd, nullptr), 0);
    EXPECT_EQ(answer(lastack_epoll_ctl(edge, EPOLL_CTL_ADD, client_fd, &e)), "EINVAL");
}

TEST_F(sockets, epoll_wait_shares_out_what_does_not_fit_one_call) {
    std::vector<int> all;
    const int e = lastack_epoll_create1(0);
    for (int i = 0; i < 5; ++i) {
        all.push_back(new_socket());  // a socket that is nothing yet shows EPOLLHUP
        epoll_event what{};
        what.events = EPOLLIN;
        what.data.fd = all.back();
        EXPECT_EQ(lastack_epoll_ctl(e, EPOLL_CTL_ADD, all.back(), &what), 0);
    }
    std::vector<int> told;
    for (int i = 0; i < 5; ++i) {
        epoll_event two[2];
        EXPECT_EQ(lastack_epoll_wait(e, two, 2, 0), 2);
        told.push_back(int{two[0].data.fd});
        told.push_back(int{two[1].data.fd});
    }
    for (const int fd : all) {
        EXPECT_EQ(std::count(told.begin(), told.end(), fd), 2) << fd;
    }
}

TEST_F(sockets, null_pointers_are_efault) {
    establish();
    EXPECT_EQ(answer(lastack_read(client_fd, nullptr, 1)), "EFAULT");
    EXPECT_EQ(answer(lastack_write(client_fd, nullptr, 1)), "EFAULT");
    EXPECT_EQ(answer(lastack_writev(client_fd, nullptr, 2)), "EFAULT");
    EXPECT_EQ(answer(lastack_sendmsg(client_fd, nullptr, 0)), "EFAULT");
    EXPECT_EQ(answer(lastack_recvmsg(client_fd, nullptr, 0)), "EFAULT");
    EXPECT_EQ(answer(lastack_connect(new_socket(), nullptr, 16)), "EFAULT");
    EXPECT_EQ(answer(lastack_bind(new_socket(), nullptr, 16)), "EFAULT");
    EXPECT_EQ(answer(lastack_getsockname(client_fd, nullptr, nullptr)), "EFAULT");
    EXPECT_EQ(answer(lastack_ioctl(client_fd, FIONREAD, nullptr)), "EFAULT");
    EXPECT_EQ(answer(lastack_poll(nullptr, 1, 0)), "EFAULT");
    EXPECT_EQ(answer(lastack_epoll_wait(lastack_epoll_create1(0), nullptr, 1, 0)), "EFAULT");
}

TEST_F(sockets, what_linux_has_and_we_have_not_is_refused) {
    establish();
    EXPECT_EQ(answer(lastack_send(client_fd, "x", 1, MSG_OOB)), "EOPNOTSUPP");
    EXPECT_EQ(answer(lastack_recv(client_fd, text, 1, MSG_OOB)), "EOPNOTSUPP");
    EXPECT_EQ(answer(lastack_socket(AF_INET6, SOCK_STREAM, 0)), "EAFNOSUPPORT");
    EXPECT_EQ(answer(lastack_socket(AF_INET, SOCK_DGRAM, 0)), "ESOCKTNOSUPPORT");
    EXPECT_EQ(answer(set(client_fd, SOL_SOCKET, SO_PRIORITY, 1)), "ENOPROTOOPT");
    EXPECT_EQ(answer(set(client_fd, IPPROTO_TCP, TCP_FASTOPEN, 1)), "ENOPROTOOPT");
}

// R65: TCP_SYNCNT stands for the time that so many retries take when each timeout doubles, also
// while the first ones do not. 3, 7 and 19 s are Linux 6.18's too.
TEST_F(sockets, a_number_of_syn_retries_is_a_measure_of_time) {
    establish();
    EXPECT_EQ(get(client_fd, IPPROTO_TCP, TCP_SYNCNT), 6);
    EXPECT_EQ(answer(set(client_fd, IPPROTO_TCP, TCP_SYNCNT, 0)), "EINVAL");
    EXPECT_EQ(answer(set(client_fd, IPPROTO_TCP, TCP_SYNCNT, 128)), "EINVAL");
    cut(server, true);
    const std::array<duration, 3> expected{3s, 7s, 19s};
    for (int n = 1; n <= 3; ++n) {
        const int fd = new_socket();
        EXPECT_EQ(set(fd, IPPROTO_TCP, TCP_SYNCNT, n), 0);
        EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_SYNCNT), n);
        const duration took = time_of([&] { EXPECT_EQ(answer(connect_to(fd)), "ETIMEDOUT"); });
        EXPECT_EQ(took / 1s, expected[static_cast<std::size_t>(n - 1)] / 1s) << n;
    }
}

TEST_F(sockets, ttl_and_tos_are_what_leaves) {
    establish();
    EXPECT_EQ(set(client_fd, IPPROTO_IP, IP_TTL, 9), 0);
    EXPECT_EQ(set(client_fd, IPPROTO_IP, IP_TOS, 0x48), 0);
    EXPECT_EQ(lastack_write(client_fd, "x", 1), 1);
    advance(10ms);
    EXPECT_EQ(last_packet(client)[8], 9);
    EXPECT_EQ(last_packet(client)[1], 0x48);
}

TEST_F(sockets, options_set_before_connect_hold_from_the_syn_on) {
    listen_at_server();
    at(client);
    const int fd = new_socket(SOCK_NONBLOCK);
    EXPECT_EQ(connect_to(new_socket()), 0);  // the neighbours know each other
    advance(10ms);
    EXPECT_EQ(set(fd, IPPROTO_IP, IP_TTL, 7), 0);
    EXPECT_EQ(set(fd, IPPROTO_TCP, TCP_MAXSEG, 600), 0);
    cut(server, true);
    connect_to(fd);
    advance(1ms);
    const std::string& syn = last_packet(client);
    ASSERT_GT(syn.size(), 44u);
    EXPECT_EQ(syn[8], 7);
    EXPECT_EQ(syn[33], 2) << "SYN";
    EXPECT_EQ(syn[40], 2) << "the MSS option comes first";
    EXPECT_EQ(static_cast<unsigned char>(syn[42]) * 256 + static_cast<unsigned char>(syn[43]), 600);
    cut(server, false);
    advance(5s);
    EXPECT_EQ(connect_to(fd), 0);
    EXPECT_LE(get(fd, IPPROTO_TCP, TCP_MAXSEG), 600);
    EXPECT_GE(get(fd, IPPROTO_TCP, TCP_MAXSEG), 588);
}

TEST_F(sockets, msg_more_holds_a_short_segment_back_until_the_rest_comes) {
    establish();
    EXPECT_EQ(lastack_send(client_fd, "a", 1, MSG_MORE), 1);
    advance(50ms);
    at(server);
    int n = -1;
    EXPECT_EQ(lastack_ioctl(server_fd, FIONREAD, &n), 0);
    EXPECT_EQ(n, 0);
    at(client);
    EXPECT_EQ(lastack_send(client_fd, "b", 1, 0), 1);
    advance(50ms);
    at(server);
    EXPECT_EQ(lastack_ioctl(server_fd, FIONREAD, &n), 0);
    EXPECT_EQ(n, 2);
}

TEST_F(sockets, tcp_info_has_linuxs_layout_and_is_cut_to_the_callers_room) {
    establish();
    const std::string much(100000, 'x');
    EXPECT_EQ(lastack_write(client_fd, much.data(), 5000), 5000);
    advance(100ms);
    tcp_info info{};
    socklen_t length = sizeof info;
    EXPECT_EQ(lastack_getsockopt(client_fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    EXPECT_EQ(length, sizeof info);
    EXPECT_EQ(info.tcpi_state, 1);  // TCP_ESTABLISHED
    EXPECT_EQ(info.tcpi_options & 7, 7);
    EXPECT_EQ(info.tcpi_snd_mss, 1448u);
    EXPECT_EQ(info.tcpi_advmss, 1460u);
    EXPECT_EQ(info.tcpi_pmtu, 1500u);
    EXPECT_EQ(info.tcpi_unacked, 0u);
    EXPECT_GE(info.tcpi_snd_cwnd, 10u);
    EXPECT_EQ(info.tcpi_rto, 201000u) << "200 ms and the measured time";
    EXPECT_GT(info.tcpi_snd_wnd, 10000u);
    cut(server, true);
    EXPECT_EQ(lastack_write(client_fd, much.data(), 5000), 5000);
    advance(1ms);
    EXPECT_EQ(lastack_getsockopt(client_fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    EXPECT_EQ(info.tcpi_unacked, 4u);
    std::uint8_t state = 0;
    length = 1;
    EXPECT_EQ(lastack_getsockopt(client_fd, IPPROTO_TCP, TCP_INFO, &state, &length), 0);
    EXPECT_EQ(length, 1u);
    EXPECT_EQ(state, 1);
}

struct completion {
    ssize_t answer = 0;
    int flags = 0;
    sock_extended_err error{};
};

completion next_completion(int fd) {
    completion c;
    alignas(cmsghdr) char control[128] = {};
    msghdr m{};
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    c.answer = lastack_recvmsg(fd, &m, MSG_ERRQUEUE);
    c.flags = m.msg_flags;
    const cmsghdr* const header = c.answer == 0 ? CMSG_FIRSTHDR(&m) : nullptr;
    if (header != nullptr && header->cmsg_level == SOL_IP && header->cmsg_type == IP_RECVERR) {
        std::memcpy(&c.error, CMSG_DATA(header), sizeof c.error);
    }
    return c;
}

// Memory given with MSG_ZEROCOPY is the caller's again when the error queue says so.
TEST_F(sockets, the_error_queue_tells_which_sends_with_msg_zerocopy_are_complete) {
    establish();
    EXPECT_EQ(lastack_send(client_fd, "abc", 3, MSG_ZEROCOPY), 3);
    EXPECT_EQ(answer(next_completion(client_fd).answer), "EAGAIN") << "SO_ZEROCOPY is not set";
    EXPECT_EQ(answer(set(client_fd, SOL_SOCKET, SO_ZEROCOPY, 2)), "EINVAL");
    EXPECT_EQ(set(client_fd, SOL_SOCKET, SO_ZEROCOPY, 1), 0);
    EXPECT_EQ(get(client_fd, SOL_SOCKET, SO_ZEROCOPY), 1);
    EXPECT_EQ(lastack_send(client_fd, "", 0, MSG_ZEROCOPY), 0);
    EXPECT_EQ(answer(next_completion(client_fd).answer), "EAGAIN") << "nothing was lent";
    EXPECT_EQ(lastack_send(client_fd, "abc", 3, MSG_ZEROCOPY), 3);
    EXPECT_EQ(lastack_send(client_fd, "abc", 3, MSG_ZEROCOPY), 3);
    EXPECT_EQ(lastack_send(client_fd, "abc", 3, 0), 3);
    pollfd p{client_fd, 0, 0};
    EXPECT_EQ(lastack_poll(&p, 1, 0), 1);
    EXPECT_EQ(p.revents, POLLERR);
    completion c = next_completion(client_fd);
    EXPECT_EQ(c.answer, 0);
    EXPECT_EQ(c.flags, MSG_ERRQUEUE);
    EXPECT_EQ(c.error.ee_errno, 0u);
    EXPECT_EQ(c.error.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
    EXPECT_EQ(c.error.ee_code, SO_EE_CODE_ZEROCOPY_COPIED);
    EXPECT_EQ(c.error.ee_info, 0u);
    EXPECT_EQ(c.error.ee_data, 1u);
    EXPECT_EQ(lastack_poll(&p, 1, 0), 0);
    EXPECT_EQ(lastack_send(client_fd, "abc", 3, MSG_ZEROCOPY), 3);
    msghdr no_room{};
    EXPECT_EQ(lastack_recvmsg(client_fd, &no_room, MSG_ERRQUEUE), 0);
    EXPECT_EQ(no_room.msg_flags, MSG_ERRQUEUE | MSG_CTRUNC);
}

TEST_F(sockets, recvmsg_tells_what_is_left_unread_and_one_more_for_the_end) {
    establish();
    EXPECT_EQ(answer(set(client_fd, IPPROTO_TCP, TCP_INQ, 2)), "EINVAL");
    EXPECT_EQ(set(client_fd, IPPROTO_TCP, TCP_INQ, 1), 0);
    EXPECT_EQ(get(client_fd, IPPROTO_TCP, TCP_INQ), 1);
    const auto left_after_reading = [this](std::size_t octets) {
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        iovec part{text, octets};
        msghdr m{};
        m.msg_iov = &part;
        m.msg_iovlen = 1;
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        EXPECT_EQ(lastack_recvmsg(client_fd, &m, 0), static_cast<ssize_t>(octets));
        const cmsghdr* const header = CMSG_FIRSTHDR(&m);
        int left = -1;
        if (header != nullptr && header->cmsg_type == TCP_CM_INQ) {
            std::memcpy(&left, CMSG_DATA(header), sizeof left);
        }
        return left;
    };
    at(server);
    EXPECT_EQ(lastack_write(server_fd, "abcdef", 6), 6);
    at(client);
    EXPECT_EQ(left_after_reading(2), 4);
    EXPECT_EQ(left_after_reading(3), 1);
    EXPECT_EQ(left_after_reading(1), 0);
    at(server);
    EXPECT_EQ(lastack_write(server_fd, "end", 3), 3);
    EXPECT_EQ(lastack_close(server_fd), 0);
    advance(10ms);
    at(client);
    EXPECT_EQ(left_after_reading(1), 3);
    EXPECT_EQ(left_after_reading(2), 1);
    EXPECT_EQ(left_after_reading(0), 1);
}

// SIOCOUTQ counts the FIN, as Linux does.
TEST_F(sockets, the_queue_of_unacknowledged_octets_counts_the_fin) {
    establish();
    cut(server, true);
    EXPECT_EQ(lastack_write(client_fd, "abc", 3), 3);
    int n = -1;
    EXPECT_EQ(lastack_ioctl(client_fd, 0x894B, &n), 0);  // SIOCOUTQNSD
    EXPECT_EQ(n, 3);
    EXPECT_EQ(lastack_shutdown(client_fd, SHUT_WR), 0);
    advance(1ms);
    EXPECT_EQ(lastack_ioctl(client_fd, TIOCOUTQ, &n), 0);
    EXPECT_EQ(n, 4);
    EXPECT_EQ(lastack_ioctl(client_fd, 0x894B, &n), 0);
    EXPECT_EQ(n, 0);
}

TEST_F(sockets, a_bound_socket_connects_from_its_port_and_keeps_it_after_a_disconnect) {  // R15
    establish();
    const int fd = new_socket();
    EXPECT_EQ(bind_to(fd, 5555, address(client)), 0);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(answer(connect_to(fd)), "0");
        at(server);
        sockaddr_in peer{};
        socklen_t length = sizeof peer;
        const int s = lastack_accept(listener_fd, reinterpret_cast<sockaddr*>(&peer), &length);
        EXPECT_EQ(ntohs(peer.sin_port), 5555);
        at(client);
        const sockaddr none{};
        EXPECT_EQ(lastack_connect(fd, &none, sizeof none), 0);
        advance(10ms);
        at(server);
        EXPECT_EQ(answer(lastack_read(s, text, 1)), "ECONNRESET");
        at(client);
        EXPECT_EQ(answer(bind_to(fd, 5556)), "EINVAL");
        EXPECT_EQ(get(fd, SOL_SOCKET, SO_ERROR), ECONNRESET);
    }
    EXPECT_EQ(answer(bind_to(new_socket(), 5555, address(client))), "EADDRINUSE");
}

TEST_F(sockets, a_peer_out_of_reach_is_told_as_that_when_time_is_up) {  // R65
    establish();
    cut(server, true);
    ASSERT_EQ(lastack_send(client_fd, "abc", 3, 0), 3);
    EXPECT_EQ(answer(lastack_recv(client_fd, text, sizeof text, 0)), "EHOSTUNREACH");
}

TEST_F(sockets, tcp_migrate_req_moves_what_waits_for_accept) {  // R05
    config::settings changed = small_settings();
    changed.tcp_migrate_req = true;
    core(server).apply_settings(changed);
    at(server);
    std::array<int, 2> listeners{};
    for (int& fd : listeners) {
        fd = new_socket(SOCK_NONBLOCK);
        ASSERT_EQ(set(fd, SOL_SOCKET, SO_REUSEPORT, 1), 0);
        ASSERT_EQ(bind_to(fd, port), 0);
        ASSERT_EQ(lastack_listen(fd, 16), 0);
    }
    at(client);
    const int c = new_socket();
    ASSERT_EQ(connect_to(c), 0);
    advance(1s);
    at(server);
    std::array<pollfd, 2> p{{{listeners[0], POLLIN, 0}, {listeners[1], POLLIN, 0}}};
    ASSERT_EQ(lastack_poll(p.data(), 2, 0), 1);
    const std::size_t has = p[0].revents != 0 ? 0 : 1;
    ASSERT_EQ(lastack_close(listeners[has]), 0);
    advance(1s);
    EXPECT_GE(lastack_accept(listeners[1 - has], nullptr, nullptr), 0);
    at(client);
    EXPECT_EQ(get(c, SOL_SOCKET, SO_ERROR), 0);
}

}  // namespace
}  // namespace lastack::test
