/* SPDX-License-Identifier: BSD-3-Clause */
/* What packetdrill asks of a stack that it loads with --so_filename: one structure of functions,
 * which packetdrill_interface_init() fills. packetdrill uses every member without asking whether it
 * is there, so none may be missing. Each function takes `userdata` first and then the arguments of
 * the call it is named after; results and errno are the call's.
 *
 * Declared here from what the program expects; packetdrill itself is no part of this project. */
#ifndef LASTACK_PACKETDRILL_INTERFACE_H
#define LASTACK_PACKETDRILL_INTERFACE_H

#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct packetdrill_interface {
    void* userdata;
    void (*free)(void*);
    int (*socket)(void*, int domain, int type, int protocol);
    int (*bind)(void*, int fd, const struct sockaddr*, socklen_t);
    int (*listen)(void*, int fd, int backlog);
    int (*accept)(void*, int fd, struct sockaddr*, socklen_t*);
    int (*connect)(void*, int fd, const struct sockaddr*, socklen_t);
    ssize_t (*read)(void*, int fd, void*, size_t);
    ssize_t (*readv)(void*, int fd, const struct iovec*, int);
    ssize_t (*recv)(void*, int fd, void*, size_t, int flags);
    ssize_t (*recvfrom)(void*, int fd, void*, size_t, int flags, struct sockaddr*, socklen_t*);
    ssize_t (*recvmsg)(void*, int fd, struct msghdr*, int flags);
    ssize_t (*write)(void*, int fd, const void*, size_t);
    ssize_t (*writev)(void*, int fd, const struct iovec*, int);
    ssize_t (*send)(void*, int fd, const void*, size_t, int flags);
    ssize_t (*sendto)(void*, int fd, const void*, size_t, int flags, const struct sockaddr*,
                      socklen_t);
    ssize_t (*sendmsg)(void*, int fd, const struct msghdr*, int flags);
    int (*fcntl)(void*, int fd, int command, ...);
    int (*ioctl)(void*, int fd, unsigned long request, ...);
    int (*close)(void*, int fd);
    int (*shutdown)(void*, int fd, int how);
    int (*getsockopt)(void*, int fd, int level, int option, void*, socklen_t*);
    int (*setsockopt)(void*, int fd, int level, int option, const void*, socklen_t);
    int (*poll)(void*, struct pollfd*, nfds_t, int timeout_ms);
    /* Puts one IP packet on the wire towards the stack. 0, or -1. */
    int (*netdev_send)(void*, const void* packet, size_t octets);
    /* Waits for the next IP packet that leaves the stack. `octets` is the room and then the length,
     * 0 when none came; `time_usecs` is the moment it left, by gettimeofday's clock. 0, or -1. */
    int (*netdev_receive)(void*, void* packet, size_t* octets, long long* time_usecs);
    int (*usleep)(void*, useconds_t);
    int (*gettimeofday)(void*, struct timeval*, struct timezone*);
    int (*epoll_create)(void*, int size);
    int (*epoll_ctl)(void*, int epoll, int operation, int fd, struct epoll_event*);
    int (*epoll_wait)(void*, int epoll, struct epoll_event*, int count, int timeout_ms);
    int (*pipe)(void*, int descriptors[2]);
    int (*splice)(void*, int from, loff_t*, int to, loff_t*, size_t, unsigned flags);
};

/* `flags`: what was given with --so_flags, or NULL. */
void packetdrill_interface_init(const char* flags, struct packetdrill_interface*);

#ifdef __cplusplus
}
#endif

#endif
