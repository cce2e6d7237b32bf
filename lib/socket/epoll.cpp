// SPDX-License-Identifier: BSD-3-Clause
// epoll, as Linux does it: what may be ready stands in a list of its instance, and epoll_wait()
// looks at each again before it tells of it. Level triggered is what then goes back to the end of
// the list; edge triggered is what does not, until the next event of the socket.
#include <algorithm>
#include <cerrno>

#include "socket/table.hpp"

namespace lastack::socket {

namespace {

constexpr std::uint32_t private_bits = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;

}  // namespace

int table::epoll_create(int flags) {
    if ((flags & ~EPOLL_CLOEXEC) != 0) {
        return -EINVAL;
    }
    description* d = nullptr;
    const int fd = new_descriptor(kind::epoll, d);
    if (fd >= 0) {
        d->close_on_exec = flags != 0;
    }
    return fd;
}

int table::epoll_control(int epoll, int operation, int fd, const epoll_event* event) {
    if (operation != EPOLL_CTL_DEL && event == nullptr) {
        return -EFAULT;
    }
    description* const instance = find(epoll);
    description* const target = find(fd);
    if (instance == nullptr || target == nullptr) {
        return -EBADF;
    }
    if (instance->what != kind::epoll || target->what != kind::tcp) {
        return -EINVAL;
    }
    const std::uint32_t index = find_interest(*target, place_of(*instance));
    switch (operation) {
        case EPOLL_CTL_ADD:
            return index != npos ? -EEXIST : add_interest(*instance, *target, *event);
        case EPOLL_CTL_DEL:
            if (index == npos) {
                return -ENOENT;
            }
            remove_interest(index);
            return 0;
        case EPOLL_CTL_MOD:
            break;
        default:
            return -EINVAL;
    }
    if (index == npos) {
        return -ENOENT;
    }
    interest& i = interests_[index];
    if (((i.events | event->events) & EPOLLEXCLUSIVE) != 0) {
        return -EINVAL;
    }
    i.events = event->events | EPOLLERR | EPOLLHUP;
    i.data = event->data.u64;
    if ((readiness(*target) & i.events) != 0) {
        make_ready(index);
    }
    return 0;
}

int table::add_interest(description& instance, description& target, const epoll_event& event) {
    constexpr std::uint32_t with_exclusive =
        EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
    if ((event.events & EPOLLEXCLUSIVE) != 0 && (event.events & ~with_exclusive) != 0) {
        return -EINVAL;
    }
    const std::uint32_t index = interests_.take();
    if (index == npos) {
        return -ENOSPC;
    }
    interest& i = interests_[index];
    i = interest{};
    i.epoll = place_of(instance);
    i.target = place_of(target);
    i.events = event.events | EPOLLERR | EPOLLHUP;
    i.data = event.data.u64;
    i.next_of_epoll = std::exchange(instance.interests, index);
    i.next_of_target = std::exchange(target.interests, index);
    if ((readiness(target) & i.events) != 0) {
        make_ready(index);
    }
    return 0;
}

std::uint32_t table::find_interest(const description& target, std::uint32_t epoll) const {
    std::uint32_t index = target.interests;
    while (index != npos && interests_[index].epoll != epoll) {
        index = interests_[index].next_of_target;
    }
    return index;
}

namespace {

// Takes `index` out of the list that begins at `*at` and is linked by `next`.
void unlink(index_pool<interest>& all, std::uint32_t* at, std::uint32_t interest::*next,
            std::uint32_t index) {
    while (*at != index) {
        at = &(all[*at].*next);
    }
    *at = all[index].*next;
}

}  // namespace

void table::remove_interest(std::uint32_t index) {
    const interest& i = interests_[index];
    unready(index);
    unlink(interests_, &pool_[i.epoll].interests, &interest::next_of_epoll, index);
    unlink(interests_, &pool_[i.target].interests, &interest::next_of_target, index);
    interests_.give_back(index);
}

void table::forget_interests(description& d) {
    while (d.interests != npos) {
        remove_interest(d.interests);
    }
}

// --- the ready list ------------------------------------------------------------------------------

void table::make_ready(std::uint32_t index) {
    interest& i = interests_[index];
    if (i.ready) {
        return;
    }
    description& e = pool_[i.epoll];
    i.ready = true;
    i.ready_prev = std::exchange(e.ready_tail, index);
    i.ready_next = npos;
    (i.ready_prev == npos ? e.ready_head : interests_[i.ready_prev].ready_next) = index;
}

void table::unready(std::uint32_t index) {
    interest& i = interests_[index];
    if (!i.ready) {
        return;
    }
    description& e = pool_[i.epoll];
    i.ready = false;
    (i.ready_prev == npos ? e.ready_head : interests_[i.ready_prev].ready_next) = i.ready_next;
    (i.ready_next == npos ? e.ready_tail : interests_[i.ready_next].ready_prev) = i.ready_prev;
}

// Something of `key` has happened: whoever waits for any of it looks again.
void table::notify(description& d, std::uint32_t key) {
    for (std::uint32_t i = d.interests; i != npos; i = interests_[i].next_of_target) {
        const std::uint32_t wanted = interests_[i].events;
        if ((wanted & ~private_bits) != 0 && (wanted & key) != 0) {
            make_ready(i);
        }
    }
}

int table::collect(description& instance, std::span<epoll_event> into) {
    std::size_t told = 0;
    const std::uint32_t last = instance.ready_tail;
    std::uint32_t index = instance.ready_head;
    while (index != npos && told < into.size()) {
        interest& i = interests_[index];
        const std::uint32_t next = index == last ? npos : i.ready_next;
        unready(index);
        const std::uint32_t bits = readiness(pool_[i.target]) & i.events & ~private_bits;
        if (bits != 0) {
            into[told].events = bits;
            into[told].data.u64 = i.data;
            ++told;
            if ((i.events & EPOLLONESHOT) != 0) {
                i.events &= private_bits;  // until EPOLL_CTL_MOD
            } else if ((i.events & EPOLLET) == 0) {
                make_ready(index);
            }
        }
        index = next;
    }
    return static_cast<int>(told);
}

int table::epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
    if (count <= 0) {
        return -EINVAL;
    }
    if (events == nullptr) {
        return -EFAULT;
    }
    description* d = find(epoll);
    if (d == nullptr) {
        return -EBADF;
    }
    if (d->what != kind::epoll) {
        return -EINVAL;
    }
    const std::uint32_t serial = d->serial;
    patience p = patience_for(nullptr, true, std::int64_t{timeout_ms} * 1000);
    turn(p);
    for (;;) {
        const int told = collect(*d, {events, static_cast<std::size_t>(count)});
        if (told > 0) {
            return told;
        }
        if (const int end = pause(p); end != 0) {
            return end == -EAGAIN ? 0 : end;
        }
        d = find(epoll);
        if (d == nullptr || d->serial != serial) {
            return -EBADF;
        }
    }
}

}  // namespace lastack::socket
