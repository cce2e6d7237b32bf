// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "config/configuration.hpp"
#include "config/file_text.hpp"
#include "config/options.hpp"

namespace lastack::config {
namespace {

std::string_view trim(std::string_view text) {
    constexpr std::string_view blank = " \t\r";
    const auto first = text.find_first_not_of(blank);
    return first == text.npos ? std::string_view{}
                              : text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// A sysctl file speaks to the whole machine; only what is in our table, or refused by it for a
// reason of its own, or written under our own prefix, is for us.
bool is_ours(const std::string& key) {
    return find_option(key) != nullptr || key.starts_with("lastack.") ||
           unknown_key_message(key).find(" is refused: ") != std::string::npos;
}

}  // namespace

result<std::vector<std::string>, std::string> read_sysctl(settings& into, std::string_view text,
                                                          const std::string& name) {
    settings values = into;
    std::vector<std::string> foreign;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = text.find('\n');
        auto line = trim(text.substr(0, end));
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
        if (line.empty() || line.front() == '#' || line.front() == ';') {
            continue;
        }
        const bool forgiving = line.front() == '-';
        if (forgiving) {
            line = trim(line.substr(1));
        }
        const auto equals = line.find('=');
        std::string key(trim(line.substr(0, equals)));
        std::replace(key.begin(), key.end(), '/', '.');
        if (equals != line.npos && !is_ours(key)) {
            if (std::find(foreign.begin(), foreign.end(), key) == foreign.end()) {
                foreign.push_back(key);
            }
            continue;
        }
        const auto done = equals == line.npos
                              ? result<bool, std::string>(
                                    failure{"'" + std::string(line) + "' is not KEY = VALUE"})
                              : set(values, key, line.substr(equals + 1));
        if (!done && !forgiving) {
            return failure{name + ":" + std::to_string(number) + ": " + done.error()};
        }
    }
    into = values;
    return foreign;
}

result<std::vector<std::string>, std::string> read_sysctl_file(settings& into,
                                                               const std::string& path) {
    const auto text = read_text_file(path);
    if (!text) {
        return failure{text.error()};
    }
    return read_sysctl(into, *text, path);
}

}  // namespace lastack::config
