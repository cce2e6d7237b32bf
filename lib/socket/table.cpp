// SPDX-License-Identifier: BSD-3-Clause
// Descriptors, waiting, and what the stack's events mean to a socket.
#include "socket/table.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace lastack::socket {

namespace {

constexpr int first_number = 3;  // 0 to 2 are the process's own, and a mix-up should not look right

}  // namespace

table*& table::current() {
    thread_local table* mine = nullptr;
    return mine;
}

result<std::unique_ptr<table>, std::string> table::make(local_stack calls,
                                                        const socket_layer_options& options) {
    if (options.hooks.wait == nullptr || options.hooks.now_us == nullptr) {
        return failure{std::string("a socket layer needs the hooks `wait` and `now_us`")};
    }
    std::unique_ptr<table> t(new table(calls, options));
    auto numbers = fixed_array<std::uint32_t>::make(options.descriptors, page_size::normal);
    auto pool = index_pool<description>::make(options.descriptors + options.waiting_connections,
                                              page_size::normal);
    auto interests = index_pool<interest>::make(options.epoll_interests, page_size::normal);
    if (!numbers || !pool || !interests) {
        const std::string why = !numbers ? numbers.error()
                                : !pool  ? pool.error()
                                         : interests.error();
        return failure{"the socket layer's tables: " + why};
    }
    t->by_number_ = std::move(*numbers);
    t->pool_ = std::move(*pool);
    t->interests_ = std::move(*interests);
    t->lowest_free_ = first_number;
    return t;
}

// --- descriptors ---------------------------------------------------------------------------------

description* table::find(int fd) {
    if (fd < 0 || static_cast<std::uint32_t>(fd) >= by_number_.size()) {
        return nullptr;
    }
    const std::uint32_t place = by_number_[static_cast<std::size_t>(fd)];
    return place == 0 ? nullptr : &pool_[place - 1];
}

description* table::find_tcp(int fd, int& error) {
    description* const d = find(fd);
    error = d == nullptr ? -EBADF : d->what != kind::tcp ? -ENOTSOCK : 0;
    return error == 0 ? d : nullptr;
}

int table::check_file(int fd) {
    const description* const d = find(fd);
    return d == nullptr ? -EBADF : d->what != kind::tcp ? -EINVAL : 0;
}

int table::new_descriptor(kind what, description*& made) {
    const std::uint32_t place = pool_.take();
    if (place == npos) {
        return -ENFILE;
    }
    made = &pool_[place];
    *made = description{};
    made->what = what;
    made->serial = ++serial_;
    const int fd = give_number(*made);
    if (fd < 0) {
        pool_.give_back(place);
    }
    return fd;
}

int table::give_number(description& d) {
    const auto end = static_cast<int>(by_number_.size());
    int fd = -EMFILE;
    if (options_.hooks.take_descriptor != nullptr) {
        fd = options_.hooks.take_descriptor(options_.hooks.context);
        if (fd >= end) {
            options_.hooks.give_descriptor(options_.hooks.context, fd);
            return -EMFILE;
        }
    } else {
        while (lowest_free_ < end && by_number_[static_cast<std::size_t>(lowest_free_)] != 0) {
            ++lowest_free_;
        }
        fd = lowest_free_ < end ? lowest_free_ : -EMFILE;
    }
    if (fd >= 0) {
        by_number_[static_cast<std::size_t>(fd)] = place_of(d) + 1;
        d.fd = fd;
    }
    return fd;
}

void table::give_back_number(description& d) {
    const int fd = std::exchange(d.fd, -1);
    by_number_[static_cast<std::size_t>(fd)] = 0;
    if (options_.hooks.give_descriptor != nullptr) {
        options_.hooks.give_descriptor(options_.hooks.context, fd);
    } else {
        lowest_free_ = std::min(lowest_free_, fd);
    }
}

void table::free_description(description& d) {
    d.what = kind::none;
    pool_.give_back(place_of(d));
}

void table::close_all() {
    for (std::size_t fd = 0; fd < by_number_.size(); ++fd) {
        if (description* const d = find(static_cast<int>(fd))) {
            linger_option& linger = d->options.connection.linger;
            linger.on = linger.on && linger.timeout.count() == 0;
            close(static_cast<int>(fd));
        }
    }
}

// --- waiting -------------------------------------------------------------------------------------

table::patience table::patience_for(const description* d, bool blocking, std::int64_t timeout_us) {
    patience p;
    p.blocking = blocking && timeout_us != 0;
    p.place = d == nullptr ? npos : place_of(*d);
    p.until_us = timeout_us < 0 || !p.blocking
                     ? -1
                     : options_.hooks.now_us(options_.hooks.context) + timeout_us;
    return p;
}

// A loop of poll() or epoll_wait() that always finds something ready must not starve the core.
void table::turn(patience& p) {
    p.looked = true;
    (void)options_.hooks.wait(options_.hooks.context, 0);
}

// A program that reads until EAGAIN and goes on to the next descriptor gets its answer at once, so
// that a busy peer cannot hold it. One that asks the same descriptor again, with no turn in
// between, waits for it in a loop, and the core must turn.
int table::pause_unblocked(patience& p) {
    std::uint32_t* const dry = p.place == npos ? nullptr : &pool_[p.place].dry_turn;
    if (p.looked || dry == nullptr || std::exchange(*dry, turns_) != turns_) {
        return -EAGAIN;
    }
    p.looked = true;
    const int refused = options_.hooks.wait(options_.hooks.context, 0);
    return refused == EDEADLK ? -EAGAIN : -refused;
}

int table::pause(patience& p) {
    const socket_hooks& h = options_.hooks;
    if (!p.blocking) {
        return pause_unblocked(p);
    }
    std::int64_t left = -1;
    if (p.until_us >= 0) {
        left = p.until_us - h.now_us(h.context);
        if (left <= 0) {
            return -EAGAIN;
        }
    }
    return -h.wait(h.context, left);
}

// --- events --------------------------------------------------------------------------------------

std::uint64_t table::user_of(const description& d) const {
    return std::uint64_t{d.serial} << 32 | (place_of(d) + 1);
}

description* table::by_user(const event& e) {
    const auto place = static_cast<std::uint32_t>(e.user);
    if (place == 0 || place > pool_.capacity()) {
        return nullptr;
    }
    description& d = pool_[place - 1];
    return d.what == kind::tcp && d.serial == e.user >> 32 && d.conn == e.conn ? &d : nullptr;
}

void table::take(std::span<const event> events) {
    ++turns_;
    for (const event& e : events) {
        if (description* const d = by_user(e)) {
            on_event(*d, e);
        } else if (e.user == 0 && (e.what & event_bits::opened) != 0) {
            on_child(e);
        }
    }
}

// A connection that a listener took: it waits for accept() without a number.
void table::on_child(const event& e) {
    description* const l = listener_of(e.listener);
    const std::uint32_t place = l == nullptr ? npos : pool_.take();
    if (place == npos) {
        (void)calls_.abort(e.conn);
        return;
    }
    description& d = pool_[place];
    d = description{};
    d.what = kind::tcp;
    d.serial = ++serial_;
    d.conn = e.conn;
    d.ss = ss_state::connected;
    d.tcp = tcp_phase::open;
    d.options = l->options;
    d.port_bound = true;
    if (const auto local = calls_.local_endpoint(e.conn)) {
        d.local = *local;
    }
    if (const auto remote = calls_.remote_endpoint(e.conn)) {
        d.remote = *remote;
    }
    (void)calls_.set_user(e.conn, user_of(d));
    on_event(d, e);
    push_child(*l, d);
}

void table::on_event(description& d, const event& e) {
    std::uint32_t key = 0;
    bool all = false;  // a change of state: whoever watches looks again, whatever for
    if ((e.what & event_bits::opened) != 0) {
        d.tcp = tcp_phase::open;
        all = true;
        if (d.fast_open) {
            const auto info = calls_.info(d.conn);
            d.syn_data = info && info->syn_data;
        }
    }
    if ((e.what & event_bits::readable) != 0) {
        key |= EPOLLIN | EPOLLRDNORM;
    }
    if ((e.what & event_bits::writable) != 0) {
        d.blocked = false;
        key |= EPOLLOUT | EPOLLWRNORM;
    }
    if ((e.what & event_bits::peer_closed) != 0) {
        d.eof = true;
        d.shut |= shut::read;
        all = true;
    }
    if ((e.what & event_bits::ended) != 0) {
        if (d.lingering) {
            free_description(d);
            return;
        }
        on_ended(d, e.outcome);
        all = true;
    }
    if (all || key != 0) {
        notify(d, all ? ~0u : key);
    }
}

// What Linux's tcp_reset() and tcp_write_err() leave in sk_err (R28).
void table::on_ended(description& d, close_outcome outcome) {
    const bool close_wait = d.eof && (d.shut & shut::write) == 0;
    d.tcp = tcp_phase::closed;
    d.shut = shut::both;
    if (is_clean(outcome) || outcome == close_outcome::none) {
        return;
    }
    if (outcome == close_outcome::refused) {
        d.error = ECONNREFUSED;
    } else if (outcome == close_outcome::host_unreachable) {
        d.error = EHOSTUNREACH;
    } else if (is_timeout(outcome)) {
        // R65: the ICMP error that had said why, as the stack tells whoever would send.
        const auto sent = calls_.send(d.conn, std::span<const std::byte>{});
        const bool unreachable = !sent && sent.error() == call_error::host_unreachable;
        d.error = unreachable ? EHOSTUNREACH : ETIMEDOUT;
    } else {
        d.error = close_wait && outcome == close_outcome::reset_by_peer ? EPIPE : ECONNRESET;
    }
}

}  // namespace lastack::socket
