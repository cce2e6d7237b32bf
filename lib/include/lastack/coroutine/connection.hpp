// SPDX-License-Identifier: BSD-3-Clause
// A connection as a coroutine holds it, and what it can await on it.
//
// A connection has one owner. If the owner lets it go without a word (its coroutine returned, or
// the frame was destroyed), it is closed as local_stack::close() does it: what is queued is sent,
// then FIN; but if received data lies unread it is reset (R06), since the peer would otherwise
// take it for read. Say abort() to reset it in any case, and close() to learn how it ended.
//
// What read(), write() and the others give is in lastack/coroutine/operations.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "lastack/buffer.hpp"
#include "lastack/coroutine/context.hpp"
#include "lastack/result.hpp"

namespace lastack {

namespace coroutine_detail {
template <class Derived, class Value>
class awaitable;
class read_operation;
class read_some_operation;
class write_operation;
class write_buffer_operation;
class close_operation;
}  // namespace coroutine_detail

class connection {
  public:
    // Takes over a connection that has just been opened. Precondition: context.has_slot().
    connection(coroutine_context& context, const event& opened)
        : context_(&context), slot_(context.take_slot(opened.conn)) {
        slot_->opened = true;
        if ((opened.what & event_bits::ended) != 0) {
            slot_->outcome = opened.outcome;
        }
        (void)stack().set_user(opened.conn, reinterpret_cast<std::uint64_t>(slot_));
    }
    connection(connection&& other) noexcept
        : context_(other.context_),
          slot_(std::exchange(other.slot_, nullptr)),
          outcome_(other.outcome_) {}
    connection& operator=(connection&&) = delete;
    ~connection() {
        if (slot_ != nullptr) {
            let_go();
        }
    }

    // The oldest unread payload as one chain, without a copy; empty at the end of the stream.
    coroutine_detail::read_operation read();  // result<buffer, io_failure>
    // The same, copied; octets, 0 at the end of the stream. Precondition: !into.empty().
    coroutine_detail::read_some_operation read_some(std::span<std::byte> into);  // size_t

    // Done when all of it is queued; waits while the send queue is full. result<size_t, io_failure>
    coroutine_detail::write_operation write(std::span<const std::byte> data);
    coroutine_detail::write_buffer_operation write(buffer data);  // without a copy

    // Closes and waits until the connection is in TIME_WAIT or CLOSED; gives the close_outcome. If
    // it has ended already, that is at once.
    coroutine_detail::close_operation close();

    // FIN behind what is queued; the receiving side stays open (R08).
    result<bool, call_error> shutdown_write() {
        if (slot_ == nullptr) {
            return failure{call_error::stale_handle};
        }
        slot_->write_shut = true;
        return stack().shutdown(slot_->id, shutdown_how::write);
    }
    // RST at once; the connection is gone.
    void abort() {
        if (slot_ != nullptr) {
            (void)stack().abort(slot_->id);
            release(slot_->outcome == close_outcome::none ? close_outcome::aborted_by_application
                                                          : slot_->outcome);
        }
    }

    // How it ended; none while it has not, or if it was let go before it had.
    close_outcome outcome() const { return slot_ == nullptr ? outcome_ : slot_->outcome; }
    // Names the connection for calls on stack(); the default after close() or abort().
    conn_id id() const { return slot_ == nullptr ? conn_id{} : slot_->id; }
    local_stack& stack() const { return context_->stack(); }
    coroutine_context& context() const { return *context_; }

  private:
    friend class coroutine_detail::close_operation;
    friend class coroutine_detail::connect_operation;
    template <class, class>
    friend class coroutine_detail::awaitable;

    connection(coroutine_context& context, coroutine_detail::slot* s)
        : context_(&context), slot_(s) {}

    void let_go() {
        // While `ended` is owed the stack is at it already; a second close() would be refused.
        if (!slot_->closing) {
            (void)stack().close(slot_->id);
        }
        release(slot_->outcome);
    }
    void release(close_outcome how) {
        outcome_ = how;
        context_->free_slot(std::exchange(slot_, nullptr));
    }

    coroutine_context* context_;
    coroutine_detail::slot* slot_;
    close_outcome outcome_ = close_outcome::none;
};

}  // namespace lastack
