// SPDX-License-Identifier: BSD-3-Clause
// The values of every setting: one plain field each, named as the last component of its key and in
// the key's own unit. options.hpp has the table that names, bounds and explains them.
//
// The struct is trivially copyable, so that a core takes new values as one message and reads them
// without a lock. Counts are for the whole process; the runtime gives each core its share.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

namespace lastack::config {

// The default of a limit that, unless it is set, equals the capacity reserved at start. It is
// larger than any capacity, so code that takes the smaller of both needs no special case;
// resolve() replaces it.
inline constexpr std::uint32_t as_reserved = std::numeric_limits<std::uint32_t>::max();

// What happens when a connection would enter TIME_WAIT and the table is at its cap (R54).
enum class cap_policy : std::uint8_t {
    refuse,        // as Linux: the new connection skips TIME_WAIT
    evict_oldest,  // as BSD: the record with the earliest deadline makes room
};

// What happens to a segment without timestamps where they were negotiated (R69).
enum class ts_missing_policy : std::uint8_t {
    accept,  // as Linux: some peers and middleboxes lose the option
    drop,    // RFC 7323 3.2
};

// Both ends included.
struct port_range {
    std::uint16_t first;
    std::uint16_t last;
    friend constexpr bool operator==(port_range, port_range) = default;
};

// A number with two decimals.
struct factor {
    std::uint32_t hundredths;
    friend constexpr bool operator==(factor, factor) = default;
};

// Octets of buffer memory: what is always granted, what one begins with, what one may grow to.
struct buffer_limits {
    std::uint32_t min;
    std::uint32_t initial;  // the sysctl's "default", which is a keyword here
    std::uint32_t max;
    friend constexpr bool operator==(buffer_limits, buffer_limits) = default;
};

// A file's name, held inline so that `settings` stays trivially copyable. Empty: none.
struct file_name {
    std::array<char, 256> text{};  // ends with a zero
    constexpr std::string_view view() const { return text.data(); }
    constexpr bool empty() const { return text[0] == '\0'; }
    friend constexpr bool operator==(const file_name&, const file_name&) = default;
};

// Those of Linux's net.ipv4.tcp_fastopen that are supported.
namespace tcp_fastopen_bits {
inline constexpr std::uint32_t client = 1;
inline constexpr std::uint32_t client_no_cookie = 4;
inline constexpr std::uint32_t all = client | client_no_cookie;
}  // namespace tcp_fastopen_bits

struct settings {
    // net.core
    std::uint32_t somaxconn = as_reserved;

    // net.ipv4
    bool ip_autobind_reuse = false;
    std::uint32_t ip_default_ttl = 64;
    port_range ip_local_port_range{32768, 60999};
    bool tcp_abort_on_overflow = false;
    std::uint32_t tcp_challenge_ack_limit = 0x7fffffff;  // per second; this value: no limit
    std::uint32_t tcp_early_retrans = 3;                 // 0: no tail loss probe
    std::uint32_t tcp_fastopen = 1;                      // tcp_fastopen_bits
    std::uint32_t tcp_fin_timeout = 60;                  // s
    std::uint32_t tcp_invalid_ratelimit = 500;           // ms
    std::uint32_t tcp_keepalive_intvl = 75;              // s
    std::uint32_t tcp_keepalive_probes = 9;
    std::uint32_t tcp_keepalive_time = 7200;  // s
    std::uint32_t tcp_max_orphans = as_reserved;
    std::uint32_t tcp_max_syn_backlog = as_reserved;
    std::uint32_t tcp_max_tw_buckets = as_reserved;
    bool tcp_migrate_req = false;
    std::uint32_t tcp_orphan_retries = 0;  // 0 acts as 8
    std::uint32_t tcp_retries1 = 3;
    std::uint32_t tcp_retries2 = 15;
    bool tcp_rfc1337 = true;
    buffer_limits tcp_rmem{4096, 131072, 6291456};  // octets
    std::uint32_t tcp_rto_max_ms = 120000;
    std::uint32_t tcp_rto_min_us = 200000;
    bool tcp_sack = true;
    bool tcp_slow_start_after_idle = true;
    std::uint32_t tcp_syn_linear_timeouts = 4;
    std::uint32_t tcp_syn_retries = 6;
    std::uint32_t tcp_synack_retries = 5;
    std::uint32_t tcp_timestamps = 1;  // 0: off, 1: random offset per host pair, 2: no offset
    std::uint32_t tcp_tw_reuse = 2;    // 0: never, 1: always, 2: both addresses our own
    std::uint32_t tcp_tw_reuse_delay = 1000;  // ms
    bool tcp_window_scaling = true;
    buffer_limits tcp_wmem{4096, 16384, 4194304};  // octets

    // lastack: capacities, reserved at start
    std::uint32_t connections = 262144;
    factor core_headroom{125};
    std::uint32_t listeners = 64;  // per core
    std::uint32_t mbufs = 0;       // 0: computed from the rest
    std::uint32_t syn_records = 65536;
    std::uint32_t time_wait_records = 4194304;

    // lastack: behaviour
    std::uint32_t close_wait_warn_s = 600;  // 0: never
    std::uint32_t delayed_ack_ms = 40;
    std::uint32_t drain_ms = 5000;
    file_name secret_file{};
    cap_policy time_wait_cap_policy = cap_policy::refuse;
    std::uint32_t time_wait_ms = 60000;
    ts_missing_policy ts_missing = ts_missing_policy::accept;

    friend constexpr bool operator==(const settings&, const settings&) = default;
};
static_assert(std::is_trivially_copyable_v<settings>);

}  // namespace lastack::config
