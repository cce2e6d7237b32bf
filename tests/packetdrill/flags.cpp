// SPDX-License-Identifier: BSD-3-Clause
#include "packetdrill/flags.hpp"

#include "config/options.hpp"

namespace lastack::packetdrill {
namespace {

result<bool, std::string> take_word(flags& into, std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value =
        equals == word.npos ? std::string_view{} : word.substr(equals + 1);
    if (key == "local") {
        const auto prefix = parse_ipv4_prefix(value);
        if (!prefix) {
            return failure{std::string(word) + ": want local=ADDRESS/LENGTH, as 192.168.0.1/16"};
        }
        into.local = *prefix;
        return true;
    }
    if (key == "gateway") {
        const auto address = parse_ipv4(value);
        if (!address) {
            return failure{std::string(word) + ": want gateway=ADDRESS, as 192.168.0.2"};
        }
        into.gateway = *address;
        return true;
    }
    return config::set_assignment(into.settings, word);
}

}  // namespace

config::settings flags::small_settings() {
    config::settings s;
    s.connections = 256;
    s.listeners = 16;
    s.syn_records = 256;
    s.time_wait_records = 1024;
    return s;
}

result<flags, std::string> parse_flags(std::string_view text) {
    flags all;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        const std::string_view word = text.substr(0, comma);
        text = comma == text.npos ? std::string_view{} : text.substr(comma + 1);
        if (word.empty()) {
            continue;
        }
        if (const auto taken = take_word(all, word); !taken) {
            return failure{taken.error()};
        }
    }
    auto resolved = config::resolve(all.settings);
    if (!resolved) {
        return failure{resolved.error()};
    }
    all.settings = *resolved;
    return all;
}

}  // namespace lastack::packetdrill
