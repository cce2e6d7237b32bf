// SPDX-License-Identifier: BSD-3-Clause
// How a socket becomes a listener or a connection and stops being one.
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "socket/errors.hpp"
#include "socket/names.hpp"
#include "socket/table.hpp"

namespace lastack::socket {

int table::open_socket(int domain, int type, int protocol) {
    const int flags = type & ~0xf;
    const int plain = type & 0xf;
    if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != 0) {
        return -EINVAL;
    }
    if (domain != AF_INET) {
        return -EAFNOSUPPORT;
    }
    if (plain != SOCK_STREAM) {
        return plain == 0 || plain > SOCK_PACKET ? -EINVAL : -ESOCKTNOSUPPORT;
    }
    if (protocol != 0 && protocol != IPPROTO_TCP) {
        return -EPROTONOSUPPORT;
    }
    description* d = nullptr;
    const int fd = new_descriptor(kind::tcp, d);
    if (fd >= 0) {
        d->non_blocking = (flags & SOCK_NONBLOCK) != 0;
        d->close_on_exec = (flags & SOCK_CLOEXEC) != 0;
    }
    return fd;
}

// --- bind and listen -----------------------------------------------------------------------------

int table::bind(int fd, const sockaddr* address, socklen_t length) {
    int error = 0;
    description* const d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    endpoint local;
    if (error = read_name(address, length, local); error != 0) {
        if (error != -EAFNOSUPPORT || !is_unspecified_any(address, local)) {
            return error;
        }
    }
    if (d->tcp != tcp_phase::closed || d->local.port != 0) {
        return -EINVAL;
    }
    if (error = take_port(*d, local); error == 0) {
        d->address_bound = !local.address.is_any();
        d->port_bound = local.port != 0;
    }
    return error;
}

int table::take_port(description& d, const endpoint& local) {
    const auto bound = calls_.bind(local, d.options.port);
    if (!bound) {
        return -errno_of(bound.error());
    }
    d.port = *bound;
    if (const auto chosen = calls_.local_endpoint(d.port)) {
        d.local = *chosen;
    }
    return 0;
}

// After a listener or a connection has used a port that bind() took: Linux keeps it for the socket.
void table::take_port_again(description& d) {
    const endpoint wanted{d.address_bound ? d.local.address : ip_address{}, d.local.port};
    d.port = {};
    d.local = {wanted.address, 0};
    if (d.port_bound && take_port(d, wanted) != 0) {
        d.port_bound = false;
    }
}

int table::listen(int fd, int backlog) {
    int error = 0;
    description* const d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    if (d->ss != ss_state::unconnected ||
        (d->tcp != tcp_phase::closed && d->tcp != tcp_phase::listening)) {
        return -EINVAL;
    }
    return start_listening(*d, backlog);
}

// What the stack is told of a listener.
listen_options table::listening(const description& d) {
    listen_options how;
    // Linux lets one more wait than it was told. A negative number is a large one.
    const auto asked = static_cast<unsigned>(d.backlog);
    how.backlog = asked == ~0u ? ~0u : asked + 1;
    how.port = d.options.port;
    how.connections = d.options.connection;
    how.hold_until_accepted = true;
    return how;
}

int table::start_listening(description& d, int backlog) {
    if (d.port == listener_id{}) {
        if (const int error = take_port(d, d.local); error != 0) {
            return error;
        }
    }
    d.backlog = backlog;
    if (const auto made = calls_.listen(d.port, listening(d)); !made) {
        return -errno_of(made.error());
    }
    if (d.tcp != tcp_phase::listening) {
        d.tcp = tcp_phase::listening;
        d.next_listener = std::exchange(first_listener_, place_of(d));
    }
    return 0;
}

// R05: what nobody has accepted goes to another listener of the port, or is reset.
void table::stop_listening(description& d) {
    std::uint32_t* at = &first_listener_;
    while (*at != place_of(d)) {
        at = &pool_[*at].next_listener;
    }
    *at = d.next_listener;
    d.tcp = tcp_phase::closed;
    (void)calls_.close_listener(d.port);
    d.port = {};
    while (description* const child = pop_child(d)) {
        const auto heir = calls_.migrate(child->conn);
        if (description* const l = heir ? listener_of(*heir) : nullptr) {
            push_child(*l, *child);
            continue;
        }
        (void)calls_.abort(child->conn);
        free_description(*child);
    }
}

description* table::listener_of(listener_id id) {
    for (std::uint32_t i = first_listener_; i != npos; i = pool_[i].next_listener) {
        if (pool_[i].port == id) {
            return &pool_[i];
        }
    }
    return nullptr;
}

void table::push_child(description& listener, description& child) {
    const std::uint32_t place = place_of(child);
    const std::uint32_t last = listener.accept_tail;
    (last == npos ? listener.accept_head : pool_[last].accept_next) = place;
    listener.accept_tail = place;
    notify(listener, EPOLLIN | EPOLLRDNORM);
}

description* table::pop_child(description& listener) {
    if (listener.accept_head == npos) {
        return nullptr;
    }
    description& child = pool_[listener.accept_head];
    listener.accept_head = child.accept_next;
    if (listener.accept_head == npos) {
        listener.accept_tail = npos;
    }
    child.accept_next = npos;
    return &child;
}

int table::accept(int fd, sockaddr* address, socklen_t* length, int flags) {
    int error = 0;
    description* d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != 0) {
        return -EINVAL;
    }
    if (d->tcp != tcp_phase::listening) {
        return -EINVAL;
    }
    const std::uint32_t serial = d->serial;
    patience p = patience_for(d, !d->non_blocking, d->options.receive_timeout_us);
    while (d->accept_head == npos) {
        if (const int end = pause(p); end != 0) {
            return end;
        }
        d = find_tcp(fd, error);
        if (d == nullptr || d->serial != serial) {
            return -EBADF;
        }
        if (d->tcp != tcp_phase::listening) {
            return -EINVAL;
        }
    }
    description& child = pool_[d->accept_head];
    if (address != nullptr) {
        if (error = write_name(child.remote, address, length); error != 0) {
            return error;
        }
    }
    const int number = give_number(child);
    if (number < 0) {
        return number;
    }
    pop_child(*d);
    (void)calls_.accepted(child.conn);
    child.non_blocking = (flags & SOCK_NONBLOCK) != 0;
    child.close_on_exec = (flags & SOCK_CLOEXEC) != 0;
    return number;
}

// --- connect -------------------------------------------------------------------------------------

int table::connect(int fd, const sockaddr* address, socklen_t length) {
    int error = 0;
    description* const d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    if (address == nullptr) {
        return -EFAULT;
    }
    if (length < sizeof address->sa_family) {
        return -EINVAL;
    }
    if (address->sa_family == AF_UNSPEC) {  // R15
        disconnect(*d);
        d->ss = ss_state::unconnected;
        return 0;
    }
    if (d->ss == ss_state::connecting) {
        return d->deferred ? -EISCONN : finish_connect(fd, -EALREADY, !d->non_blocking);
    }
    if (error = check_connectable(*d); error == 0) {
        error = start_connect(*d, address, length, d->options.fast_open_connect);
    }
    return error != 0 || d->deferred ? error : finish_connect(fd, -EINPROGRESS, !d->non_blocking);
}

// Of one that is not connecting.
int table::check_connectable(const description& d) {
    if (d.ss == ss_state::disconnecting) {
        return -EINVAL;
    }
    // One that is unconnected but not closed listens.
    return d.ss == ss_state::connected || d.tcp != tcp_phase::closed ? -EISCONN : 0;
}

int table::start_connect(description& d, const sockaddr* address, socklen_t length,
                         bool fast_open) {
    endpoint remote;
    if (const int error = read_name(address, length, remote); error != 0) {
        return error;
    }
    const std::uint32_t bits = remote.address.v4().bits;
    if (remote.address.v4().is_multicast() || bits == 0xffffffffu) {
        return -ENETUNREACH;
    }
    connect_options how;
    how.user = user_of(d);
    how.port = d.options.port;
    how.connection = d.options.connection;
    how.fast_open = fast_open;
    if (d.port != listener_id{}) {
        how.bound = d.port;
    } else if (d.address_bound) {
        how.local = d.local;
    }
    const auto opened = calls_.connect(remote, how);
    if (!opened) {
        // Linux's words for what connect() itself finds out.
        return opened.error() == call_error::host_unreachable ? -ENETUNREACH
                                                              : -errno_of(opened.error());
    }
    d.conn = *opened;
    d.port = {};
    d.remote = remote;
    if (const auto local = calls_.local_endpoint(d.conn)) {
        d.local = *local;
    }
    d.ss = ss_state::connecting;
    d.tcp = tcp_phase::syn_sent;
    d.fast_open = fast_open;
    d.syn_data = false;
    if (fast_open) {
        const auto room = calls_.syn_room(d.conn);
        d.deferred = room && *room > 0;
    }
    return 0;
}

// Waits while the handshake runs; `so_far` is the answer of a call that does not wait.
int table::finish_connect(int fd, int so_far, bool blocking) {
    int error = 0;
    description* d = find_tcp(fd, error);
    const std::uint32_t serial = d->serial;
    if (d->tcp == tcp_phase::syn_sent) {
        patience p = patience_for(d, blocking, d->options.send_timeout_us);
        while (d->tcp == tcp_phase::syn_sent) {
            if (const int end = pause(p); end != 0) {
                return end == -EAGAIN ? so_far : end;
            }
            d = find_tcp(fd, error);
            if (d == nullptr || d->serial != serial) {
                return -EBADF;
            }
        }
        if (d->ss == ss_state::unconnected) {
            return -EPIPE;  // another thread disconnected it
        }
    }
    if (d->tcp == tcp_phase::closed) {
        const int why = take_error(*d);
        disconnect(*d);
        d->ss = ss_state::unconnected;
        return why != 0 ? -why : -ECONNABORTED;
    }
    d->ss = ss_state::connected;
    return 0;
}

// R15. A connection is aborted by R12's rules; what bind() said stays.
void table::disconnect(description& d) {
    if (d.tcp == tcp_phase::listening) {
        stop_listening(d);
    } else if (d.conn != conn_id{}) {
        if (d.tcp != tcp_phase::closed) {
            d.error = aborting_resets(d) ? ECONNRESET : d.error;
            (void)calls_.abort(d.conn);
        } else {
            (void)calls_.close(d.conn);
        }
        d.conn = {};
    }
    d.tcp = tcp_phase::closed;
    d.shut = 0;
    d.eof = d.blocked = d.deferred = false;
    d.remote = {};
    take_port_again(d);
    notify(d, ~0u);
}

// Which connections R12 ends with a RST.
bool table::aborting_resets(const description& d) const {
    const auto info = calls_.info(d.conn);
    const bool closing = info && (info->state == connection_state::closing ||
                                  info->state == connection_state::last_ack);
    return !closing || info->not_sent > 0;
}

// --- the ends ------------------------------------------------------------------------------------

int table::shutdown(int fd, int how) {
    int error = 0;
    description* const d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) {
        return -EINVAL;
    }
    const auto halves = static_cast<std::uint8_t>(how + 1);
    if (d->ss == ss_state::connecting) {
        d->ss = d->tcp == tcp_phase::open ? ss_state::connected : ss_state::disconnecting;
    }
    switch (d->tcp) {
        case tcp_phase::closed:
            d->shut |= halves;
            notify(*d, ~0u);
            return -ENOTCONN;
        case tcp_phase::listening:
            if ((halves & shut::read) == 0) {
                return 0;
            }
            [[fallthrough]];
        case tcp_phase::syn_sent:
            disconnect(*d);
            d->ss = ss_state::unconnected;
            return 0;
        case tcp_phase::open:
            break;
    }
    d->shut |= halves;
    (void)calls_.shutdown(d->conn, how == SHUT_RD   ? shutdown_how::read
                                   : how == SHUT_WR ? shutdown_how::write
                                                    : shutdown_how::both);
    notify(*d, ~0u);
    return 0;
}

int table::close(int fd) {
    description* const d = find(fd);
    if (d == nullptr) {
        return -EBADF;
    }
    forget_interests(*d);
    give_back_number(*d);
    if (d->tcp == tcp_phase::listening) {
        stop_listening(*d);
    } else if (d->conn != conn_id{}) {
        const linger_option& linger = d->options.connection.linger;
        if (d->tcp == tcp_phase::open && linger.on && linger.timeout.count() > 0) {
            return close_lingering(*d);
        }
        (void)calls_.close(d->conn);
    } else if (d->port != listener_id{}) {
        (void)calls_.close_listener(d->port);
    }
    free_description(*d);
    return 0;
}

// R13: waits for our FIN's ACK, at most as long as SO_LINGER says, whether the socket blocks or
// not. The stack tells when either has come. Where nobody can wait, the place is freed then.
int table::close_lingering(description& d) {
    const std::uint32_t place = place_of(d);
    const std::uint32_t serial = d.serial;
    d.lingering = true;
    if (!calls_.close(d.conn, completion::event)) {
        free_description(d);
        return 0;
    }
    patience p = patience_for(nullptr, true, -1);
    while (pool_[place].serial == serial && pool_[place].what == kind::tcp) {
        if (pause(p) != 0) {
            break;
        }
    }
    return 0;
}

// --- names ---------------------------------------------------------------------------------------

int table::local_name(int fd, sockaddr* address, socklen_t* length) {
    int error = 0;
    const description* const d = find_tcp(fd, error);
    return d == nullptr ? error : write_name(d->local, address, length);
}

int table::peer_name(int fd, sockaddr* address, socklen_t* length) {
    int error = 0;
    const description* const d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    return d->tcp != tcp_phase::open ? -ENOTCONN : write_name(d->remote, address, length);
}

}  // namespace lastack::socket
