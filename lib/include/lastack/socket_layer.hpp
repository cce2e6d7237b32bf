// SPDX-License-Identifier: BSD-3-Clause
// The socket calls of lastack/socket.h on one stack: what makes them, drives them and owns their
// descriptors. A program that starts with lastack_run() needs none of this.
//
//   auto layer = socket_layer::make(stack, options);    // on the stack's lcore, at start
//   socket_layer::scope here(**layer);                   // this thread's lastack_ calls use it
//   ... after each turn: (*layer)->take(events);         // the turn's events, before any call
//
// The layer takes over the connections that its calls made: it uses event::user and every event of
// the stack. It allocates at make() and never after.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "lastack/event.hpp"
#include "lastack/local_stack.hpp"
#include "lastack/result.hpp"

namespace lastack {

namespace socket {
class table;
}

// How the layer reaches what is around it. No function may be missing but `take_descriptor` and
// `give_descriptor`: without them the layer numbers its descriptors itself, from 3, the lowest free
// one first.
struct socket_hooks {
    void* context = nullptr;

    // Waits until something may have happened on the stack, at most `timeout_us`, and has given the
    // events to take() before it returns. 0: does not wait; takes a turn where that makes sense,
    // for a program may never wait otherwise.
    // Negative: no limit. Returns 0, or the errno with which the call is refused: EDEADLK where
    // waiting cannot work, EINTR, ESHUTDOWN. Other calls on the layer may run meanwhile (another
    // thread under the host's own lock): the waiting call looks its descriptor up again.
    int (*wait)(void* context, std::int64_t timeout_us) = nullptr;
    // The stack's clock in microseconds.
    std::int64_t (*now_us)(void* context) = nullptr;

    // A number for a new descriptor, below socket_layer_options::descriptors; or -errno.
    int (*take_descriptor)(void* context) = nullptr;
    // The layer has closed it.
    void (*give_descriptor)(void* context, int fd) = nullptr;
};

struct socket_layer_options {
    std::uint32_t descriptors = 1024;          // one above the highest number; EMFILE beyond
    std::uint32_t waiting_connections = 4096;  // for accept(), over all listeners; reset beyond
    std::uint32_t epoll_interests = 1024;      // descriptors watched, all instances; ENOSPC beyond
    socket_hooks hooks;
};

class socket_layer {
  public:
    // The error is a sentence that says what to change.
    static result<std::unique_ptr<socket_layer>, std::string> make(local_stack,
                                                                   const socket_layer_options&);
    ~socket_layer();
    socket_layer(const socket_layer&) = delete;
    socket_layer& operator=(const socket_layer&) = delete;

    // What a turn told: core::take_events(), worker::events(). All of it, in order.
    void take(std::span<const event>);

    // Closes every descriptor, as the end of a process does: nothing lingers (R13).
    void close_all();

    // While one lives, the lastack_ calls of its thread are this layer's. They nest. Who lets two
    // threads use one layer holds a lock of its own around each scope (and releases it in `wait`).
    class scope {
      public:
        explicit scope(socket_layer&);
        ~scope();
        scope(const scope&) = delete;
        scope& operator=(const scope&) = delete;

      private:
        socket::table* before_;
    };

  private:
    explicit socket_layer(std::unique_ptr<socket::table>);
    std::unique_ptr<socket::table> table_;
};

}  // namespace lastack
