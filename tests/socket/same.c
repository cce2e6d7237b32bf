/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of plain socket calls that tells what each of them answers. Compiled twice, against the
 * kernel and, its calls renamed, against lastack; same.py compares what the two print. So nothing
 * that may differ is printed: descriptors, ports that were chosen, how much fits a buffer. */
#define _GNU_SOURCE
#include "same.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef LASTACK
#include "lastack/socket.h"
#define socket lastack_socket
#define bind lastack_bind
#define listen lastack_listen
#define accept lastack_accept
#define accept4 lastack_accept4
#define connect lastack_connect
#define shutdown lastack_shutdown
#define close lastack_close
#define read lastack_read
#define readv lastack_readv
#define recv lastack_recv
#define recvfrom lastack_recvfrom
#define recvmsg lastack_recvmsg
#define write lastack_write
#define writev lastack_writev
#define send lastack_send
#define sendto lastack_sendto
#define sendmsg lastack_sendmsg
#define getsockopt lastack_getsockopt
#define setsockopt lastack_setsockopt
#define getsockname lastack_getsockname
#define getpeername lastack_getpeername
#define fcntl lastack_fcntl
#define ioctl lastack_ioctl
#define poll lastack_poll
#define epoll_create lastack_epoll_create
#define epoll_create1 lastack_epoll_create1
#define epoll_ctl lastack_epoll_ctl
#define epoll_wait lastack_epoll_wait
#endif

/* --- telling ---------------------------------------------------------------------------------- */

static void part(const char *name) {
    printf("== %s\n", name);
}

static long tell(const char *what, long result) {
    if (result < 0) {
        const char *name = strerrorname_np(errno);
        printf("%s: %s\n", what, name != NULL ? name : "?");
    } else {
        printf("%s: %ld\n", what, result);
    }
    return result;
}
#define TELL(call) tell(#call, (long)(call))

/* For calls whose result is a descriptor or a count that may differ. */
static long tell_good(const char *what, long result) {
    if (result < 0) {
        tell(what, result);
    } else {
        printf("%s: good\n", what);
    }
    return result;
}
#define GOOD(call) tell_good(#call, (long)(call))

static void print_bits(unsigned bits) {
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{POLLIN, "IN"},         {POLLPRI, "PRI"},       {POLLOUT, "OUT"},
                 {POLLERR, "ERR"},       {POLLHUP, "HUP"},       {POLLNVAL, "NVAL"},
                 {POLLRDNORM, "RDNORM"}, {POLLWRNORM, "WRNORM"}, {POLLRDHUP, "RDHUP"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        if ((bits & names[i].bit) != 0) {
            printf(" %s", names[i].name);
        }
    }
    printf("\n");
}

static void tell_poll(const char *what, int fd) {
    struct pollfd p = {fd, POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP, 0};
    const int n = poll(&p, 1, 0);
    printf("poll %s: %d", what, n);
    print_bits((unsigned short)p.revents);
}

static void tell_int(const char *what, int fd, int level, int option) {
    int value = -77;
    socklen_t length = sizeof value;
    const int r = getsockopt(fd, level, option, &value, &length);
    if (r < 0) {
        tell(what, r);
    } else {
        printf("%s: %d (%u)\n", what, value, (unsigned)length);
    }
}
#define TELL_INT(fd, level, option) tell_int(#option, fd, level, option)

static int set_int(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value);
}

static void tell_state(const char *what, int fd) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    memset(&info, 0, sizeof info);
    const int r = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    if (r < 0) {
        tell(what, r);
    } else {
        printf("state %s: %u\n", what, info.tcpi_state);
    }
}

static void tell_error(int fd) {
    int value = -77;
    socklen_t length = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) < 0) {
        tell("SO_ERROR", -1);
    } else {
        printf("SO_ERROR: %s\n", value == 0 ? "0" : strerrorname_np(value));
    }
}

/* --- making ----------------------------------------------------------------------------------- */

static struct sockaddr_in server_name(int port) {
    struct sockaddr_in name;
    memset(&name, 0, sizeof name);
    name.sin_family = AF_INET;
    name.sin_port = htons((uint16_t)port);
    inet_pton(AF_INET, server_address(), &name.sin_addr);
    return name;
}

static void must(int good, const char *what) {
    if (!good) {
        printf("cannot go on: %s: %s\n", what, strerrorname_np(errno));
        exit(1);
    }
}

static int bind_to(int fd, int port) {
    const struct sockaddr_in name = server_name(port);
    return bind(fd, (const struct sockaddr *)&name, sizeof name);
}

static int connect_to(int fd, int port) {
    const struct sockaddr_in name = server_name(port);
    return connect(fd, (const struct sockaddr *)&name, sizeof name);
}

static int new_socket(void) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0, "socket");
    return fd;
}

/* A listener with SO_REUSEADDR at SERVER. */
static int new_listener(int port) {
    at(SERVER);
    const int fd = new_socket();
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    must(bind_to(fd, port) == 0, "bind");
    must(listen(fd, 16) == 0, "listen");
    return fd;
}

struct pair {
    int client;
    int server;
    int listener;
};

static struct pair new_pair(int port) {
    struct pair p;
    p.listener = new_listener(port);
    at(CLIENT);
    p.client = new_socket();
    must(connect_to(p.client, port) == 0, "connect");
    settle();
    at(SERVER);
    p.server = accept(p.listener, NULL, NULL);
    must(p.server >= 0, "accept");
    return p;
}

static void end_pair(struct pair p) {
    at(CLIENT);
    if (p.client >= 0) {
        close(p.client);
    }
    at(SERVER);
    if (p.server >= 0) {
        close(p.server);
    }
    close(p.listener);
    settle();
}

static void reset_by(int fd) {
    const struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    settle();
}

/* --- the parts -------------------------------------------------------------------------------- */

static void fresh_socket(void) {
    part("a socket that is nothing yet");
    char text[8];
    at(CLIENT);
    const int fd = new_socket();
    TELL(read(fd, text, sizeof text));
    TELL(recv(fd, text, sizeof text, 0));
    TELL(write(fd, "x", 1));
    TELL(send(fd, "x", 1, MSG_NOSIGNAL));
    tell_poll("fresh", fd);
    tell_state("fresh", fd);
    TELL(accept(fd, NULL, NULL));
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    TELL(getpeername(fd, (struct sockaddr *)&name, &length));
    TELL(getsockname(fd, (struct sockaddr *)&name, &length));
    printf("name: %u %u:%u (%u)\n", name.sin_family, name.sin_addr.s_addr, name.sin_port,
           (unsigned)length);
    length = 4;
    TELL(getsockname(fd, (struct sockaddr *)&name, &length));
    printf("length: %u\n", (unsigned)length);
    length = (socklen_t)-1;
    TELL(getsockname(fd, (struct sockaddr *)&name, &length));
    int n = -1;
    TELL(ioctl(fd, FIONREAD, &n));
    printf("unread: %d\n", n);
    TELL(ioctl(fd, SIOCOUTQ, &n));
    printf("unacknowledged: %d\n", n);
    TELL(shutdown(fd, 9));
    TELL(shutdown(fd, SHUT_WR));
    TELL(shutdown(fd, SHUT_RDWR));
    tell_poll("shut", fd);
    TELL(read(fd, text, sizeof text));
    TELL(close(fd));
    TELL(close(fd));
    TELL(read(fd, text, 1));
    TELL(read(-1, text, 1));
    TELL(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    TELL(socket(AF_INET, SOCK_STREAM | 0x1000000, 0));
    TELL(socket(AF_INET, 77, 0));
    TELL(socket(-1, SOCK_STREAM, 0));
}

static void binding(void) {
    part("bind and listen");
    at(SERVER);
    const int a = new_socket();
    struct sockaddr_in name = server_name(9001);
    TELL(bind(a, (struct sockaddr *)&name, 7));
    name.sin_family = AF_INET6;
    TELL(bind(a, (struct sockaddr *)&name, sizeof name));
    name = server_name(9001);
    inet_pton(AF_INET, "192.0.2.1", &name.sin_addr);
    TELL(bind(a, (struct sockaddr *)&name, sizeof name));
    TELL(bind_to(a, 9001));
    TELL(bind_to(a, 9002));
    const int b = new_socket();
    TELL(bind_to(b, 9001));
    name = server_name(9001);
    name.sin_addr.s_addr = INADDR_ANY;
    TELL(bind(b, (struct sockaddr *)&name, sizeof name));
    set_int(b, SOL_SOCKET, SO_REUSEADDR, 1);
    TELL(bind_to(b, 9001));
    TELL(listen(a, 1));
    TELL(listen(a, 5));
    tell_poll("listener", a);
    tell_state("listener", a);
    TELL_INT(a, SOL_SOCKET, SO_ACCEPTCONN);
    TELL(bind_to(a, 9002));
    TELL(connect_to(a, 9003));
    char text[4];
    TELL(read(a, text, 4));
    TELL(write(a, "x", 1));
    int n = 0;
    TELL(ioctl(a, FIONREAD, &n));
    TELL(ioctl(a, SIOCOUTQ, &n));
    TELL(fcntl(a, F_SETFL, O_NONBLOCK));
    TELL(fcntl(a, F_GETFL));
    TELL(accept(a, NULL, NULL));
    TELL(accept4(a, NULL, NULL, 0x40000000));
    TELL(shutdown(a, SHUT_WR));
    tell_poll("listener, SHUT_WR", a);
    TELL(shutdown(a, SHUT_RD));
    tell_poll("listener, SHUT_RD", a);
    TELL(accept(a, NULL, NULL));
    TELL(listen(a, 1));
    TELL(close(a));
    TELL(bind_to(b, 9001));
    TELL(close(b));
    const int c = new_socket();
    TELL(listen(c, 1)); /* binds itself */
    socklen_t length = sizeof name;
    TELL(getsockname(c, (struct sockaddr *)&name, &length));
    printf("chosen: %d\n", name.sin_port != 0);
    TELL(close(c));
    const int d = new_socket();
    const int e = new_socket();
    TELL(set_int(d, SOL_SOCKET, SO_REUSEPORT, 1));
    TELL(set_int(e, SOL_SOCKET, SO_REUSEPORT, 1));
    TELL(bind_to(d, 9004));
    TELL(bind_to(e, 9004));
    TELL(listen(d, 1));
    TELL(listen(e, 1));
    TELL(close(d));
    TELL(close(e));
    const int f = new_socket();
    const int g = new_socket();
    set_int(f, SOL_SOCKET, SO_REUSEADDR, 1);
    set_int(g, SOL_SOCKET, SO_REUSEADDR, 1);
    TELL(bind_to(f, 9005));
    TELL(bind_to(g, 9005));
    TELL(listen(f, 1));
    TELL(listen(g, 1));
    TELL(close(f));
    TELL(listen(g, 1));
    TELL(close(g));
}

static void refused(void) {
    part("connection refused");
    at(CLIENT);
    const int fd = new_socket();
    TELL(connect_to(fd, 9010));
    tell_error(fd);
    tell_poll("refused", fd);
    TELL(connect_to(fd, 9010));
    char text[4];
    TELL(read(fd, text, 4));
    TELL(write(fd, text, 4));
    close(fd);

    const int nb = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TELL(connect_to(nb, 9010));
    settle();
    tell_poll("refused", nb);
    tell_state("refused", nb);
    tell_error(nb);
    tell_error(nb);
    tell_poll("told", nb);
    TELL(connect_to(nb, 9010));
    TELL(connect_to(nb, 9010));
    settle();
    TELL(read(nb, text, 4));
    TELL(read(nb, text, 4));
    TELL(write(nb, text, 4));
    TELL(connect_to(nb, 9010));
    TELL(connect_to(nb, 9010));
    settle();
    TELL(connect_to(nb, 9010));
    TELL(connect_to(nb, 9010));
    settle();
    TELL(shutdown(nb, SHUT_RDWR));
    TELL(connect_to(nb, 9010));
    close(nb);

    const int other = new_socket();
    struct sockaddr_in name = server_name(9010);
    TELL(connect(other, (struct sockaddr *)&name, 1));
    TELL(connect(other, (struct sockaddr *)&name, 7));
    name.sin_family = AF_INET6;
    TELL(connect(other, (struct sockaddr *)&name, sizeof name));
    TELL(listen(other, 1));
    TELL(close(other));
}

static void opening(void) {
    part("a connection opens");
    const int l = new_listener(9020);
    fcntl(l, F_SETFL, O_NONBLOCK);
    at(CLIENT);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TELL(connect_to(fd, 9020));
    settle();
    tell_poll("connected", fd);
    TELL(connect_to(fd, 9020));
    TELL(connect_to(fd, 9020));
    TELL(listen(fd, 1));
    TELL(bind_to(fd, 9020));
    tell_error(fd);
    tell_state("connected", fd);
    at(SERVER);
    tell_poll("listener", l);
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    const int s = (int)GOOD(accept(l, (struct sockaddr *)&name, &length));
    printf("peer: %u, %d, %u\n", name.sin_family, name.sin_port != 0, (unsigned)length);
    TELL(accept(l, (struct sockaddr *)&name, &length));
    TELL(fcntl(s, F_GETFL));
    tell_poll("accepted", s);
    tell_poll("listener", l);
    struct sockaddr_in mine;
    struct sockaddr_in theirs;
    length = sizeof mine;
    TELL(getsockname(s, (struct sockaddr *)&mine, &length));
    at(CLIENT);
    length = sizeof theirs;
    TELL(getpeername(fd, (struct sockaddr *)&theirs, &length));
    printf("names agree: %d\n", memcmp(&mine, &theirs, sizeof mine) == 0);
    length = sizeof mine;
    TELL(getsockname(fd, (struct sockaddr *)&mine, &length));
    printf("names agree: %d\n", memcmp(&mine, &name, sizeof mine) == 0);
    end_pair((struct pair){fd, s, l});
}

static void transfers(void) {
    part("octets");
    struct pair p = new_pair(9030);
    char text[64];
    int n = 0;
    at(CLIENT);
    TELL(write(p.client, "hello world", 11));
    TELL(write(p.client, "", 0));
    TELL(send(p.client, "!", 1, MSG_MORE));
    TELL(send(p.client, "?", 1, 0));
    settle();
    TELL(ioctl(p.client, SIOCOUTQ, &n));
    printf("unacknowledged: %d\n", n);
    at(SERVER);
    TELL(ioctl(p.server, FIONREAD, &n));
    printf("unread: %d\n", n);
    tell_poll("data", p.server);
    TELL(recv(p.server, text, 5, MSG_PEEK));
    printf("%.5s\n", text);
    TELL(recv(p.server, text, 3, MSG_TRUNC));
    TELL(read(p.server, text, 0));
    struct iovec parts[2] = {{text, 2}, {text + 8, 4}};
    TELL(readv(p.server, parts, 2));
    printf("%.2s %.4s\n", text, text + 8);
    struct msghdr m;
    struct sockaddr_in name;
    memset(&m, 0, sizeof m);
    m.msg_name = &name;
    m.msg_namelen = sizeof name;
    m.msg_iov = parts;
    m.msg_iovlen = 1;
    m.msg_flags = 99;
    TELL(recvmsg(p.server, &m, 0));
    printf("%.2s, name %u, flags %d\n", text, (unsigned)m.msg_namelen, m.msg_flags);
    socklen_t length = sizeof name;
    TELL(recvfrom(p.server, text, 9, 0, (struct sockaddr *)&name, &length));
    printf("%.2s, name %u\n", text, (unsigned)length);
    TELL(recv(p.server, text, 9, MSG_DONTWAIT));
    TELL(recv(p.server, text, 9, MSG_DONTWAIT | MSG_PEEK));
    fcntl(p.server, F_SETFL, O_NONBLOCK);
    TELL(read(p.server, text, 9));
    const volatile int minus_one = -1;
    TELL(readv(p.server, parts, minus_one));
    TELL(readv(p.server, parts, 0));
    m.msg_iovlen = 5000;
    TELL(recvmsg(p.server, &m, 0));
    n = 0;
    TELL(ioctl(p.server, FIONBIO, &n));
    TELL(fcntl(p.server, F_GETFL));
    const struct timeval soon = {0, 20000};
    TELL(setsockopt(p.server, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
    TELL(read(p.server, text, 9));
    at(CLIENT);
    struct iovec out[3] = {{(void *)"ab", 2}, {NULL, 0}, {(void *)"cde", 3}};
    TELL(writev(p.client, out, 3));
    m.msg_iov = out;
    m.msg_iovlen = 3;
    TELL(sendmsg(p.client, &m, 0));
    const struct sockaddr_in nobody = server_name(1);
    TELL(sendto(p.client, "xyz", 3, 0, (const struct sockaddr *)&nobody, sizeof nobody));
    settle();
    at(SERVER);
    TELL(recv(p.server, text, 13, MSG_WAITALL));
    printf("%.13s\n", text);
    at(CLIENT);
    TELL(write(p.client, "part", 4));
    settle();
    at(SERVER);
    TELL(recv(p.server, text, 10, MSG_WAITALL)); /* SO_RCVTIMEO ends it */
    TELL(ioctl(p.server, 0x5555, &n));
    TELL(fcntl(p.server, 9999));
    end_pair(p);
}

static void filling(void) {
    part("a full buffer");
    static char much[65536];
    struct pair p = new_pair(9035);
    at(CLIENT);
    fcntl(p.client, F_SETFL, O_NONBLOCK);
    long sent = 0;
    long n = 0;
    for (int i = 0; i < 50; ++i) {
        while ((n = write(p.client, much, sizeof much)) > 0) {
            sent += n;
        }
        settle();
    }
    tell("write", n);
    tell_poll("full", p.client);
    at(SERVER);
    fcntl(p.server, F_SETFL, O_NONBLOCK);
    long got = 0;
    for (int i = 0; i < 100 && got < sent; ++i) {
        while ((n = read(p.server, much, sizeof much)) > 0) {
            got += n;
        }
        settle();
    }
    printf("all: %d\n", got == sent);
    at(CLIENT);
    tell_poll("empty", p.client);
    end_pair(p);
}

static void end_of_file(void) {
    part("end of file, and poll at each stage of a close");
    struct pair p = new_pair(9040);
    char text[8];
    at(SERVER);
    TELL(write(p.server, "last", 4));
    TELL(shutdown(p.server, SHUT_WR));
    settle();
    tell_poll("FIN-WAIT-2", p.server);
    tell_state("FIN-WAIT-2", p.server);
    TELL(write(p.server, "x", 1));
    TELL(shutdown(p.server, SHUT_WR));
    at(CLIENT);
    tell_poll("CLOSE-WAIT, data", p.client);
    tell_state("CLOSE-WAIT", p.client);
    int n = 0;
    TELL(ioctl(p.client, FIONREAD, &n));
    printf("unread: %d\n", n);
    TELL(read(p.client, text, 8));
    tell_poll("CLOSE-WAIT", p.client);
    TELL(read(p.client, text, 8));
    TELL(read(p.client, text, 8));
    TELL(recv(p.client, text, 8, MSG_PEEK));
    TELL(write(p.client, "more", 4));
    settle();
    at(SERVER);
    tell_poll("FIN-WAIT-2, data", p.server);
    TELL(read(p.server, text, 8));
    at(CLIENT);
    TELL(shutdown(p.client, SHUT_WR));
    settle();
    tell_poll("after LAST-ACK", p.client);
    tell_state("after LAST-ACK", p.client);
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    TELL(getpeername(p.client, (struct sockaddr *)&name, &length));
    TELL(shutdown(p.client, SHUT_WR));
    TELL(read(p.client, text, 8));
    TELL(write(p.client, "x", 1));
    TELL(connect_to(p.client, 9040));
    TELL(listen(p.client, 1));
    tell_error(p.client);
    at(SERVER);
    tell_poll("TIME-WAIT", p.server);
    tell_state("TIME-WAIT", p.server);
    TELL(read(p.server, text, 8));
    TELL(write(p.server, "x", 1));
    TELL(getpeername(p.server, (struct sockaddr *)&name, &length));
    TELL(getsockname(p.server, (struct sockaddr *)&name, &length));
    printf("port: %d\n", ntohs(name.sin_port));
    TELL(shutdown(p.server, SHUT_RDWR));
    end_pair(p);
}

static void shut_read(void) {
    part("SHUT_RD");
    struct pair p = new_pair(9045);
    char text[8];
    at(SERVER);
    TELL(shutdown(p.server, SHUT_RD));
    tell_poll("shut", p.server);
    TELL(read(p.server, text, 8));
    at(CLIENT);
    TELL(write(p.client, "late", 4));
    settle();
    at(SERVER);
    TELL(read(p.server, text, 8));
    TELL(read(p.server, text, 8));
    TELL(write(p.server, "ok", 2));
    TELL(shutdown(p.server, SHUT_WR));
    tell_poll("both", p.server);
    settle();
    at(CLIENT);
    TELL(read(p.client, text, 8));
    TELL(write(p.client, "late", 4)); /* R10: beyond a receiver that is shut */
    settle();
    tell_poll("reset", p.client);
    TELL(read(p.client, text, 8));
    at(SERVER);
    tell_error(p.server);
    tell_poll("reset", p.server);
    end_pair(p);
}

static void broken(void) {
    part("reset");
    char text[8];
    struct pair p = new_pair(9050);
    at(SERVER);
    reset_by(p.server);
    p.server = -1;
    at(CLIENT);
    tell_poll("reset", p.client);
    tell_state("reset", p.client);
    TELL(read(p.client, text, 8));
    TELL(read(p.client, text, 8));
    TELL(write(p.client, "x", 1));
    tell_poll("told", p.client);
    TELL(shutdown(p.client, SHUT_WR));
    TELL(connect_to(p.client, 9050));
    end_pair(p);

    part("reset, told to the writer");
    p = new_pair(9051);
    at(SERVER);
    reset_by(p.server);
    p.server = -1;
    at(CLIENT);
    TELL(write(p.client, "x", 1));
    TELL(write(p.client, "x", 1));
    TELL(read(p.client, text, 8));
    end_pair(p);

    part("reset, told by SO_ERROR, data before it");
    p = new_pair(9052);
    at(SERVER);
    write(p.server, "data", 4);
    settle();
    reset_by(p.server);
    p.server = -1;
    at(CLIENT);
    tell_poll("reset", p.client);
    TELL(read(p.client, text, 8));
    tell_error(p.client);
    TELL(read(p.client, text, 8));
    end_pair(p);

    part("closed with unread data");
    p = new_pair(9053);
    at(CLIENT);
    write(p.client, "unread", 6);
    settle();
    at(SERVER);
    TELL(close(p.server));
    p.server = -1;
    settle();
    at(CLIENT);
    TELL(read(p.client, text, 8));
    TELL(read(p.client, text, 8));
    end_pair(p);

    part("reset in CLOSE-WAIT");
    p = new_pair(9054);
    at(SERVER);
    shutdown(p.server, SHUT_WR);
    settle();
    reset_by(p.server);
    p.server = -1;
    at(CLIENT);
    tell_poll("reset", p.client);
    TELL(read(p.client, text, 8));
    TELL(write(p.client, "x", 1));
    tell_error(p.client);
    end_pair(p);

    part("written to one that has closed");
    p = new_pair(9055);
    at(SERVER);
    close(p.server);
    p.server = -1;
    settle();
    at(CLIENT);
    tell_poll("CLOSE-WAIT", p.client);
    TELL(write(p.client, "x", 1));
    settle();
    tell_poll("reset", p.client);
    TELL(write(p.client, "x", 1));
    tell_error(p.client);
    TELL(read(p.client, text, 8));
    end_pair(p);

    part("disconnected");
    p = new_pair(9056);
    at(CLIENT);
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    TELL(connect(p.client, &none, sizeof none));
    settle();
    tell_error(p.client);
    tell_poll("disconnected", p.client);
    TELL(read(p.client, text, 8));
    TELL(connect_to(p.client, 9056));
    settle();
    tell_poll("connected again", p.client);
    at(SERVER);
    TELL(read(p.server, text, 8));
    TELL(read(p.server, text, 8));
    end_pair(p);
}

static void waiting_children(void) {
    part("connections nobody has accepted");
    char text[8];
    int l = new_listener(9060);
    at(CLIENT);
    int c = new_socket();
    TELL(connect_to(c, 9060));
    settle();
    at(SERVER);
    TELL(close(l)); /* R05 */
    settle();
    at(CLIENT);
    tell_poll("listener closed", c);
    TELL(read(c, text, 8));
    close(c);

    l = new_listener(9061);
    at(CLIENT);
    c = new_socket();
    TELL(connect_to(c, 9061));
    TELL(write(c, "bye", 3));
    settle();
    reset_by(c);
    at(SERVER);
    tell_poll("child was reset", l);
    int s = (int)GOOD(accept(l, NULL, NULL));
    tell_poll("child", s);
    TELL(read(s, text, 8));
    TELL(read(s, text, 8));
    TELL(read(s, text, 8));
    close(s);

    at(CLIENT);
    c = new_socket();
    TELL(connect_to(c, 9061));
    TELL(write(c, "early", 5));
    TELL(close(c));
    settle();
    at(SERVER);
    s = (int)GOOD(accept(l, NULL, NULL));
    tell_poll("child", s);
    TELL(read(s, text, 8));
    TELL(read(s, text, 8));
    close(s);
    TELL(shutdown(l, SHUT_RD));
    close(l);
    settle();
}

static void lingering(void) {
    part("linger");
    struct pair p = new_pair(9070);
    char text[8];
    const struct linger some = {1, 2};
    const struct linger none = {0, 7};
    struct linger got;
    socklen_t length = sizeof got;
    at(SERVER);
    TELL(setsockopt(p.server, SOL_SOCKET, SO_LINGER, &some, 4));
    TELL(setsockopt(p.server, SOL_SOCKET, SO_LINGER, &some, sizeof some));
    TELL(getsockopt(p.server, SOL_SOCKET, SO_LINGER, &got, &length));
    printf("%d %d (%u)\n", got.l_onoff, got.l_linger, (unsigned)length);
    TELL(setsockopt(p.server, SOL_SOCKET, SO_LINGER, &none, sizeof none));
    TELL(getsockopt(p.server, SOL_SOCKET, SO_LINGER, &got, &length));
    printf("%d %d\n", got.l_onoff, got.l_linger);
    TELL(setsockopt(p.server, SOL_SOCKET, SO_LINGER, &some, sizeof some));
    TELL(write(p.server, "end", 3));
    TELL(close(p.server));
    p.server = -1;
    settle();
    at(CLIENT);
    TELL(read(p.client, text, 8));
    TELL(read(p.client, text, 8));
    end_pair(p);
    at(CLIENT);
    const int fd = new_socket();
    TELL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &some, sizeof some));
    TELL(close(fd)); /* R14 */
    TELL(close(fd));
}

static void reuse(void) {
    part("ports in TIME-WAIT");
    for (int both = 0; both < 2; ++both) {
        at(SERVER);
        const int port = 9080 + both;
        int l = new_socket();
        set_int(l, SOL_SOCKET, SO_REUSEADDR, both);
        must(bind_to(l, port) == 0 && listen(l, 4) == 0, "listen");
        at(CLIENT);
        const int c = new_socket();
        must(connect_to(c, port) == 0, "connect");
        settle();
        at(SERVER);
        const int s = accept(l, NULL, NULL);
        TELL(close(s)); /* the active close */
        settle();
        at(CLIENT);
        close(c);
        settle();
        at(SERVER);
        TELL(close(l));
        l = new_socket();
        TELL(bind_to(l, port));
        set_int(l, SOL_SOCKET, SO_REUSEADDR, 1);
        const int r = (int)TELL(bind_to(l, port));
        if (r == 0) {
            TELL(listen(l, 1));
        }
        TELL(close(l));
    }
}

static void options(void) {
    part("options");
    at(CLIENT);
    const int fd = new_socket();
    TELL_INT(fd, SOL_SOCKET, SO_TYPE);
    TELL_INT(fd, SOL_SOCKET, SO_DOMAIN);
    TELL_INT(fd, SOL_SOCKET, SO_PROTOCOL);
    TELL_INT(fd, SOL_SOCKET, SO_REUSEADDR);
    TELL_INT(fd, SOL_SOCKET, SO_REUSEPORT);
    TELL_INT(fd, SOL_SOCKET, SO_KEEPALIVE);
    TELL_INT(fd, IPPROTO_TCP, TCP_NODELAY);
    TELL_INT(fd, IPPROTO_TCP, TCP_CORK);
    TELL_INT(fd, IPPROTO_TCP, TCP_MAXSEG);
    TELL_INT(fd, IPPROTO_TCP, TCP_KEEPIDLE);
    TELL_INT(fd, IPPROTO_TCP, TCP_KEEPINTVL);
    TELL_INT(fd, IPPROTO_TCP, TCP_KEEPCNT);
    TELL_INT(fd, IPPROTO_TCP, TCP_USER_TIMEOUT);
    TELL_INT(fd, IPPROTO_TCP, TCP_LINGER2);
    TELL_INT(fd, IPPROTO_IP, IP_TTL);
    TELL_INT(fd, IPPROTO_IP, IP_TOS);
#define SET_AND_TELL(level, option, value)                                     \
    tell("set " #option " " #value, set_int(fd, level, option, value));        \
    tell_int(#option, fd, level, option)
    SET_AND_TELL(SOL_SOCKET, SO_REUSEADDR, 5);
    SET_AND_TELL(SOL_SOCKET, SO_KEEPALIVE, 2);
    SET_AND_TELL(SOL_SOCKET, SO_RCVBUF, 50000);
    SET_AND_TELL(SOL_SOCKET, SO_RCVBUF, 0);
    SET_AND_TELL(SOL_SOCKET, SO_SNDBUF, 30000);
    SET_AND_TELL(SOL_SOCKET, SO_SNDBUF, 1);
    SET_AND_TELL(SOL_SOCKET, SO_TYPE, 1);
    SET_AND_TELL(IPPROTO_TCP, TCP_NODELAY, 3);
    SET_AND_TELL(IPPROTO_TCP, TCP_CORK, 1);
    SET_AND_TELL(IPPROTO_TCP, TCP_MAXSEG, 87);
    SET_AND_TELL(IPPROTO_TCP, TCP_MAXSEG, 32768);
    SET_AND_TELL(IPPROTO_TCP, TCP_MAXSEG, 1000);
    SET_AND_TELL(IPPROTO_TCP, TCP_KEEPIDLE, 0);
    SET_AND_TELL(IPPROTO_TCP, TCP_KEEPIDLE, 32768);
    SET_AND_TELL(IPPROTO_TCP, TCP_KEEPIDLE, 100);
    SET_AND_TELL(IPPROTO_TCP, TCP_KEEPINTVL, 11);
    SET_AND_TELL(IPPROTO_TCP, TCP_KEEPCNT, 128);
    SET_AND_TELL(IPPROTO_TCP, TCP_KEEPCNT, 4);
    SET_AND_TELL(IPPROTO_TCP, TCP_USER_TIMEOUT, -1);
    SET_AND_TELL(IPPROTO_TCP, TCP_USER_TIMEOUT, 1234);
    SET_AND_TELL(IPPROTO_TCP, TCP_LINGER2, 5);
    SET_AND_TELL(IPPROTO_TCP, TCP_LINGER2, -5);
    SET_AND_TELL(IPPROTO_TCP, TCP_LINGER2, 0);
    SET_AND_TELL(IPPROTO_IP, IP_TTL, 0);
    SET_AND_TELL(IPPROTO_IP, IP_TTL, 256);
    SET_AND_TELL(IPPROTO_IP, IP_TTL, 17);
    SET_AND_TELL(IPPROTO_IP, IP_TTL, -1);
    SET_AND_TELL(IPPROTO_IP, IP_TOS, 0x11);
    SET_AND_TELL(SOL_SOCKET, 7777, 1);
    SET_AND_TELL(IPPROTO_TCP, 7777, 1);
    SET_AND_TELL(7777, 1, 1);
    char octet = 33;
    socklen_t length = 1;
    TELL(setsockopt(fd, IPPROTO_IP, IP_TTL, &octet, 1));
    octet = 0;
    TELL(getsockopt(fd, IPPROTO_IP, IP_TTL, &octet, &length));
    printf("%d (%u)\n", octet, (unsigned)length);
    TELL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &octet, 1));
    TELL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &octet, 1));
    TELL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, NULL, 4));
    TELL(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, NULL, &length));
    TELL(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &octet, NULL));
    length = (socklen_t)-1;
    TELL(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &octet, &length));
    length = 2;
    short two = -1;
    TELL(getsockopt(fd, SOL_SOCKET, SO_TYPE, &two, &length));
    printf("%d (%u)\n", two, (unsigned)length);
    const struct timeval odd = {0, 1000000};
    const struct timeval set = {3, 500000};
    struct timeval got;
    TELL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &odd, sizeof odd));
    TELL(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &set, sizeof set));
    length = sizeof got;
    TELL(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &got, &length));
    printf("%ld %ld (%u)\n", (long)got.tv_sec, (long)got.tv_usec, (unsigned)length);
    TELL(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &set, 8));
    close(fd);

    part("options are inherited by what a listener accepts");
    at(SERVER);
    const int l = new_listener(9090);
    set_int(l, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(l, IPPROTO_TCP, TCP_KEEPIDLE, 44);
    set_int(l, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(l, IPPROTO_TCP, TCP_USER_TIMEOUT, 5555);
    set_int(l, IPPROTO_TCP, TCP_MAXSEG, 700);
    set_int(l, IPPROTO_IP, IP_TTL, 9);
    set_int(l, SOL_SOCKET, SO_RCVBUF, 20000);
    fcntl(l, F_SETFL, O_NONBLOCK);
    at(CLIENT);
    const int c = new_socket();
    must(connect_to(c, 9090) == 0, "connect");
    settle();
    at(SERVER);
    const int s = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    TELL(fcntl(s, F_GETFL));
    TELL(fcntl(s, F_GETFD));
    TELL_INT(s, IPPROTO_TCP, TCP_NODELAY);
    TELL_INT(s, IPPROTO_TCP, TCP_KEEPIDLE);
    TELL_INT(s, SOL_SOCKET, SO_KEEPALIVE);
    TELL_INT(s, IPPROTO_TCP, TCP_USER_TIMEOUT);
    TELL_INT(s, IPPROTO_IP, IP_TTL);
    TELL_INT(s, SOL_SOCKET, SO_RCVBUF);
    TELL_INT(s, SOL_SOCKET, SO_REUSEADDR);
    end_pair((struct pair){c, s, l});
}

static void polling(void) {
    part("poll");
    struct pair p = new_pair(9100);
    struct pollfd many[3] = {{-1, POLLIN, 55}, {9999, POLLIN, 0}, {p.server, POLLIN, 55}};
    at(SERVER);
    TELL(poll(many, 3, 0));
    for (int i = 0; i < 3; ++i) {
        print_bits((unsigned short)many[i].revents);
    }
    TELL(poll(many + 2, 1, 20));
    TELL(poll(NULL, 0, 1));
    at(CLIENT);
    write(p.client, "x", 1);
    settle();
    at(SERVER);
    TELL(poll(many + 2, 1, -1));
    many[2].events = POLLOUT;
    TELL(poll(many + 2, 1, 1000));
    many[2].events = 0;
    TELL(poll(many + 2, 1, 0));
    end_pair(p);
}

static void tell_epoll(const char *what, int epoll, int timeout) {
    struct epoll_event e[4];
    const int n = epoll_wait(epoll, e, 4, timeout);
    printf("epoll %s: %d", what, n);
    if (n < 0) {
        printf(" %s", strerrorname_np(errno));
    }
    for (int i = 0; i < n; ++i) {
        printf(" [%u]", e[i].data.u32);
        print_bits(e[i].events);
    }
    if (n <= 0) {
        printf("\n");
    }
}

static void epolling(void) {
    part("epoll");
    struct pair p = new_pair(9110);
    char text[8];
    at(SERVER);
    struct epoll_event e = {EPOLLIN | EPOLLRDHUP, {.u32 = 7}};
    TELL(epoll_create(0));
    TELL(epoll_create1(77));
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    TELL(epoll_ctl(ep, EPOLL_CTL_MOD, p.server, &e));
    TELL(epoll_ctl(ep, EPOLL_CTL_DEL, p.server, NULL));
    TELL(epoll_ctl(ep, EPOLL_CTL_ADD, p.server, &e));
    TELL(epoll_ctl(ep, EPOLL_CTL_ADD, p.server, &e));
    TELL(epoll_ctl(ep, 44, p.server, &e));
    TELL(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e));
    TELL(epoll_ctl(ep, EPOLL_CTL_ADD, 9999, &e));
    TELL(epoll_ctl(p.server, EPOLL_CTL_ADD, p.server, &e));
    TELL(epoll_wait(ep, &e, 0, 0));
    TELL(epoll_wait(p.server, &e, 1, 0));
    tell_epoll("nothing", ep, 10);
    at(CLIENT);
    write(p.client, "abcd", 4);
    settle();
    at(SERVER);
    tell_epoll("level", ep, -1);
    TELL(read(p.server, text, 2));
    tell_epoll("level again", ep, 0);
    TELL(read(p.server, text, 2));
    tell_epoll("read", ep, 0);

    e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    TELL(epoll_ctl(ep, EPOLL_CTL_MOD, p.server, &e));
    tell_epoll("edge, writable", ep, 0);
    tell_epoll("edge, nothing new", ep, 0);
    at(CLIENT);
    write(p.client, "ab", 2);
    settle();
    at(SERVER);
    tell_epoll("edge, data", ep, 0);
    tell_epoll("edge, nothing new", ep, 0);
    at(CLIENT);
    write(p.client, "cd", 2);
    settle();
    at(SERVER);
    tell_epoll("edge, more data", ep, 0);
    TELL(read(p.server, text, 8));
    tell_epoll("edge, read", ep, 0);

    e.events = EPOLLIN | EPOLLONESHOT;
    TELL(epoll_ctl(ep, EPOLL_CTL_MOD, p.server, &e));
    at(CLIENT);
    write(p.client, "ef", 2);
    settle();
    at(SERVER);
    tell_epoll("once", ep, 0);
    tell_epoll("once was it", ep, 0);
    TELL(epoll_ctl(ep, EPOLL_CTL_MOD, p.server, &e));
    tell_epoll("once more", ep, 0);
    TELL(read(p.server, text, 8));

    e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    TELL(epoll_ctl(ep, EPOLL_CTL_MOD, p.server, &e));
    tell_epoll("edge", ep, 0);
    at(CLIENT);
    shutdown(p.client, SHUT_WR);
    settle();
    at(SERVER);
    tell_epoll("edge, FIN", ep, 0);
    tell_epoll("edge, nothing new", ep, 0);
    TELL(shutdown(p.server, SHUT_WR));
    settle();
    tell_epoll("edge, both shut", ep, 0);

    e.events = EPOLLIN;
    e.data.u32 = 8;
    TELL(epoll_ctl(ep, EPOLL_CTL_ADD, p.listener, &e));
    tell_epoll("listener", ep, 0);
    at(CLIENT);
    const int c = new_socket();
    must(connect_to(c, 9110) == 0, "connect");
    settle();
    at(SERVER);
    tell_epoll("listener, child", ep, 0);
    const int s = accept(p.listener, NULL, NULL);
    e.events = EPOLLIN | EPOLLRDHUP;
    e.data.u32 = 9;
    TELL(epoll_ctl(ep, EPOLL_CTL_ADD, s, &e));
    at(CLIENT);
    reset_by(c);
    at(SERVER);
    tell_epoll("reset", ep, 0);
    TELL(close(s)); /* leaves the instance too */
    tell_epoll("closed", ep, 0);
    TELL(epoll_ctl(ep, EPOLL_CTL_DEL, p.listener, NULL));
    TELL(read(ep, text, 1));
    TELL(close(ep));
    end_pair(p);
}

int same_main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    fresh_socket();
    binding();
    refused();
    opening();
    transfers();
    filling();
    end_of_file();
    shut_read();
    broken();
    waiting_children();
    lingering();
    reuse();
    options();
    polling();
    epolling();
    return 0;
}
