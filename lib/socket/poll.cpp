// SPDX-License-Identifier: BSD-3-Clause
// Which poll bits a socket shows, as Linux's tcp_poll() has them at each stage of a close; and
// poll() itself.
#include <cerrno>
#include <limits>

#include "socket/table.hpp"

namespace lastack::socket {

// Of an end that is over, or of a socket that was never connected, all that could be waited for has
// come: it shows POLLHUP and POLLOUT, so that nobody waits on it for ever.
std::uint32_t table::readiness(const description& d) const {
    if (d.what == kind::epoll) {
        for (std::uint32_t i = d.ready_head; i != npos; i = interests_[i].ready_next) {
            if ((readiness(pool_[interests_[i].target]) & interests_[i].events) != 0) {
                return EPOLLIN | EPOLLRDNORM;
            }
        }
        return 0;
    }
    if (d.tcp == tcp_phase::listening) {
        return d.accept_head != npos ? EPOLLIN | EPOLLRDNORM : 0u;
    }
    const bool told = d.error != 0 || d.zero_copy_told != d.zero_copy_sent;
    std::uint32_t bits = told ? EPOLLERR : 0u;
    if (d.shut == shut::both || d.tcp == tcp_phase::closed) {
        bits |= EPOLLHUP;
    }
    if ((d.shut & shut::read) != 0) {
        bits |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
    }
    if (d.tcp == tcp_phase::syn_sent) {
        return bits | (d.deferred ? EPOLLOUT | EPOLLWRNORM : 0u);
    }
    if (unread(d) > 0) {
        bits |= EPOLLIN | EPOLLRDNORM;
    }
    if (!d.blocked || (d.shut & shut::write) != 0) {
        bits |= EPOLLOUT | EPOLLWRNORM;
    }
    return bits;
}

int table::poll_once(std::span<pollfd> descriptors) {
    int ready = 0;
    for (pollfd& p : descriptors) {
        p.revents = 0;
        if (p.fd < 0) {
            continue;
        }
        const description* const d = find(p.fd);
        const auto asked = static_cast<std::uint16_t>(p.events);
        p.revents = static_cast<short>(d == nullptr ? POLLNVAL
                                                    : readiness(*d) & (asked | POLLERR | POLLHUP));
        ready += p.revents != 0 ? 1 : 0;
    }
    return ready;
}

int table::poll(pollfd* descriptors, nfds_t count, int timeout_ms) {
    if (count > by_number_.size()) {
        return -EINVAL;
    }
    if (descriptors == nullptr && count > 0) {
        return -EFAULT;
    }
    patience p = patience_for(nullptr, true, std::int64_t{timeout_ms} * 1000);
    turn(p);
    for (;;) {
        if (const int ready = poll_once({descriptors, count}); ready > 0) {
            return ready;
        }
        if (const int end = pause(p); end != 0) {
            return end == -EAGAIN ? 0 : end;
        }
    }
}

}  // namespace lastack::socket
