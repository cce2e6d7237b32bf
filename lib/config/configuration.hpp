// SPDX-License-Identifier: BSD-3-Clause
// All that a process is told before EAL starts: settings, addresses, EAL's words, the port.
//
// A driver configuration and a --config file have the same sections and are read by the same code,
// one after the other, each over what the former left: a scalar replaces a scalar, a list a list.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "lastack/address.hpp"
#include "lastack/result.hpp"

namespace lastack::config {

// ADDR/LEN[@PORT]: an address of the stack and the index of the port it lives on.
struct interface_address {
    ipv4_prefix prefix;
    std::uint16_t port = 0;
    friend bool operator==(const interface_address&, const interface_address&) = default;
};

// [stack]
struct stack_config {
    std::vector<interface_address> addresses;
    bool addresses_given = false;  // else those are built in
    std::optional<ipv4_address> gateway;
    std::vector<std::uint16_t> listen;  // TCP ports, for the application
    std::uint32_t workers = 1;          // lcores that run a stack
    friend bool operator==(const stack_config&, const stack_config&) = default;
};

// [port]: how every port is set up. What a port cannot do is left out, but for queues and MTU.
struct port_config {
    std::uint32_t queues = 0;  // most queue pairs to use; 0: one for each worker
    std::uint32_t rx_descriptors = 1024;
    std::uint32_t tx_descriptors = 1024;
    std::uint32_t mtu = 1500;  // octets of IP packet
    bool promiscuous = false;
    bool rss = true;
    bool rx_checksum = true;
    bool tx_checksum = true;
    bool tx_multi_segment = true;
    bool ring_pair = false;  // no device: two ports joined by rings in memory
    friend bool operator==(const port_config&, const port_config&) = default;
};

// [kernel]: the interface that the kernel sees at the other end of a net_tap port.
struct kernel_config {
    std::string interface;               // empty: none
    std::optional<ipv4_prefix> address;  // given to it if it has none
    friend bool operator==(const kernel_config&, const kernel_config&) = default;
};

struct configuration {
    settings values;
    stack_config stack;
    std::vector<std::string> eal;  // [eal] args
    port_config port;
    kernel_config kernel;
    friend bool operator==(const configuration&, const configuration&) = default;
};

// net_tap `lastack0`, the stack at 10.0.0.2/24, the kernel's side at 10.0.0.1/24, TCP port 80.
configuration built_in();

// The same but for EAL's words and the kernel's side, which belong to one driver.
void forget_driver(configuration&);

result<interface_address, std::string> parse_interface_address(std::string_view text);

// Reads a driver configuration or a --config file (TOML) over `into`, which is unchanged on error.
// Errors begin with file:line:column.
result<bool, std::string> read_toml_file(configuration& into, const std::string& path);
result<bool, std::string> read_toml(configuration& into, std::string_view text,
                                    const std::string& name);

// Reads sysctl.conf's syntax: '#' and ';' comments, `key = value`, and a leading '-' that forgives
// an error of its line. Returns the names that are other programs' business, each once, for the
// caller to log. A setting of ours with a bad value is an error, file:line.
result<std::vector<std::string>, std::string> read_sysctl_file(settings& into,
                                                               const std::string& path);
result<std::vector<std::string>, std::string> read_sysctl(settings& into, std::string_view text,
                                                          const std::string& name);

}  // namespace lastack::config
