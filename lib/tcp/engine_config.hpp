// SPDX-License-Identifier: BSD-3-Clause
// What an engine is made with: its settings, its memory, and the stack around it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/region.hpp"
#include "base/time.hpp"
#include "config/settings.hpp"
#include "lastack/address.hpp"
#include "teardown/cap_share.hpp"

struct rte_mbuf;
struct rte_mempool;
struct rte_mempool_cache;

namespace lastack::flow {
class flow_owner;
}

namespace lastack::tcp {

struct path {
    std::uint16_t mtu = 1500;   // octets of IP packet
    bool dont_fragment = true;  // false: narrower than any MTU worth cutting segments for
};

// What the engine asks of the stack around it.
struct host {
    void* context = nullptr;
    // Takes over n packets that begin with their IPv4 headers.
    void (*transmit)(void* context, rte_mbuf** packets, std::uint16_t n) = nullptr;
    // Source address towards `remote`; the any-address when there is no route.
    ipv4_address (*source_for)(void* context, ipv4_address remote) = nullptr;
    bool (*is_local)(void* context, ipv4_address address) = nullptr;
    path (*path_to)(void* context, ipv4_address remote, instant now) = nullptr;
    // What is sent to `remote` seems not to arrive: ask the next hop anew (RFC 9293 3.8.3).
    void (*doubt_path)(void* context, ipv4_address remote) = nullptr;
    // A believable 'fragmentation needed' (RFC 1191): the router's MTU (0: it does not say) and the
    // length of the packet it quotes. True when the path became narrower.
    bool (*narrow_path)(void* context, ipv4_address remote, std::uint16_t mtu,
                        std::uint16_t quoted_length, instant now) = nullptr;
};

struct engine_config {
    config::settings settings;
    rte_mempool* data_pool = nullptr;
    rte_mempool* control_pool = nullptr;
    rte_mempool* indirect_pool = nullptr;
    rte_mempool_cache* data_cache = nullptr;  // of the lcore that runs this stack, if any
    rte_mempool_cache* control_cache = nullptr;
    bool multi_segment_tx = false;
    bool checksum_tx = false;  // the port computes TCP checksums
    page_size pages = page_size::huge;
    std::array<std::uint64_t, 2> secret{};
    // None where every tuple's answers come here; else connect() takes a port whose answers do.
    const flow::flow_owner* owners = nullptr;
    unsigned worker = 0;
    std::vector<ipv4_address> addresses;  // the stack's own
    teardown::cap_place caps{};           // of the stacks that share the process's caps
    host around;
};

}  // namespace lastack::tcp
