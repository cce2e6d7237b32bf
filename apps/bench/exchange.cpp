// SPDX-License-Identifier: BSD-3-Clause
#include "exchange.hpp"

#include <rte_cycles.h>

namespace bench {
namespace {

using lastack::conn_id;
using lastack::event;
using lastack::local_stack;

constexpr std::uint32_t opens_per_turn = 64;  // so that a start is no storm

}  // namespace

exchange_server::exchange_server(load& l, unsigned worker)
    : server_base(l, worker),
      reply_(text_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", l.reply_octets)) {}

void exchange_server::on_readable(local_stack& s, conn_id id, const event&) {
    const auto got = s.receive(id);
    if (!got || got->size() == 0) {
        return;
    }
    tally_->octets.add(got->size());
    tally_->requests.add(1);
    const auto sent = s.send(id, reply_);
    if (!sent || *sent != reply_.size()) {
        tally_->failed.add(1);
    }
    if (load_->closes) {
        (void)s.close(id);
        tally_->connections.add(1);
    }
}

exchange_client::exchange_client(load& l, unsigned worker)
    : client_base(l, worker),
      request_(text_of("GET / HTTP/1.1\r\nHost: bench\r\n\r\n", l.request_octets)) {
    idle_.reserve(l.at_once);
}

void exchange_client::ask(local_stack& s, slot& at, std::uint64_t due) {
    at.due = due;
    at.received = 0;
    at.waiting = true;
    const auto sent = s.send(at.id, request_);
    if (!sent || *sent != request_.size()) {
        tally_->failed.add(1);
    }
}

void exchange_client::on_opened(local_stack& s, conn_id, const event& e) {
    tally_->open.add(1);
    if (load_->wanted.rate.load(std::memory_order_relaxed) != 0) {
        idle_.push_back(static_cast<std::uint32_t>(e.user));
        return;
    }
    ask(s, slots_[e.user], rte_rdtsc());
}

void exchange_client::on_readable(local_stack& s, conn_id id, const event& e) {
    const auto got = s.receive(id);
    if (!got) {
        return;
    }
    tally_->octets.add(got->size());
    slot& at = slots_[e.user];
    at.received += static_cast<std::uint32_t>(got->size());
    if (!at.waiting || at.received < load_->reply_octets) {
        return;
    }
    at.waiting = false;
    tally_->requests.add(1);
    if (load_->closes) {
        return;
    }
    if (draining_) {
        (void)s.close(id, lastack::completion::event);
        return;
    }
    const std::uint64_t now = rte_rdtsc();
    tally_->latency.add((now - at.due) * 1000 / (rte_get_tsc_hz() / 1000000));
    if (load_->wanted.rate.load(std::memory_order_relaxed) != 0) {
        idle_.push_back(static_cast<std::uint32_t>(e.user));
    } else {
        ask(s, at, now);
    }
}

void exchange_client::on_peer_closed(local_stack& s, conn_id id, const event& e) {
    if (slots_[e.user].waiting) {
        tally_->failed.add(1);  // closed without its reply
    }
    (void)s.close(id, lastack::completion::event);
}

// At a rate, a request is due each so many cycles, whether or not a connection is free for it.
void exchange_client::ask_when_due(local_stack& s) {
    const std::uint64_t rate = load_->wanted.rate.load(std::memory_order_relaxed);
    if (rate == 0) {
        next_due_ = 0;
        while (!idle_.empty()) {
            ask(s, slots_[idle_.back()], rte_rdtsc());
            idle_.pop_back();
        }
        return;
    }
    const std::uint64_t now = rte_rdtsc();
    next_due_ = next_due_ == 0 ? now : next_due_;
    const std::uint64_t step = rte_get_tsc_hz() / rate;
    while (!idle_.empty() && next_due_ <= now) {
        const std::uint32_t index = idle_.back();
        idle_.pop_back();
        if (slots_[index].open) {
            ask(s, slots_[index], next_due_);
            next_due_ += step;
        }
    }
}

void exchange_client::on_turn(local_stack& s, std::chrono::microseconds now) {
    publish(s, now);
    if (draining_) {
        return;
    }
    open_missing(s, opens_per_turn);
    if (!load_->closes) {
        ask_when_due(s);
    }
}

// What is open ends by itself where the server closes; kept connections are closed here, those that
// wait for a reply when they have it.
void exchange_client::on_drain(local_stack& s) {
    draining_ = true;
    if (load_->closes) {
        return;
    }
    for (slot& at : slots_) {
        if (at.open && !at.waiting) {
            (void)s.close(at.id, lastack::completion::event);
        }
    }
}

}  // namespace bench
