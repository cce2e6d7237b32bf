// SPDX-License-Identifier: BSD-3-Clause
// The one table of settings: a row gives a setting's key, field, unit, range and sentence, and from
// the rows come parsing, printing, `--help-settings` and docs/settings.md.
//
// A key under net. is Linux's and means exactly what Linux means by it; our own are under lastack.
// A setting without effect is not in the table. Defaults are those of `settings` itself.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config/settings.hpp"
#include "lastack/result.hpp"

namespace lastack::config {

using field =
    std::variant<std::uint32_t settings::*, bool settings::*, port_range settings::*,
                 buffer_limits settings::*, cap_policy settings::*, ts_missing_policy settings::*,
                 file_name settings::*, factor settings::*>;

// Capacities are reserved before the first packet; everything else is only read when it is used.
enum class change : std::uint8_t { at_start, while_running };

struct option {
    std::string_view key;
    field where;
    std::string_view unit;  // empty: a plain number or word
    std::uint32_t min;      // of numbers; of a factor, in hundredths
    std::uint32_t max;
    change when;
    std::string_view sentence;
    // The capacity that this limit defaults to and cannot exceed; its key.
    std::uint32_t settings::*capacity = nullptr;
    std::string_view capacity_key = {};
};

// Sorted by key.
std::span<const option> options();

// nullptr when there is no such key.
const option* find_option(std::string_view key);

// What to say about a key that is not in the table: why it is refused, or which one is nearest.
std::string unknown_key_message(std::string_view key);

// Sets one setting from its text. The error is a sentence that begins with the key.
result<bool, std::string> set(settings&, std::string_view key, std::string_view text);

// KEY=VALUE, blanks around either allowed.
result<bool, std::string> set_assignment(settings&, std::string_view assignment);

// The value as text that set() takes back (as_reserved prints as the capacity's key).
std::string get(const settings&, const option&);
// Its default in the same way; "none" for an empty one.
std::string default_text(const option&);

// Checks what one row cannot see (limits above what is reserved, a minimum above its maximum) and
// puts the capacity where a limit was left to it.
result<settings, std::string> resolve(settings);

// What the settings become when one is changed while the stack runs. `now` is resolved already.
result<settings, std::string> change_running(const settings& now, std::string_view key,
                                             std::string_view text);

// "0 to 255", "refuse or evict_oldest": what set() accepts.
std::string range_text(const option&);

// For --help-settings, and the page docs/settings.md.
std::string help_text();
std::string markdown();

}  // namespace lastack::config
