// SPDX-License-Identifier: BSD-3-Clause
// A process on lastack: EAL, ports, one stack for each port on each worker lcore, a control thread.
//
//   struct server {
//       void on_start(lastack::local_stack& s) { (void)s.listen({{}, 80}); }
//       void on_readable(lastack::local_stack& s, lastack::conn_id c, const lastack::event&) { ...
//       }
//   };
//   auto rt = lastack::runtime::start(options);
//   if (!rt) { std::cerr << rt.error() << '\n'; return 2; }
//   return (*rt)->run([](lastack::place) { return server{}; });
//
// One handler is made for each stack, on the stack's own lcore, so it needs no locks. It may
// define, besides the functions of dispatch() (local_stack.hpp):
//   on_start(local_stack&)                  before the first frame; may return
//                                           result<bool, std::string>, whose error ends the process
//   on_turn(local_stack&, microseconds now) once each turn, after the events
//   on_drain(local_stack&)                  when the process begins to stop: listeners are closed,
//                                           end the connections; without it all get their FIN
//
// The calling thread becomes the control thread: it waits for SIGINT and SIGTERM (the first drains
// within lastack.drain_ms and then resets, the second resets at once), prints statistics and adds
// up counters. Nobody else may wait for these signals.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lastack/event.hpp"
#include "lastack/local_stack.hpp"
#include "lastack/log.hpp"
#include "lastack/options.hpp"
#include "lastack/result.hpp"

namespace lastack {

// Which stack a handler is made for.
struct place {
    unsigned worker = 0;  // from 0
    unsigned port = 0;    // from 0
};

// One worker lcore's loop. A turn: send what the last turn's calls made due, take frames, process
// them, run timers, collect events.
class worker {
  public:
    virtual ~worker() = default;

    // False when the process has stopped.
    virtual bool turn() = 0;

    virtual std::size_t stacks() const = 0;
    virtual place where(std::size_t stack) const = 0;
    virtual local_stack& calls(std::size_t stack) = 0;
    // The events of this turn; valid until the next.
    virtual std::span<const event> events(std::size_t stack) const = 0;
    // The clock reading of this turn; never goes back, in one process or from one to the next.
    virtual std::chrono::microseconds now() const = 0;
    // True in the one turn in which draining begins.
    virtual bool drain_begins() const = 0;
    // Ends the process with an error: run() prints the reason and returns 2.
    virtual void fail(std::string reason) = 0;
};

class runtime {
  public:
    // Starts EAL and the ports and reserves all memory. The error says what to do.
    static result<std::unique_ptr<runtime>, std::string> start(const runtime_options&);
    virtual ~runtime() = default;

    // Runs until a signal, run_for, or stop(). make_handler(place) is called on each worker.
    // Returns the process's exit status: 0, or 2 if a handler could not start.
    template <class MakeHandler>
    int run(MakeHandler make_handler);
    // The same for who has no handler but a loop of its own: loop(worker, context) is called on
    // each worker lcore and turns it until turn() says that the process has stopped.
    virtual int run_workers(void (*loop)(worker&, void* context), void* context) = 0;

    // Begins to stop, as the first SIGTERM does. From any thread, also from a handler.
    virtual void stop() = 0;

    // One line: address, wire, lcores, memory, capacities.
    virtual std::string describe() const = 0;

    // How long a worker has been in turns that had something to do. From any thread.
    virtual std::chrono::nanoseconds busy(unsigned worker) const = 0;
};

namespace detail {

template <class Handler>
bool start_handler(worker& w, local_stack& s, Handler& handler) {
    if constexpr (requires { handler.on_start(s); }) {
        if constexpr (std::is_void_v<decltype(handler.on_start(s))>) {
            handler.on_start(s);
        } else if (auto started = handler.on_start(s); !started) {
            w.fail(started.error());
            return false;
        }
    }
    return true;
}

template <class MakeHandler>
void drive(worker& w, MakeHandler& make_handler) {
    using handler_type = std::remove_cvref_t<decltype(make_handler(place{}))>;
    std::vector<std::unique_ptr<handler_type>> handlers;  // a handler need not be movable
    for (std::size_t i = 0; i < w.stacks(); ++i) {
        handlers.emplace_back(new handler_type(make_handler(w.where(i))));
        if (!start_handler(w, w.calls(i), *handlers[i])) {
            return;
        }
    }
    while (w.turn()) {
        for (std::size_t i = 0; i < handlers.size(); ++i) {
            local_stack& s = w.calls(i);
            handler_type& handler = *handlers[i];
            for (const event& e : w.events(i)) {
                dispatch(s, handler, e);
            }
            if constexpr (requires { handler.on_turn(s, w.now()); }) {
                handler.on_turn(s, w.now());
            }
            if (w.drain_begins()) {
                if constexpr (requires { handler.on_drain(s); }) {
                    handler.on_drain(s);
                } else {
                    s.drain();
                }
            }
        }
    }
}

}  // namespace detail

template <class MakeHandler>
int runtime::run(MakeHandler make_handler) {
    return run_workers(
        [](worker& w, void* make) { detail::drive(w, *static_cast<MakeHandler*>(make)); },
        &make_handler);
}

}  // namespace lastack
