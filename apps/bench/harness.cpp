// SPDX-License-Identifier: BSD-3-Clause
#include "harness.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <thread>

#include "lastack/app_options.hpp"
#include "measure.hpp"
#include "null_wire.hpp"
#include "stack/core.hpp"
#include "wires.hpp"

namespace bench {
namespace {

using std::chrono::milliseconds;

constexpr double never = 1e300;

look look_at(load& l, const lastack::runtime& rt) {
    const std::lock_guard hold(l.lock);
    look seen;
    seen.at_s = nanoseconds_since(clock::time_point{}) / 1e9;
    for (const tally& t : l.tallies) {
        const bool counts = t.which == end::client || l.here == role::server;
        seen.connections += counts ? t.connections.get() : 0;
        seen.requests += counts ? t.requests.get() : 0;
        seen.begun += t.begun.get();
        seen.octets += t.octets.get();
        seen.failed += t.failed.get();
        seen.open += counts ? t.open.get() : 0;
        seen.time_wait += t.time_wait.get();
        t.latency.add_to(seen.latency);
        if (t.core != nullptr) {
            seen.resets += t.core->counters().get(lastack::counter::tcp_out_rsts);
            seen.retransmits += t.core->counters().get(lastack::counter::tcp_retrans_segs);
        }
    }
    for (unsigned w = 0; w < l.workers; ++w) {
        seen.busy_ns += static_cast<double>(rt.busy(w).count());
    }
    return seen;
}

class reporter {
  public:
    reporter(const subject& what, load& l, lastack::runtime& rt) : what_(what), l_(l), rt_(rt) {}

    void operator()() {
        if (l_.here == role::server) {
            wait_for([](const look& n) { return n.requests + n.octets > 0; }, never);
        }
        for (std::uint32_t run = 0; run < l_.runs && !stopped(); ++run) {
            one_run(run);
        }
        // Nothing new; what is under way may end.
        l_.wanted.connections = 0;
        if (l_.here != role::server && l_.closes) {
            wait_for([](const look& n) { return n.begun <= n.connections + n.failed; }, 10);
        }
        rt_.stop();
    }

    std::vector<figures> runs;

  private:
    bool stopped() const { return l_.stopped.load(); }
    look now() const { return look_at(l_, rt_); }

    template <class F>
    void wait_for(F&& f, double seconds) {
        const auto until = clock::now() + std::chrono::duration<double>(std::min(seconds, 1e6));
        while (!stopped() && clock::now() < until && !f(now())) {
            std::this_thread::sleep_for(milliseconds(2));
        }
    }

    void one_run(std::uint32_t run) {
        const bool fixed = l_.connections != 0;
        if (l_.here != role::server && !fixed && run == 0) {
            l_.wanted.connections = ~std::uint64_t{0};
            std::this_thread::sleep_for(milliseconds(500));  // neighbours are known, caches warm
            if (l_.idle) {
                const std::uint64_t all = std::uint64_t{l_.at_once} * l_.client_lcores();
                wait_for([all](const look& n) { return n.open >= all; }, 600);
            }
            if (l_.load_percent != 0) {
                const look a = now();
                std::this_thread::sleep_for(std::chrono::seconds(1));
                const look b = now();
                const auto possible =
                    static_cast<double>(b.requests - a.requests) / (b.at_s - a.at_s);
                l_.wanted.rate = static_cast<std::uint64_t>(possible * l_.load_percent / 100 /
                                                            l_.client_lcores());
                std::this_thread::sleep_for(milliseconds(200));
            }
        }
        const look first = now();
        look before = first;
        if (fixed) {
            l_.wanted.connections = (run + 1) * (l_.connections / l_.client_lcores());
        }
        double quiet_since = first.at_s;
        for (;;) {
            const auto next = clock::now() + std::chrono::seconds(1);
            const auto over = [&](const look& n) {
                return fixed ? n.connections + n.failed >=
                                   first.connections + first.failed + l_.connections
                             : n.at_s >= first.at_s + l_.seconds;
            };
            look at = now();
            while (!stopped() && clock::now() < next && !over(at)) {
                std::this_thread::sleep_for(fixed ? std::chrono::microseconds(200)
                                                  : std::chrono::microseconds(2000));
                at = now();
            }
            print_row(run, before, at, share_done(first, at));
            quiet_since = at.connections != before.connections || at.octets != before.octets
                              ? at.at_s
                              : quiet_since;
            if (stopped() || over(at) || (fixed && at.at_s - quiet_since > 30)) {
                figures f;
                what_.measure(f, l_, first, at);
                runs.push_back(f);
                return;
            }
            before = at;
        }
    }

    double share_done(const look& first, const look& at) const {
        return l_.connections != 0 ? static_cast<double>(at.connections - first.connections) /
                                         static_cast<double>(l_.connections)
                                   : std::min((at.at_s - first.at_s) / l_.seconds, 1.0);
    }

    void print_row(std::uint32_t run, const look& a, const look& b, double done) {
        figures f;
        what_.measure(f, l_, a, b);
        print_second(l_, run, f, rows_++ == 0);
        bar_.show(what_.name, done);
    }

    const subject& what_;
    load& l_;
    lastack::runtime& rt_;
    progress bar_;
    unsigned rows_ = 0;
};

// One line that says what to do, and the status of bad input.
int refuse(const char* name, const std::string& what) {
    std::fprintf(stderr, "lastack-bench %s: %s\n", name, what.c_str());
    return 2;
}

void add_common_options(CLI::App& app, load& l) {
    app.add_option("--wire", l.wire,
                   "ring: both ends here, joined by rings in memory; null: this server alone, its "
                   "peer a few prepared segments; memif, tap, af_packet: the same everywhere else; "
                   "port: the device that EAL's own words name")
        ->capture_default_str()
        ->check(CLI::IsMember({"ring", "null", "memif", "tap", "af_packet", "port"}));
    app.add_option("--role", l.here, "Which end runs here (ring and null have both)")
        ->transform(CLI::CheckedTransformer(std::map<std::string, role>{
            {"both", role::both}, {"server", role::server}, {"client", role::client}}))
        ->option_text("both|server|client");
    app.add_option("--interface", l.interface, "Of --wire af_packet: the interface to open");
    app.add_option("--server", l.server_text,
                   "Address of the server, where it is not here [10.0.0.2]");
    app.add_option("--seconds", l.seconds, "Length of a run")
        ->capture_default_str()
        ->check(CLI::Range(1, 86400));
    app.add_option("--runs", l.runs, "Runs, of which medians are reported")
        ->capture_default_str()
        ->check(CLI::Range(1, 1000));
    app.add_option("--at-once", l.at_once, "Connections open at a time on each lcore")
        ->capture_default_str()
        ->check(CLI::Range(1u, 1u << 24));
    app.add_option("--client-addresses", l.client_address_count, "Addresses that clients open from")
        ->capture_default_str()
        ->check(CLI::Range(1, 64));
    app.add_option("--server-ports", l.server_ports,
                   "Ports that the server listens on, from --listen on")
        ->capture_default_str()
        ->check(CLI::Range(1, 4096));
    app.add_option("--time-wait", l.time_wait, "Records that the server can hold")
        ->capture_default_str()
        ->check(CLI::Range(1u, 1u << 29));
    app.add_flag("--huge,!--no-huge", l.huge,
                 "Of --wire null: 2 MiB pages, if enough are free (the default)");
    app.add_flag("--steered", l.steered,
                 "Of --wire ring with several workers: connections may have their two ends on two "
                 "lcores, so that frames are handed over as where a port has no RSS");
    app.add_flag("--apart", l.apart,
                 "Of --wire ring with two workers: clients on one lcore, the server's ends on the "
                 "other");
    app.add_flag("--json", l.json, "Print one JSON object");
}

// The complaint about a word that this wire would not heed; empty when there is none.
std::string unheeded(const CLI::App& app, const load& l, bool eal_words) {
    const auto complaint = [&](const std::string& word) {
        return "'" + word + "' has no effect with --wire " + l.wire + "; leave it out";
    };
    if (l.wire != "null") {
        if (app.count("--seconds") != 0 && l.connections != 0) {
            return "--seconds has no effect with --connections; leave one of them out";
        }
        if (app.count("--huge") != 0) {
            return complaint("--huge") + " (EAL's own --no-huge goes before a --)";
        }
        const bool other = app.count("--interface") != 0 && l.wire != "af_packet";
        return other ? complaint("--interface") : "";
    }
    if (eal_words) {
        return complaint("--") + " with what is before it";
    }
    constexpr std::array<std::string_view, 10> heeded{
        "--wire", "--runs", "--at-once",     "--client-addresses", "--time-wait",
        "--huge", "--json", "--connections", "--request-octets",   "--reply-octets"};
    for (const CLI::Option* o : app.get_options()) {
        const auto name = o->get_name();
        const bool both = name == "--role" && l.here == role::both;
        if (o->count() != 0 && !both && std::ranges::find(heeded, name) == heeded.end()) {
            return complaint(name);
        }
    }
    return {};
}

int print_null(const subject& what, load& l) {
    set_up_null(l);
    const auto runs = run_null(l);
    if (!runs) {
        return refuse(what.name, runs.error());
    }
    (l.json ? print_json : print_medians)(l, *runs);
    return 0;
}

}  // namespace

int run_subject(const subject& what, int argc, const char* const* argv) {
    CLI::App app{what.sentence, std::string("lastack-bench ") + what.name};
    auto l = std::make_unique<load>();
    add_common_options(app, *l);
    what.options(app, *l);
    lastack::app_options shared{app};
    auto options = shared.parse(argc, argv);
    if (!options) {
        return options.error();
    }
    if (l->wire == "null" && !what.without_peer) {
        return refuse(what.name, "--wire null is for cps only");
    }
    const bool eal_words = std::find(argv, argv + argc, std::string_view("--")) != argv + argc;
    if (const auto complaint = unheeded(app, *l, eal_words); !complaint.empty()) {
        return refuse(what.name, complaint);
    }
    if (l->wire == "null") {
        return print_null(what, *l);
    }
    if (const auto done = set_up_wire(*l, *options); !done) {
        return refuse(what.name, done.error());
    }
    auto rt = lastack::runtime::start(*options);
    if (!rt) {
        return refuse(what.name, rt.error());
    }
    std::fprintf(stderr, "%s\n", (*rt)->describe().c_str());
    const bool singly = std::string_view(what.name) == "latency" && l->load_percent == 0;
    l->wanted.at_once = singly ? 1 : l->at_once;
    l->wanted.rate = l->rate;
    reporter r{what, *l, **rt};
    std::thread reporting{std::ref(r)};
    const int status = what.run(**rt, *l);
    l->stopped = true;
    reporting.join();
    std::uint64_t failed = 0, leaked = 0;
    for (const tally& t : l->tallies) {
        failed += t.failed.get();
        leaked += t.leaked.get();
    }
    if (status == 0 && !r.runs.empty()) {
        (l->json ? print_json : print_medians)(*l, r.runs);
    }
    if (leaked != 0) {
        std::fprintf(stderr,
                     "lastack-bench %s: %llu connections, handles or buffers were left over\n",
                     what.name, static_cast<unsigned long long>(leaked));
    }
    return status != 0 ? status : failed + leaked != 0 ? 1 : 0;
}

}  // namespace bench
