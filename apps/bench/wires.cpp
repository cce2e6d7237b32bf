// SPDX-License-Identifier: BSD-3-Clause
#include "wires.hpp"

#include <algorithm>

namespace bench {
namespace {

using lastack::failure;
using outcome = lastack::result<bool, std::string>;

constexpr std::uint32_t server_address = 0x0a000002;    // 10.0.0.2
constexpr std::uint32_t client_addresses = 0x0a000101;  // 10.0.1.1 and on

std::string on_port(std::uint32_t address, unsigned port) {
    return to_string(lastack::ipv4_address{address}) + "/16@" + std::to_string(port);
}

// Without a word about addresses the server is 10.0.0.2 and clients are 10.0.1.1 and on, in a /16.
std::vector<std::string> default_addresses(const load& l, unsigned client_port) {
    std::vector<std::string> texts;
    if (l.here != role::client) {
        texts.push_back(on_port(server_address, 0));
    }
    for (std::uint32_t i = 0; l.here != role::server && i < l.client_address_count; ++i) {
        texts.push_back(on_port(client_addresses + i, client_port));
    }
    return texts;
}

outcome choose_device(const load& l, lastack::runtime_options& options) {
    if (l.wire == "ring") {
        if (options.names_device()) {
            return failure{"--wire " + l.wire + " takes no device; use --wire port"};
        }
        options.use_ring_pair();
    } else if (l.wire == "memif") {
        // An abstract socket: no file is left. The server's side waits for the client's.
        options.add_eal_arguments(
            {std::string("--vdev=net_memif0,id=0,socket=lastack-bench,role=") +
             (l.here == role::server ? "server" : "client")});
    } else if (l.wire == "af_packet") {
        if (l.interface.empty()) {
            return failure{std::string("--wire af_packet needs --interface NAME")};
        }
        options.add_eal_arguments({"--vdev=net_af_packet0,iface=" + l.interface});
    } else if (l.wire == "port" && !options.names_device()) {
        return failure{std::string(
            "--wire port needs the device in front: -a PCI-ADDRESS -- ... or --vdev=...")};
    }
    return true;
}

}  // namespace

void set_up_null(load& l) {
    l.server = {lastack::ipv4_address{server_address}, 80};
    for (std::uint32_t i = 0; i < l.client_address_count; ++i) {
        l.client_addresses.push_back(lastack::ipv4_address{client_addresses + (1u << 16) + i});
    }
    l.server_ports = 1;
    l.connections = l.connections == 0 ? 200'000 : l.connections;
    l.time_wait = std::min<std::uint64_t>(l.time_wait, l.connections * l.runs + l.at_once);
}

outcome set_up_wire(load& l, lastack::runtime_options& options) {
    const bool both_here = l.wire == "ring";
    if (both_here != (l.here == role::both)) {
        return failure{both_here
                           ? "--wire " + l.wire + " has both ends here: leave --role out"
                           : "--wire " + l.wire + " has one end here: say --role server or client"};
    }
    if (const auto chosen = choose_device(l, options); !chosen) {
        return chosen;
    }
    const unsigned client_port = both_here ? 1 : 0;
    if (!options.addresses_given()) {
        if (const auto done = options.set_addresses(default_addresses(l, client_port)); !done) {
            return done;
        }
    }
    const auto own = options.addresses(0);
    if (own.empty()) {
        return failure{std::string("port 0 has no address; add --address ADDR/LEN")};
    }
    l.server.address = l.here == role::client
                           ? lastack::ip_address{lastack::ipv4_address{server_address}}
                           : own.front();
    if (!l.server_text.empty()) {
        const auto parsed = lastack::parse_ipv4(l.server_text);
        if (!parsed) {
            return failure{"--server '" + l.server_text + "' is not an IPv4 address"};
        }
        l.server.address = *parsed;
    }
    l.server.port = options.listen().front();
    l.client_addresses = options.addresses(client_port);
    if (l.client_addresses.empty()) {
        return failure{"port " + std::to_string(client_port) +
                       " has no address; add --address ADDR/LEN@" + std::to_string(client_port)};
    }
    l.workers = options.workers();
    const unsigned openers = l.client_lcores();
    l.connections = (l.connections + openers - 1) / openers * openers;
    if (l.steered && (!both_here || l.workers == 1)) {
        return failure{std::string("--steered needs --wire ring and --workers 2 or more")};
    }
    if (l.apart && (!both_here || l.workers != 2 || l.steered)) {
        return failure{std::string("--apart needs --wire ring and --workers 2, without --steered")};
    }
    const std::uint64_t stacks = std::uint64_t{l.workers} * (both_here ? 2 : 1);
    const std::uint64_t records =
        l.here == role::client ? 65536 : l.time_wait * (both_here ? 2 : 1);
    const std::uint64_t each =
        l.idle ? l.at_once + 1024 : std::max<std::uint64_t>(2 * l.at_once, 8192);
    const std::uint64_t connections = each * stacks;
    if (l.mtu == 0 && l.wire == "ring") {
        l.mtu = 9000;
    }
    options.set_mtu(l.mtu == 0 ? 1500 : l.mtu);
    for (const auto& [key, value] :
         {std::pair<const char*, std::uint64_t>{"lastack.time_wait_records", records},
          {"lastack.connections", connections},
          {"lastack.syn_records", std::min<std::uint64_t>(connections, 65536 * stacks)},
          {"lastack.mbufs", l.mbufs},
          {"lastack.listeners", std::max(l.server_ports, 64u)}}) {
        if (const auto done = options.set(key, std::to_string(value)); !done) {
            return done;
        }
    }
    if (l.idle) {
        // The run is over when all are open; so many FINs at once would take minutes. And every
        // stack has as many as it has room for, which is what a connection's memory is told by.
        for (const auto& [key, value] :
             {std::pair<const char*, const char*>{"lastack.drain_ms", "0"},
              {"lastack.core_headroom", "1"}}) {
            if (const auto done = options.set(key, value); !done) {
                return done;
            }
        }
    }
    options.quiet = true;
    return true;
}

}  // namespace bench
