// SPDX-License-Identifier: BSD-3-Clause
// `explain` and `capture`.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands.hpp"

namespace ctl {

using lastack::failure;

output explain(const ask_function& ask, const std::string& connection) {
    const auto answer = ask("/lastack/explain," + connection);
    if (!answer) {
        return failure{answer.error()};
    }
    std::string text;
    for (const auto& line : answer->at("lines")) {
        text += line.get<std::string>() + "\n";
    }
    return text;
}

output capture(const ask_function& ask, const std::string& file,
               const std::function<bool(std::chrono::milliseconds)>& end_comes_within) {
    // The stack's process has a working directory of its own.
    const auto path = std::filesystem::absolute(file).lexically_normal().string();
    const auto started = ask("/lastack/capture,start " + path);
    if (!started) {
        return failure{started.error()};
    }
    // The stack ends a capture that nobody asks about for a minute, so that none is left running
    // by one who was killed.
    while (!end_comes_within(std::chrono::seconds(5))) {
        if (const auto goes_on = ask("/lastack/capture,status"); !goes_on) {
            return failure{goes_on.error()};
        }
    }
    const auto stopped = ask("/lastack/capture,stop");
    if (!stopped) {
        return failure{stopped.error()};
    }
    const auto missed = stopped->value("missed", std::uint64_t{0});
    return std::to_string(stopped->value("frames", std::uint64_t{0})) + " frames in " + path +
           (missed != 0 ? "; " + std::to_string(missed) + " are missing, the ring was full" : "") +
           "\n";
}

}  // namespace ctl
