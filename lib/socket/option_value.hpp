// SPDX-License-Identifier: BSD-3-Clause
// The caller's memory of getsockopt() and setsockopt(), with Linux's checks: what is too short to
// set is EINVAL, what is too long to get is cut and its length told.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lastack::socket {

template <class T>
int read_value(const void* value, socklen_t length, T& into) {
    if (static_cast<int>(length) < static_cast<int>(sizeof into)) {
        return -EINVAL;
    }
    if (value == nullptr) {
        return -EFAULT;
    }
    std::memcpy(&into, value, sizeof into);
    return 0;
}

// Preconditions: both pointers were checked, *length is not negative.
template <class T>
int write_value(const T& from, void* value, socklen_t* length) {
    const std::size_t n = std::min<std::size_t>(*length, sizeof from);
    std::memcpy(value, &from, n);
    *length = static_cast<socklen_t>(n);
    return 0;
}

}  // namespace lastack::socket
