// SPDX-License-Identifier: BSD-3-Clause
// The command line that applications on lastack share: EAL's arguments, `--`, then their own.
//
//   CLI::App app{"An HTTP server"};
//   app.add_option("--root", root, "...");
//   lastack::app_options shared{app};
//   auto options = shared.parse(argc, argv);
//   if (!options) { return options.error(); }
//
// Precedence: built-in, --driver-config, --config, --sysctl-file, then the command line's own
// words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lastack/options.hpp"
#include "lastack/result.hpp"

namespace CLI {
class App;
}

namespace lastack {

class app_options {
  public:
    // Adds the shared options to `app`, which must outlive this. `listen` is the TCP port to
    // listen on when nothing names one.
    explicit app_options(CLI::App& app, std::uint16_t listen = 80);
    app_options(const app_options&) = delete;

    // The error is the status to exit with: 0 after --help and the like, 2 after a bad word, for
    // which one line was printed to standard error.
    result<runtime_options, int> parse(int argc, const char* const* argv);

  private:
    result<runtime_options, std::string> gather() const;

    CLI::App& app_;
    std::uint16_t default_listen_;
    std::vector<std::string> eal_;

    std::vector<std::string> addresses_;
    std::string gateway_;
    std::vector<std::uint16_t> listen_;
    std::uint32_t workers_ = 0;
    std::string driver_config_;
    std::string config_;
    std::string sysctl_file_;
    std::vector<std::string> set_;
    std::string capture_;
    std::uint32_t run_for_ = 0;
    std::uint32_t stats_ = 0;
    bool help_settings_ = false;
};

}  // namespace lastack
