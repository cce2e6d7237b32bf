// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>

#include "base/prefetch.hpp"
#include "base/region.hpp"
#include "records.hpp"
#include "timewait.hpp"

namespace bench {

namespace {

struct alignas(64) line {
    std::uint64_t word;
};
constexpr std::uint32_t touched_lines = 1u << 22;

// `touch` is given each of 32 lines that were asked for together.
template <class Prefetch, class Touch>
cost touch_lines(const hardware_counters& counters, line* lines, std::uint32_t count,
                 Prefetch&& prefetch, Touch&& touch) {
    numbers pick(count);
    std::array<line*, burst> picked;
    return measure(counters, touched_lines, [&] {
        for (std::uint32_t done = 0; done < touched_lines; done += burst) {
            for (line*& p : picked) {
                p = lines + pick.next();
                prefetch(p);
            }
            std::for_each(picked.begin(), picked.end(), touch);
        }
    });
}

}  // namespace

lastack::result<line_costs, std::string> measure_lines(std::size_t bytes, bool huge) {
    auto memory =
        lastack::region::map(bytes, huge ? lastack::page_size::huge : lastack::page_size::normal);
    if (!memory.ok()) {
        return lastack::failure{memory.error()};
    }
    auto* const lines = reinterpret_cast<line*>(memory->data());
    const auto count = static_cast<std::uint32_t>(bytes / sizeof(line));
    const hardware_counters counters;
    std::uint64_t sum = 0;
    line_costs costs;
    costs.read = touch_lines(counters, lines, count, lastack::prefetch_to_read,
                             [&](const line* p) { sum += p->word; });
    costs.write =
        touch_lines(counters, lines, count, lastack::prefetch_to_write, [](line* p) { ++p->word; });
    keep(sum);
    return costs;
}

}  // namespace bench
