// SPDX-License-Identifier: BSD-3-Clause
// Runs a load: the command line it shares with the others, its wire, its runs, what is reported.
//
// The ends are handlers on their lcores (lastack/runtime.hpp). A reporter thread looks at their
// tallies once a second, draws the table, and after the last run asks the process to stop; it never
// touches a stack. A run's figures are differences between two looks, so what happens before the
// first and after the last is in none of them. Standard output gets the result and nothing else.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "load.hpp"

namespace CLI {
class App;
}

namespace bench {

// What is reported; the names are the keys of --json.
enum class figure : std::uint8_t {
    cps,
    rps,
    gbit_per_s,
    cpu_ns_per_connection,
    cpu_ns_per_request,
    latency_us_p50,
    latency_us_p99,
    latency_us_p9999,
    bytes_per_connection,
    time_wait_held,
    resets,
    retransmits,
    failed,
    count_
};
inline constexpr std::size_t figure_count = static_cast<std::size_t>(figure::count_);
inline constexpr std::array<std::string_view, figure_count> figure_names{"cps",
                                                                         "rps",
                                                                         "gbit_per_s",
                                                                         "cpu_ns_per_connection",
                                                                         "cpu_ns_per_request",
                                                                         "latency_us_p50",
                                                                         "latency_us_p99",
                                                                         "latency_us_p9999",
                                                                         "bytes_per_connection",
                                                                         "time_wait_held",
                                                                         "resets",
                                                                         "retransmits",
                                                                         "failed"};

// One run. What was not measured is empty, and null in JSON.
struct figures {
    std::array<std::optional<double>, figure_count> values{};
    std::optional<double>& operator[](figure f) { return values[static_cast<std::size_t>(f)]; }
};

// What all ends have done at one moment.
struct look {
    double at_s = 0;
    std::uint64_t begun = 0;
    std::uint64_t connections = 0;
    std::uint64_t requests = 0;
    std::uint64_t octets = 0;  // received
    std::uint64_t failed = 0;
    std::uint64_t open = 0;
    std::uint64_t resets = 0;
    std::uint64_t retransmits = 0;
    std::uint64_t time_wait = 0;
    double busy_ns = 0;
    histogram::counts latency{};
};

// A subcommand.
struct subject {
    const char* name;
    const char* sentence;
    // Adds the options that only this load has, and sets what is otherwise than in the others.
    std::function<void(CLI::App&, load&)> options;
    // Runs the ends until the process is asked to stop; returns the exit status.
    std::function<int(lastack::runtime&, load&)> run;
    // The figures between two looks.
    std::function<void(figures&, const load&, const look&, const look&)> measure;
    bool without_peer = false;  // can run on --wire null
};

// Reads argv (EAL's words, --, the subcommand's own), runs, prints. Returns the exit status.
int run_subject(const subject& what, int argc, const char* const* argv);

// report.cpp
void print_second(const load& l, std::uint32_t run, const figures& f, bool first);
void print_json(const load& l, const std::vector<figures>& runs);
void print_medians(const load& l, const std::vector<figures>& runs);

}  // namespace bench
