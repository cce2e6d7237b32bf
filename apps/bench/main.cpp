// SPDX-License-Identifier: BSD-3-Clause
// lastack-bench: what the parts of lastack cost on this machine, against what else there is.
//
// lastack-bench [EAL ARGS --] timewait [--entries N] [--family 4|6] [--huge|--no-huge] [--json]
// lastack-bench [EAL ARGS --] cps|rps|... [--wire ...] [--role ...] [--json]: see --help of each
// lastack-bench cores [--cpus A B]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "cores.hpp"
#include "loads.hpp"
#include "timewait.hpp"

namespace {

int refuse(const std::string& what) {
    std::fprintf(stderr, "lastack-bench: %s\n", what.c_str());
    return 2;
}

int run_timewait(const bench::timewait_options& o, const std::vector<std::string>& eal) {
    // EAL's own words are tried at once, so that a bad one costs no time. Without any EAL starts
    // late, on memory that the table has given back.
    auto started = eal.empty() ? lastack::result<bool, std::string>{false}
                               : bench::start_eal(bench::heap_mib(o), o.huge, eal);
    if (!started.ok()) {
        return refuse(started.error());
    }
    bench::progress bar;
    const auto own = bench::measure_timewait(o, bar);
    if (!own.ok()) {
        return refuse(own.error());
    }
    auto others = bench::measure_wheels(o, bar);
    if (!others.ok()) {
        return refuse(others.error());
    }
    if (eal.empty()) {
        started = bench::start_eal(bench::heap_mib(o), own->huge, {});
        if (!started.ok()) {
            return refuse(started.error());
        }
    }
    auto dpdk = bench::measure_dpdk(o, bar);
    if (!dpdk.ok()) {
        return refuse(dpdk.error());
    }
    others->insert(others->end(), dpdk->begin(), dpdk->end());
    if (o.json) {
        bench::print_json(o, *own, *others);
    } else {
        bench::print_text(o, *own, *others);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> words(argv + 1, argv + argc);
    // The subcommand is the first word, or the first behind EAL's.
    const auto separator = std::find(words.begin(), words.end(), "--");
    const auto command = separator == words.end() ? words.begin() : separator + 1;
    for (const bench::subject& s : bench::load_subjects()) {
        if (command != words.end() && *command == s.name) {
            const auto at = command - words.begin() + 1;
            std::vector<const char*> rest(argv, argv + argc);
            rest.erase(rest.begin() + at);
            return bench::run_subject(s, argc - 1, rest.data());
        }
    }
    if (command != words.end() && *command == "cores") {
        if (separator != words.end()) {
            return refuse("cores takes no arguments of EAL");
        }
        return bench::run_cores(argc - 1, argv + 1);
    }
    std::vector<std::string> eal;
    if (const auto dashes = std::find(words.begin(), words.end(), "--"); dashes != words.end()) {
        eal.assign(words.begin(), dashes);
        words.erase(words.begin(), dashes + 1);
    }
    std::reverse(words.begin(), words.end());  // CLI11 takes them from the back

    CLI::App app{
        "What the parts of lastack cost on this machine, against what else there is.\n"
        "EAL's arguments, if any, come first and end with --; only the baselines use EAL.",
        "lastack-bench"};
    app.require_subcommand(1);
    for (const bench::subject& s : bench::load_subjects()) {
        app.add_subcommand(s.name, s.sentence);  // for --help; they were looked for above
    }
    app.add_subcommand("cores", "How far apart two CPUs are: one way of a cache line");
    bench::timewait_options o;
    CLI::App& timewait = *app.add_subcommand(
        "timewait",
        "Fills a TIME_WAIT table, looks up, restarts, expires; then the same on the "
        "timer wheel, rte_timer and rte_hash");
    timewait.add_option("--entries", o.entries, "Records")
        ->capture_default_str()
        ->check(CLI::Range(8, 1 << 27));
    timewait.add_option("--family", o.family, "IPv4 or IPv6 records: 4 or 6")
        ->capture_default_str()
        ->check(CLI::IsMember({4, 6}));
    timewait.add_flag("--huge,!--no-huge", o.huge,
                      "2 MiB pages, if enough are free (the default), or the kernel's own");
    timewait.add_flag("--json", o.json, "Print one JSON object");
    try {
        app.parse(words);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) {
            return app.exit(e);
        }
        const auto unknown = app.remaining();
        return refuse(unknown.empty()
                          ? e.what()
                          : "'" + unknown.front() + "' is not known; --help lists what is");
    }
    return run_timewait(o, eal);
}
