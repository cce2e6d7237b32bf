// SPDX-License-Identifier: BSD-3-Clause
// lastack-echo: sends back what it receives until the peer has closed, and then closes too.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "echo.hpp"
#include "lastack/app_options.hpp"
#include "lastack/runtime.hpp"

int main(int argc, char** argv) {
    CLI::App app{"An echo server on lastack, a TCP stack in user space.", "lastack-echo"};
    lastack::coroutine_options coroutines{.frames = 65536, .frame_octets = 496};
    app.add_option("--connections", coroutines.frames,
                   "Connections served at a time on each core; further ones are reset")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 24));
    lastack::app_options shared(app, 7);
    const auto options = shared.parse(argc, argv);
    if (!options) {
        return options.error();
    }
    std::vector<lastack::endpoint> listen;
    for (const std::uint16_t port : options->listen()) {
        listen.push_back({{}, port});
    }
    auto runtime = lastack::runtime::start(*options);
    if (!runtime) {
        std::fprintf(stderr, "lastack-echo: %s\n", runtime.error().c_str());
        return 2;
    }

    echo::totals sum;
    const auto serve = [&sum](lastack::connection c) { return echo::serve(std::move(c), sum); };
    const int status = (*runtime)->run(
        [&](lastack::place) { return lastack::coroutine_server(serve, listen, coroutines); });

    std::printf("echoed %ju octets\n", static_cast<std::uintmax_t>(sum.octets.load()));
    for (const lastack::close_outcome_row& row : lastack::close_outcomes) {
        const std::uint64_t n = sum.ended[static_cast<std::size_t>(row.outcome)].load();
        if (n > 0) {
            std::printf("%8ju %s\n", static_cast<std::uintmax_t>(n), row.name.data());
        }
    }
    return status;
}
