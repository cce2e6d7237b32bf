// SPDX-License-Identifier: BSD-3-Clause
// What --so_flags says: words KEY=VALUE, separated by commas.
//
//   local=ADDR/LEN     the stack's address (192.168.0.1/16)
//   gateway=ADDR       where everything else is reached; packetdrill plays it too (192.168.0.2)
//   SETTING=VALUE      any setting of docs/settings.md
#pragma once

#include <string>
#include <string_view>

#include "config/settings.hpp"
#include "lastack/address.hpp"
#include "lastack/result.hpp"

namespace lastack::packetdrill {

struct flags {
    ipv4_prefix local{{0xc0a80001}, 16};
    ipv4_address gateway{0xc0a80002};
    config::settings settings = small_settings();

    // A small stack, since packetdrill locks all memory: for scripts of a few connections.
    static config::settings small_settings();
};

// The error is a sentence that names the word.
result<flags, std::string> parse_flags(std::string_view text);

}  // namespace lastack::packetdrill
