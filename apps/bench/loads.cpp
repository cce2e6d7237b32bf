// SPDX-License-Identifier: BSD-3-Clause
#include "loads.hpp"

#include <rte_eal.h>
#include <rte_memory.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "both_ends.hpp"
#include "bulk.hpp"
#include "endings.hpp"
#include "exchange.hpp"
#include "measure.hpp"

namespace bench {
namespace {

double per_second(std::uint64_t a, std::uint64_t b, const look& first, const look& last) {
    return static_cast<double>(b - a) / (last.at_s - first.at_s);
}

// Nanoseconds of busy polls an operation; empty when there was none.
std::optional<double> busy_per(std::uint64_t operations, const look& first, const look& last) {
    if (operations == 0) {
        return std::nullopt;
    }
    return (last.busy_ns - first.busy_ns) / static_cast<double>(operations);
}

void common_figures(figures& f, const look& first, const look& last) {
    f[figure::time_wait_held] = static_cast<double>(last.time_wait);
    f[figure::resets] = static_cast<double>(last.resets - first.resets);
    f[figure::retransmits] = static_cast<double>(last.retransmits - first.retransmits);
    f[figure::failed] = static_cast<double>(last.failed - first.failed);
}

void latency_figures(figures& f, const look& first, const look& last) {
    histogram::counts between = last.latency;
    for (std::size_t i = 0; i < between.size(); ++i) {
        between[i] -= first.latency[i];
    }
    if (std::ranges::all_of(between, [](std::uint64_t n) { return n == 0; })) {
        return;  // a server measures none
    }
    const auto us = [&](double share) {
        return static_cast<double>(histogram::percentile(between, share)) / 1000;
    };
    f[figure::latency_us_p50] = us(0.5);
    f[figure::latency_us_p99] = us(0.99);
    f[figure::latency_us_p9999] = us(0.9999);
}

// Of loads whose connections end by themselves.
void connections_option(CLI::App& app, load& l) {
    app.add_option("--connections", l.connections,
                   "A run is so many connections, up to a multiple of the lcores that open them, "
                   "however long they take")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
}

void exchange_options(CLI::App& app, load& l) {
    app.add_option("--request-octets", l.request_octets, "Octets of a request")
        ->capture_default_str()
        ->check(CLI::Range(1, 1400));
    app.add_option("--reply-octets", l.reply_octets, "Octets of a reply")
        ->capture_default_str()
        ->check(CLI::Range(1, 1400));
}

int run_exchange(lastack::runtime& rt, load& l) {
    return run_both<exchange_server, exchange_client>(rt, l);
}

subject cps_subject() {
    return {"cps",
            "Whole connections: open, one request, a reply that carries the server's FIN, "
            "TIME_WAIT on the server",
            [](CLI::App& app, load& l) {
                connections_option(app, l);
                exchange_options(app, l);
            },
            run_exchange,
            [](figures& f, const load&, const look& a, const look& b) {
                f[figure::cps] = per_second(a.connections, b.connections, a, b);
                f[figure::cpu_ns_per_connection] = busy_per(b.connections - a.connections, a, b);
                common_figures(f, a, b);
            },
            true};
}

subject rps_subject() {
    return {"rps", "Requests on connections that are kept",
            [](CLI::App& app, load& l) {
                l.closes = false;
                l.time_wait = 65536;
                exchange_options(app, l);
            },
            run_exchange,
            [](figures& f, const load&, const look& a, const look& b) {
                f[figure::rps] = per_second(a.requests, b.requests, a, b);
                f[figure::cpu_ns_per_request] = busy_per(b.requests - a.requests, a, b);
                latency_figures(f, a, b);
                common_figures(f, a, b);
            }};
}

subject latency_subject() {
    return {"latency",
            "Round trips of a small request, one at a time or at a share of what is possible",
            [](CLI::App& app, load& l) {
                l.closes = false;
                l.time_wait = 65536;
                l.at_once = 64;
                exchange_options(app, l);
                app.add_option("--load", l.load_percent,
                               "Per cent of the rate that is possible, measured for a second "
                               "before; 0: one request at a time")
                    ->capture_default_str()
                    ->check(CLI::Range(0, 95));
            },
            run_exchange,
            [](figures& f, const load&, const look& a, const look& b) {
                f[figure::rps] = per_second(a.requests, b.requests, a, b);
                latency_figures(f, a, b);
                common_figures(f, a, b);
            }};
}

subject throughput_subject() {
    return {
        "throughput", "Bulk, from client to server",
        [](CLI::App& app, load& l) {
            l.closes = false;
            l.time_wait = 65536;
            l.at_once = 1;
            l.client_address_count = 1;
            l.request_octets = 65536;
            l.mbufs = 65536;
            app.add_option("--mtu", l.mtu, "Octets of IP packet [9000 on ring, else 1500]")
                ->check(CLI::Range(576, 9000));
        },
        [](lastack::runtime& rt, load& l) { return run_both<sink_server, source_client>(rt, l); },
        [](figures& f, const load& l, const look& a, const look& b) {
            if (l.here != role::client) {  // which receives nothing
                f[figure::gbit_per_s] = per_second(a.octets, b.octets, a, b) * 8 / 1e9;
            }
            common_figures(f, a, b);
        }};
}

subject connections_subject() {
    return {
        "connections",
        "Established connections that lie idle: what each takes of memory, mbufs apart",
        [](CLI::App&, load& l) {
            l.closes = false;
            l.idle = true;
            l.time_wait = 65536;
            l.at_once = 1'000'000;
            l.request_octets = 0;
            l.mbufs = 65536;
            l.runs = 1;
        },
        [](lastack::runtime& rt, load& l) { return run_both<sink_server, source_client>(rt, l); },
        [](figures& f, const load& l, const look& a, const look& b) {
            // Everything is reserved at start, so what is resident is for as many as there is room
            // for.
            const double stacks = static_cast<double>(l.workers) * (l.here == role::both ? 2 : 1);
            const double bytes = static_cast<double>(resident_bytes()) -
                                 static_cast<double>(rte_eal_get_physmem_size());
            f[figure::bytes_per_connection] = bytes / (static_cast<double>(l.at_once) * stacks);
            common_figures(f, a, b);
        }};
}

subject teardown_subject() {
    return {
        "teardown",
        "Connections that end in every way there is, in turn: active, passive, simultaneous, "
        "reset, half-close, orphan",
        [](CLI::App& app, load& l) {
            l.at_once = 16384;
            l.rate = 50'000;
            app.add_option("--rate", l.rate, "Connections a second on each lcore")
                ->capture_default_str()
                ->check(CLI::Range(1, 10'000'000));
            connections_option(app, l);
        },
        [](lastack::runtime& rt, load& l) { return run_both<ending_server, ending_client>(rt, l); },
        [](figures& f, const load&, const look& a, const look& b) {
            f[figure::cps] = per_second(a.connections, b.connections, a, b);
            f[figure::cpu_ns_per_connection] = busy_per(b.connections - a.connections, a, b);
            common_figures(f, a, b);
        }};
}

}  // namespace

std::vector<subject> load_subjects() {
    return {cps_subject(),     rps_subject(),         throughput_subject(),
            latency_subject(), connections_subject(), teardown_subject()};
}

}  // namespace bench
