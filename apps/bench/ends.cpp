// SPDX-License-Identifier: BSD-3-Clause
#include "ends.hpp"

#include <algorithm>
#include <span>

#include "stack/core.hpp"

namespace bench {

using lastack::conn_id;
using lastack::event;
using lastack::local_stack;

void end_base::know(local_stack& s) {
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
    // Idle connections are left open on purpose: a million take longer to reset than a stop waits.
    if (tally_->core == nullptr || load_->idle) {
        return;
    }
    using lastack::teardown::state;
    const auto left = tally_->core->states();
    std::uint64_t held = left.sockets + left.mbufs_held;
    for (std::size_t i = 0; i < left.by_state.size(); ++i) {
        const auto st = static_cast<state>(i);
        held += st == state::time_wait || st == state::listen ? 0 : left.by_state[i];
    }
    tally_->leaked.set(held);
}

std::vector<std::byte> end_base::text_of(std::string_view head, std::size_t octets) {
    std::vector<std::byte> text(octets, std::byte{'.'});
    std::ranges::copy(std::as_bytes(std::span{head}).first(std::min(head.size(), octets)),
                      text.begin());
    return text;
}

lastack::result<bool, std::string> server_base::on_start(local_stack& s) {
    know(s);
    for (std::uint32_t i = 0; i < load_->server_ports; ++i) {
        const auto port = static_cast<std::uint16_t>(load_->server.port + i);
        if (const auto made = s.listen({{}, port}); !made) {
            return lastack::failure{"listening on port " + std::to_string(port) + ": " +
                                    std::string(name(made.error()))};
        }
    }
    return true;
}

client_base::client_base(load& l, unsigned worker)
    : end_base(l, end::client, worker), slots_(l.at_once), tuples_(l) {
    for (std::uint32_t i = l.at_once; i > 0; --i) {
        free_.push_back(i - 1);
    }
}

// Answers must come to this lcore. And a port that spreads brings all of a connection's segments to
// one lcore, which rings do not: so the client takes connections of which that is true, or, where
// the ends are to be apart, those whose other end is on the server's lcore.
lastack::result<bool, std::string> client_base::on_start(local_stack& s) {
    know(s);
    if (const auto* owners = s.core().tcp().owners()) {
        tuples_.keep_to(*owners, s.core().tcp().worker(), end::client);
    }
    if (!load_->steered && !load_->apart) {
        keep_other_end(load_->server_on(tally_->worker));
    }
    return true;
}

void client_base::keep_other_end(const lastack::stack::core* server) {
    if (server != nullptr && server->tcp().owners() != nullptr) {
        tuples_.keep_to(*server->tcp().owners(), server->tcp().worker(), end::server);
    }
}

void client_base::open(local_stack& s) {
    const std::uint32_t index = free_.back();
    const auto key = tuples_.next();
    lastack::connect_options how;
    how.user = index;
    how.local.emplace(key.local, key.local_port);
    const auto id = s.connect({key.remote, key.remote_port}, how);
    if (!id) {
        // In use: the next one is tried. Anything else is a failure.
        const bool not_this_one = id.error() == lastack::call_error::address_in_use ||
                                  id.error() == lastack::call_error::address_not_available;
        tally_->failed.add(not_this_one ? 0 : 1);
        return;
    }
    free_.pop_back();
    slots_[index] = {};
    slots_[index].id = *id;
    slots_[index].open = true;
    tally_->begun.set(++begun_);
}

void client_base::open_missing(local_stack& s, std::uint32_t most) {
    if (load_->apart && !other_end_known_) {
        // The clients' lcore is the first, the server's the second, which may start later.
        const auto* server = tally_->worker == 0 ? load_->server_on(1) : nullptr;
        if (server == nullptr) {
            return;
        }
        keep_other_end(server);
        other_end_known_ = true;
    }
    const std::uint64_t limit = load_->wanted.connections.load(std::memory_order_relaxed);
    // Until each address has had one connection, one each: a neighbour that is not known yet has
    // room for four packets only.
    const std::size_t known = load_->client_addresses.size();
    const std::size_t at_once = tally_->open.get() < known
                                    ? std::min<std::size_t>(known, load_->wanted.at_once)
                                    : load_->wanted.at_once.load(std::memory_order_relaxed);
    for (std::uint32_t n = 0;
         n < most && begun_ < limit && !free_.empty() && slots_.size() - free_.size() < at_once;
         ++n) {
        open(s);
    }
}

void client_base::on_ended(local_stack& s, conn_id id, const event& e) {
    const bool as_wanted = is_clean(e.outcome) || (load_->idle && draining_);
    (as_wanted ? tally_->connections : tally_->failed).add(1);
    (void)s.close(id);  // one that ended by itself
    slots_[e.user].open = false;
    free_.push_back(static_cast<std::uint32_t>(e.user));
}

}  // namespace bench
