// SPDX-License-Identifier: BSD-3-Clause
// What a coroutine can await: read, write, close and connect.
//
// An operation completes at once if it can; else it waits in the coroutine's frame, without memory
// of its own, and completes at the latest when the connection ends. One coroutine awaits one thing
// at a time, so a slot has room for one waiter and no queue.
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "lastack/buffer.hpp"
#include "lastack/coroutine/connection.hpp"
#include "lastack/coroutine/context.hpp"
#include "lastack/result.hpp"

namespace lastack {

namespace coroutine_detail {

// True if a call that failed like this failed because the connection has come to its end, so that
// `ended` has been given or is about to be. What remains is a mistake of the caller.
constexpr bool is_the_end(call_error e) {
    return e == call_error::connection_reset || e == call_error::connection_refused ||
           e == call_error::timed_out || e == call_error::host_unreachable;
}

// What the operations have in common. Derived has `void try_once(slot&)`, which sets value_ when
// it is done; Value is what co_await gives.
template <class Derived, class Value>
class awaitable : operation {
  public:
    explicit awaitable(connection& c) : connection_(&c) {}
    // It is waited for by its address, from the frame in which it lies.
    awaitable(const awaitable&) = delete;
    awaitable& operator=(const awaitable&) = delete;

    bool await_ready() { return tried(); }
    void await_suspend(std::coroutine_handle<> h) {
        frame = h;
        attempt = [](operation& o) { return static_cast<awaitable&>(o).tried(); };
        connection_->slot_->waiting = this;
    }
    Value await_resume() { return std::move(*value_); }

  protected:
    void fail(call_error why, close_outcome how) { value_.emplace(failure{io_failure{why, how}}); }
    // Judges the refusal of a call on the connection's slot.
    void refused(const slot& s, call_error why) {
        const bool over = s.outcome != close_outcome::none;
        if (why == call_error::would_block && !over) {
            return;
        }
        if (is_the_end(why) && !over) {
            return;  // `ended` is on its way in this batch and says how
        }
        fail(why, s.outcome);
    }

    connection* connection_;
    std::optional<Value> value_;

  private:
    bool tried() {
        if (connection_->slot_ == nullptr) {
            static_cast<Derived*>(this)->without_connection();
        } else {
            static_cast<Derived*>(this)->try_once(*connection_->slot_);
        }
        return value_.has_value();
    }
};

template <class Derived, class T>
class io_awaitable : public awaitable<Derived, result<T, io_failure>> {
  public:
    using awaitable<Derived, result<T, io_failure>>::awaitable;
    void without_connection() {
        this->fail(call_error::stale_handle, this->connection_->outcome());
    }
};

class read_operation : public io_awaitable<read_operation, buffer> {
  public:
    using io_awaitable::io_awaitable;
    void try_once(slot& s) {
        auto got = connection_->stack().receive(s.id);
        if (got) {
            value_.emplace(std::move(*got));
        } else {
            refused(s, got.error());
        }
    }
};

class read_some_operation : public io_awaitable<read_some_operation, std::size_t> {
  public:
    read_some_operation(connection& c, std::span<std::byte> into) : io_awaitable(c), into_(into) {}
    void try_once(slot& s) {
        auto got = connection_->stack().receive(s.id, into_);
        if (got) {
            value_.emplace(*got);
        } else {
            refused(s, got.error());
        }
    }

  private:
    std::span<std::byte> into_;
};

class write_operation : public io_awaitable<write_operation, std::size_t> {
  public:
    write_operation(connection& c, std::span<const std::byte> data)
        : io_awaitable(c), data_(data) {}
    void try_once(slot& s) {
        auto sent = connection_->stack().send(s.id, data_.subspan(done_));
        if (!sent) {
            refused(s, sent.error());
            return;
        }
        done_ += *sent;
        if (done_ == data_.size()) {
            value_.emplace(done_);
        }
    }

  private:
    std::span<const std::byte> data_;
    std::size_t done_ = 0;
};

class write_buffer_operation : public io_awaitable<write_buffer_operation, std::size_t> {
  public:
    write_buffer_operation(connection& c, buffer data) : io_awaitable(c), data_(std::move(data)) {}
    void try_once(slot& s) {
        const std::size_t octets = data_.size();
        auto sent = connection_->stack().send(s.id, data_);
        if (sent) {
            value_.emplace(octets);
        } else {
            refused(s, sent.error());
        }
    }

  private:
    buffer data_;
};

class close_operation : public awaitable<close_operation, close_outcome> {
  public:
    using awaitable::awaitable;
    void without_connection() { value_.emplace(connection_->outcome()); }
    void try_once(slot& s) {
        if (!s.closing) {
            // A connection that has ended still keeps its handle until close(); only one that has
            // not owes an `ended`.
            const bool over = s.outcome != close_outcome::none;
            s.closing = true;
            auto closed =
                connection_->stack().close(s.id, over ? completion::none : completion::event);
            if (closed && !over) {
                return;
            }
        } else if (s.outcome == close_outcome::none) {
            return;
        }
        const close_outcome how = s.outcome;
        connection_->release(how);
        value_.emplace(how);
    }
};

// Gives result<connection, io_failure>: the connection once it is established.
class connect_operation : operation {
  public:
    connect_operation(coroutine_context& context, const endpoint& remote,
                      const connect_options& options)
        : context_(&context), remote_(remote), options_(options) {}
    connect_operation(const connect_operation&) = delete;
    connect_operation& operator=(const connect_operation&) = delete;

    bool await_ready() {
        slot* s = context_->take_slot({});
        if (s == nullptr) {
            value_.emplace(failure{io_failure{call_error::no_memory}});
            return true;
        }
        options_.user = reinterpret_cast<std::uint64_t>(s);
        auto id = context_->stack().connect(remote_, options_);
        if (!id) {
            context_->free_slot(s);
            value_.emplace(failure{io_failure{id.error()}});
            return true;
        }
        s->id = *id;
        connection_.emplace(connection(*context_, s));
        return false;
    }
    void await_suspend(std::coroutine_handle<> h) {
        frame = h;
        attempt = [](operation& o) { return static_cast<connect_operation&>(o).settled(); };
        connection_->slot_->waiting = this;
    }
    result<connection, io_failure> await_resume() { return std::move(*value_); }

  private:
    bool settled() {
        const slot& s = *connection_->slot_;
        if (s.opened) {
            value_.emplace(std::move(*connection_));
            return true;
        }
        if (s.outcome == close_outcome::none) {
            return false;
        }
        value_.emplace(failure{io_failure{reason_of(s.outcome), s.outcome}});
        connection_.reset();  // gives the handle back
        return true;
    }
    static call_error reason_of(close_outcome how) {
        if (how == close_outcome::host_unreachable) {
            return call_error::host_unreachable;
        }
        return is_timeout(how) ? call_error::timed_out : call_error::connection_refused;
    }

    coroutine_context* context_;
    endpoint remote_;
    connect_options options_;
    std::optional<connection> connection_;
    std::optional<result<connection, io_failure>> value_;
};

}  // namespace coroutine_detail

inline coroutine_detail::read_operation connection::read() {
    return coroutine_detail::read_operation(*this);
}
inline coroutine_detail::read_some_operation connection::read_some(std::span<std::byte> into) {
    return {*this, into};
}
inline coroutine_detail::write_operation connection::write(std::span<const std::byte> data) {
    return {*this, data};
}
inline coroutine_detail::write_buffer_operation connection::write(buffer data) {
    return {*this, std::move(data)};
}
inline coroutine_detail::close_operation connection::close() {
    return coroutine_detail::close_operation(*this);
}
inline coroutine_detail::connect_operation coroutine_context::connect(
    const endpoint& remote, const connect_options& options) {
    return {*this, remote, options};
}

}  // namespace lastack
