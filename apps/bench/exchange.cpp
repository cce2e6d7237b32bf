// SPDX-License-Identifier: BSD-3-Clause
#include "exchange.hpp"

#include <cstring>
#include <string_view>

#include "stack/core.hpp"

namespace bench {
namespace {

using lastack::conn_id;
using lastack::event;
using lastack::local_stack;

constexpr std::uint32_t opens_per_turn = 64;  // so that a start is no storm

std::vector<std::byte> text_of(std::string_view head, std::size_t octets) {
    std::vector<std::byte> text(octets, std::byte{'.'});
    std::memcpy(text.data(), head.data(), std::min(head.size(), octets));
    return text;
}

}  // namespace

// --- both ----------------------------------------------------------------------------------------

void end_base::on_start_end(local_stack& s) {
    const std::lock_guard hold(load_->lock);
    tally_->core = &s.core();
}

void end_base::publish(local_stack& s, std::chrono::microseconds now) {
    if (now < next_) {
        return;
    }
    next_ = now + std::chrono::milliseconds(10);
    const auto counts = s.core().counts();
    tally_->time_wait.set(
        counts.by_state[static_cast<std::size_t>(lastack::teardown::state::time_wait)]);
}

void end_base::leave() {
    if (tally_->core == nullptr) {
        return;
    }
    const auto left = tally_->core->states();
    using lastack::teardown::state;
    std::uint64_t held = left.sockets + left.mbufs_held;
    for (std::size_t i = 0; i < left.by_state.size(); ++i) {
        const auto st = static_cast<state>(i);
        held += st == state::time_wait || st == state::listen ? 0 : left.by_state[i];
    }
    tally_->leaked.set(held);
}

// --- server --------------------------------------------------------------------------------------

exchange_server::exchange_server(load& l)
    : end_base(l, end::server),
      reply_(text_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", l.reply_octets)) {}

lastack::result<bool, std::string> exchange_server::on_start(local_stack& s) {
    on_start_end(s);
    for (std::uint32_t i = 0; i < load_->server_ports; ++i) {
        const auto port = static_cast<std::uint16_t>(load_->server.port + i);
        if (const auto made = s.listen({{}, port}); !made) {
            return lastack::failure{"listening on port " + std::to_string(port) + ": " +
                                    std::string(name(made.error()))};
        }
    }
    return true;
}

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

// --- client --------------------------------------------------------------------------------------

exchange_client::exchange_client(load& l, unsigned worker)
    : end_base(l, end::client),
      tuples_(l, worker),
      request_(text_of("GET / HTTP/1.1\r\nHost: bench\r\n\r\n", l.request_octets)),
      slots_(l.at_once) {
    for (std::uint32_t i = l.at_once; i > 0; --i) {
        free_.push_back(i - 1);
    }
    idle_.reserve(l.at_once);
}

void exchange_client::open(local_stack& s) {
    const std::uint32_t index = free_.back();
    const auto pair = tuples_.next();
    const auto id = s.connect(pair.remote, {pair.local, index});
    if (!id) {
        // This tuple is still in use, or memory is short: the next turn tries the next one.
        tally_->failed.add(id.error() == lastack::call_error::address_in_use ? 0 : 1);
        return;
    }
    free_.pop_back();
    slots_[index] = {*id, 0, 0, false, true};
    ++begun_;
    tally_->begun.set(begun_);
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

void exchange_client::on_ended(local_stack& s, conn_id id, const event& e) {
    (is_clean(e.outcome) ? tally_->connections : tally_->failed).add(1);
    (void)s.close(id);  // one that ended by itself
    slots_[e.user].open = false;
    free_.push_back(static_cast<std::uint32_t>(e.user));
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
    const std::uint64_t limit = load_->wanted.connections.load(std::memory_order_relaxed);
    // Until each address has had one connection, one each: a neighbour that is not known yet has
    // room for four packets only.
    const std::size_t known = load_->client_addresses.size();
    const std::size_t most = tally_->open.get() < known
                                 ? std::min<std::size_t>(known, load_->wanted.at_once)
                                 : load_->wanted.at_once.load(std::memory_order_relaxed);
    for (std::uint32_t n = 0; n < opens_per_turn && begun_ < limit && !free_.empty() &&
                              slots_.size() - free_.size() < most;
         ++n) {
        open(s);
    }
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
