// SPDX-License-Identifier: BSD-3-Clause
// The errno that stands for a refusal of the stack (lastack/outcome.hpp names each).
#pragma once

#include <cerrno>

#include "lastack/outcome.hpp"

namespace lastack::socket {

constexpr int errno_of(call_error e) {
    switch (e) {
        case call_error::stale_handle:
            return EBADF;
        case call_error::not_connected:
            return ENOTCONN;
        case call_error::would_block:
            return EAGAIN;
        case call_error::closed_for_sending:
            return EPIPE;
        case call_error::connection_reset:
            return ECONNRESET;
        case call_error::connection_refused:
            return ECONNREFUSED;
        case call_error::timed_out:
            return ETIMEDOUT;
        case call_error::host_unreachable:
            return EHOSTUNREACH;
        case call_error::address_in_use:
            return EADDRINUSE;
        case call_error::address_not_available:
            return EADDRNOTAVAIL;
        case call_error::invalid_argument:
            return EINVAL;
        case call_error::no_memory:
            return ENOBUFS;
    }
    return EINVAL;
}

}  // namespace lastack::socket
