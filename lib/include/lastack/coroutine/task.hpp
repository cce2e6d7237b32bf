// SPDX-License-Identifier: BSD-3-Clause
// The type of a coroutine that serves or makes connections.
//
//     task serve(connection c) { ... co_await c.read() ... }
//     task client(coroutine_context& context, endpoint peer) { ... co_await context.connect(peer) }
//
// It starts when it is called, runs to the first thing it must wait for, and its frame goes back to
// the pool when it returns: nobody joins it, and the `task` the call gives says only whether there
// was a frame for it. A coroutine is one function: what it calls are ordinary functions.
//
// The frame comes from the pool of the context, which the promise finds among the coroutine's own
// arguments (a connection or a coroutine_context, wherever they stand), so that there is no hidden
// global and a lambda or a member function can be a coroutine too.
//
// An exception that leaves a coroutine ends the process with its message, as one that leaves a
// thread does: there is nobody above it to whom it could be told, and the connection's peer would
// take a quiet close for success. Catch inside what can be dealt with.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <type_traits>

#include "lastack/coroutine/connection.hpp"
#include "lastack/coroutine/context.hpp"

namespace lastack {

class task {
  public:
    struct promise_type;

    // False if the pool had no frame: the coroutine has not run, its arguments are gone (and a
    // connection among them is closed).
    explicit operator bool() const { return started_; }

  private:
    explicit task(bool started) : started_(started) {}
    bool started_;
};

namespace coroutine_detail {

// The context that the first argument which names one names.
template <class First, class... Rest>
coroutine_context& context_among(First& first, Rest&... rest) {
    if constexpr (std::is_same_v<std::remove_cvref_t<First>, coroutine_context>) {
        return first;
    } else if constexpr (std::is_same_v<std::remove_cvref_t<First>, connection>) {
        return first.context();
    } else {
        static_assert(sizeof...(Rest) > 0,
                      "a task takes a lastack::connection or a lastack::coroutine_context& among "
                      "its parameters: its frame comes from that context's pool");
        return context_among(rest...);
    }
}

}  // namespace coroutine_detail

struct task::promise_type {
    template <class... Args>
    explicit promise_type(Args&... args) {
        link_.frame = std::coroutine_handle<promise_type>::from_promise(*this);
        link_.insert_behind(coroutine_detail::context_among(args...).live());
    }

    template <class... Args>
    static void* operator new(std::size_t octets, Args&... args) noexcept {
        return coroutine_detail::context_among(args...).frames().take(octets);
    }
    static void operator delete(void* frame) noexcept { frame_pool::give_back(frame); }

    static task get_return_object_on_allocation_failure() { return task(false); }
    task get_return_object() { return task(true); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    [[noreturn]] void unhandled_exception() noexcept {
        try {
            throw;
        } catch (const std::exception& e) {
            std::fprintf(stderr, "lastack: an exception left a coroutine: %s\n", e.what());
        } catch (...) {
            std::fputs("lastack: an exception left a coroutine\n", stderr);
        }
        std::terminate();
    }

  private:
    coroutine_detail::live_link link_;
};

}  // namespace lastack
