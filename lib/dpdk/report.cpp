// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/report.hpp"

#include <cstdio>

#include "dpdk/telemetry_text.hpp"

namespace lastack::dpdk {
namespace {

std::string row(std::string_view name, std::uint64_t value) {
    char text[96];
    std::snprintf(text, sizeof text, "  %-36.*s %12llu\n", static_cast<int>(name.size()),
                  name.data(), static_cast<unsigned long long>(value));
    return text;
}

std::string states_text(const stack::state_counts& states) {
    std::string text;
    for (std::size_t i = 0; i < ss_names.size(); ++i) {
        if (states.by_state[i] != 0) {
            text += " " + std::string(ss_names[i]) + " " + std::to_string(states.by_state[i]);
        }
    }
    return text.empty() ? " none" : text;
}

}  // namespace

std::string statistics_line(std::chrono::seconds uptime, const counter_sums& now,
                            const counter_sums& before, std::chrono::duration<double> elapsed,
                            const result<snapshot, std::string>& s) {
    const auto rate = [&](std::initializer_list<counter> counters) {
        std::uint64_t difference = 0;
        for (const auto c : counters) {
            const auto i = static_cast<std::size_t>(c);
            difference += now[i] - before[i];
        }
        return std::to_string(
                   static_cast<std::uint64_t>(static_cast<double>(difference) / elapsed.count())) +
               "/s";
    };
    return std::to_string(uptime.count()) + " s: rx " + rate({counter::rx_frames}) + " tx " +
           rate({counter::tx_frames}) + ", opened " +
           rate({counter::active_opens, counter::passive_opens}) + ", into TIME-WAIT " +
           rate({counter::time_waited}) + ", retransmitted " + rate({counter::tcp_retrans_segs}) +
           (s ? " |" + states_text(s->states) + ", mbufs held " +
                    std::to_string(s->states.mbufs_held)
              : "; " + s.error());
}

std::string final_counts(const counter_sums& sums, const snapshot& s) {
    std::string text = "counters:\n";
    for (const auto& counter : counter_rows) {
        if (const auto value = sums[static_cast<std::size_t>(counter.id)]; value != 0) {
            text += row(counter.name, value);
        }
    }
    text += "connections by how they ended:\n";
    for (const auto& o : close_outcomes) {
        if (const auto value = s.outcomes[static_cast<std::size_t>(o.outcome)]; value != 0) {
            text += row(o.name, value);
        }
    }
    return text + "connections at the end:" + states_text(s.states) + "\n";
}

std::string busy_line(unsigned lcore, std::chrono::nanoseconds busy) {
    const auto ms = std::to_string(busy.count() / 1'000'000 % 1000);
    return "lcore " + std::to_string(lcore) + " was busy " +
           std::to_string(busy.count() / 1'000'000'000) + "." + std::string(3 - ms.size(), '0') +
           ms + " s\n";
}

}  // namespace lastack::dpdk
