// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/telemetry_text.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>

#include "lastack/address.hpp"

namespace lastack::dpdk {
namespace {

constexpr std::array<std::string_view, 5> timer_names{"off", "on", "keepalive", "timewait",
                                                      "persist"};

template <class Int>
std::optional<Int> number(std::string_view text) {
    Int value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole ? std::optional(value) : std::nullopt;
}

// Calls f for each part of `text` between separators; stops when f says no.
template <class F>
bool each_part(std::string_view text, char separator, F&& f) {
    while (!text.empty()) {
        const auto end = std::min(text.find(separator), text.size());
        if (!f(text.substr(0, end))) {
            return false;
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return true;
}

std::optional<list_cursor> parse_cursor(std::string_view text) {
    std::array<std::uint32_t, 4> parts{};
    std::size_t n = 0;
    const bool good = each_part(text, '.', [&](std::string_view part) {
        const auto value = number<std::uint32_t>(part);
        if (!value || n == parts.size()) {
            return false;
        }
        parts[n++] = *value;
        return true;
    });
    using table = stack::table_position::table;
    if (!good || n != parts.size() || parts[2] >= static_cast<std::uint32_t>(table::end)) {
        return std::nullopt;
    }
    return list_cursor{parts[0], {parts[1], {static_cast<table>(parts[2]), parts[3]}}};
}

std::optional<std::uint16_t> parse_states(std::string_view text) {
    std::uint16_t mask = 0;
    const bool good = each_part(text, '+', [&](std::string_view name) {
        const auto found = std::find(ss_names.begin(), ss_names.end(), name);
        mask = static_cast<std::uint16_t>(mask | 1u << (found - ss_names.begin()));
        return found != ss_names.end();
    });
    return good ? std::optional(mask) : std::nullopt;
}

std::optional<endpoint> parse_endpoint(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == text.npos) {
        return std::nullopt;
    }
    const auto address = parse_ipv4(text.substr(0, colon));
    const auto port = number<std::uint16_t>(text.substr(colon + 1));
    return address && port ? std::optional(endpoint{*address, *port}) : std::nullopt;
}

std::string path_text(std::uint64_t taken) {
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) {
        const auto s = static_cast<std::size_t>(taken >> shift & 15);
        if ((s != 0 || !text.empty()) && s < ss_names.size()) {
            text += (text.empty() ? "" : " > ");
            text += s == 0 ? "CLOSED" : ss_names[s];
        }
    }
    return text.empty() ? "CLOSED" : text;
}

bool went_through(std::uint64_t taken, teardown::state s) {
    for (; taken != 0; taken >>= 4) {
        if ((taken & 15) == static_cast<std::uint64_t>(s)) {
            return true;
        }
    }
    return false;
}

std::string who_closed_first(const tcp::close_entry& e) {
    using teardown::state;
    if (e.outcome == close_outcome::clean_simultaneous) {
        return "both sides at the same time";
    }
    if (went_through(e.taken, state::close_wait)) {
        return "the peer, by FIN";
    }
    if (went_through(e.taken, state::fin_wait_1) || went_through(e.taken, state::fin_wait_2)) {
        return "this side, by FIN";
    }
    if (e.outcome == close_outcome::reset_by_peer || e.outcome == close_outcome::refused) {
        return "the peer, by RST";
    }
    return is_abort(e.outcome) ? "this side, by RST" : "nobody";
}

using lines = std::vector<std::string>;

std::string retries_limit(const stack::explanation& x, const config::settings& s) {
    if (x.user_timeout_ms != 0) {
        return "TCP_USER_TIMEOUT, " + duration_text(x.user_timeout_ms);
    }
    if (x.row.orphan) {
        const auto set = s.tcp_orphan_retries;
        return "tcp_orphan_retries, " + std::to_string(set == 0 ? 8 : set) + " retries";
    }
    return "tcp_retries2, " + std::to_string(s.tcp_retries2) + " retries";
}

// What an unacknowledged FIN, or data before it, is up to.
void add_sending(lines& out, const stack::explanation& x, const config::settings& s) {
    const auto tries = std::to_string(x.row.tries);
    const auto next = duration_text(x.row.remaining_ms);
    if (x.row.timer == stack::timer_kind::persist) {
        out.push_back("the peer's window is closed: probed " + tries + " times, next in " + next);
    } else if (x.row.timer == stack::timer_kind::on) {
        out.push_back("retransmitted " + tries + " times since the last progress, next in " + next +
                      " (RTO " + duration_text(x.rto_ms) + ")");
    }
    out.push_back("given up by: " + retries_limit(x, s) +
                  (x.soft_error ? "; an ICMP error came since the last progress" : ""));
}

void add_live(lines& out, const stack::explanation& x, const config::settings& s) {
    using teardown::state;
    const auto& r = x.row;
    const auto data = std::to_string(x.unsent) + " octets unacknowledged";
    switch (r.st) {
        case state::syn_sent:
            out.push_back("waits for: the peer's SYN-ACK; retransmitted " +
                          std::to_string(r.tries) + " times, next in " +
                          duration_text(r.remaining_ms));
            out.push_back("given up by: tcp_syn_retries, " + std::to_string(s.tcp_syn_retries));
            break;
        case state::syn_received:
            out.push_back("waits for: the handshake's last ACK; SYN-ACK retransmitted " +
                          std::to_string(r.tries) + " times, next in " +
                          duration_text(r.remaining_ms));
            out.push_back("given up by: tcp_synack_retries, " +
                          std::to_string(s.tcp_synack_retries));
            break;
        case state::established:
            out.push_back("open: either side may close; " + data + ", " + std::to_string(r.recv_q) +
                          " unread");
            if (r.timer == stack::timer_kind::keepalive) {
                out.push_back("keepalive probe in " + duration_text(r.remaining_ms));
            } else if (r.timer != stack::timer_kind::off) {
                add_sending(out, x, s);
            } else {
                out.push_back("ends: when a side closes; no timer runs");
            }
            break;
        case state::fin_wait_1:
        case state::closing:
        case state::last_ack:
            out.push_back(std::string("waits for: the ACK of our FIN, which ") +
                          (x.fin_sent ? "is sent" : "is behind unsent data") + "; " + data);
            out.push_back(r.orphan ? "the application has closed it (an orphan)"
                                   : "the application still holds it");
            add_sending(out, x, s);
            break;
        case state::fin_wait_2:
            out.push_back("waits for: the peer's FIN; ours is acknowledged");
            out.push_back(x.found == stack::explanation::found_as::record
                              ? "ends: by tcp_fin_timeout or TCP_LINGER2 in " +
                                    duration_text(r.remaining_ms)
                              : "ends: no time limit, since the application holds it open (it was "
                                "shut down, not closed)");
            break;
        case state::close_wait:
            out.push_back("waits for: the application to close; the peer has closed");
            out.push_back("ends: only when the application closes or aborts; no time limit");
            out.push_back(std::to_string(r.recv_q) + " octets unread, " + data);
            break;
        case state::time_wait:
            out.push_back(x.parked
                              ? "parked: a new SYN may take its place"
                              : "waits for: old duplicates to die out; both sides have closed");
            out.push_back("ends: in " + duration_text(r.remaining_ms) +
                          " (lastack.time_wait_ms), or by a newer SYN from the peer");
            break;
        default:
            break;
    }
}

void add_close(lines& out, const stack::explanation& x, const tcp::close_entry& e) {
    const auto ago = duration_text(static_cast<std::uint64_t>((x.now_us - e.at_us) / 1000));
    if (e.outcome == close_outcome::none) {
        out.push_back(ago + " ago: our FIN was acknowledged, the rest was left to a record");
    } else {
        out.push_back(ago + " ago: " + std::string(name(e.outcome)) + ", " +
                      std::string(sentence(e.outcome)));
        out.push_back("  closed first: " + who_closed_first(e));
    }
    out.push_back("  path: " + path_text(e.taken));
}

}  // namespace

std::string to_text(const list_cursor& c) {
    return std::to_string(c.worker) + "." + std::to_string(c.at.stack) + "." +
           std::to_string(static_cast<unsigned>(c.at.position.which)) + "." +
           std::to_string(c.at.position.next);
}

result<list_request, std::string> parse_list_request(std::string_view text) {
    list_request r;
    std::string bad;
    each_part(text, ',', [&](std::string_view part) {
        const auto equals = part.find('=');
        const auto key = part.substr(0, equals);
        const auto value = equals == part.npos ? std::string_view{} : part.substr(equals + 1);
        bool good = false;
        if (key == "cursor") {
            const auto cursor = parse_cursor(value);
            good = cursor.has_value();
            r.from = cursor.value_or(list_cursor{});
        } else if (key == "state") {
            const auto states = parse_states(value);
            good = states.has_value();
            r.filter.states = states.value_or(std::uint16_t{0});
        } else if (key == "sport" || key == "dport") {
            const auto port = number<std::uint16_t>(value);
            good = port.has_value();
            (key == "sport" ? r.filter.local_port : r.filter.remote_port) =
                port.value_or(std::uint16_t{0});
        }
        if (!good) {
            bad = part;
        }
        return good;
    });
    if (!bad.empty()) {
        return failure{"'" + bad +
                       "' is none of cursor=C, state=NAME+NAME (as ss prints them), sport=PORT, "
                       "dport=PORT"};
    }
    return r;
}

std::string row_text(const stack::connection_row& r, unsigned lcore) {
    char text[128];
    const bool listens = r.st == teardown::state::listen;
    const auto port = [](std::uint16_t p) { return p == 0 ? "*" : std::to_string(p); };
    const auto local = to_string(r.key.local) + ":" + port(r.key.local_port);
    const auto peer =
        listens ? "0.0.0.0:*" : to_string(r.key.remote) + ":" + port(r.key.remote_port);
    std::snprintf(text, sizeof text, "%s %u %u %s %s %s %u %u %u", ss_name(r.st).data(), r.recv_q,
                  r.send_q, local.c_str(), peer.c_str(),
                  timer_names[static_cast<std::size_t>(r.timer)].data(), r.remaining_ms, r.tries,
                  lcore);
    return text;
}

std::string row_key_text(const stack::connection_row& r) {
    return to_string(endpoint{r.key.local, r.key.local_port}) + "-" +
           to_string(endpoint{r.key.remote, r.key.remote_port});
}

std::optional<flow::key4> parse_key(std::string_view text) {
    const auto dash = text.find('-');
    if (dash == text.npos) {
        return std::nullopt;
    }
    const auto local = parse_endpoint(text.substr(0, dash));
    const auto remote = parse_endpoint(text.substr(dash + 1));
    if (!local || !remote) {
        return std::nullopt;
    }
    return flow::key4{remote->address.v4(), local->address.v4(), remote->port, local->port};
}

std::string duration_text(std::uint64_t ms) {
    char text[48];
    const auto s = ms / 1000;
    if (ms < 1000) {
        std::snprintf(text, sizeof text, "%llu ms", static_cast<unsigned long long>(ms));
    } else if (s < 60) {
        std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(ms) / 1000);
    } else if (s < 3600) {
        std::snprintf(text, sizeof text, "%llu min %llu s", static_cast<unsigned long long>(s / 60),
                      static_cast<unsigned long long>(s % 60));
    } else {
        std::snprintf(text, sizeof text, "%llu h %llu min",
                      static_cast<unsigned long long>(s / 3600),
                      static_cast<unsigned long long>(s % 3600 / 60));
    }
    return text;
}

std::vector<std::string> explain_lines(const stack::explanation& x, const flow::key4& key,
                                       const config::settings& s) {
    lines out;
    const auto found = x.found != stack::explanation::found_as::nothing;
    if (found) {
        out.push_back(std::string(ss_name(x.row.st)) +
                      (x.row.has_age ? " for " + duration_text(x.row.age_ms) : ""));
        if (x.taken != 0) {
            out.push_back("path: " + path_text(x.taken));
        }
        add_live(out, x, s);
    } else if (x.closes_found == 0) {
        out.push_back("not known: no connection " + to_string(key.local) + ":" +
                      std::to_string(key.local_port) + "-" + to_string(key.remote) + ":" +
                      std::to_string(key.remote_port));
        out.push_back("it is not among the last " + std::to_string(tcp::close_log::entries) +
                      " closes of its core either");
    } else {
        out.push_back("CLOSED: it is gone");
    }
    for (std::size_t i = 0; i < x.closes_found; ++i) {
        add_close(out, x, x.closes[i]);
    }
    return out;
}

std::string camel(std::string_view snake) {
    std::string text;
    bool up = true;
    for (const char c : snake) {
        if (c == '_') {
            up = true;
        } else {
            text += up ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
            up = false;
        }
    }
    return text;
}

}  // namespace lastack::dpdk
