// SPDX-License-Identifier: BSD-3-Clause
// Sockets on two stacks and a virtual clock, for tests of single calls. same.c has what can be said
// of the kernel too; here is what needs a clock, a wire that fails, or the layer itself.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "lastack/socket.h"
#include "support/socket_pair.hpp"

namespace lastack::test {

using namespace std::chrono_literals;

// What a call answered: its result, or the name of its errno.
template <class Result>
std::string answer(Result r) {
    return r >= 0 ? std::to_string(r) : strerrorname_np(errno);
}

inline sockaddr_in name_of(ipv4_address a, std::uint16_t port) {
    sockaddr_in n{};
    n.sin_family = AF_INET;
    n.sin_port = htons(port);
    n.sin_addr.s_addr = htonl(a.bits);
    return n;
}

class sockets : public testing::Test, public socket_pair {
  public:
    static constexpr std::uint16_t port = 80;

    static int new_socket(int flags = 0) { return lastack_socket(AF_INET, SOCK_STREAM | flags, 0); }
    static int connect_to(int fd, ipv4_address a = address(server), std::uint16_t p = port) {
        const sockaddr_in n = name_of(a, p);
        return lastack_connect(fd, reinterpret_cast<const sockaddr*>(&n), sizeof n);
    }
    static int bind_to(int fd, std::uint16_t p, ipv4_address a = {}) {
        const sockaddr_in n = name_of(a, p);
        return lastack_bind(fd, reinterpret_cast<const sockaddr*>(&n), sizeof n);
    }
    template <class T>
    static int set(int fd, int level, int option, T value) {
        return lastack_setsockopt(fd, level, option, &value, sizeof value);
    }
    static int get(int fd, int level, int option) {
        int value = -77;
        socklen_t length = sizeof value;
        return lastack_getsockopt(fd, level, option, &value, &length) == 0 ? value : -errno;
    }

    int listen_at_server(int backlog = 16, int flags = 0) {
        at(server);
        const int fd = new_socket(flags);
        EXPECT_EQ(bind_to(fd, port), 0);
        EXPECT_EQ(lastack_listen(fd, backlog), 0);
        return fd;
    }
    // client_fd and server_fd are connected; the calls that follow are the client's.
    void establish() {
        listener_fd = listen_at_server();
        at(client);
        client_fd = new_socket();
        ASSERT_EQ(connect_to(client_fd), 0);
        at(server);
        server_fd = lastack_accept(listener_fd, nullptr, nullptr);
        ASSERT_GE(server_fd, 0);
        at(client);
    }
    // How long `call` takes on the clock.
    template <class Call>
    duration time_of(Call&& call) {
        const instant began = now();
        call();
        return duration{now().us - began.us};
    }

    int listener_fd = -1;
    int client_fd = -1;
    int server_fd = -1;
    char text[64] = {};
};

}  // namespace lastack::test
