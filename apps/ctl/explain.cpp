// SPDX-License-Identifier: BSD-3-Clause
// `explain` and `capture`.
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
               const std::function<void()>& wait) {
    // The stack's process has a working directory of its own.
    const auto path = std::filesystem::absolute(file).lexically_normal().string();
    const auto started = ask("/lastack/capture,start " + path);
    if (!started) {
        return failure{started.error()};
    }
    wait();
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
