// SPDX-License-Identifier: BSD-3-Clause
// `sysctl`: settings in sysctl's form, with what the stack knows of each behind a '#'.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "commands.hpp"

namespace ctl {
namespace {

using lastack::failure;
using nlohmann::json;

std::string line_of(const json& setting, bool value_only) {
    const auto value = setting.value("value", "");
    if (value_only) {
        return value + "\n";
    }
    return setting.value("key", "") + " = " + value + "  # " + setting.value("range", "") +
           "; default " + setting.value("default", "") +
           (setting.value("changes", "") == "at start" ? "; fixed at start" : "") + "\n";
}

// It comes in pieces, since telemetry's strings are short.
std::string sentence_of(const json& setting) {
    std::string sentence;
    for (const json& piece : setting.value("sentence", json::array())) {
        sentence += piece.get<std::string>();
    }
    return sentence;
}

}  // namespace

output sysctl(const ask_function& ask, const sysctl_options& o, std::string& before) {
    if (!o.all && o.arguments.empty()) {
        return failure{std::string("sysctl takes -a, KEY... or KEY=VALUE...")};
    }
    auto arguments = o.arguments;
    if (o.all) {
        const auto keys = ask("/lastack/settings");
        if (!keys) {
            return failure{keys.error()};
        }
        for (const auto& [key, value] : keys->items()) {
            arguments.push_back(key);
        }
    }
    // A list with a mistake in it changes nothing of what follows the mistake.
    for (auto& argument : arguments) {
        const bool writes = argument.find('=') != argument.npos;
        if (!writes && o.write) {
            return failure{"'" + argument + "' is not KEY=VALUE, which -w takes"};
        }
        if (!writes) {
            std::replace(argument.begin(), argument.end(), '/', '.');
        }
        const auto setting = ask((writes ? "/lastack/set," : "/lastack/settings,") + argument);
        if (!setting) {
            return failure{setting.error()};
        }
        before += line_of(*setting, o.values_only);
        // Who asks for one by its name wants to know it: for a capacity also what it costs.
        if (!writes && !o.all && !o.values_only) {
            before += "# " + sentence_of(*setting) + "\n";
        }
    }
    return std::move(before);
}

}  // namespace ctl
