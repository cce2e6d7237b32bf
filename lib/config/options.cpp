// SPDX-License-Identifier: BSD-3-Clause
#include "config/options.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "config/suggest.hpp"

namespace lastack::config {
namespace {

constexpr std::uint32_t most = 0x7fffffff;    // Linux's sysctls are ints
constexpr std::uint32_t longest_s = 2073600;  // 24 days: what a 32-bit millisecond clock can order
constexpr auto live = change::while_running;
constexpr auto fixed = change::at_start;
using s = settings;

constexpr std::array table{
    option{"lastack.close_wait_warn_s", &s::close_wait_warn_s, "s", 0, longest_s, live,
           "Age in CLOSE_WAIT at which a connection is warned of, since only the application can "
           "end it (by closing); 0 never warns."},
    option{"lastack.connections", &s::connections, "connections", 1, 1u << 26, fixed,
           "Connections reserved at start, over all cores, those in TIME_WAIT not among them; each "
           "takes 458 octets, queued data apart."},
    option{"lastack.core_headroom", &s::core_headroom, "", 100, 6400, fixed,
           "How much more than an equal part of lastack.connections and of "
           "lastack.time_wait_records each core has memory for, where there are several. A core "
           "may borrow that much of tcp_max_orphans and tcp_max_tw_buckets from the others."},
    option{"lastack.delayed_ack_ms", &s::delayed_ack_ms, "ms", 0, 500, live,
           "How long an ACK waits for data or a second segment to ride with; 0 acknowledges at "
           "once (RFC 9293 allows less than 500)."},
    option{"lastack.drain_ms", &s::drain_ms, "ms", 0, 600000, live,
           "How long connections may take to close properly after SIGINT or SIGTERM before they "
           "are reset."},
    option{"lastack.listeners", &s::listeners, "listeners", 1, 4096, fixed,
           "Listening sockets reserved at start on each core."},
    option{"lastack.mbufs", &s::mbufs, "mbufs", 0, 1u << 26, fixed,
           "Buffers for received frames and payload, over all cores; 0 computes them from the "
           "descriptors and lastack.connections."},
    option{"lastack.secret_file", &s::secret_file, "", 0, 255, fixed,
           "File with the secret of sequence numbers and timestamps, made with mode 0600 if it is "
           "missing, so that they go on where a former process left them; without one the secret "
           "is random."},
    option{"lastack.syn_records", &s::syn_records, "records", 1, 1u << 24, fixed,
           "Connections in SYN_RECEIVED reserved at start, over all cores; each takes 84 octets."},
    option{"lastack.time_wait_cap_policy", &s::time_wait_cap_policy, "", 0, 0, live,
           "What happens when tcp_max_tw_buckets is reached: refuse (as Linux: the connection "
           "skips TIME_WAIT) or evict_oldest (as BSD: the oldest record makes room)."},
    option{"lastack.time_wait_ms", &s::time_wait_ms, "ms", 1, 8388608, live,
           "Length of TIME_WAIT, twice the maximum segment lifetime; a constant of 60000 on "
           "Linux. Rounded up to 16 ms; a record ends with the first tick of 16 ms after that, "
           "never earlier. A listener may have its own."},
    option{
        "lastack.time_wait_records", &s::time_wait_records, "records", 1, 1u << 30, fixed,
        "Records reserved at start, over all cores (at most 134217728 on one), for TIME_WAIT and "
        "closed connections in FIN_WAIT_2; each takes 40.1 octets."},
    option{"lastack.ts_missing", &s::ts_missing, "", 0, 0, live,
           "What to do with segments that lack negotiated timestamps: accept (as Linux) or drop "
           "(RFC 7323)."},
    option{"net.core.somaxconn", &s::somaxconn, "connections", 1, most, live,
           "Upper limit of a listener's backlog.", &s::connections, "lastack.connections"},
    option{
        "net.ipv4.ip_autobind_reuse", &s::ip_autobind_reuse, "", 0, 1, live,
        "1 lets bind() to port 0 choose, when no port is unused, one whose holders and the caller "
        "all said SO_REUSEADDR."},
    option{"net.ipv4.ip_default_ttl", &s::ip_default_ttl, "hops", 1, 255, live,
           "Time to live of packets sent, unless a connection has its own (IP_TTL)."},
    option{"net.ipv4.ip_local_port_range", &s::ip_local_port_range, "", 1, 65535, live,
           "First and last local port that connect() may choose."},
    option{"net.ipv4.tcp_abort_on_overflow", &s::tcp_abort_on_overflow, "", 0, 1, live,
           "When a listener's backlog is full, 1 answers the last ACK of a handshake with RST; 0 "
           "drops it, so that the peer tries again."},
    option{"net.ipv4.tcp_challenge_ack_limit", &s::tcp_challenge_ack_limit, "per second", 0, most,
           live, "Most challenge ACKs (RFC 5961) a core sends in a second; 2147483647: no limit."},
    option{"net.ipv4.tcp_early_retrans", &s::tcp_early_retrans, "", 0, 4, live,
           "Tail loss probe: 3 or 4 turn it on, less turns it off."},
    option{
        "net.ipv4.tcp_fastopen", &s::tcp_fastopen, "", 0, tcp_fastopen_bits::all, live,
        "TCP Fast Open (RFC 7413), a sum of bits: 1 lets applications ask for it when they connect "
        "(TCP_FASTOPEN_CONNECT, MSG_FASTOPEN), 4 also lets a SYN carry data without a cookie. "
        "Without 1 the cookies that servers have given are forgotten. The server's bits are "
        "refused."},
    option{"net.ipv4.tcp_fin_timeout", &s::tcp_fin_timeout, "s", 0, 8388, live,
           "How long a closed connection waits in FIN_WAIT_2 for the peer's FIN (not the length "
           "of TIME_WAIT)."},
    option{"net.ipv4.tcp_invalid_ratelimit", &s::tcp_invalid_ratelimit, "ms", 0, most, live,
           "Least time between two answers to invalid segments on one connection; 0: no limit."},
    option{"net.ipv4.tcp_keepalive_intvl", &s::tcp_keepalive_intvl, "s", 1, 32767, live,
           "Time between two keepalive probes."},
    option{"net.ipv4.tcp_keepalive_probes", &s::tcp_keepalive_probes, "probes", 1, 127, live,
           "Unanswered keepalive probes after which a connection is dead."},
    option{"net.ipv4.tcp_keepalive_time", &s::tcp_keepalive_time, "s", 1, 32767, live,
           "Idle time before the first keepalive probe, on connections that asked for keepalive."},
    option{"net.ipv4.tcp_max_orphans", &s::tcp_max_orphans, "connections", 0, most, live,
           "Closed connections, of all cores, that may still be sending; beyond it close() sends "
           "RST, and from half of it on those go that are idle, unreachable or hopeless.",
           &s::connections, "lastack.connections"},
    option{"net.ipv4.tcp_max_syn_backlog", &s::tcp_max_syn_backlog, "records", 1, most, live,
           "Connections in SYN_RECEIVED that one listener may have.", &s::syn_records,
           "lastack.syn_records"},
    option{"net.ipv4.tcp_max_tw_buckets", &s::tcp_max_tw_buckets, "records", 0, most, live,
           "TIME_WAIT records that may exist, on all cores; lastack.time_wait_cap_policy says what "
           "happens at "
           "the limit.",
           &s::time_wait_records, "lastack.time_wait_records"},
    option{"net.ipv4.tcp_migrate_req", &s::tcp_migrate_req, "", 0, 1, live,
           "1 gives what a closing listener leaves, handshakes and connections not yet taken, to "
           "another on the port with SO_REUSEPORT; 0 drops the first and resets the second."},
    option{"net.ipv4.tcp_orphan_retries", &s::tcp_orphan_retries, "retries", 0, 255, live,
           "Retransmissions, or zero-window probes, of a closed connection before it is given up; "
           "0 acts as 8."},
    option{"net.ipv4.tcp_retries1", &s::tcp_retries1, "retries", 0, 255, live,
           "Retransmissions after which the next hop is asked for by ARP anew; 3 is about 3 "
           "seconds."},
    option{"net.ipv4.tcp_retries2", &s::tcp_retries2, "retries", 0, 255, live,
           "Retransmissions of data before a connection is given up; 15 is about 15 minutes."},
    option{"net.ipv4.tcp_rfc1337", &s::tcp_rfc1337, "", 0, 1, live,
           "1 ignores RST in TIME_WAIT (RFC 1337); 0 lets it end TIME_WAIT, Linux's default."},
    option{"net.ipv4.tcp_rmem", &s::tcp_rmem, "octets", 1, most, live,
           "Receive memory of a connection: minimum, at first, maximum."},
    option{"net.ipv4.tcp_rto_max_ms", &s::tcp_rto_max_ms, "ms", 1000, 120000, live,
           "Longest retransmission timeout."},
    option{"net.ipv4.tcp_rto_min_us", &s::tcp_rto_min_us, "us", 1, 120000000, live,
           "Shortest retransmission timeout; timers have millisecond steps."},
    option{"net.ipv4.tcp_sack", &s::tcp_sack, "", 0, 1, live,
           "1 offers and uses selective acknowledgements (RFC 2018)."},
    option{"net.ipv4.tcp_slow_start_after_idle", &s::tcp_slow_start_after_idle, "", 0, 1, live,
           "1 starts slowly again after a connection was idle for a retransmission timeout (RFC "
           "5681 4.1)."},
    option{"net.ipv4.tcp_syn_linear_timeouts", &s::tcp_syn_linear_timeouts, "retries", 0, 127, live,
           "Retransmissions of a SYN before its timeout begins to double."},
    option{"net.ipv4.tcp_syn_retries", &s::tcp_syn_retries, "retries", 1, 127, live,
           "Retransmissions of a SYN before connect() fails, as a measure of time: what they take "
           "if each timeout doubles; 6 is 127 seconds, and the first timeout after that ends it "
           "(131)."},
    option{"net.ipv4.tcp_synack_retries", &s::tcp_synack_retries, "retries", 0, 255, live,
           "Retransmissions of a SYN-ACK before a handshake is forgotten."},
    option{"net.ipv4.tcp_timestamps", &s::tcp_timestamps, "", 0, 2, live,
           "Timestamps (RFC 7323): 0 off, 1 with a random offset for each pair of hosts, 2 "
           "without an offset."},
    option{"net.ipv4.tcp_tw_reuse", &s::tcp_tw_reuse, "", 0, 2, live,
           "Whether connect() may take the place of a TIME_WAIT record whose connection had "
           "timestamps: 0 never, 1 always, 2 if both addresses are this stack's own."},
    option{"net.ipv4.tcp_tw_reuse_delay", &s::tcp_tw_reuse_delay, "ms", 0, 60000, live,
           "How old a TIME_WAIT record must be for that."},
    option{"net.ipv4.tcp_window_scaling", &s::tcp_window_scaling, "", 0, 1, live,
           "1 offers and uses window scaling (RFC 7323)."},
    option{"net.ipv4.tcp_wmem", &s::tcp_wmem, "octets", 1, most, live,
           "Send memory of a connection: minimum, at first, maximum."},
};
static_assert(std::is_sorted(table.begin(), table.end(),
                             [](const option& a, const option& b) { return a.key < b.key; }));

constexpr std::array<std::string_view, 2> cap_policy_names{"refuse", "evict_oldest"};
constexpr std::array<std::string_view, 2> ts_missing_names{"accept", "drop"};

// Names that exist elsewhere and are refused for a reason.
struct refused_key {
    std::string_view name;  // the last component
    std::string_view reason;
};
constexpr std::array refused{
    refused_key{"tcp_tw_recycle",
                "it judged timestamps by host, which broke peers behind one NAT address; Linux "
                "removed it in 4.12"},
};

template <class... F>
struct overloaded : F... {
    using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;  // clang before 17 does not deduce it for an aggregate

std::string_view trim(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    const auto first = text.find_first_not_of(blank);
    if (first == text.npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// The numbers in `text`, separated by blanks; nullopt if anything else is there or one is outside
// of the option's range.
std::optional<std::vector<std::uint32_t>> numbers(std::string_view text, const option& o) {
    std::vector<std::uint32_t> found;
    for (text = trim(text); !text.empty(); text = trim(text)) {
        std::uint32_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const auto used = static_cast<std::size_t>(end - text.data());
        const bool separated = used == text.size() || text[used] == ' ' || text[used] == '\t';
        if (error != std::errc{} || !separated || value < o.min || value > o.max) {
            return std::nullopt;
        }
        found.push_back(value);
        text.remove_prefix(used);
    }
    return found;
}

// "1", "1.5" or "1.25".
std::optional<std::uint32_t> hundredths(std::string_view text) {
    std::uint32_t value = 0;
    std::uint32_t decimals = 0;
    bool point = false;
    for (const char c : text) {
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9' && decimals < 2 && value < 1000000) {
            value = value * 10 + static_cast<std::uint32_t>(c - '0');
            decimals += point ? 1 : 0;
        } else {
            return std::nullopt;
        }
    }
    if (text.empty() || text.front() == '.' || text.back() == '.') {
        return std::nullopt;
    }
    return value * (decimals == 0 ? 100 : decimals == 1 ? 10 : 1);
}

// Parses `text` into the field; false when it is not acceptable.
bool assign(settings& all, const option& o, std::string_view text) {
    const auto named = [text](auto& value, auto& names) {
        const auto found = std::find(names.begin(), names.end(), text);
        if (found == names.end()) {
            return false;
        }
        value = static_cast<std::remove_reference_t<decltype(value)>>(found - names.begin());
        return true;
    };
    return std::visit(
        overloaded{[&](cap_policy s::*where) { return named(all.*where, cap_policy_names); },
                   [&](ts_missing_policy s::*where) { return named(all.*where, ts_missing_names); },
                   [&](file_name s::*where) {
                       if (text.size() > o.max || text.find('\0') != text.npos) {
                           return false;
                       }
                       all.*where = {};
                       std::copy(text.begin(), text.end(), (all.*where).text.begin());
                       return true;
                   },
                   [&](factor s::*where) {
                       const auto value = hundredths(text);
                       if (!value || *value < o.min || *value > o.max) {
                           return false;
                       }
                       (all.*where).hundredths = *value;
                       return true;
                   },
                   [&](auto where) {
                       using value_type = std::remove_reference_t<decltype(all.*where)>;
                       const auto n = numbers(text, o);
                       if constexpr (std::is_same_v<value_type, port_range>) {
                           if (!n || n->size() != 2 || (*n)[0] > (*n)[1]) {
                               return false;
                           }
                           all.*where = {static_cast<std::uint16_t>((*n)[0]),
                                         static_cast<std::uint16_t>((*n)[1])};
                       } else if constexpr (std::is_same_v<value_type, buffer_limits>) {
                           if (!n || n->size() != 3 || (*n)[0] > (*n)[1] || (*n)[1] > (*n)[2]) {
                               return false;
                           }
                           all.*where = {(*n)[0], (*n)[1], (*n)[2]};
                       } else {
                           if (!n || n->size() != 1) {
                               return false;
                           }
                           all.*where = static_cast<value_type>(n->front());
                       }
                       return true;
                   }},
        o.where);
}

std::vector<std::string_view> keys() {
    std::vector<std::string_view> all;
    for (const option& o : table) {
        all.push_back(o.key);
    }
    return all;
}

}  // namespace

std::span<const option> options() {
    return table;
}

const option* find_option(std::string_view key) {
    const auto found =
        std::lower_bound(table.begin(), table.end(), key,
                         [](const option& o, std::string_view k) { return o.key < k; });
    return found != table.end() && found->key == key ? &*found : nullptr;
}

std::string unknown_key_message(std::string_view key) {
    const auto last = key.substr(key.rfind('.') + 1);
    for (const auto& r : refused) {
        if (last == r.name) {
            return std::string(key) + " is refused: " + std::string(r.reason);
        }
    }
    return "unknown setting '" + std::string(key) + "'; the nearest is '" +
           std::string(nearest(key, keys())) + "' (--help-settings lists all)";
}

result<bool, std::string> set(settings& all, std::string_view given_key, std::string_view text) {
    // sysctl takes both separators; none of our keys has a '/'.
    std::string key(trim(given_key));
    std::replace(key.begin(), key.end(), '/', '.');
    const option* o = find_option(key);
    if (o == nullptr) {
        return failure{unknown_key_message(key)};
    }
    if (!assign(all, *o, trim(text))) {
        return failure{key + " cannot be '" + std::string(trim(text)) + "': it takes " +
                       range_text(*o)};
    }
    return true;
}

result<bool, std::string> set_assignment(settings& all, std::string_view assignment) {
    const auto equals = assignment.find('=');
    if (equals == assignment.npos) {
        return failure{"'" + std::string(assignment) +
                       "' is not KEY=VALUE, for example net.ipv4.tcp_fin_timeout=30"};
    }
    return set(all, assignment.substr(0, equals), assignment.substr(equals + 1));
}

std::string get(const settings& all, const option& o) {
    return std::visit(
        overloaded{[&](std::uint32_t s::*where) {
                       if (o.capacity != nullptr && all.*where == as_reserved) {
                           return std::string(o.capacity_key);
                       }
                       return std::to_string(all.*where);
                   },
                   [&](bool s::*where) { return std::string(all.*where ? "1" : "0"); },
                   [&](port_range s::*where) {
                       return std::to_string((all.*where).first) + " " +
                              std::to_string((all.*where).last);
                   },
                   [&](buffer_limits s::*where) {
                       const auto& v = all.*where;
                       return std::to_string(v.min) + " " + std::to_string(v.initial) + " " +
                              std::to_string(v.max);
                   },
                   [&](cap_policy s::*where) {
                       return std::string(cap_policy_names[static_cast<std::size_t>(all.*where)]);
                   },
                   [&](ts_missing_policy s::*where) {
                       return std::string(ts_missing_names[static_cast<std::size_t>(all.*where)]);
                   },
                   [&](factor s::*where) {
                       const std::uint32_t n = (all.*where).hundredths;
                       const auto rest = std::to_string(n % 100 + 100).substr(1);
                       return std::to_string(n / 100) + "." + rest;
                   },
                   [&](file_name s::*where) { return std::string((all.*where).view()); }},
        o.where);
}

std::string default_text(const option& o) {
    const auto text = get(settings{}, o);
    return text.empty() ? "none" : text;
}

result<settings, std::string> resolve(settings all) {
    for (const option& o : table) {
        if (o.capacity == nullptr) {
            continue;
        }
        auto& limit = all.*std::get<std::uint32_t s::*>(o.where);
        const auto reserved = all.*o.capacity;
        if (limit == as_reserved) {
            limit = reserved;
        } else if (limit > reserved) {
            return failure{std::string(o.key) + " cannot be " + std::to_string(limit) + ": only " +
                           std::to_string(reserved) + " are reserved at start; raise " +
                           std::string(o.capacity_key)};
        }
    }
    if ((all.tcp_fastopen & ~tcp_fastopen_bits::all) != 0) {
        return failure{"net.ipv4.tcp_fastopen cannot be " + std::to_string(all.tcp_fastopen) +
                       ": there is no Fast Open server here; add up the client's bits only, 1 and "
                       "4"};
    }
    if (all.tcp_rto_min_us / 1000 > all.tcp_rto_max_ms) {
        return failure{"net.ipv4.tcp_rto_min_us cannot be " + std::to_string(all.tcp_rto_min_us) +
                       " us: that is more than net.ipv4.tcp_rto_max_ms, " +
                       std::to_string(all.tcp_rto_max_ms) + " ms"};
    }
    return all;
}

result<settings, std::string> change_running(const settings& now, std::string_view key,
                                             std::string_view text) {
    settings next = now;
    if (const auto done = set(next, key, text); !done) {
        return failure{done.error()};
    }
    std::string name(trim(key));
    std::replace(name.begin(), name.end(), '/', '.');
    if (find_option(name)->when == change::at_start) {
        return failure{name +
                       " is fixed at start, where it reserves memory or is read once; "
                       "start again with --set " +
                       name + "=" + std::string(trim(text))};
    }
    return resolve(next);
}

std::string range_text(const option& o) {
    const auto span = std::to_string(o.min) + " to " + std::to_string(o.max);
    const auto unit = o.unit.empty() ? std::string() : " " + std::string(o.unit);
    return std::visit(
        overloaded{[&](std::uint32_t s::*) { return span + unit; },
                   [](bool s::*) { return std::string("0 or 1"); },
                   [&](port_range s::*) { return "two ports, first and last, " + span; },
                   [&](buffer_limits s::*) { return "three ascending numbers, " + span + unit; },
                   [](cap_policy s::*) { return std::string("refuse or evict_oldest"); },
                   [](ts_missing_policy s::*) { return std::string("accept or drop"); },
                   [&](factor s::*) {
                       return std::to_string(o.min / 100) + " to " + std::to_string(o.max / 100) +
                              ", with at most two decimals";
                   },
                   [&](file_name s::*) {
                       return "a file name of at most " + std::to_string(o.max) + " octets";
                   }},
        o.where);
}

std::string help_text() {
    std::string text = "Settings (--set KEY=VALUE, [settings] in --config, --sysctl-file):\n";
    for (const option& o : table) {
        text += "\n" + std::string(o.key) + " (default " + default_text(o) + "; " + range_text(o) +
                "; " +
                (o.when == change::at_start ? "fixed at start" : "may change while running") +
                ")\n    " + std::string(o.sentence) + "\n";
    }
    return text;
}

std::string markdown() {
    std::string text =
        "# Settings\n\n"
        "This page is printed from the table in `lib/config/options.cpp`; a test keeps the two "
        "equal.\n\n"
        "Names under `net.` are Linux's and mean what they mean there; names under `lastack.` are "
        "this stack's own. A limit whose default is another setting's name equals that capacity "
        "and cannot be raised above it. Settings marked *start* reserve memory or are read once, "
        "and stay as they "
        "were at start; the others are only read when they are used.\n\n"
        "| Setting | Default | Takes | Fixed at | What it does |\n|---|---|---|---|---|\n";
    for (const option& o : table) {
        text += "| `" + std::string(o.key) + "` | " + default_text(o) + " | " + range_text(o) +
                " | " + (o.when == change::at_start ? "start" : "") + " | " +
                std::string(o.sentence) + " |\n";
    }
    return text;
}

}  // namespace lastack::config
