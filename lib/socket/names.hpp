// SPDX-License-Identifier: BSD-3-Clause
// sockaddr_in, read and written with Linux's checks: a length that is too short is EINVAL, another
// family EAFNOSUPPORT; what does not fit the caller's room is cut and its full length told.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lastack/address.hpp"

namespace lastack::socket {

inline endpoint endpoint_of(const sockaddr_in& in) {
    return {ipv4_address{ntohl(in.sin_addr.s_addr)}, ntohs(in.sin_port)};
}

// 0 or -errno; `to` is filled for AF_UNSPEC too.
inline int read_name(const sockaddr* address, socklen_t length, endpoint& to) {
    if (address == nullptr) {
        return -EFAULT;
    }
    if (length < sizeof(sockaddr_in) || length > sizeof(sockaddr_storage)) {
        return -EINVAL;
    }
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    to = endpoint_of(in);
    return in.sin_family == AF_INET ? 0 : -EAFNOSUPPORT;
}

// bind() takes AF_UNSPEC with the any-address for the sake of old programs.
inline bool is_unspecified_any(const sockaddr* address, const endpoint& read) {
    return address->sa_family == AF_UNSPEC && read.address.is_any();
}

inline int write_name(const endpoint& from, sockaddr* address, socklen_t* length) {
    if (address == nullptr || length == nullptr) {
        return -EFAULT;
    }
    if (static_cast<int>(*length) < 0) {
        return -EINVAL;
    }
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(from.port);
    in.sin_addr.s_addr = htonl(from.address.v4().bits);
    std::memcpy(address, &in, std::min<std::size_t>(*length, sizeof in));
    *length = sizeof in;
    return 0;
}

}  // namespace lastack::socket
