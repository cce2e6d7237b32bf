/* SPDX-License-Identifier: BSD-3-Clause */
/* Linux's socket calls on lastack: the same names with lastack_ before them, the same constants,
 * structures, results and errno values, in C and in C++.
 *
 *   int main(int argc, char **argv) { return lastack_run(argc, argv, program); }
 *
 * Descriptors belong to the lcore (in C++: the socket_layer, lastack/socket_layer.hpp) that made
 * them and are numbers of its own, from 3; they are no kernel descriptors. A call from a thread
 * that has no layer is refused with EPERM. TCP over IPv4 is what there is: socket() answers other
 * families EAFNOSUPPORT, other types ESOCKTNOSUPPORT or EPROTONOSUPPORT.
 *
 * Blocking: sockets block as on Linux unless O_NONBLOCK, SOCK_NONBLOCK or MSG_DONTWAIT says
 * otherwise. There is no loop around a program; its calls that wait are the loop: they turn the
 * lcore, which takes frames, runs timers and sends. So do poll() and epoll_wait(), at least once
 * each, and a call that would answer EAGAIN on the same descriptor again without a turn in between.
 * What is written leaves with the next turn. Where waiting cannot work the call is refused with
 * EDEADLK: on a layer whose host has no way to wait. Once the process has stopped, what would wait
 * fails with ESHUTDOWN: the program should then return.
 *
 * Different from Linux:
 *  - No call raises SIGPIPE: a broken connection is EPIPE, as if MSG_NOSIGNAL were always given.
 *  - close() of a socket that lingers waits only where waiting is possible.
 *  - Nothing is a kernel descriptor: not for select(), read(2), dup() or fork(), and epoll and poll
 *    here take none. There is no out-of-band data: MSG_OOB is refused with EOPNOTSUPP.
 *  - An option that is not in docs/sockets.md is ENOPROTOOPT.
 */
#ifndef LASTACK_SOCKET_H
#define LASTACK_SOCKET_H

#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts EAL, ports and stacks, and calls program() on every worker lcore at once, each with
 * descriptors of its own; what program() keeps in static variables is shared by all of them.
 * The words of argv are EAL's, then `--` and those that all lastack applications share (--help
 * names them), then `--` and the program's own, which program() gets behind argv[0]. When it
 * returns, its descriptors are closed; when all have returned, the process drains and ends.
 * Returns the first status of a program() that is not 0, or 2 when the stack could not start, for
 * which one line is printed. */
int lastack_run(int argc, char **argv, int (*program)(int argc, char **argv));

int lastack_socket(int domain, int type, int protocol);
int lastack_bind(int fd, const struct sockaddr *address, socklen_t length);
int lastack_listen(int fd, int backlog);
int lastack_accept(int fd, struct sockaddr *address, socklen_t *length);
int lastack_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int lastack_connect(int fd, const struct sockaddr *address, socklen_t length);
int lastack_shutdown(int fd, int how);
int lastack_close(int fd);

ssize_t lastack_read(int fd, void *into, size_t octets);
ssize_t lastack_readv(int fd, const struct iovec *into, int count);
ssize_t lastack_recv(int fd, void *into, size_t octets, int flags);
ssize_t lastack_recvfrom(int fd, void *into, size_t octets, int flags, struct sockaddr *address,
                         socklen_t *length);
ssize_t lastack_recvmsg(int fd, struct msghdr *message, int flags);

ssize_t lastack_write(int fd, const void *from, size_t octets);
ssize_t lastack_writev(int fd, const struct iovec *from, int count);
ssize_t lastack_send(int fd, const void *from, size_t octets, int flags);
ssize_t lastack_sendto(int fd, const void *from, size_t octets, int flags,
                       const struct sockaddr *address, socklen_t length);
ssize_t lastack_sendmsg(int fd, const struct msghdr *message, int flags);

int lastack_getsockopt(int fd, int level, int option, void *value, socklen_t *length);
int lastack_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
int lastack_getsockname(int fd, struct sockaddr *address, socklen_t *length);
int lastack_getpeername(int fd, struct sockaddr *address, socklen_t *length);

/* F_GETFL and F_SETFL (O_NONBLOCK), F_GETFD and F_SETFD; others are EINVAL. */
int lastack_fcntl(int fd, int command, ...);
/* FIONREAD (SIOCINQ), SIOCOUTQ (TIOCOUTQ), SIOCOUTQNSD, FIONBIO; others are ENOTTY. */
int lastack_ioctl(int fd, unsigned long request, ...);

int lastack_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms);
int lastack_epoll_create(int size);
int lastack_epoll_create1(int flags);
int lastack_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int lastack_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
