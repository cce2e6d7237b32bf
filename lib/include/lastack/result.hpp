// SPDX-License-Identifier: BSD-3-Clause
// A value or a reason, for calls that can be refused. No exceptions, no errno.
#pragma once

#include <utility>
#include <variant>

namespace lastack {

template <class E>
struct failure {
    E reason;
};
template <class E>
failure(E) -> failure<E>;

template <class T, class E>
class [[nodiscard]] result {
  public:
    constexpr result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    constexpr result(failure<E> f) : state_(std::in_place_index<1>, std::move(f.reason)) {}

    constexpr bool ok() const { return state_.index() == 0; }
    constexpr explicit operator bool() const { return ok(); }

    // Precondition: ok().
    constexpr T& value() & { return *std::get_if<0>(&state_); }
    constexpr const T& value() const& { return *std::get_if<0>(&state_); }
    constexpr T&& value() && { return std::move(*std::get_if<0>(&state_)); }
    constexpr T& operator*() & { return value(); }
    constexpr const T& operator*() const& { return value(); }
    constexpr T&& operator*() && { return std::move(*this).value(); }
    constexpr T* operator->() { return &value(); }
    constexpr const T* operator->() const { return &value(); }

    // Precondition: !ok().
    constexpr const E& error() const { return *std::get_if<1>(&state_); }

  private:
    std::variant<T, E> state_;
};

}  // namespace lastack
