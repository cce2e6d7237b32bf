// SPDX-License-Identifier: BSD-3-Clause
// What stands behind a descriptor: a TCP socket or an epoll instance, as plain values in a pool.
//
// A TCP socket holds what Linux's struct socket and sock hold beside the protocol: how far
// connect() has come, which halves are shut, a pending error, the options. All of TCP's own state,
// and all data, is the stack's. The two state words are Linux's, because its corner cases are told
// in them: `ss` is sock->state (listen() on a socket whose connection has ended is EINVAL, for it
// stays `connected`), `tcp` is what sk_state says to the calls.
#pragma once

#include <cstdint>

#include "base/index_pool.hpp"
#include "lastack/address.hpp"
#include "lastack/connection_options.hpp"
#include "lastack/event.hpp"

namespace lastack::socket {

enum class kind : std::uint8_t { none, tcp, epoll };

enum class ss_state : std::uint8_t { unconnected, connecting, connected, disconnecting };

enum class tcp_phase : std::uint8_t {
    closed,  // never connected, or the connection has ended (TIME_WAIT included)
    listening,
    syn_sent,
    open,  // ESTABLISHED to LAST_ACK
};

namespace shut {
inline constexpr std::uint8_t read = 1;
inline constexpr std::uint8_t write = 2;
inline constexpr std::uint8_t both = 3;
}  // namespace shut

// As setsockopt() set them. What is set before there is a connection, or on a listener, reaches
// each connection when it begins, as on Linux.
struct socket_options {
    connection_options connection{};
    port_options port{};
    std::int64_t receive_timeout_us = -1;  // SO_RCVTIMEO; -1: none
    std::int64_t send_timeout_us = -1;
    bool zero_copy = false;          // SO_ZEROCOPY
    bool tell_unread = false;        // TCP_INQ
    bool fast_open_connect = false;  // TCP_FASTOPEN_CONNECT
};

struct description {
    kind what = kind::none;
    ss_state ss = ss_state::unconnected;
    tcp_phase tcp = tcp_phase::closed;
    std::uint8_t shut = 0;  // shut:: bits, the peer's FIN included
    bool eof = false;       // the peer's FIN came: read() is 0 from there on, errors or not
    bool blocked = false;   // send() came back short; `writable` has not come yet
    bool non_blocking = false;
    bool close_on_exec = false;
    bool lingering = false;      // closed; waits for its FIN's ACK (R13)
    bool address_bound = false;  // bind() named one; it outlives a disconnect
    bool port_bound = false;
    bool fast_open = false;      // connect() asked for it
    bool deferred = false;       // connect() has answered 0; its SYN waits for what is written
    bool syn_data = false;       // TCPI_OPT_SYN_DATA, also of a connection that has ended
    int fd = -1;                 // -1: in an accept queue, or closed and lingering
    int error = 0;               // SO_ERROR: a positive errno
    std::uint32_t serial = 0;    // differs for each use of this place
    std::uint32_t dry_turn = 0;  // the turn in which it last answered EAGAIN
    conn_id conn{};
    int backlog = 0;     // of a listener, as asked for
    listener_id port{};  // the stack's: what bind() took, what listens
    endpoint local{};    // as bound, or as the stack chose
    endpoint remote{};
    socket_options options{};
    std::uint32_t zero_copy_sent = 0;  // calls with MSG_ZEROCOPY, and how many the error queue has
    std::uint32_t zero_copy_told = 0;  // told of

    // The accept queue: of a listener head and tail, of a waiting connection the next.
    std::uint32_t accept_head = npos;
    std::uint32_t accept_tail = npos;
    std::uint32_t accept_next = npos;
    std::uint32_t next_listener = npos;

    // Who watches this socket (tcp), or what this instance watches (epoll); interest::next_of_*.
    std::uint32_t interests = npos;
    std::uint32_t ready_head = npos;  // of an epoll instance
    std::uint32_t ready_tail = npos;
};

// One descriptor watched by one epoll instance.
struct interest {
    std::uint32_t epoll = npos;  // both are places in the pool of descriptions
    std::uint32_t target = npos;
    std::uint32_t events = 0;  // EPOLL bits; 0 in the low part: disarmed (EPOLLONESHOT)
    std::uint64_t data = 0;
    std::uint32_t next_of_epoll = npos;
    std::uint32_t next_of_target = npos;
    bool ready = false;  // in its instance's ready list
    std::uint32_t ready_prev = npos;
    std::uint32_t ready_next = npos;
};

}  // namespace lastack::socket
