// SPDX-License-Identifier: BSD-3-Clause
// What a runtime is told before it starts. Without a word: a net_tap port `lastack0` whose kernel
// side is 10.0.0.1/24, the stack at 10.0.0.2/24, one worker.
//
// Later calls win over earlier ones. Every error is a sentence that says what would be accepted.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lastack/address.hpp"
#include "lastack/result.hpp"

namespace lastack {

namespace config {
struct configuration;
}

class runtime_options {
  public:
    runtime_options();
    ~runtime_options();
    runtime_options(const runtime_options&);
    runtime_options(runtime_options&&) noexcept;
    runtime_options& operator=(const runtime_options&);
    runtime_options& operator=(runtime_options&&) noexcept;

    // A setting by its name, "net.ipv4.tcp_fin_timeout", "30"; docs/settings.md has them all.
    result<bool, std::string> set(std::string_view key, std::string_view value);
    // The same as one text, "net.ipv4.tcp_fin_timeout=30".
    result<bool, std::string> set_assignment(std::string_view assignment);
    // Files: a driver configuration (see drivers_config/), a configuration, one of sysctl.conf's
    // syntax. Settings of the last that are not for a TCP stack are logged and ignored.
    result<bool, std::string> read_driver_config(const std::string& path);
    result<bool, std::string> read_config(const std::string& path);
    result<bool, std::string> read_sysctl_file(const std::string& path);

    // ADDR/LEN[@PORT]; the lists replace what was there.
    result<bool, std::string> set_addresses(std::span<const std::string> texts);
    result<bool, std::string> set_gateway(std::string_view address);
    void set_listen(std::vector<std::uint16_t> tcp_ports);
    // EAL's own words, behind those of a driver configuration. If there is none and they name a
    // device, that device takes the place of the default one.
    void add_eal_arguments(const std::vector<std::string>& arguments);
    void set_workers(std::uint32_t count);
    // Octets of IP packet on every port.
    void set_mtu(std::uint32_t octets);
    // No device: two ports joined by rings in memory, as drivers_config/net_ring.toml has it.
    void use_ring_pair();

    // For the application, which does the listening: TCP ports, and the stack's addresses on one
    // port of the process.
    const std::vector<std::uint16_t>& listen() const;
    std::vector<ip_address> addresses(unsigned port) const;
    // Whether set_addresses() or a file has named addresses; whether anything has named a device.
    bool addresses_given() const;
    bool names_device() const { return driver_chosen_; }
    std::uint32_t workers() const;

    std::string program = "lastack";  // EAL's argv[0], and the name in messages
    std::chrono::seconds run_for{0};  // 0: until a signal
    std::chrono::seconds stats{0};    // a line this often; 0: none
    std::string capture;              // pcapng file; empty: none
    bool quiet = false;               // nothing on standard output: no line at start, no counts

    // For the runtime.
    const config::configuration& values() const { return *values_; }
    const std::vector<std::string>& foreign_settings() const { return foreign_settings_; }

  private:
    void forget_default_device();

    std::unique_ptr<config::configuration> values_;
    bool driver_chosen_ = false;
    std::vector<std::string> foreign_settings_;
};

}  // namespace lastack
