// SPDX-License-Identifier: BSD-3-Clause
// liblastack_packetdrill.so: packetdrill's calls as calls of the socket layer.
//
// Loaded twice into one process, which is once: with --so_filename for its interface, and with
// LD_PRELOAD so that three of its functions stand before libc's. getsockopt(), because the data of
// %{ ... }% blocks is fetched with libc's call from what is to packetdrill a descriptor like any
// other; what is no descriptor of the stack (a pipe) goes to libc. mlockall() and
// sched_setscheduler(), because packetdrill asks them for its timing's sake, the first in earnest:
// on a virtual clock they serve nothing, and without them it runs as an ordinary user.
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "lastack/socket.h"
#include "packetdrill/control.hpp"
#include "packetdrill/interface.h"
#include "packetdrill/world.hpp"

namespace lastack::packetdrill {
namespace {

// How long a script waits for a packet that does not come. Longer than any timer but keepalive's.
constexpr duration patience = std::chrono::seconds(150);

struct instance {
    std::unique_ptr<world> stack;
    std::unique_ptr<control> shims;
};

// The one there is; getsockopt() is called without userdata.
instance* present = nullptr;

world& of(void* userdata) {
    return *static_cast<instance*>(userdata)->stack;
}

// The member that makes the call `lastack_*` inside the world.
template <auto Function>
struct member;
template <class Result, class... Arguments, Result (*Function)(Arguments...)>
struct member<Function> {
    static Result call(void* userdata, Arguments... arguments) {
        const world::call inside(of(userdata));
        return Function(arguments...);
    }
};

int fcntl_member(void* userdata, int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    const int argument = command == F_SETFL || command == F_SETFD ? va_arg(rest, int) : 0;
    va_end(rest);
    const world::call inside(of(userdata));
    return lastack_fcntl(fd, command, argument);
}

int ioctl_member(void* userdata, int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void* const argument = va_arg(rest, void*);
    va_end(rest);
    const world::call inside(of(userdata));
    return lastack_ioctl(fd, request, argument);
}

ssize_t read_member(void* userdata, int fd, void* into, size_t octets) {
    return of(userdata).holds(fd) ? member<&lastack_read>::call(userdata, fd, into, octets)
                                  : ::read(fd, into, octets);
}

ssize_t write_member(void* userdata, int fd, const void* from, size_t octets) {
    return of(userdata).holds(fd) ? member<&lastack_write>::call(userdata, fd, from, octets)
                                  : ::write(fd, from, octets);
}

int close_member(void* userdata, int fd) {
    return of(userdata).holds(fd) ? member<&lastack_close>::call(userdata, fd) : ::close(fd);
}

int pipe_member(void*, int descriptors[2]) {
    return ::pipe(descriptors);
}

// The stack has no splice(), as a file system may have none.
int splice_member(void*, int, loff_t*, int, loff_t*, size_t, unsigned) {
    errno = EINVAL;
    return -1;
}

int netdev_send(void* userdata, const void* packet, size_t octets) {
    const world::call inside(of(userdata));
    of(userdata).inject({static_cast<const std::uint8_t*>(packet), octets});
    return 0;
}

int netdev_receive(void* userdata, void* packet, size_t* octets, long long* time_usecs) {
    const world::call inside(of(userdata));
    const auto next = of(userdata).next_packet(patience);
    if (!next) {
        *octets = 0;
        return 0;
    }
    *octets = std::min(*octets, next->octets.size());
    std::memcpy(packet, next->octets.data(), *octets);
    *time_usecs = next->at.us;
    return 0;
}

int usleep_member(void* userdata, useconds_t us) {
    const world::call inside(of(userdata));
    of(userdata).sleep(microseconds(us));
    return 0;
}

int gettimeofday_member(void* userdata, timeval* now, struct timezone*) {
    const std::int64_t us = of(userdata).clock().us;
    now->tv_sec = us / 1000000;
    now->tv_usec = us % 1000000;
    return 0;
}

void free_member(void* userdata) {
    auto* const gone = static_cast<instance*>(userdata);
    present = nullptr;
    gone->shims.reset();
    delete gone;
}

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "liblastack_packetdrill: %s\n", why.c_str());
    std::exit(2);
}

}  // namespace
}  // namespace lastack::packetdrill

using namespace lastack::packetdrill;

extern "C" __attribute__((visibility("default"))) void packetdrill_interface_init(
    const char* flags, packetdrill_interface* into) {
    unsetenv("LD_PRELOAD");  // a script's shell commands need no stack
    const auto parsed = parse_flags(flags == nullptr ? "" : flags);
    if (!parsed) {
        give_up("--so_flags: " + parsed.error());
    }
    auto made = world::make(*parsed);
    if (!made) {
        give_up(made.error());
    }
    auto* const here = new instance{std::move(*made), nullptr};
    here->shims = std::make_unique<control>(*here->stack);
    if (!here->shims->error().empty()) {
        give_up(here->shims->error());
    }
    present = here;
    *into = {
        .userdata = here,
        .free = free_member,
        .socket = member<&lastack_socket>::call,
        .bind = member<&lastack_bind>::call,
        .listen = member<&lastack_listen>::call,
        .accept = member<&lastack_accept>::call,
        .connect = member<&lastack_connect>::call,
        .read = read_member,
        .readv = member<&lastack_readv>::call,
        .recv = member<&lastack_recv>::call,
        .recvfrom = member<&lastack_recvfrom>::call,
        .recvmsg = member<&lastack_recvmsg>::call,
        .write = write_member,
        .writev = member<&lastack_writev>::call,
        .send = member<&lastack_send>::call,
        .sendto = member<&lastack_sendto>::call,
        .sendmsg = member<&lastack_sendmsg>::call,
        .fcntl = fcntl_member,
        .ioctl = ioctl_member,
        .close = close_member,
        .shutdown = member<&lastack_shutdown>::call,
        .getsockopt = member<&lastack_getsockopt>::call,
        .setsockopt = member<&lastack_setsockopt>::call,
        .poll = member<&lastack_poll>::call,
        .netdev_send = netdev_send,
        .netdev_receive = netdev_receive,
        .usleep = usleep_member,
        .gettimeofday = gettimeofday_member,
        .epoll_create = member<&lastack_epoll_create>::call,
        .epoll_ctl = member<&lastack_epoll_ctl>::call,
        .epoll_wait = member<&lastack_epoll_wait>::call,
        .pipe = pipe_member,
        .splice = splice_member,
    };
}

// A %{ ... }% block fetches TCP_INFO, TCP_CC_INFO and SO_MEMINFO, all or none, and wants of the
// first and the last every field of the newest kernel. What the stack does not keep is 0 there; of
// its congestion control there is no more to tell than of Linux's Reno, which is nothing.
extern "C" __attribute__((visibility("default"))) int getsockopt(int fd, int level, int option,
                                                                 void* value,
                                                                 socklen_t* length) noexcept {
    if (present == nullptr || !present->stack->holds(fd)) {
        return static_cast<int>(syscall(SYS_getsockopt, fd, level, option, value, length));
    }
    if (level == IPPROTO_TCP && option == TCP_CC_INFO) {
        *length = 0;
        return 0;
    }
    const bool memory = level == SOL_SOCKET && option == SO_MEMINFO;
    const socklen_t room = *length;
    socklen_t filled = memory ? 0 : room;
    const int result =
        memory ? 0 : member<&lastack_getsockopt>::call(present, fd, level, option, value, &filled);
    *length = filled;
    if (memory || (result == 0 && level == IPPROTO_TCP && option == TCP_INFO)) {
        std::memset(static_cast<char*>(value) + filled, 0, room - filled);
        *length = room;
    }
    return result;
}

extern "C" __attribute__((visibility("default"))) int mlockall(int) noexcept {
    return 0;
}

extern "C" __attribute__((visibility("default"))) int sched_setscheduler(
    pid_t, int, const sched_param*) noexcept {
    return 0;
}
