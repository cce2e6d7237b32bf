// SPDX-License-Identifier: BSD-3-Clause
// The one place that knows which DPDK this is. Written for 22.11; the names that this room uses are
// the same in 23.11 and 24.11, but for those below.
#pragma once

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_version.h>

#include <cstdint>
#include <vector>

static_assert(RTE_VERSION >= RTE_VERSION_NUM(22, 11, 0, 0), "DPDK 22.11 or newer is needed");

namespace lastack::dpdk {

// 23.11 added `algorithm` to rte_eth_rss_conf, so it is filled by name, the rest being zero. The
// key must live as long as the configuration.
inline rte_eth_rss_conf rss_with(std::uint64_t hash_functions, std::vector<std::uint8_t>& key) {
    rte_eth_rss_conf conf{};
    conf.rss_hf = hash_functions;
    conf.rss_key = key.data();
    conf.rss_key_len = static_cast<std::uint8_t>(key.size());
    return conf;
}

}  // namespace lastack::dpdk
