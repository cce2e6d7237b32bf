// SPDX-License-Identifier: BSD-3-Clause
// What a load prints: a line a second on standard error; medians, or one JSON object, at the end.
#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "harness.hpp"

namespace bench {
namespace {

struct spread {
    double median, min, max;
};

std::optional<spread> spread_of(const std::vector<figures>& runs, std::size_t f) {
    std::vector<double> values;
    for (const figures& r : runs) {
        if (r.values[f]) {
            values.push_back(*r.values[f]);
        }
    }
    if (values.empty()) {
        return std::nullopt;
    }
    std::ranges::sort(values);
    const std::size_t half = values.size() / 2;
    const double median =
        values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
    return spread{median, values.front(), values.back()};
}

}  // namespace

void print_second(const load& l, std::uint32_t run, const figures& f, bool first) {
    static_cast<void>(l);
    if (first) {
        std::fprintf(stderr, "%4s", "run");
        for (std::size_t i = 0; i < figure_count; ++i) {
            if (f.values[i]) {
                std::fprintf(stderr, " %*s",
                             std::max<int>(static_cast<int>(figure_names[i].size()), 10),
                             figure_names[i].data());
            }
        }
        std::fprintf(stderr, "\n");
    }
    std::fprintf(stderr, "\r\033[K%4" PRIu32, run + 1);
    for (std::size_t i = 0; i < figure_count; ++i) {
        if (f.values[i]) {
            const double v = *f.values[i];
            std::fprintf(
                stderr, " %*.*f", std::max<int>(static_cast<int>(figure_names[i].size()), 10),
                v < 1000 && v != static_cast<double>(static_cast<std::uint64_t>(v)) ? 2 : 0, v);
        }
    }
    std::fprintf(stderr, "\n");
}

void print_medians(const load& l, const std::vector<figures>& runs) {
    std::printf("%s, %" PRIu32 " lcore%s, %zu run%s\n\n", l.wire.c_str(), l.workers,
                l.workers == 1 ? "" : "s", runs.size(), runs.size() == 1 ? "" : "s");
    std::printf("  %-24s %14s %14s %14s\n", "", "median", "least", "most");
    for (std::size_t i = 0; i < figure_count; ++i) {
        if (const auto s = spread_of(runs, i)) {
            std::printf("  %-24s %14.2f %14.2f %14.2f\n", figure_names[i].data(), s->median, s->min,
                        s->max);
        }
    }
}

void print_json(const load& l, const std::vector<figures>& runs) {
    std::printf("{");
    for (std::size_t i = 0; i < figure_count; ++i) {
        const char* const name = figure_names[i].data();
        if (const auto s = spread_of(runs, i)) {
            std::printf("\"%s\": %.3f, \"%s_min\": %.3f, \"%s_max\": %.3f, ", name, s->median, name,
                        s->min, name, s->max);
        } else {
            std::printf("\"%s\": null, \"%s_min\": null, \"%s_max\": null, ", name, name, name);
        }
    }
    std::printf("\"wire\": \"%s\", \"lcores\": %" PRIu32 ", \"runs\": %zu}\n", l.wire.c_str(),
                l.workers, runs.size());
}

}  // namespace bench
