// SPDX-License-Identifier: BSD-3-Clause
// The commands of lastack-ctl. Each asks the stack and returns what to print; the error is one line
// for standard error and makes the exit status 2.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "socket.hpp"

namespace ctl {

using output = lastack::result<std::string, std::string>;

struct ss_options {
    bool timers = false;     // -o
    bool summary = false;    // -s
    bool no_header = false;  // -H
    bool json = false;
    std::vector<std::string> filter;  // state X, sport = :N, dport = :N
};
output ss(const ask_function&, const ss_options&);

struct nstat_options {
    bool absolute = false;   // -a: since the start, not since the last call
    bool zeros = false;      // -z
    bool no_update = false;  // -s: leave what the next call counts from
    bool reset = false;      // -r: only note the counts
    bool explain = false;
    bool json = false;
    std::string history;             // the file that keeps the last counts
    std::string identity;            // of the process: counts of another do not matter
    std::vector<std::string> names;  // with * and ? as in a shell; none: all
};
output nstat(const ask_function&, const nstat_options&);

struct sysctl_options {
    bool all = false;          // -a
    bool values_only = false;  // -n
    bool write = false;        // -w: all are KEY=VALUE
    std::vector<std::string> arguments;
};
// If it fails, `before` has the lines of what was read or changed before the mistake.
output sysctl(const ask_function&, const sysctl_options&, std::string& before);

// ADDR:PORT-ADDR:PORT, the stack's side first; the other way round is found too.
output explain(const ask_function&, const std::string& connection);

// Captures until `wait` returns. The file is the stack's process's to make.
// Asks now and then, so that the stack goes on, until end_comes_within(time) says true.
output capture(const ask_function&, const std::string& file,
               const std::function<bool(std::chrono::milliseconds)>& end_comes_within);

// A remaining time as `ss` prints it: 41sec, 1min12sec, 200ms.
std::string timer_text(unsigned ms);

}  // namespace ctl
