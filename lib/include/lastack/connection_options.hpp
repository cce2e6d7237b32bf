// SPDX-License-Identifier: BSD-3-Clause
// What an application can say of a port and of a connection: the socket options of Linux, under
// their names and with their meaning. Nothing said is Linux's default, or the setting's value.
//
// A listener's connections begin with what was said of the listener, handshake included; a
// connection of connect() with what was said there. local_stack has calls for most of it to change
// a connection later.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "lastack/address.hpp"
#include "lastack/event.hpp"

namespace lastack {

// SO_LINGER. {on, 0}: close() aborts (R12). {on, n}: `ended` comes when our FIN is acknowledged, at
// the latest after n; where the connection has not ended by then, it has no outcome (R13).
struct linger_option {
    bool on = false;
    std::chrono::seconds timeout{0};
};

// TCP keepalive; zero fields take the settings' values (R67).
struct keepalive_option {
    bool on = false;
    std::chrono::seconds idle{0};
    std::chrono::seconds interval{0};
    std::uint8_t probes = 0;
    friend constexpr bool operator==(const keepalive_option&, const keepalive_option&) = default;
};

struct connection_options {
    // IP_TTL, 1 to 255; 0: net.ipv4.ip_default_ttl, as it is when a segment leaves.
    std::uint8_t ttl = 0;
    std::uint8_t tos = 0;  // IP_TOS; also of what TIME_WAIT sends (R51)
    // TCP_MAXSEG, 88 to 32767 octets: neither offered nor sent more than this; 0: what the path
    // takes.
    std::uint16_t mss_max = 0;
    // Octets of buffer memory, as tcp_rmem and tcp_wmem count it (SO_RCVBUF and SO_SNDBUF once
    // Linux has doubled them). 0: from the settings, growing by need.
    std::uint32_t receive_memory = 0;
    std::uint32_t send_memory = 0;
    bool no_delay = false;                      // TCP_NODELAY
    bool cork = false;                          // TCP_CORK
    std::uint8_t syn_retries = 0;               // TCP_SYNCNT, 1 to 127; 0: by the setting
    keepalive_option keepalive{};               // SO_KEEPALIVE, TCP_KEEPIDLE, _INTVL, _CNT
    linger_option linger{};                     // SO_LINGER
    int linger2 = 0;                            // TCP_LINGER2, seconds (R61)
    std::chrono::milliseconds user_timeout{0};  // TCP_USER_TIMEOUT; 0: off (R66)
};

// Who else may have the local port (R56).
struct port_options {
    bool reuse_addr = false;  // SO_REUSEADDR
    bool reuse_port = false;  // SO_REUSEPORT
};

struct listen_options {
    std::uint32_t backlog = 0;  // SYN_RECEIVED plus established but not yet taken; 0: as configured
    // A connection is taken by accepted(), not by its `opened`: until then it counts in the
    // backlog.
    bool hold_until_accepted = false;
    port_options port{};
    connection_options connections{};
    // Length of TIME_WAIT of its connections, up to 8388608 ms; 0: lastack.time_wait_ms (R42).
    std::chrono::milliseconds time_wait{0};
};

struct connect_options {
    // Address and/or port to bind; port 0 chooses one (R57). Where workers share a port, a port
    // whose answers would come to another worker is refused: address_not_available.
    std::optional<endpoint> local{};
    std::uint64_t user = 0;  // event::user of the new connection
    // A port that bind() has given, instead of `local`; connect() takes it over if it succeeds.
    std::optional<listener_id> bound{};
    port_options port{};
    connection_options connection{};
    // TCP Fast Open (RFC 7413), if net.ipv4.tcp_fastopen allows it. Of a server that has given no
    // cookie yet the SYN asks for one. Of one that has, no SYN is sent before the first send(); it
    // carries what was sent by the end of that turn, or of the connection, up to syn_room(). The
    // server may see those octets twice, and act on them twice: only for requests that bear it (RFC
    // 7413 6.1).
    bool fast_open = false;
};

}  // namespace lastack
