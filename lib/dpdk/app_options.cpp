// SPDX-License-Identifier: BSD-3-Clause
#include "lastack/app_options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "config/configuration.hpp"
#include "config/options.hpp"
#include "dpdk/eal.hpp"

namespace lastack {
namespace {

int complain(const std::string& program, const std::string& what) {
    std::string line = program + ": " + what;
    std::replace(line.begin(), line.end(), '\n', ' ');
    std::fprintf(stderr, "%s\n", line.c_str());
    return 2;
}

// The first word that only EAL knows.
std::string stray_eal_word(const std::vector<std::string>& words, const CLI::App& app) {
    for (const auto& word : words) {
        const auto name =
            word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
        if (dpdk::is_eal_word(word) && app.get_option_no_throw(name) == nullptr) {
            return word;
        }
    }
    return {};
}

// The first option whose value is the empty string, as from a variable that is not set. CLI11
// would take the next word as the value of "--option=".
std::string empty_option(const std::vector<std::string>& words, const CLI::App& app) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const bool next_is_empty = i + 1 < words.size() && words[i + 1].empty();
        const bool empty = next_is_empty || words[i].ends_with('=');
        const auto name = words[i].substr(0, words[i].find('='));
        if (empty && words[i].size() - name.size() < 2 &&
            app.get_option_no_throw(name) != nullptr) {
            return name;
        }
    }
    return {};
}

// A command line with EAL's words in it. What follows a blank in the name is a subcommand, which
// is behind the --.
std::string command_line(const std::string& name, const std::string& eal, const std::string& own) {
    const auto blank = std::min(name.find(' '), name.size());
    return name.substr(0, blank) + " " + eal + " --" + name.substr(blank) + " " + own;
}

}  // namespace

app_options::app_options(CLI::App& app, std::uint16_t listen) : app_(app), default_listen_(listen) {
    const std::string group = "Stack";
    app.add_option("--address", addresses_,
                   "Address of the stack, ADDR/LEN or ADDR/LEN@PORT with the index of a port; "
                   "repeatable [10.0.0.2/24]")
        ->allow_extra_args(false)
        ->group(group);
    app.add_option("--gateway", gateway_, "IPv4 address of the default gateway")->group(group);
    app.add_option("--listen", listen_,
                   "TCP port to listen on; repeatable [" + std::to_string(listen) + "]")
        ->allow_extra_args(false)
        ->check(CLI::Range(1, 65535))
        ->group(group);
    app.add_option("--workers", workers_, "Worker lcores, one stack on each [1]")
        ->check(CLI::Range(1, 127))
        ->group(group);
    app.add_option("--driver-config", driver_config_,
                   "Which port to use and how (TOML, see drivers_config/)")
        ->group(group);
    app.add_option("--config", config_, "Configuration file (TOML)")->group(group);
    app.add_option("--sysctl-file", sysctl_file_, "Settings in the syntax of sysctl.conf")
        ->group(group);
    app.add_option("--set", set_, "A setting, KEY=VALUE; repeatable")
        ->allow_extra_args(false)
        ->group(group);
    app.add_flag("--help-settings", help_settings_, "Print all settings and exit")->group(group);
    app.add_option("--run-for", run_for_, "Stop after this many seconds")
        ->check(CLI::Range(1, 1 << 30))
        ->group(group);
    app.add_option("--stats", stats_, "Print a line of statistics every this many seconds")
        ->check(CLI::Range(1, 1 << 30))
        ->group(group);
    app.add_option("--capture", capture_, "Write what the ports see to this pcapng file")
        ->group(group);
    app.footer("EAL's own arguments go before a --:\n  " +
               command_line(app.get_name(), "-a 0000:01:00.0", "--address 192.0.2.1/24"));
}

result<runtime_options, int> app_options::parse(int argc, const char* const* argv) {
    std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    const std::string program = app_.get_name().empty() ? "lastack" : app_.get_name();
    const auto separator = std::find(words.begin(), words.end(), "--");
    if (separator != words.end()) {
        eal_.assign(words.begin(), separator);
        words.erase(words.begin(), separator + 1);
    } else if (const auto stray = stray_eal_word(words, app_); !stray.empty()) {
        return failure{
            complain(program, "'" + stray +
                                  "' is for EAL, whose arguments go before a --, "
                                  "for example: " +
                                  command_line(program, stray + " ...",
                                               "--listen " + std::to_string(default_listen_)))};
    }
    if (const auto empty = empty_option(words, app_); !empty.empty()) {
        return failure{complain(
            program, empty + " is given an empty value; name one, or leave " + empty + " out")};
    }
    try {
        std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
        app_.parse(words);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) {
            return failure{app_.exit(e)};  // prints the help
        }
        return failure{complain(program, std::string(e.what()) + " (--help lists all options)")};
    }
    if (help_settings_) {
        std::fputs(config::help_text().c_str(), stdout);
        return failure{0};
    }
    auto gathered = gather();
    if (!gathered) {
        return failure{complain(program, gathered.error())};
    }
    gathered->program = program;
    return std::move(*gathered);
}

// Files first, in the order of their precedence, then single words over them.
result<runtime_options, std::string> app_options::gather() const {
    runtime_options options;
    options.set_listen({default_listen_});
    const auto first_error = [&]() -> result<bool, std::string> {
        result<bool, std::string> done = true;
        if (!driver_config_.empty() && !(done = options.read_driver_config(driver_config_))) {
            return done;
        }
        if (!config_.empty() && !(done = options.read_config(config_))) {
            return done;
        }
        if (!sysctl_file_.empty() && !(done = options.read_sysctl_file(sysctl_file_))) {
            return done;
        }
        for (const auto& assignment : set_) {
            if (!(done = options.set_assignment(assignment))) {
                return done;
            }
        }
        if (!addresses_.empty() && !(done = options.set_addresses(addresses_))) {
            return done;
        }
        return gateway_.empty() ? done : options.set_gateway(gateway_);
    }();
    if (!first_error) {
        return failure{first_error.error()};
    }
    if (!listen_.empty()) {
        options.set_listen(listen_);
    }
    if (workers_ != 0) {
        options.set_workers(workers_);
    }
    options.add_eal_arguments(eal_);
    options.capture = capture_;
    options.run_for = std::chrono::seconds(run_for_);
    options.stats = std::chrono::seconds(stats_);
    return options;
}

}  // namespace lastack
