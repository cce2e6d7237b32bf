// SPDX-License-Identifier: BSD-3-Clause
// lastack-httpd: serves files, or a built-in page, over HTTP/1.0 and 1.1.
//
//   main.cpp    the command line, start and final counts
//   server.hpp  one core's connections
//   client.hpp  the built-in client at the other end of an in-memory wire
//   http.hpp    parsing and rendering, without a connection
//   site.hpp    what there is to serve
#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdio>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "client.hpp"
#include "lastack/app_options.hpp"
#include "lastack/runtime.hpp"
#include "server.hpp"

namespace {

void print(const std::deque<httpd::counts>& cores) {
    httpd::counts sum;
    for (const httpd::counts& c : cores) {
        sum.connections += c.connections;
        sum.requests += c.requests;
        sum.octets += c.octets;
        sum.timed_out += c.timed_out;
        sum.refused += c.refused;
        sum.lost += c.lost;
        for (std::size_t i = 0; i < sum.by_class.size(); ++i) {
            sum.by_class[i] += c.by_class[i];
        }
    }
    std::printf("connections %" PRIu64 " (timed out %" PRIu64 ", lost %" PRIu64 ", refused %" PRIu64
                ")\nrequests %" PRIu64 ", answers 2xx %" PRIu64 ", 3xx %" PRIu64 ", 4xx %" PRIu64
                ", 5xx %" PRIu64 ", %" PRIu64 " octets\n",
                sum.connections, sum.timed_out, sum.lost, sum.refused, sum.requests,
                sum.by_class[2], sum.by_class[3], sum.by_class[4], sum.by_class[5], sum.octets);
}

// True if all that was to be fetched was, and was right.
bool print(const httpd::fetches& all) {
    const std::uint64_t ended = all.ended, failed = all.failed;
    std::printf("client: %" PRIu64 " of %" PRIu64 " connections opened and closed, %" PRIu64
                " failed\n",
                ended, all.wanted, failed);
    return ended == all.wanted && failed == 0;
}

constexpr unsigned server_port = 0;
constexpr unsigned client_port = 1;

// Tells the client where the server is and what it must get there. Returns what is wrong, if
// anything.
std::string prepare(httpd::fetches& all, const lastack::runtime_options& options,
                    const httpd::site& files, const httpd::settings& settings) {
    if (all.wanted == 0) {
        return {};
    }
    const auto* page = files.find("/");
    const auto addresses = options.addresses(server_port);
    if (addresses.empty() || options.addresses(client_port).empty()) {
        return "--client needs a wire with both ends here: --driver-config net_ring.toml";
    }
    if (page == nullptr) {
        return "--client fetches /, but the root has no index.html";
    }
    all.server = {addresses.front(), options.listen().front()};
    all.page = page->body;
    all.who_closes = settings.who_closes;
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"An HTTP server on lastack, a TCP stack in user space.", "lastack-httpd"};
    std::string root;
    httpd::settings settings;
    unsigned idle_seconds = 60;
    httpd::fetches fetches;
    app.add_option("--root", root, "Directory to serve, read into memory at start");
    app.add_option("--close", settings.who_closes,
                   "Who closes first when a connection is not kept: the server, as HTTP has it, or "
                   "the client, for which the server then waits")
        ->transform(CLI::CheckedTransformer(std::map<std::string, httpd::close_first>{
            {"server", httpd::close_first::server}, {"client", httpd::close_first::client}}))
        ->option_text("server|client");
    app.add_option("--idle-timeout", idle_seconds,
                   "Seconds to wait for a request, for all of it, or for an answer to be taken")
        ->capture_default_str()
        ->check(CLI::Range(1, 86400));
    app.add_option("--client", fetches.wanted,
                   "Also run a client at the other end of the wire (net_ring), which fetches / so "
                   "many times, each over a connection of its own, and checks what comes")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
    lastack::app_options shared(app);
    const auto options = shared.parse(argc, argv);
    if (!options) {
        return options.error();
    }
    settings.idle_timeout = std::chrono::seconds(idle_seconds);
    for (const std::uint16_t port : options->listen()) {
        settings.listen.push_back({{}, port});
    }
    std::unique_ptr<httpd::site> files;
    try {
        files =
            root.empty() ? std::make_unique<httpd::site>() : std::make_unique<httpd::site>(root);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "lastack-httpd: %s\n", e.what());
        return 2;
    }
    if (const std::string wrong = prepare(fetches, *options, *files, settings); !wrong.empty()) {
        std::fprintf(stderr, "lastack-httpd: %s\n", wrong.c_str());
        return 2;
    }
    auto runtime = lastack::runtime::start(*options);
    if (!runtime) {
        std::fprintf(stderr, "lastack-httpd: %s\n", runtime.error().c_str());
        return 2;
    }
    std::printf("serving %zu files, %zu octets%s%s\n", files->files(), files->octets(),
                root.empty() ? ": the built-in page" : " from ", root.c_str());
    if (files->links_refused() > 0) {
        std::printf("left out %zu links that lead nowhere or out of the directory\n",
                    files->links_refused());
    }
    std::fflush(stdout);

    std::mutex mutex;  // servers are made on their own cores, at the same time
    std::deque<httpd::counts> cores;
    const auto make_server = [&] {
        const std::lock_guard lock(mutex);
        return httpd::server(settings, *files, cores.emplace_back());
    };
    if (fetches.wanted == 0) {
        const int status = (*runtime)->run([&](lastack::place) { return make_server(); });
        print(cores);
        return status;
    }
    const int status = (*runtime)->run([&](lastack::place where) {
        return where.port == client_port ? httpd::either_end(fetches)
                                         : httpd::either_end(make_server());
    });
    print(cores);
    return print(fetches) ? status : 1;
}
