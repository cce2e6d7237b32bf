// SPDX-License-Identifier: BSD-3-Clause
// Octets in and out, in the order in which Linux's tcp_recvmsg() and tcp_sendmsg() look at data,
// end of stream, errors and halves that are shut.
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <utility>

#include "socket/errors.hpp"
#include "socket/table.hpp"
#include "stack/core.hpp"

namespace lastack::socket {

// SO_ERROR is told once (R28).
int table::take_error(description& d) {
    return std::exchange(d.error, 0);
}

// --- receiving -----------------------------------------------------------------------------------

// What lies unread, as far as it fits. MSG_PEEK leaves it there, MSG_TRUNC throws it away.
std::size_t table::copy_out(description& d, vector_cursor& into, int flags) {
    const bool peek = (flags & MSG_PEEK) != 0;
    const bool discard = (flags & MSG_TRUNC) != 0;
    std::array<std::byte, 2048> waste;
    std::size_t copied = 0;
    while (d.conn != conn_id{} && into.left() > 0) {
        std::span<std::byte> piece = into.piece();
        if (discard) {
            piece = std::span(waste).first(std::min(waste.size(), piece.size()));
        }
        const auto n = peek ? calls_.peek(d.conn, copied, piece) : calls_.receive(d.conn, piece);
        if (!n || *n == 0) {
            break;
        }
        into.advance(*n);
        copied += *n;
    }
    return copied;
}

ssize_t table::receive(int fd, vector_cursor into, int flags) {
    int error = 0;
    description* d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    if ((flags & MSG_OOB) != 0) {
        return -EOPNOTSUPP;
    }
    if ((flags & MSG_ERRQUEUE) != 0) {
        return receive_completion(fd, nullptr);
    }
    if (d->tcp == tcp_phase::listening) {
        return -ENOTCONN;
    }
    const std::uint32_t serial = d->serial;
    const std::size_t wanted =
        (flags & MSG_WAITALL) != 0 ? into.left() : std::min<std::size_t>(into.left(), 1);
    const bool blocking = !d->non_blocking && (flags & MSG_DONTWAIT) == 0;
    patience p = patience_for(d, blocking, d->options.receive_timeout_us);
    std::size_t copied = 0;
    for (;;) {
        if ((flags & MSG_PEEK) != 0) {
            vector_cursor from_start = into;
            copied = copy_out(*d, from_start, flags);
        } else {
            copied += copy_out(*d, into, flags);
        }
        if (copied >= std::max<std::size_t>(wanted, 1)) {
            return static_cast<ssize_t>(copied);
        }
        const bool over =
            d->error != 0 || d->tcp == tcp_phase::closed || (d->shut & shut::read) != 0;
        if (copied > 0 && (over || !blocking)) {
            return static_cast<ssize_t>(copied);
        }
        if (copied == 0 && over) {
            return end_of_reading(*d);
        }
        if (into.left() == 0 && wanted == 0 && unread(*d) > 0) {
            return 0;
        }
        if (const int end = pause(p); end != 0) {
            return copied > 0 ? static_cast<ssize_t>(copied) : end;
        }
        d = find_tcp(fd, error);
        if (d == nullptr || d->serial != serial) {
            return copied > 0 ? static_cast<ssize_t>(copied) : -EBADF;
        }
        if (d->tcp == tcp_phase::listening) {
            return -ENOTCONN;
        }
    }
}

// Nothing is unread, and nothing will come. The peer's FIN comes before an error, an error before
// our own shutdown(SHUT_RD), and a socket that was never connected last.
int table::end_of_reading(description& d) {
    if (d.eof) {
        return 0;
    }
    if (d.error != 0) {
        return -take_error(d);
    }
    return (d.shut & shut::read) != 0 ? 0 : -ENOTCONN;
}

std::size_t table::unread(const description& d) const {
    const auto n = calls_.unread(d.conn);
    return n ? *n : 0;
}

// --- sending -------------------------------------------------------------------------------------

ssize_t table::send(int fd, vector_cursor from, int flags, const sockaddr* address,
                    socklen_t length) {
    int error = 0;
    description* const d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    if ((flags & MSG_OOB) != 0) {
        return -EOPNOTSUPP;
    }
    const std::uint32_t serial = d->serial;
    std::size_t in_syn = 0;
    if ((flags & MSG_FASTOPEN) != 0 || d->deferred) {
        error = send_with_syn(fd, from, flags, address, length, in_syn);
        if (error != 0 && (error != -EINPROGRESS || in_syn == 0)) {
            return error;
        }
    }
    ssize_t sent = static_cast<ssize_t>(in_syn);
    if (error == 0 && (from.left() > 0 || in_syn == 0)) {
        const ssize_t more = send_octets(d, fd, from, flags);
        sent = more < 0 && in_syn > 0 ? sent : sent + more;
    }
    if (sent > 0 && (flags & MSG_ZEROCOPY) != 0 && d->serial == serial && d->options.zero_copy) {
        complete_zero_copy(*d);
    }
    return sent;
}

// Linux's tcp_sendmsg_fastopen(): connect(), whose SYN takes along what it has room for. 0: the
// connection is open; -EINPROGRESS: the handshake runs.
int table::send_with_syn(int fd, vector_cursor& from, int flags, const sockaddr* address,
                         socklen_t length, std::size_t& taken) {
    description& d = *find(fd);
    const bool allowed =
        (calls_.core().settings().tcp_fastopen & config::tcp_fastopen_bits::client) != 0;
    if (address != nullptr && length < sizeof address->sa_family) {
        return -EINVAL;
    }
    if (!d.deferred && (!allowed || (address != nullptr && address->sa_family == AF_UNSPEC))) {
        return -EOPNOTSUPP;
    }
    int so_far = -EINPROGRESS;
    if (d.ss == ss_state::connecting) {
        so_far = d.deferred ? so_far : -EALREADY;
    } else {
        int error = check_connectable(d);
        if (error == 0) {
            error = address == nullptr ? -EINVAL : start_connect(d, address, length, true);
        }
        if (error != 0) {
            return error;
        }
    }
    if (std::exchange(d.deferred, false)) {
        const auto room = calls_.syn_room(d.conn);
        const std::size_t behind = from.limit(room ? *room : 0);
        // What does not go with the SYN comes later: the record does not end here.
        taken = copy_in(d, from, behind > 0 ? flags & ~MSG_EOR : flags);
        from.extend(behind);
        if (taken == 0) {
            (void)calls_.send(d.conn, std::span<const std::byte>{});  // the SYN goes alone
        }
    }
    return finish_connect(fd, so_far, !d.non_blocking && (flags & MSG_DONTWAIT) == 0);
}

ssize_t table::send_octets(description* d, int fd, vector_cursor from, int flags) {
    int error = 0;
    const std::uint32_t serial = d->serial;
    const bool blocking = !d->non_blocking && (flags & MSG_DONTWAIT) == 0;
    patience p = patience_for(d, blocking, d->options.send_timeout_us);
    std::size_t sent = 0;
    for (;;) {
        int end = sending_refused(*d);
        if (end == 0 && d->tcp == tcp_phase::open) {
            sent += copy_in(*d, from, flags);
            if (from.left() == 0) {
                return static_cast<ssize_t>(sent);
            }
        }
        // A non-blocking call that has sent something does not turn the core to send more.
        if (end == 0) {
            end = sent > 0 && !p.blocking ? -EAGAIN : pause(p);
        }
        if (end == 0) {
            d = find_tcp(fd, error);
            end = d == nullptr || d->serial != serial ? -EBADF : 0;
        }
        if (end != 0) {
            return sent > 0 ? static_cast<ssize_t>(sent) : end;
        }
    }
}

// 0, or why nothing can be sent any more. SYN_SENT is no reason: the call waits for the handshake.
int table::sending_refused(description& d) {
    if (d.error != 0) {
        return -take_error(d);
    }
    const bool open = d.tcp == tcp_phase::open || d.tcp == tcp_phase::syn_sent;
    return !open || (d.shut & shut::write) != 0 ? -EPIPE : 0;
}

// Scattered pieces are one write: only the last one ends it.
std::size_t table::copy_in(description& d, vector_cursor& from, int flags) {
    std::size_t taken = 0;
    while (from.left() > 0) {
        const std::span<std::byte> piece = from.piece();
        const bool last = piece.size() == from.left();
        send_options how;
        how.more = !last || (flags & MSG_MORE) != 0;
        how.end_of_record = last && (flags & MSG_EOR) != 0;
        const auto n = calls_.send(d.conn, piece, how);
        if (!n) {
            break;  // it has ended; the event that says how comes with the next turn
        }
        from.advance(*n);
        taken += *n;
        if (*n < piece.size()) {
            d.blocked = true;
            break;
        }
    }
    return taken;
}

// --- fcntl and ioctl -----------------------------------------------------------------------------

int table::fcntl(int fd, int command, long argument) {
    description* const d = find(fd);
    if (d == nullptr) {
        return -EBADF;
    }
    switch (command) {
        case F_GETFL:
            return O_RDWR | (d->non_blocking ? O_NONBLOCK : 0);
        case F_SETFL:
            d->non_blocking = (argument & O_NONBLOCK) != 0;
            return 0;
        case F_GETFD:
            return d->close_on_exec ? FD_CLOEXEC : 0;
        case F_SETFD:
            d->close_on_exec = (argument & FD_CLOEXEC) != 0;
            return 0;
        default:
            return -EINVAL;
    }
}

int table::ioctl(int fd, unsigned long request, int* argument) {
    description* const d = find(fd);
    if (d == nullptr) {
        return -EBADF;
    }
    if (request != FIONBIO &&
        (d->what != kind::tcp ||
         (request != FIONREAD && request != SIOCOUTQ && request != SIOCOUTQNSD))) {
        return -ENOTTY;
    }
    if (argument == nullptr) {
        return -EFAULT;
    }
    if (request == FIONBIO) {
        d->non_blocking = *argument != 0;
        return 0;
    }
    if (d->tcp == tcp_phase::listening) {
        return -EINVAL;
    }
    *argument = 0;
    if (request == FIONREAD) {
        *argument = static_cast<int>(unread(*d));
    } else if (d->tcp == tcp_phase::open) {
        if (const auto info = calls_.info(d->conn)) {
            *argument = static_cast<int>(request == SIOCOUTQ ? info->outstanding : info->not_sent);
        }
    }
    return 0;
}

}  // namespace lastack::socket
