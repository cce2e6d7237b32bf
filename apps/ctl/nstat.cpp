// SPDX-License-Identifier: BSD-3-Clause
// `nstat`: counters by the names that iproute2's nstat prints, as differences from the last call.
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "commands.hpp"

namespace ctl {
namespace {

using lastack::failure;
using lastack::result;
using nlohmann::json;
using nlohmann::ordered_json;

bool wanted(const std::string& name, const std::vector<std::string>& patterns) {
    return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&](auto& pattern) {
               return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
           });
}

bool is_counts(const json& value) {
    return value.is_object() &&
           std::ranges::all_of(value, [](const json& n) { return n.is_number_unsigned(); });
}

// What the last call saw, if it asked the same process. A file of anything else counts as none.
json former_counts(const nstat_options& o) {
    if (!std::filesystem::is_regular_file(o.history)) {
        return json::object();
    }
    std::ifstream file(o.history);
    auto kept = json::parse(file, nullptr, false);
    const bool same = kept.is_object() && kept["process"] == json(o.identity);
    return same && is_counts(kept["counters"]) ? kept["counters"] : json::object();
}

// Into a new file first, which nobody can have made a link; then over the old one.
bool keep_counts(const nstat_options& o, const json& counts) {
    const auto fresh = o.history + "." + std::to_string(::getpid());
    {
        std::ofstream file(fresh, std::ios::trunc);
        file << json{{"process", o.identity}, {"counters", counts}};
        if (!file.flush()) {
            return false;
        }
    }
    if (std::rename(fresh.c_str(), o.history.c_str()) != 0) {
        std::remove(fresh.c_str());
        return false;
    }
    return true;
}

result<json, std::string> sentences(const ask_function& ask) {
    json all = json::object();
    for (std::size_t from = 0;;) {
        const auto page = ask("/lastack/counter_help," + std::to_string(from));
        if (!page) {
            return failure{page.error()};
        }
        if (page->empty()) {
            return all;
        }
        all.update(*page);
        from += page->size();
    }
}

}  // namespace

output nstat(const ask_function& ask, const nstat_options& o) {
    const auto counts = ask("/lastack/counters");
    if (!counts) {
        return failure{counts.error()};
    }
    json meanings = json::object();
    if (o.explain) {
        auto all = sentences(ask);
        if (!all) {
            return failure{all.error()};
        }
        meanings = std::move(*all);
    }
    const json former = o.absolute ? json::object() : former_counts(o);
    std::string text = "#lastack\n";
    ordered_json object = ordered_json::object();
    bool any = false;
    for (const auto& [name, value] : counts->items()) {
        if (!wanted(name, o.names)) {
            continue;
        }
        any = true;
        const auto now = value.get<std::uint64_t>();
        const auto before = former.value(name, std::uint64_t{0});
        const auto shown = now >= before ? now - before : now;
        if (shown == 0 && !o.zeros && !o.explain) {
            continue;
        }
        object[name] = shown;
        char line[96];
        std::snprintf(line, sizeof line, "%-39s %-16llu", name.c_str(),
                      static_cast<unsigned long long>(shown));
        text += line + (o.explain ? meanings.value(name, "") : std::string("0.0")) + "\n";
    }
    if (!any && !o.names.empty()) {
        return failure{"no counter is called " + o.names.front() + " (nstat -az shows all)"};
    }
    if (!o.no_update && !o.absolute && !o.history.empty() && !keep_counts(o, *counts)) {
        return failure{"the counts cannot be kept in " + o.history +
                       "; name another file in LASTACK_NSTAT_HISTORY, or use -a"};
    }
    if (o.reset) {
        return std::string();
    }
    return o.json ? object.dump(1) + "\n" : text;
}

}  // namespace ctl
