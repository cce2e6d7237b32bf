// SPDX-License-Identifier: BSD-3-Clause
#include "unit/coroutine/fake_stack.hpp"

#include <gtest/gtest.h>
#include <rte_eal.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace lastack::stack {

rte_mempool* fake_mbufs() {
    static rte_mempool* const pool = [] {
        const char* words[] = {"test", "--no-huge",      "--no-pci",          "--no-shconf", "-m",
                               "64",   "--no-telemetry", "--log-level=error", "-l",          "0"};
        std::vector<char*> argv;
        for (const char* w : words) {
            argv.push_back(const_cast<char*>(w));
        }
        setenv("RUNTIME_DIRECTORY", testing::TempDir().c_str(), 0);  // /var/run/dpdk may be root's
        if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
            std::abort();
        }
        rte_mempool* p =
            rte_pktmbuf_pool_create("fake", 4095, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM, 0);
        return p != nullptr ? p : (std::abort(), nullptr);
    }();
    return pool;
}
buffer fake_buffer(std::string_view text) {
    rte_mbuf* m = rte_pktmbuf_alloc(fake_mbufs());
    std::memcpy(rte_pktmbuf_append(m, static_cast<std::uint16_t>(text.size())), text.data(),
                text.size());
    return buffer(m);
}

namespace {

call_error how_it_failed(const fake_connection& c) {
    return c.outcome == close_outcome::refused ? call_error::connection_refused
           : is_timeout(c.outcome)             ? call_error::timed_out
                                               : call_error::connection_reset;
}

}  // namespace

}  // namespace lastack::stack

namespace lastack {

result<listener_id, call_error> local_stack::listen(const endpoint&, const listen_options&) {
    if (core_->refuse_listen) {
        return failure{call_error::address_in_use};
    }
    return listener_id{0, 1};
}
result<conn_id, call_error> local_stack::connect(const endpoint&, const connect_options& options) {
    if (core_->refuse_connect) {
        return failure{call_error::host_unreachable};
    }
    const conn_id id = core_->add();
    core_->at(id).connecting = true;
    core_->at(id).user = options.user;
    return id;
}
result<std::size_t, call_error> local_stack::send(conn_id id, std::span<const std::byte> data,
                                                  send_options) {
    stack::fake_connection* c = core_->live(id);
    if (c == nullptr) {
        return failure{call_error::stale_handle};
    }
    if (c->outcome != close_outcome::none) {
        return failure{is_clean(c->outcome) ? call_error::closed_for_sending
                                            : stack::how_it_failed(*c)};
    }
    if (c->fin_sent) {
        return failure{call_error::closed_for_sending};
    }
    const std::size_t n = std::min(data.size(), c->room);
    c->tx.append(reinterpret_cast<const char*>(data.data()), n);
    c->room -= n;
    c->sends += n > 0;
    c->wants_writable = n < data.size();
    return n;
}
result<bool, call_error> local_stack::send(conn_id id, buffer& data) {
    stack::fake_connection* c = core_->live(id);
    if (c != nullptr && c->outcome == close_outcome::none && !c->fin_sent &&
        c->room < data.size()) {
        c->wants_writable = true;
        return failure{call_error::would_block};
    }
    result<std::size_t, call_error> sent = std::size_t{0};
    data.for_each_segment([&](std::span<const std::byte> segment) { sent = send(id, segment); });
    if (!sent) {
        return failure{sent.error()};
    }
    data = buffer();
    return true;
}
result<buffer, call_error> local_stack::receive(conn_id id) {
    stack::fake_connection* c = core_->live(id);
    if (c == nullptr) {
        return failure{call_error::stale_handle};
    }
    if (!c->rx.empty()) {
        buffer b = stack::fake_buffer(c->rx.front());
        c->rx.pop_front();
        return b;
    }
    if (c->outcome != close_outcome::none && !is_clean(c->outcome)) {
        return failure{stack::how_it_failed(*c)};
    }
    if (c->peer_fin) {
        return buffer();
    }
    return failure{call_error::would_block};
}
result<std::size_t, call_error> local_stack::receive(conn_id id, std::span<std::byte> into) {
    stack::fake_connection* c = core_->live(id);
    std::size_t n = 0;
    while (c != nullptr && !c->rx.empty() && n < into.size()) {
        std::string& front = c->rx.front();
        const std::size_t some = std::min(front.size(), into.size() - n);
        std::memcpy(into.data() + n, front.data(), some);
        n += some;
        front.erase(0, some);
        if (front.empty()) {
            c->rx.pop_front();
        }
    }
    if (n > 0) {
        return n;
    }
    auto nothing = receive(id);
    if (!nothing) {
        return failure{nothing.error()};
    }
    return std::size_t{0};
}
result<bool, call_error> local_stack::shutdown(conn_id id, shutdown_how how) {
    stack::fake_connection* c = core_->live(id);
    if (c == nullptr) {
        return failure{call_error::stale_handle};
    }
    c->fin_sent |= how != shutdown_how::read;
    return true;
}
result<bool, call_error> local_stack::close(conn_id id, completion owed) {
    stack::fake_connection* c = core_->live(id);
    if (c == nullptr) {
        return failure{call_error::stale_handle};
    }
    c->handle_dead = true;
    c->ended_owed = owed == completion::event;
    if (c->outcome != close_outcome::none) {
        core_->end(id, c->outcome);
    } else if (!c->rx.empty()) {
        c->rst_sent = true;
        core_->end(id, close_outcome::aborted_unread_data);
    } else {
        c->fin_sent = true;
    }
    return true;
}
result<bool, call_error> local_stack::abort(conn_id id, completion owed) {
    stack::fake_connection* c = core_->live(id);
    if (c == nullptr) {
        return failure{call_error::stale_handle};
    }
    c->handle_dead = true;
    c->ended_owed = owed == completion::event;
    c->rst_sent = true;
    core_->end(id, close_outcome::aborted_by_application);
    return true;
}
result<bool, call_error> local_stack::set_user(conn_id id, std::uint64_t user) {
    stack::fake_connection* c = core_->live(id);
    if (c == nullptr) {
        return failure{call_error::stale_handle};
    }
    c->user = user;
    return true;
}
result<std::size_t, call_error> local_stack::unread(conn_id id) const {
    stack::fake_connection* c = core_->live(id);
    if (c == nullptr) {
        return failure{call_error::stale_handle};
    }
    std::size_t n = 0;
    for (const std::string& segment : c->rx) {
        n += segment.size();
    }
    return n;
}

void local_stack::drain() {}
std::uint32_t local_stack::capacity() const { return 1024; }
void local_stack::count_coroutine_pool_empty() { ++core_->coroutine_pool_empty; }

}  // namespace lastack
