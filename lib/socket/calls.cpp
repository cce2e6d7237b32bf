// SPDX-License-Identifier: BSD-3-Clause
// The C functions: which layer, where the caller's memory may be looked at, -1 and errno.
#include <fcntl.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>

#include "lastack/socket.h"
#include "socket/table.hpp"

namespace lastack::socket {

namespace {

// A thread without a layer: said once, for an errno alone does not tell which mistake it was.
table* here() {
    if (table* const t = table::current()) {
        return t;
    }
    static std::atomic<bool> told{false};
    if (!told.exchange(true)) {
        std::fputs(
            "lastack: a socket call from a thread that owns no stack is refused (EPERM); make it "
            "on "
            "the lcore that lastack_run() or socket_layer::scope gave the sockets to\n",
            stderr);
    }
    return nullptr;
}

template <class Result>
Result told(Result r) {
    if (r >= 0) {
        return r;
    }
    errno = static_cast<int>(-r);
    return -1;
}

template <class Call>
auto on_layer(Call&& call) -> decltype(call(*here())) {
    table* const t = here();
    return told<decltype(call(*t))>(t == nullptr ? -EPERM : call(*t));
}

// What is wrong with scattered memory; `too_many` is the caller's word for more than IOV_MAX.
int check_parts(const iovec* parts, std::size_t count, int too_many, bool written_to) {
    if (count > IOV_MAX) {
        return -too_many;
    }
    if (parts == nullptr && count > 0) {
        return -EFAULT;
    }
    std::size_t octets = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (parts[i].iov_len > SSIZE_MAX - octets) {
            return -EINVAL;
        }
        octets += parts[i].iov_len;
        if (written_to && parts[i].iov_base == nullptr && parts[i].iov_len > 0) {
            return -EFAULT;
        }
    }
    return 0;
}

ssize_t receive(int fd, const iovec* parts, std::size_t count, int too_many, int flags) {
    return on_layer([&](table& t) -> ssize_t {
        const int wrong = check_parts(parts, count, too_many, (flags & MSG_TRUNC) == 0);
        return wrong != 0 ? wrong : t.receive(fd, {parts, count}, flags);
    });
}

ssize_t send(int fd, const iovec* parts, std::size_t count, int too_many, int flags,
             const void* address, socklen_t length) {
    return on_layer([&](table& t) -> ssize_t {
        const int wrong = check_parts(parts, count, too_many, true);
        return wrong != 0 ? wrong
                          : t.send(fd, {parts, count}, flags, static_cast<const sockaddr*>(address),
                                   length);
    });
}

// read(), write() and their like are calls of files: what is no socket has none, and to read
// nothing is to look at nothing.
ssize_t read_file(int fd, const iovec* parts, std::size_t count) {
    return on_layer([&](table& t) -> ssize_t {
        if (const int wrong = check_parts(parts, count, EINVAL, true); wrong != 0) {
            return wrong;
        }
        const vector_cursor into(parts, count);
        if (const int wrong = t.check_file(fd); wrong != 0 || into.left() == 0) {
            return wrong;
        }
        return t.receive(fd, into, 0);
    });
}

ssize_t write_file(int fd, const iovec* parts, std::size_t count) {
    return on_layer([&](table& t) -> ssize_t {
        if (const int wrong = check_parts(parts, count, EINVAL, true); wrong != 0) {
            return wrong;
        }
        const int wrong = t.check_file(fd);
        return wrong != 0 ? wrong : t.send(fd, {parts, count}, 0);
    });
}

}  // namespace

}  // namespace lastack::socket

using lastack::socket::on_layer;
using lastack::socket::table;

extern "C" {

int lastack_socket(int domain, int type, int protocol) {
    return on_layer([&](table& t) { return t.open_socket(domain, type, protocol); });
}
int lastack_bind(int fd, const sockaddr* address, socklen_t length) {
    return on_layer([&](table& t) { return t.bind(fd, address, length); });
}
int lastack_listen(int fd, int backlog) {
    return on_layer([&](table& t) { return t.listen(fd, backlog); });
}
int lastack_accept(int fd, sockaddr* address, socklen_t* length) {
    return lastack_accept4(fd, address, length, 0);
}
int lastack_accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
    return on_layer([&](table& t) { return t.accept(fd, address, length, flags); });
}
int lastack_connect(int fd, const sockaddr* address, socklen_t length) {
    return on_layer([&](table& t) { return t.connect(fd, address, length); });
}
int lastack_shutdown(int fd, int how) {
    return on_layer([&](table& t) { return t.shutdown(fd, how); });
}
int lastack_close(int fd) {
    return on_layer([&](table& t) { return t.close(fd); });
}

ssize_t lastack_read(int fd, void* into, size_t octets) {
    const iovec part{into, octets};
    return lastack::socket::read_file(fd, &part, 1);
}
ssize_t lastack_readv(int fd, const iovec* into, int count) {
    return lastack::socket::read_file(fd, into, static_cast<size_t>(count));
}
ssize_t lastack_recv(int fd, void* into, size_t octets, int flags) {
    return lastack_recvfrom(fd, into, octets, flags, nullptr, nullptr);
}
ssize_t lastack_recvfrom(int fd, void* into, size_t octets, int flags, sockaddr* address,
                         socklen_t* length) {
    const iovec part{into, octets};
    const ssize_t n = lastack::socket::receive(fd, &part, 1, EINVAL, flags);
    if (n >= 0 && address != nullptr && length != nullptr) {
        *length = 0;  // TCP tells no sender here
    }
    return n;
}
ssize_t lastack_recvmsg(int fd, msghdr* message, int flags) {
    if (message == nullptr) {
        errno = EFAULT;
        return -1;
    }
    if ((flags & MSG_ERRQUEUE) != 0) {
        return on_layer([&](table& t) { return t.receive_completion(fd, message); });
    }
    const ssize_t n =
        lastack::socket::receive(fd, message->msg_iov, message->msg_iovlen, EMSGSIZE, flags);
    if (n >= 0) {
        table::current()->tell_of_message(fd, *message);
    }
    return n;
}

ssize_t lastack_write(int fd, const void* from, size_t octets) {
    const iovec part{const_cast<void*>(from), octets};
    return lastack::socket::write_file(fd, &part, 1);
}
ssize_t lastack_writev(int fd, const iovec* from, int count) {
    return lastack::socket::write_file(fd, from, static_cast<size_t>(count));
}
ssize_t lastack_send(int fd, const void* from, size_t octets, int flags) {
    return lastack_sendto(fd, from, octets, flags, nullptr, 0);
}
// As Linux: the address is looked at with MSG_FASTOPEN only.
ssize_t lastack_sendto(int fd, const void* from, size_t octets, int flags, const sockaddr* address,
                       socklen_t length) {
    const iovec part{const_cast<void*>(from), octets};
    return lastack::socket::send(fd, &part, 1, EINVAL, flags, address, length);
}
ssize_t lastack_sendmsg(int fd, const msghdr* message, int flags) {
    if (message == nullptr) {
        errno = EFAULT;
        return -1;
    }
    return lastack::socket::send(fd, message->msg_iov, message->msg_iovlen, EMSGSIZE, flags,
                                 message->msg_name, message->msg_namelen);
}

int lastack_getsockopt(int fd, int level, int option, void* value, socklen_t* length) {
    return on_layer([&](table& t) { return t.get_option(fd, level, option, value, length); });
}
int lastack_setsockopt(int fd, int level, int option, const void* value, socklen_t length) {
    return on_layer([&](table& t) { return t.set_option(fd, level, option, value, length); });
}
int lastack_getsockname(int fd, sockaddr* address, socklen_t* length) {
    return on_layer([&](table& t) { return t.local_name(fd, address, length); });
}
int lastack_getpeername(int fd, sockaddr* address, socklen_t* length) {
    return on_layer([&](table& t) { return t.peer_name(fd, address, length); });
}

int lastack_fcntl(int fd, int command, ...) {
    va_list more;
    va_start(more, command);
    const long argument = command == F_SETFL || command == F_SETFD ? va_arg(more, int) : 0;
    va_end(more);
    return on_layer([&](table& t) { return t.fcntl(fd, command, argument); });
}
int lastack_ioctl(int fd, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    int* const argument = va_arg(more, int*);
    va_end(more);
    return on_layer([&](table& t) { return t.ioctl(fd, request, argument); });
}

int lastack_poll(pollfd* descriptors, nfds_t count, int timeout_ms) {
    return on_layer([&](table& t) { return t.poll(descriptors, count, timeout_ms); });
}
int lastack_epoll_create(int size) {
    return on_layer([&](table& t) { return size <= 0 ? -EINVAL : t.epoll_create(0); });
}
int lastack_epoll_create1(int flags) {
    return on_layer([&](table& t) { return t.epoll_create(flags); });
}
int lastack_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
    return on_layer([&](table& t) { return t.epoll_control(epoll, operation, fd, event); });
}
int lastack_epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
    return on_layer([&](table& t) { return t.epoll_wait(epoll, events, count, timeout_ms); });
}

}  // extern "C"
