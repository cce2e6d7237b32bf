// SPDX-License-Identifier: BSD-3-Clause
#include "config/suggest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace lastack::config {

// Optimal string alignment: three rows of the usual matrix, since a swap looks two rows back.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> known) {
    // A name that is the end of a known one (tcp_sack for net.ipv4.tcp_sack) is that one.
    for (const auto candidate : known) {
        if (!name.empty() && candidate.size() > name.size() && candidate.ends_with(name) &&
            candidate[candidate.size() - name.size() - 1] == '.') {
            return candidate;
        }
    }
    const auto found = std::min_element(
        known.begin(), known.end(), [name](std::string_view a, std::string_view b) {
            const auto last_part = [name](std::string_view key) {
                // Compare short names with short names, or the shared prefix would decide.
                return name.find('.') == name.npos ? key.substr(key.rfind('.') + 1) : key;
            };
            return edit_distance(name, last_part(a)) < edit_distance(name, last_part(b));
        });
    return found == known.end() ? std::string_view{} : *found;
}

}  // namespace lastack::config
