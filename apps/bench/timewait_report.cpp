// SPDX-License-Identifier: BSD-3-Clause
#include <cstdio>

#include "timewait.hpp"

namespace bench {

namespace {

void print_cost(const char* name, const cost& c) {
    std::printf("  %-34s %8.1f", name, c.ns);
    if (c.cycles >= 0) {
        std::printf(" %8.0f %8.2f", c.cycles, c.misses);
    }
    std::printf("\n");
}

void print_cost(const char* name, const std::optional<cost>& c) {
    if (c) {
        print_cost(name, *c);
    }
}

// `, "name_ns": 1.2`, and the counters where there are some.
void put(const char* name, const cost& c) {
    std::printf(", \"%s_ns\": %.2f", name, c.ns);
    if (c.cycles >= 0) {
        std::printf(", \"%s_cycles\": %.1f, \"%s_misses\": %.3f", name, c.cycles, name, c.misses);
    }
}

void put(const char* name, const std::optional<cost>& c) {
    if (c) {
        put(name, *c);
    }
}

}  // namespace

void print_text(const timewait_options& o, const timewait_figures& f,
                const std::vector<baseline>& others) {
    std::printf("%u IPv%u records in TIME_WAIT, on pages of %s\n\n", f.entries, o.family,
                f.huge ? "2 MiB" : "4 KiB (or larger ones that the kernel gave)");
    std::printf("  %-34s %8.2f\n", "bytes a record, all in", f.bytes_per_record);
    std::printf("  %-34s %8.2f\n\n", "seconds to reserve them", f.reserve_s);
    std::printf("  %-34s %8s%s\n", "in bursts of 32", "ns",
                f.hit.cycles >= 0 ? "   cycles   misses" : "");
    print_cost("a random line of as much, read", f.lines.read);
    print_cost("the same, read and written", f.lines.write);
    print_cost("enter, over the whole fill", f.enter);
    print_cost("enter, the last sixteenth", f.enter_full);
    print_cost("look up, hit", f.hit);
    print_cost("look up, miss", f.miss);
    print_cost("look up, miss, empty table, singly", f.miss_in_empty);
    print_cost("restart, with its look-up", f.restart);
    print_cost("re-open by a SYN and enter again", f.reuse);
    print_cost("expire", f.expire);
    std::printf(
        "\n  all due at once, us a poll: 50 %% %.1f, 99 %% %.1f, 99.9 %% %.1f, 99.99 %% %.1f,"
        " longest %.1f\n  records touched in a poll: %u at most\n",
        f.poll_us[0], f.poll_us[1], f.poll_us[2], f.poll_us[3], f.poll_us[4],
        f.records_per_poll_max);
    for (const baseline& b : others) {
        std::printf("\n%s, %u entries\n", b.name.c_str(), b.entries);
        std::printf("  %-34s %8.2f\n", "bytes an entry", b.bytes_per_record);
        print_cost("enter", b.enter);
        print_cost("look up, hit", b.hit);
        print_cost("look up, miss", b.miss);
        print_cost("restart", b.restart);
        print_cost("expire", b.expire);
        if (b.longest_poll_us) {
            std::printf("  %-34s %8.1f\n", "longest poll, us", *b.longest_poll_us);
        }
    }
}

void print_json(const timewait_options& o, const timewait_figures& f,
                const std::vector<baseline>& others) {
    std::printf("{\"entries\": %u, \"family\": %u, \"huge\": %s, \"bytes_per_record\": %.3f",
                f.entries, o.family, f.huge ? "true" : "false", f.bytes_per_record);
    put("line_read", f.lines.read);
    put("line_write", f.lines.write);
    put("enter", f.enter);
    put("enter_full", f.enter_full);
    put("lookup_hit", f.hit);
    put("lookup_miss", f.miss);
    put("lookup_miss_empty", f.miss_in_empty);
    put("reuse", f.reuse);
    put("restart", f.restart);
    put("expire", f.expire);
    std::printf(
        ", \"poll_us\": {\"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f, \"p9999\": %.2f}"
        ", \"longest_poll_us\": %.2f, \"records_per_poll_max\": %u, \"reserve_s\": %.3f",
        f.poll_us[0], f.poll_us[1], f.poll_us[2], f.poll_us[3], f.poll_us[4],
        f.records_per_poll_max, f.reserve_s);
    for (const baseline& b : others) {
        std::printf(", \"%s\": {\"entries\": %u, \"bytes_per_record\": %.3f", b.name.c_str(),
                    b.entries, b.bytes_per_record);
        put("enter", b.enter);
        put("lookup_hit", b.hit);
        put("lookup_miss", b.miss);
        put("restart", b.restart);
        put("expire", b.expire);
        if (b.longest_poll_us) {
            std::printf(", \"longest_poll_us\": %.2f", *b.longest_poll_us);
        }
        std::printf("}");
    }
    std::printf("}\n");
}

}  // namespace bench
