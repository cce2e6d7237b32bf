// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open as sockets see it (TCP_FASTOPEN_CONNECT, MSG_FASTOPEN): what is sent with the SYN,
// and errno by errno. The server here has no cookies to give, so a SYN has text only where
// net.ipv4.tcp_fastopen lets it go without; that the server leaves the text out shows nowhere.
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include <array>

#include "unit/socket/socket_fixture.hpp"

namespace lastack::test {
namespace {

class fast_open_sockets : public sockets {
  public:
    fast_open_sockets() {
        listener_fd = listen_at_server();
        at(client);
        EXPECT_EQ(connect_to(new_socket()), 0);  // so that it knows the server's station
        EXPECT_EQ(received(), "");
    }

    // The client's setting; it is the client who calls from now on.
    void allow(std::uint32_t bits) {
        config::settings changed = core(client).settings();
        changed.tcp_fastopen = bits;
        core(client).apply_settings(changed);
        at(client);
    }
    static ssize_t send_first(int fd, std::string_view octets, int flags = 0,
                              std::uint16_t to = port) {
        const sockaddr_in n = name_of(address(server), to);
        return lastack_sendto(fd, octets.data(), octets.size(), flags | MSG_FASTOPEN,
                              reinterpret_cast<const sockaddr*>(&n), sizeof n);
    }
    // Octets of text in the SYN that the client sends now. Its answer is lost.
    std::size_t in_syn() {
        cut(server, true);
        advance(1ms);
        cut(server, false);
        const std::string& packet = last_packet(client);
        EXPECT_EQ(packet[33], 2) << "not a SYN";
        return packet.size() - 20 - static_cast<std::size_t>(packet[32] >> 4 & 0xf) * 4;
    }
    // All that the next connection has for the server.
    std::string received() {
        at(server);
        const int fd = lastack_accept(listener_fd, nullptr, nullptr);
        EXPECT_GE(fd, 0);
        lastack_fcntl(fd, F_SETFL, O_NONBLOCK);
        advance(10ms);
        std::string all(4096, '\0');
        const ssize_t n = lastack_read(fd, all.data(), all.size());
        all.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
        at(client);
        return all;
    }
    static std::uint32_t revents(int fd) {
        pollfd p{fd, POLLIN | POLLOUT, 0};
        lastack_poll(&p, 1, 0);
        return static_cast<std::uint16_t>(p.revents);
    }

    const std::string request = std::string(2000, 'q');
};

TEST_F(fast_open_sockets, without_a_cookie_a_blocking_send_connects_and_sends) {
    allow(1);
    const int fd = new_socket();
    EXPECT_EQ(answer(send_first(fd, request)), "2000");
    EXPECT_EQ(received(), request);
    EXPECT_EQ(answer(send_first(fd, request)), "EISCONN");
    EXPECT_EQ(answer(connect_to(fd)), "EISCONN");
}

TEST_F(fast_open_sockets, without_a_cookie_a_send_that_may_not_wait_is_a_connect) {
    allow(1);
    const int fd = new_socket(SOCK_NONBLOCK);
    cut(client, true);
    EXPECT_EQ(answer(send_first(fd, request)), "EINPROGRESS");
    EXPECT_EQ(in_syn(), 0u);
    EXPECT_EQ(last_packet(client).substr(last_packet(client).size() - 4), "\x22\x02\x01\x01");
    EXPECT_EQ(answer(send_first(fd, request)), "EALREADY");
    EXPECT_EQ(answer(lastack_write(fd, "x", 1)), "EAGAIN");
    EXPECT_EQ(answer(connect_to(fd)), "EALREADY");
    cut(client, false);
    advance(2s);
    EXPECT_EQ(answer(send_first(fd, request)), "2000") << "it is open by now: like send()";
    EXPECT_EQ(received(), request);
}

TEST_F(fast_open_sockets, a_syn_takes_what_it_has_room_for) {
    allow(5);
    const int fd = new_socket();
    EXPECT_EQ(answer(send_first(fd, request, MSG_DONTWAIT)), "1420");
    EXPECT_EQ(in_syn(), 1420u);
    advance(2s);
    EXPECT_EQ(answer(lastack_write(fd, request.data() + 1420, 580)), "580");
    EXPECT_EQ(received(), request);
    const int blocking = new_socket();
    EXPECT_EQ(answer(send_first(blocking, request)), "2000");
    EXPECT_EQ(received(), request);
    EXPECT_EQ(answer(send_first(new_socket(), "", MSG_DONTWAIT)), "EINPROGRESS");
    EXPECT_EQ(answer(send_first(new_socket(), "")), "0");
}

TEST_F(fast_open_sockets, what_the_server_leaves_of_a_short_write_does_not_wait_for_more) {
    allow(5);
    const int fd = new_socket();
    EXPECT_EQ(answer(send_first(fd, request, MSG_DONTWAIT)), "1420");
    EXPECT_EQ(received().size(), 1420u);  // within 10 ms
}

TEST_F(fast_open_sockets, scattered_pieces_go_with_the_syn_together) {
    allow(5);
    const int fd = new_socket();
    std::array<iovec, 3> parts{{{const_cast<char*>(request.data()), 1000},
                                {const_cast<char*>(request.data()), 0},
                                {const_cast<char*>(request.data()), 1000}}};
    sockaddr_in n = name_of(address(server), port);
    msghdr message{};
    message.msg_name = &n;
    message.msg_namelen = sizeof n;
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    EXPECT_EQ(answer(lastack_sendmsg(fd, &message, MSG_FASTOPEN | MSG_DONTWAIT)), "1420");
    EXPECT_EQ(in_syn(), 1420u);
}

TEST_F(fast_open_sockets, connect_answers_at_once_and_the_first_write_sends_the_syn) {
    allow(5);
    const int fd = new_socket();
    EXPECT_EQ(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1), 0);
    EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT), 1);
    const std::string before = last_packet(client);
    EXPECT_EQ(answer(connect_to(fd)), "0");
    advance(5s);
    EXPECT_EQ(last_packet(client), before) << "nothing is sent";
    EXPECT_EQ(revents(fd), POLLOUT + 0u);
    EXPECT_EQ(answer(connect_to(fd)), "EISCONN");
    sockaddr_in local{};
    socklen_t length = sizeof local;
    EXPECT_EQ(lastack_getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length), 0);
    EXPECT_NE(local.sin_port, 0);
    EXPECT_EQ(answer(lastack_getpeername(fd, reinterpret_cast<sockaddr*>(&local), &length)),
              "ENOTCONN");
    EXPECT_EQ(answer(lastack_recv(fd, text, 1, MSG_DONTWAIT)), "EAGAIN");
    EXPECT_EQ(answer(lastack_write(fd, "hello", 5)), "5");
    EXPECT_EQ(received(), "hello");
    EXPECT_EQ(answer(connect_to(fd)), "EISCONN");
}

TEST_F(fast_open_sockets, without_a_cookie_connect_is_as_ever) {
    allow(1);
    const int fd = new_socket(SOCK_NONBLOCK);
    EXPECT_EQ(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1), 0);
    EXPECT_EQ(answer(connect_to(fd)), "EINPROGRESS");
    advance(10ms);
    EXPECT_EQ(answer(connect_to(fd)), "0");
}

TEST_F(fast_open_sockets, what_waits_for_its_first_write_can_be_closed_or_shut_down) {
    allow(5);
    const std::string before = last_packet(client);
    for (const bool close : {true, false}) {
        const int fd = new_socket();
        EXPECT_EQ(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1), 0);
        EXPECT_EQ(answer(connect_to(fd)), "0");
        EXPECT_EQ(answer(close ? lastack_close(fd) : lastack_shutdown(fd, SHUT_WR)), "0");
        if (!close) {
            EXPECT_EQ(answer(connect_to(fd)), "0") << "it can connect again";
        }
    }
    advance(1s);
    EXPECT_EQ(last_packet(client), before);
}

TEST_F(fast_open_sockets, a_failed_handshake_is_the_answer_of_a_blocking_send) {
    allow(5);
    EXPECT_EQ(answer(send_first(new_socket(), request, 0, 81)), "ECONNREFUSED");
    cut(client, true);
    EXPECT_EQ(answer(send_first(new_socket(), request)), "ETIMEDOUT");
    const int impatient = new_socket();
    EXPECT_EQ(set(impatient, SOL_SOCKET, SO_SNDTIMEO, timeval{0, 100000}), 0);
    EXPECT_EQ(answer(send_first(impatient, request)), "1420") << "it is under way";
}

TEST_F(fast_open_sockets, what_cannot_be_is_refused_as_on_linux) {
    allow(0);
    const int fd = new_socket(SOCK_NONBLOCK);
    EXPECT_EQ(answer(send_first(fd, request)), "EOPNOTSUPP");
    EXPECT_EQ(answer(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)), "EOPNOTSUPP");
    allow(1);
    EXPECT_EQ(answer(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 2)), "EINVAL");
    EXPECT_EQ(answer(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, -1)), "EINVAL");
    EXPECT_EQ(answer(lastack_send(fd, "x", 1, MSG_FASTOPEN)), "EINVAL") << "no address";
    sockaddr_in n = name_of(address(server), port);
    const auto to = [&](socklen_t length, const void* octets = "x") {
        return answer(lastack_sendto(fd, octets, 1, MSG_FASTOPEN,
                                     reinterpret_cast<const sockaddr*>(&n), length));
    };
    EXPECT_EQ(to(1), "EINVAL");
    EXPECT_EQ(to(8), "EINVAL");
    EXPECT_EQ(to(sizeof n, nullptr), "EFAULT");
    n.sin_family = AF_INET6;
    EXPECT_EQ(to(sizeof n), "EAFNOSUPPORT");
    n.sin_family = AF_UNSPEC;
    EXPECT_EQ(to(sizeof n), "EOPNOTSUPP");
    EXPECT_EQ(answer(lastack_sendto(99, "x", 1, MSG_FASTOPEN, nullptr, 0)), "EBADF");
    EXPECT_EQ(answer(connect_to(fd)), "EINPROGRESS");
    EXPECT_EQ(answer(set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)), "EINVAL") << "too late";
    at(server);
    EXPECT_EQ(answer(send_first(listener_fd, "x")), "EISCONN") << "a listener, as connect()";
}

}  // namespace
}  // namespace lastack::test
