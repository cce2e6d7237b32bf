// SPDX-License-Identifier: BSD-3-Clause
// getsockopt() and setsockopt(): Linux's ranges, defaults and errors. What is not here is
// ENOPROTOOPT, never silently taken.
#include "socket/option_value.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "socket/table.hpp"
#include "stack/core.hpp"

namespace lastack::socket {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Linux's SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF, as getsockopt() shows them.
constexpr int receive_buffer_min = 2304;
constexpr int send_buffer_min = 4608;

constexpr int mss_min = 88;
constexpr int mss_max = 32767;
constexpr int syn_retries_max = 127;
constexpr int keepalive_seconds_max = 32767;
constexpr int keepalive_probes_max = 127;
constexpr int linger2_seconds_max = 120;
constexpr int ecn_bits = 3;

// SO_RCVBUF and SO_SNDBUF: twice what was asked for, since Linux counts its bookkeeping in.
// DEVIATES from Linux: the bound is the largest of tcp_rmem and tcp_wmem, not net.core.rmem_max.
std::uint32_t buffer_of(int asked, int least, std::uint32_t most) {
    const auto wanted = static_cast<std::uint32_t>(std::max(asked, 0));
    return std::max(std::min(wanted, most / 2) * 2, static_cast<std::uint32_t>(least));
}

int read_timeout(const void* value, socklen_t length, std::int64_t& timeout_us) {
    timeval t{};
    if (const int error = read_value(value, length, t); error != 0) {
        return error;
    }
    if (t.tv_usec < 0 || t.tv_usec >= 1000000) {
        return -EDOM;
    }
    constexpr std::int64_t seconds_max = std::numeric_limits<std::int64_t>::max() / 1000000 - 1;
    if (t.tv_sec < 0) {
        timeout_us = 0;  // as Linux: does not wait at all
    } else if ((t.tv_sec == 0 && t.tv_usec == 0) || t.tv_sec >= seconds_max) {
        timeout_us = -1;
    } else {
        timeout_us = std::int64_t{t.tv_sec} * 1000000 + t.tv_usec;
    }
    return 0;
}

timeval timeout_of(std::int64_t timeout_us) {
    return timeout_us < 0 ? timeval{} : timeval{timeout_us / 1000000, timeout_us % 1000000};
}

}  // namespace

// --- setting -------------------------------------------------------------------------------------

int table::set_option(int fd, int level, int option, const void* value, socklen_t length) {
    int error = 0;
    description* const d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    if (static_cast<int>(length) < 0) {
        return -EINVAL;
    }
    int number = 0;
    switch (level) {
        case SOL_SOCKET:
            error = set_socket_option(*d, option, value, length);
            break;
        case IPPROTO_TCP:
            error = read_value(value, length, number);
            error = error != 0 ? error : set_tcp_option(*d, option, number);
            break;
        case IPPROTO_IP:
            error = set_ip_option(*d, option, value, length);
            break;
        default:
            return -ENOPROTOOPT;
    }
    if (error == 0) {
        apply_options(*d);
    }
    // What is held back goes out, each time.
    if (error == 0 && level == IPPROTO_TCP && option == TCP_NODELAY && number != 0) {
        (void)calls_.set_no_delay(d->conn, true);
    } else if (error == 0 && level == IPPROTO_TCP && option == TCP_CORK && number == 0) {
        (void)calls_.set_cork(d->conn, false);
    }
    return error;
}

// To what the socket is by now: a connection, a listener (its next connections), a bound port. One
// that has ended, or is none yet, keeps them.
void table::apply_options(description& d) {
    if (d.tcp == tcp_phase::open || d.tcp == tcp_phase::syn_sent) {
        (void)calls_.set_options(d.conn, d.options.connection);
        (void)calls_.set_port_options(d.conn, d.options.port);
    } else if (d.port != listener_id{}) {
        (void)calls_.set_port_options(d.port, d.options.port);
        if (d.tcp == tcp_phase::listening) {
            (void)calls_.listen(d.port, listening(d));
        }
    }
}

int table::set_socket_option(description& d, int option, const void* value, socklen_t length) {
    connection_options& o = d.options.connection;
    const config::settings& settings = calls_.core().settings();
    int number = 0;
    if (const int error = read_value(value, length, number); error != 0) {
        return error;
    }
    switch (option) {
        case SO_REUSEADDR:
            d.options.port.reuse_addr = number != 0;
            return 0;
        case SO_REUSEPORT:
            d.options.port.reuse_port = number != 0;
            return 0;
        case SO_ZEROCOPY:
            if (number != 0 && number != 1) {
                return -EINVAL;
            }
            d.options.zero_copy = number != 0;
            return 0;
        case SO_KEEPALIVE:
            o.keepalive.on = number != 0;
            return 0;
        case SO_RCVBUF:
            o.receive_memory = buffer_of(number, receive_buffer_min, settings.tcp_rmem.max);
            return 0;
        case SO_SNDBUF:
            o.send_memory = buffer_of(number, send_buffer_min, settings.tcp_wmem.max);
            return 0;
        case SO_LINGER: {
            struct linger l {};
            if (const int error = read_value(value, length, l); error != 0) {
                return error;
            }
            o.linger.on = l.l_onoff != 0;
            if (o.linger.on) {
                o.linger.timeout = seconds(static_cast<unsigned>(l.l_linger));
            }
            return 0;
        }
        case SO_RCVTIMEO:
            return read_timeout(value, length, d.options.receive_timeout_us);
        case SO_SNDTIMEO:
            return read_timeout(value, length, d.options.send_timeout_us);
        default:
            return -ENOPROTOOPT;
    }
}

int table::set_tcp_option(description& d, int option, int value) {
    connection_options& o = d.options.connection;
    const auto out_of = [value](int low, int high) { return value < low || value > high; };
    switch (option) {
        case TCP_NODELAY:
            o.no_delay = value != 0;
            return 0;
        case TCP_CORK:
            o.cork = value != 0;
            return 0;
        case TCP_INQ:
            if (out_of(0, 1)) {
                return -EINVAL;
            }
            d.options.tell_unread = value != 0;
            return 0;
        case TCP_MAXSEG:
            if (value != 0 && out_of(mss_min, mss_max)) {
                return -EINVAL;
            }
            o.mss_max = static_cast<std::uint16_t>(value);
            return 0;
        case TCP_SYNCNT:
            if (out_of(1, syn_retries_max)) {
                return -EINVAL;
            }
            o.syn_retries = static_cast<std::uint8_t>(value);
            return 0;
        case TCP_KEEPIDLE:
        case TCP_KEEPINTVL:
            if (out_of(1, keepalive_seconds_max)) {
                return -EINVAL;
            }
            (option == TCP_KEEPIDLE ? o.keepalive.idle : o.keepalive.interval) = seconds(value);
            return 0;
        case TCP_KEEPCNT:
            if (out_of(1, keepalive_probes_max)) {
                return -EINVAL;
            }
            o.keepalive.probes = static_cast<std::uint8_t>(value);
            return 0;
        case TCP_USER_TIMEOUT:
            if (value < 0) {
                return -EINVAL;
            }
            o.user_timeout = milliseconds(value);
            return 0;
        case TCP_LINGER2:
            o.linger2 = std::clamp(value, -1, linger2_seconds_max);
            return 0;
        case TCP_FASTOPEN_CONNECT:
            if (out_of(0, 1)) {
                return -EINVAL;
            }
            if ((calls_.core().settings().tcp_fastopen & config::tcp_fastopen_bits::client) == 0) {
                return -EOPNOTSUPP;
            }
            if (d.tcp != tcp_phase::closed) {
                return -EINVAL;
            }
            d.options.fast_open_connect = value != 0;
            return 0;
        default:
            return -ENOPROTOOPT;
    }
}

int table::set_ip_option(description& d, int option, const void* value, socklen_t length) {
    if (option != IP_TTL && option != IP_TOS) {
        return -ENOPROTOOPT;
    }
    int number = 0;
    std::uint8_t octet = 0;
    int error = length >= sizeof number ? read_value(value, length, number)
                                        : read_value(value, length, octet);
    if (error != 0) {
        return error;
    }
    number = length >= sizeof number ? number : octet;
    connection_options& o = d.options.connection;
    if (option == IP_TTL) {
        if (number != -1 && (number < 1 || number > 255)) {
            return -EINVAL;
        }
        o.ttl = static_cast<std::uint8_t>(std::max(number, 0));
    } else {
        // The two ECN bits are TCP's own.
        o.tos = static_cast<std::uint8_t>((number & ~ecn_bits) | (o.tos & ecn_bits));
    }
    return 0;
}

// --- getting -------------------------------------------------------------------------------------

int table::get_option(int fd, int level, int option, void* value, socklen_t* length) {
    int error = 0;
    description* const d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    if (length == nullptr || value == nullptr) {
        return -EFAULT;
    }
    if (static_cast<int>(*length) < 0) {
        return -EINVAL;
    }
    switch (level) {
        case SOL_SOCKET:
            return get_socket_option(*d, option, value, length);
        case IPPROTO_TCP:
            return get_tcp_option(*d, option, value, length);
        case IPPROTO_IP:
            return get_ip_option(*d, option, value, length);
        default:
            return -EOPNOTSUPP;  // as Linux; to set it is ENOPROTOOPT
    }
}

int table::get_socket_option(description& d, int option, void* value, socklen_t* length) {
    const connection_options& o = d.options.connection;
    const config::settings& settings = calls_.core().settings();
    const auto tell = [&](std::int64_t number) {
        return write_value(static_cast<int>(number), value, length);
    };
    switch (option) {
        case SO_ERROR:
            return tell(take_error(d));
        case SO_TYPE:
            return tell(SOCK_STREAM);
        case SO_DOMAIN:
            return tell(AF_INET);
        case SO_PROTOCOL:
            return tell(IPPROTO_TCP);
        case SO_ACCEPTCONN:
            return tell(d.tcp == tcp_phase::listening);
        case SO_REUSEADDR:
            return tell(d.options.port.reuse_addr);
        case SO_REUSEPORT:
            return tell(d.options.port.reuse_port);
        case SO_ZEROCOPY:
            return tell(d.options.zero_copy);
        case SO_KEEPALIVE:
            return tell(o.keepalive.on);
        case SO_RCVBUF:
            return tell(o.receive_memory != 0 ? o.receive_memory : settings.tcp_rmem.initial);
        case SO_SNDBUF:
            return tell(o.send_memory != 0 ? o.send_memory : settings.tcp_wmem.initial);
        case SO_LINGER: {
            const struct linger l {
                o.linger.on ? 1 : 0, static_cast<int>(o.linger.timeout.count())
            };
            return write_value(l, value, length);
        }
        case SO_RCVTIMEO:
            return write_value(timeout_of(d.options.receive_timeout_us), value, length);
        case SO_SNDTIMEO:
            return write_value(timeout_of(d.options.send_timeout_us), value, length);
        default:
            return -ENOPROTOOPT;
    }
}

int table::get_tcp_option(description& d, int option, void* value, socklen_t* length) {
    const connection_options& o = d.options.connection;
    const config::settings& settings = calls_.core().settings();
    const auto tell = [&](std::int64_t number) {
        return write_value(static_cast<int>(number), value, length);
    };
    const auto seconds_or = [](seconds set, std::uint32_t otherwise) {
        return set.count() != 0 ? set.count() : std::int64_t{otherwise};
    };
    switch (option) {
        case TCP_NODELAY:
            return tell(o.no_delay);
        case TCP_CORK:
            return tell(o.cork);
        case TCP_INQ:
            return tell(d.options.tell_unread);
        case TCP_MAXSEG:
            return tell(current_mss(d));
        case TCP_SYNCNT:
            return tell(o.syn_retries != 0 ? o.syn_retries : settings.tcp_syn_retries);
        case TCP_KEEPIDLE:
            return tell(seconds_or(o.keepalive.idle, settings.tcp_keepalive_time));
        case TCP_KEEPINTVL:
            return tell(seconds_or(o.keepalive.interval, settings.tcp_keepalive_intvl));
        case TCP_KEEPCNT:
            return tell(o.keepalive.probes != 0 ? o.keepalive.probes
                                                : settings.tcp_keepalive_probes);
        case TCP_USER_TIMEOUT:
            return tell(o.user_timeout.count());
        case TCP_LINGER2:
            return tell(o.linger2 != 0 ? o.linger2 : static_cast<int>(settings.tcp_fin_timeout));
        case TCP_FASTOPEN_CONNECT:
            return tell(d.options.fast_open_connect);
        case TCP_INFO:
            return get_tcp_info(d, value, length);
        default:
            return -ENOPROTOOPT;
    }
}

// Of a connection what its segments hold; before it, what was asked for.
int table::current_mss(const description& d) const {
    constexpr int unknown = 536;  // RFC 9293 3.7.1
    if (const auto info = calls_.info(d.conn); info && info->state != connection_state::closed &&
                                               info->state != connection_state::syn_sent) {
        return static_cast<int>(info->snd_mss);
    }
    const int asked = d.options.connection.mss_max;
    return asked != 0 ? asked : unknown;
}

int table::get_ip_option(description& d, int option, void* value, socklen_t* length) {
    const connection_options& o = d.options.connection;
    int number = 0;
    switch (option) {
        case IP_TTL:
            number = o.ttl != 0 ? o.ttl : static_cast<int>(calls_.core().settings().ip_default_ttl);
            break;
        case IP_TOS:
            number = o.tos;
            break;
        default:
            return -ENOPROTOOPT;
    }
    if (*length > 0 && *length < sizeof number) {
        return write_value(static_cast<std::uint8_t>(number), value, length);
    }
    return write_value(number, value, length);
}

}  // namespace lastack::socket
