// SPDX-License-Identifier: BSD-3-Clause
// Coroutines over the stack's events: a server as a function that reads from top to bottom.
//
//     task serve(connection c) {
//         for (;;) {
//             auto data = co_await c.read();
//             if (!data || data->size() == 0) break;           // it ended, or the peer has closed
//             if (!co_await c.write(std::move(*data))) break;  // waits while the queue is full
//         }
//         close_outcome how = co_await c.close();
//     }
//     (*rt)->run([](place) { return coroutine_server(serve, {{{}, 7}}); });
//
// Cost: a frame from a pool (coroutine_options), a slot of 40 octets, and an indirect call an
// event. Nothing is allocated after the start. When frames or slots have run out a new connection
// is reset, and counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lastack/coroutine/connection.hpp"
#include "lastack/coroutine/context.hpp"
#include "lastack/coroutine/frame_pool.hpp"
#include "lastack/coroutine/operations.hpp"
#include "lastack/coroutine/task.hpp"

namespace lastack {

// A handler for runtime::run() that gives each accepted connection a coroutine. Serve is callable
// as `task(connection)` and is kept as long as the server. Destroying the server destroys the live
// frames, and that closes their connections.
template <class Serve>
class coroutine_server {
  public:
    coroutine_server(Serve serve, std::vector<endpoint> listen,
                     const coroutine_options& options = {})
        : serve_(std::move(serve)), listen_(std::move(listen)), options_(options) {}

    result<bool, std::string> on_start(local_stack& s) {
        context_.emplace(s, options_);
        for (const endpoint& local : listen_) {
            if (auto listener = s.listen(local, {.port = {.reuse_addr = true}}); !listener) {
                return failure{"cannot listen on " + to_string(local) + ": " +
                               std::string(name(listener.error()))};
            }
        }
        return true;
    }
    void on_opened(local_stack& s, conn_id id, const event& e) {
        if (e.user != 0) {  // connect() was told whose it is, accept could not
            coroutine_context::deliver(e);
            return;
        }
        if (context_->frames().available() == 0 || !context_->has_slot()) {
            ++refused_;
            s.count_coroutine_pool_empty();
            (void)s.abort(id);
            return;
        }
        (void)serve_(connection(*context_, e));
    }
    void on_readable(local_stack&, conn_id, const event& e) { coroutine_context::deliver(e); }
    void on_writable(local_stack&, conn_id, const event& e) { coroutine_context::deliver(e); }
    void on_peer_closed(local_stack&, conn_id, const event& e) { coroutine_context::deliver(e); }
    void on_ended(local_stack&, conn_id, const event& e) { coroutine_context::deliver(e); }

    // Precondition: on_start() has been called.
    coroutine_context& context() { return *context_; }
    // Connections reset because frames or slots had run out.
    std::uint64_t refused() const { return refused_; }

  private:
    Serve serve_;
    std::vector<endpoint> listen_;
    coroutine_options options_;
    std::optional<coroutine_context> context_;
    std::uint64_t refused_ = 0;
};

}  // namespace lastack
