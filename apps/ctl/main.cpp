// SPDX-License-Identifier: BSD-3-Clause
// lastack-ctl: looks into a running stack, and changes its settings, through DPDK telemetry.
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands.hpp"
#include "lastack/user_folder.hpp"

namespace {

std::string history_file() {
    if (const char* named = std::getenv("LASTACK_NSTAT_HISTORY"); named != nullptr) {
        return named;
    }
    const char* session = std::getenv("XDG_RUNTIME_DIR");
    const bool usable = session != nullptr && ::access(session, W_OK) == 0;
    return (usable ? std::string(session) + "/lastack-nstat" : std::string("/tmp/.lastack-nstat")) +
           ".u" + std::to_string(lastack::outer_uid());
}

// SIGINT or SIGTERM, or a time that is over.
class end_of_capture {
  public:
    // 0 seconds: no limit.
    explicit end_of_capture(unsigned seconds)
        : ends_(seconds == 0 ? clock::time_point::max()
                             : clock::now() + std::chrono::seconds(seconds)) {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        ::sigprocmask(SIG_BLOCK, &signals, nullptr);
        signals_ = ::signalfd(-1, &signals, SFD_CLOEXEC);
    }
    ~end_of_capture() { ::close(signals_); }
    end_of_capture(const end_of_capture&) = delete;
    // Waits so long at most; true when it has come.
    bool wait(std::chrono::milliseconds limit) const {
        const auto until = std::min(ends_, clock::now() + limit);
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
        pollfd ready{signals_, POLLIN, 0};
        return ::poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) > 0 ||
               clock::now() >= ends_;
    }

  private:
    using clock = std::chrono::steady_clock;
    clock::time_point ends_;
    int signals_;
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Looks into a running stack and changes its settings.", "lastack-ctl");
    app.require_subcommand(1);
    app.fallthrough();  // --file-prefix may stand behind the command too
    std::string prefix, key, file;
    unsigned seconds = 0;
    bool ignored = false;
    ctl::ss_options ss;
    ctl::nstat_options nstat;
    ctl::sysctl_options sysctl;
    app.add_option("--file-prefix", prefix, "EAL's name of the process, when several run");

    auto* list = app.add_subcommand("ss", "Connections, in the columns of ss -tan");
    list->add_flag("-t,-a,-n", ignored, "As on Linux; always so here");
    list->add_flag("-o", ss.timers, "Show timers");
    list->add_flag("-s", ss.summary, "Show counts by state only");
    list->add_flag("-H", ss.no_header, "No header");
    list->add_flag("--json", ss.json, "An array of objects");
    list->add_option("FILTER", ss.filter, "state NAME, sport = :PORT, dport = :PORT");

    auto* count = app.add_subcommand("nstat", "Counters, as differences from the last call");
    count->add_flag("-a", nstat.absolute, "Since the stack's start");
    count->add_flag("-z", nstat.zeros, "Zeros too");
    count->add_flag("-s", nstat.no_update, "Do not note the counts for the next call");
    count->add_flag("-r", nstat.reset, "Only note the counts");
    count->add_flag("--explain", nstat.explain, "What each one means");
    count->add_flag("--json", nstat.json, "One object");
    count->add_option("NAME", nstat.names, "Counters; * and ? as in a shell");

    auto* set = app.add_subcommand("sysctl", "Settings");
    set->add_flag("-a", sysctl.all, "All");
    set->add_flag("-n", sysctl.values_only, "Values without names");
    set->add_flag("-w", sysctl.write, "Only KEY=VALUE may follow");
    set->add_option("KEY", sysctl.arguments, "KEY, or KEY=VALUE to change it");

    auto* record = app.add_subcommand("capture", "Writes what the ports see to a pcapng file");
    record->add_option("FILE", file, "Made by the stack's process")->required();
    record->add_option("--seconds", seconds, "How long; without, until SIGINT");

    auto* why = app.add_subcommand("explain", "Why a connection is in its state, or how it ended");
    why->add_option("CONNECTION", key, "ADDR:PORT-ADDR:PORT, the stack's side first")->required();

    const auto fail = [](const std::string& sentence) {
        std::fprintf(stderr, "lastack-ctl: %s\n", sentence.c_str());
        return 2;
    };
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& e) {
        return app.exit(e);
    } catch (const CLI::ParseError& e) {
        const auto unknown = app.remaining();
        return fail((unknown.empty() ? e.what() : "'" + unknown.front() + "' is not known") +
                    " (--help shows how)");
    }

    auto stack = ctl::connection::open(prefix, ctl::search_directories());
    if (!stack) {
        return fail(stack.error());
    }
    const ctl::ask_function ask = [&](const std::string& c) { return stack->ask(c); };
    nstat.history = history_file();
    nstat.identity = stack->identity();
    try {
        std::string before;  // a failure
        const auto done = list->parsed()    ? ctl::ss(ask, ss)
                          : count->parsed() ? ctl::nstat(ask, nstat)
                          : set->parsed()   ? ctl::sysctl(ask, sysctl, before)
                          : record->parsed()
                              ? ctl::capture(ask, file,
                                             [end = std::make_shared<end_of_capture>(seconds)](
                                                 auto limit) { return end->wait(limit); })
                              : ctl::explain(ask, key);
        if (!done) {
            std::fwrite(before.data(), 1, before.size(), stdout);
            return fail(done.error());
        }
        std::fwrite(done->data(), 1, done->size(), stdout);
    } catch (const std::exception& e) {  // files and replies that are not what they should be
        return fail(e.what());
    }
    return 0;
}
