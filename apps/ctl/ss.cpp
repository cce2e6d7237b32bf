// SPDX-License-Identifier: BSD-3-Clause
// `ss`: connections in the columns of iproute2's ss -tan.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

#include "commands.hpp"

namespace ctl {
namespace {

using lastack::failure;
using lastack::result;
using nlohmann::json;

// How ss names states in a filter, and how it prints them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> state_words{
    {{"established", "ESTAB"},
     {"syn-sent", "SYN-SENT"},
     {"syn-recv", "SYN-RECV"},
     {"fin-wait-1", "FIN-WAIT-1"},
     {"fin-wait-2", "FIN-WAIT-2"},
     {"time-wait", "TIME-WAIT"},
     {"close-wait", "CLOSE-WAIT"},
     {"last-ack", "LAST-ACK"},
     {"listening", "LISTEN"},
     {"closing", "CLOSING"}}};

std::string lower(std::string_view text) {
    std::string low(text);
    std::transform(low.begin(), low.end(), low.begin(), [](unsigned char c) {
        return c == '_' ? '-' : static_cast<char>(std::tolower(c));
    });
    return low;
}

// The states that one word of a filter means; empty when it means none.
std::vector<std::string> states_of(std::string_view given) {
    const auto word = lower(given);
    std::vector<std::string> found;
    for (const auto& [name, printed] : state_words) {
        const bool one = word == name || word == lower(printed);
        const bool listens = name == "listening", opens = name.starts_with("syn-");
        const bool record = name == "time-wait" || name == "syn-recv";
        if (one || word == "all" || (word == "connected" && !listens) ||
            (word == "synchronized" && !listens && !opens) || (word == "bucket" && record) ||
            (word == "big" && !record)) {
            found.emplace_back(printed);
        }
    }
    return found;
}

std::optional<std::string> port_of(std::string_view word) {
    word.remove_prefix(word.starts_with(':') ? 1 : 0);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), port);
    const bool good = error == std::errc{} && end == word.data() + word.size() && port != 0;
    return good ? std::optional(std::to_string(port)) : std::nullopt;
}

// The filter's words as the stack takes them; the error names the word.
result<std::string, std::string> parameters_of(const std::vector<std::string>& words) {
    // "sport=:80" is as good as "sport = :80", be it one word of the shell's or three.
    std::string line;
    for (const auto& w : words) {
        line += w + " ";
    }
    std::istringstream in(line);
    std::vector<std::string> all;
    for (std::string w; in >> w;) {
        const auto equals = w.find('=');
        if (equals != w.npos && w.size() > 1 && equals > 0) {
            all.push_back(w.substr(0, equals));
            w.erase(0, equals + 1);
        }
        if (!w.empty()) {
            all.push_back(w);
        }
    }
    std::string states, ports;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto& word = all[i];
        const auto next = [&]() -> std::string { return ++i < all.size() ? all[i] : ""; };
        if (word == "state") {
            const auto given = next();
            const auto found = states_of(given);
            if (found.empty()) {
                return failure{"'" + given +
                               "' is no state; ss knows established, syn-sent, syn-recv, "
                               "fin-wait-1, fin-wait-2, time-wait, close-wait, last-ack, "
                               "listening, closing, all, connected, synchronized, bucket, big"};
            }
            for (const auto& s : found) {
                states += (states.empty() ? "" : "+") + s;
            }
        } else if (word == "sport" || word == "dport") {
            auto given = next();
            if (given == "=" || given == "==" || given == "eq") {
                given = next();
            }
            const auto port = port_of(given);
            if (!port) {
                return failure{"'" + given + "' is no port after " + word + "; write " + word +
                               " = :80"};
            }
            ports += "," + word + "=" + *port;
        } else if (word != "and") {
            return failure{"'" + word +
                           "' is no part of a filter; it takes state NAME, sport = :PORT, "
                           "dport = :PORT"};
        }
    }
    return (states.empty() ? "" : ",state=" + states) + ports;
}

struct row {
    std::string state, local, peer, timer;
    std::uint64_t recv_q = 0, send_q = 0;
    unsigned remaining_ms = 0, tries = 0, lcore = 0;
};

result<std::vector<row>, std::string> rows(const ask_function& ask, const std::string& filter) {
    std::vector<row> all;
    std::string cursor = "0.0.0.0";
    while (!cursor.empty()) {
        const auto page = ask("/lastack/connections,cursor=" + cursor + filter);
        if (!page) {
            return failure{page.error()};
        }
        for (const auto& line : page->at("rows")) {
            row r;
            std::istringstream words(line.get<std::string>());
            words >> r.state >> r.recv_q >> r.send_q >> r.local >> r.peer >> r.timer >>
                r.remaining_ms >> r.tries >> r.lcore;
            if (words.fail()) {
                return failure{"the stack's row cannot be read: " + line.get<std::string>()};
            }
            all.push_back(std::move(r));
        }
        cursor = page->at("cursor").get<std::string>();
    }
    return all;
}

std::string table(const std::vector<row>& all, const ss_options& o) {
    std::size_t local = 18, peer = 17;
    for (const auto& r : all) {
        local = std::max(local, r.local.size());
        peer = std::max(peer, r.peer.size());
    }
    std::string text;
    char line[256];
    const auto add = [&](const char* state, const std::string& recv_q, const std::string& send_q,
                         const std::string& from, const std::string& to, const std::string& rest) {
        const int n = std::snprintf(line, sizeof line, "%-10s %-6s %-6s %*s %-*s %s", state,
                                    recv_q.c_str(), send_q.c_str(), static_cast<int>(local),
                                    from.c_str(), static_cast<int>(peer), to.c_str(), rest.c_str());
        std::string one(line, static_cast<std::size_t>(n));
        text += one.substr(0, one.find_last_not_of(' ') + 1) + "\n";
    };
    if (!o.no_header) {
        add("State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "");
    }
    for (const auto& r : all) {
        const bool shown = o.timers && r.timer != "off";
        add(r.state.c_str(), std::to_string(r.recv_q), std::to_string(r.send_q), r.local, r.peer,
            shown ? "timer:(" + r.timer + "," + timer_text(r.remaining_ms) + "," +
                        std::to_string(r.tries) + ")"
                  : "");
    }
    return text;
}

std::string as_json(const std::vector<row>& all) {
    json list = json::array();
    for (const auto& r : all) {
        list.push_back({{"state", r.state},
                        {"local", r.local},
                        {"peer", r.peer},
                        {"recv_q", r.recv_q},
                        {"send_q", r.send_q},
                        {"timer", r.timer},
                        {"remaining_ms", r.remaining_ms},
                        {"lcore", r.lcore}});
    }
    return list.dump(1) + "\n";
}

output summary(const ask_function& ask, bool json_wanted) {
    const auto states = ask("/lastack/states");
    if (!states) {
        return failure{states.error()};
    }
    if (json_wanted) {
        return states->dump(1) + "\n";
    }
    const auto& all = states->at("all");
    const auto n = [&all](std::string name) {
        std::replace(name.begin(), name.end(), '-', '_');
        return all.value(name, std::uint64_t{0});
    };
    std::uint64_t total = 0;
    for (const auto& [name, printed] : state_words) {
        total += n(std::string(printed));
    }
    // As ss -s, whose "closed" are TIME_WAIT and whatever else is closed already.
    std::ostringstream text;
    text << "Total: " << total << "\n"
         << "TCP:   " << total << " (estab " << n("ESTAB") << ", closed " << n("TIME-WAIT")
         << ", orphaned " << n("orphans") << ", timewait " << n("TIME-WAIT") << ")\n\n";
    for (const auto& [name, printed] : state_words) {
        text << printed << std::string(12 - printed.size(), ' ') << n(std::string(printed)) << "\n";
    }
    return text.str();
}

}  // namespace

// With iproute2's own oddity: below ten seconds it writes 4.444ms for 4.444 s.
std::string timer_text(unsigned ms) {
    auto seconds = ms / 1000;
    const auto minutes = seconds / 60;
    auto rest = ms % 1000;
    seconds %= 60;
    std::string text;
    if (minutes != 0) {
        rest = 0;
        text += std::to_string(minutes) + "min";
        seconds = minutes > 9 ? 0 : seconds;
    }
    if (seconds != 0) {
        rest = seconds > 9 ? 0 : rest;
        text += std::to_string(seconds) + (rest != 0 ? "." : "sec");
    }
    if (rest != 0) {
        char part[16];
        std::snprintf(part, sizeof part, "%03ums", rest);
        text += part;
    }
    return text.empty() ? "0ms" : text;
}

output ss(const ask_function& ask, const ss_options& o) {
    const auto filter = parameters_of(o.filter);
    if (!filter) {
        return failure{filter.error()};
    }
    if (o.summary && !o.filter.empty()) {
        return failure{std::string("ss -s counts all connections; leave the filter out, or -s")};
    }
    if (o.summary) {
        return summary(ask, o.json);
    }
    const auto found = rows(ask, *filter);
    if (!found) {
        return failure{found.error()};
    }
    return o.json ? as_json(*found) : table(*found, o);
}

}  // namespace ctl
