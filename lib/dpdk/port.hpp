// SPDX-License-Identifier: BSD-3-Clause
// Ethernet ports: any poll mode driver, one receive and one transmit queue for each worker, or as
// many as it has; workers beyond that share (frame_exchange.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/configuration.hpp"
#include "dpdk/frame_exchange.hpp"
#include "lastack/result.hpp"
#include "stack/core.hpp"

namespace lastack::dpdk {

struct port {
    std::uint16_t id = 0;
    std::string name;    // "net_tap0"
    std::string driver;  // "net_tap"
    stack::link link;
    std::uint16_t queues = 1;                  // pairs in use; queue i belongs to worker i
    std::shared_ptr<frame_exchange> exchange;  // none with one worker
};

// Two ports joined by rings in memory: what one sends the other receives. They get the next ids.
result<bool, std::string> make_ring_pair(std::uint32_t queues);

// The ids of all ports, in order.
std::vector<std::uint16_t> port_ids();

// Whether the port can give each of so many workers its own segments: enough queues, and RSS over
// the TCP 4-tuple with a key and a table of ours.
bool can_spread(std::uint16_t id, const config::port_config&, std::size_t workers);

// Sets the port up and starts it; queue i belongs to worker i and fills from its data pool.
// Error: what the port cannot do and which setting to change.
result<port, std::string> open_port(std::uint16_t id, const config::port_config&,
                                    std::span<const stack::pools> workers);

void close_port(std::uint16_t id);

}  // namespace lastack::dpdk
