// SPDX-License-Identifier: BSD-3-Clause
// What the coroutines of one core share: the pool of their frames, the slots of their connections,
// and the list of the frames that live.
//
// A slot is what event::user of a connection points to. It outlives the connection and the frame,
// and its `id` says whose it is now, so an event that was on its way when a connection was given up
// is recognised and dropped: nothing is ever resumed on behalf of a connection that has left.
//
//   event --> slot (user) --> operation (waiting) --> frame (resumed when the operation is done)
//
// An operation is tried first and waits only if it would block; every event of its connection tries
// it again. So no event can be missed, and none needs to be remembered but `ended`.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "lastack/coroutine/frame_pool.hpp"
#include "lastack/event.hpp"
#include "lastack/local_stack.hpp"
#include "lastack/outcome.hpp"

namespace lastack {

struct coroutine_options {
    std::size_t frames = 1024;        // coroutines alive at a time
    std::size_t frame_octets = 1008;  // the largest frame; a block is this and 16 octets
    std::size_t connections = 0;      // connections they hold at a time; 0: one a frame
};

// Why an operation failed. `outcome` is how the connection ended, or none if it goes on and the
// call itself was wrong (a write behind shutdown_write(), anything behind close()).
struct io_failure {
    call_error why;
    close_outcome outcome = close_outcome::none;
};

class coroutine_context;

namespace coroutine_detail {

// An operation somebody awaits. `attempt` tries it and says whether it is done.
struct operation {
    std::coroutine_handle<> frame;
    bool (*attempt)(operation&) = nullptr;
};

struct slot {
    coroutine_context* context = nullptr;
    conn_id id{};  // the default, which names no connection, while the slot is free
    operation* waiting = nullptr;
    slot* next_free = nullptr;
    close_outcome outcome = close_outcome::none;  // once `ended` was given
    bool opened = false;
    bool closing = false;     // close() has been called and `ended` is owed
    bool write_shut = false;  // shutdown_write() has been called
};

// A link of the list of live frames.
struct live_link {
    live_link* previous = this;
    live_link* next = this;
    std::coroutine_handle<> frame;

    live_link() = default;
    live_link(const live_link&) = delete;
    live_link& operator=(const live_link&) = delete;
    ~live_link() {
        previous->next = next;
        next->previous = previous;
    }
    void insert_behind(live_link& head) {
        next = head.next;
        previous = &head;
        head.next->previous = this;
        head.next = this;
    }
};

class connect_operation;

}  // namespace coroutine_detail

class coroutine_context {
  public:
    coroutine_context(local_stack& s, const coroutine_options& options)
        : stack_(&s),
          frames_(options.frames, options.frame_octets),
          slot_count_(options.connections == 0 ? options.frames : options.connections),
          slots_(std::make_unique<coroutine_detail::slot[]>(slot_count_)) {
        for (std::size_t i = slot_count_; i-- > 0;) {
            slots_[i].context = this;
            slots_[i].next_free = free_;
            free_ = &slots_[i];
        }
    }
    coroutine_context(const coroutine_context&) = delete;
    coroutine_context& operator=(const coroutine_context&) = delete;
    // Precondition: the stack still lives, for the connections that live frames hold are closed.
    ~coroutine_context() { destroy_all(); }

    local_stack& stack() { return *stack_; }
    frame_pool& frames() { return frames_; }
    coroutine_detail::live_link& live() { return live_; }
    bool has_slot() const { return free_ != nullptr; }

    // co_await gives result<connection, io_failure>; defined in lastack/coroutine/operations.hpp.
    coroutine_detail::connect_operation connect(const endpoint& remote,
                                                const connect_options& options = {});

    // Destroys every live frame where it waits. What it held goes as if its function had returned:
    // its connections are closed, in good order.
    void destroy_all() {
        while (live_.next != &live_) {
            live_.next->frame.destroy();
        }
    }

    // nullptr when the slots have run out.
    coroutine_detail::slot* take_slot(conn_id id) {
        coroutine_detail::slot* s = free_;
        if (s != nullptr) {
            free_ = s->next_free;
            *s = {.context = this, .id = id};
        }
        return s;
    }
    void free_slot(coroutine_detail::slot* s) {
        *s = {.context = this, .next_free = free_};
        free_ = s;
    }

    // The slot an event is for, or nullptr if its connection is none of ours, or no longer.
    static coroutine_detail::slot* slot_of(const event& e) {
        auto* s = reinterpret_cast<coroutine_detail::slot*>(e.user);
        return s != nullptr && s->id == e.conn ? s : nullptr;
    }

    // Lets the operation that waits for this event's connection, if any, go on.
    static void deliver(const event& e) {
        coroutine_detail::slot* s = slot_of(e);
        if (s == nullptr) {
            return;
        }
        if ((e.what & event_bits::ended) != 0) {
            s->outcome = e.outcome;
        }
        if ((e.what & event_bits::opened) != 0) {
            s->opened = true;
        }
        coroutine_detail::operation* waiting = s->waiting;
        if (waiting != nullptr && waiting->attempt(*waiting)) {
            s->waiting = nullptr;
            waiting->frame.resume();
        }
    }

  private:
    local_stack* stack_;
    frame_pool frames_;
    std::size_t slot_count_;
    std::unique_ptr<coroutine_detail::slot[]> slots_;
    coroutine_detail::slot* free_ = nullptr;
    coroutine_detail::live_link live_;
};

}  // namespace lastack
