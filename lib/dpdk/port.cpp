// SPDX-License-Identifier: BSD-3-Clause
// What a port cannot offload the stack does itself; what it cannot do at all (queues, MTU,
// chained receive) is an error. MBUF_FAST_FREE is never asked for: mbufs are shared.
#include "dpdk/port.hpp"

#include <rte_ether.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dpdk/compat.hpp"

namespace lastack::dpdk {
namespace {

constexpr std::uint64_t rx_checksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
constexpr std::uint64_t tx_checksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
constexpr std::uint32_t frame_overhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

// Of the redirection table where the port has none: fine enough that 3 workers differ by 2 %.
constexpr std::size_t software_entries = 128;

std::uint16_t queues_for(const rte_eth_dev_info& info, const config::port_config& c,
                         std::size_t workers) {
    const auto most = std::min(info.max_rx_queues, info.max_tx_queues);
    const auto wanted = static_cast<std::uint16_t>(
        c.queues != 0 ? std::min<std::size_t>(c.queues, workers) : workers);
    return std::max<std::uint16_t>(std::min(most, wanted), 1);
}

failure<std::string> wrong(const port& p, const std::string& what) {
    return failure{"port " + std::to_string(p.id) + " (" + p.name + "): " + what};
}

failure<std::string> refused(const port& p, const std::string& call, int error) {
    return wrong(p, call + " failed: " + std::strerror(error < 0 ? -error : error));
}

// What to ask for of what the port can do; says in `link` what was chosen.
result<rte_eth_conf, std::string> choose(port& p, const rte_eth_dev_info& info,
                                         const config::port_config& c) {
    rte_eth_conf conf{};
    conf.rxmode.mtu = c.mtu;
    p.link.mtu = static_cast<std::uint16_t>(c.mtu);
    if (c.mtu + frame_overhead > RTE_MBUF_DEFAULT_DATAROOM) {
        if ((info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) == 0) {
            return wrong(p, "an MTU of " + std::to_string(c.mtu) +
                                " needs chained receive, which it cannot do; lower port.mtu to " +
                                std::to_string(RTE_MBUF_DEFAULT_DATAROOM - frame_overhead));
        }
        conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
    }
    if (c.rx_checksum && (info.rx_offload_capa & rx_checksums) == rx_checksums) {
        conf.rxmode.offloads |= rx_checksums;
        p.link.checksum_rx = true;
    }
    if (c.tx_checksum && (info.tx_offload_capa & tx_checksums) == tx_checksums) {
        conf.txmode.offloads |= tx_checksums;
        p.link.checksum_tx = true;
    }
    if (c.tx_multi_segment && (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0) {
        conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
        p.link.multi_segment_tx = true;
    }
    return conf;
}

// RSS as flow_owner computes it, in the configuration of a port that may spread.
void ask_for_rss(rte_eth_conf& conf, const rte_eth_dev_info& info, std::vector<std::uint8_t>& key) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
    conf.rx_adv_conf.rss_conf = rss_with(RTE_ETH_RSS_NONFRAG_IPV4_TCP, key);
}

bool offers_rss(const rte_eth_dev_info& info) {
    const auto entries = info.reta_size;
    return (info.flow_type_rss_offloads & RTE_ETH_RSS_NONFRAG_IPV4_TCP) != 0 &&
           info.hash_key_size >= flow::flow_owner::key_bytes && entries > 0 &&
           (entries & (entries - 1)) == 0;
}

// Writes the table and reads the key back, of a started port. False: this port spreads by something
// else, if at all.
bool set_redirection(const port& p, std::span<const std::uint16_t> table,
                     std::span<const std::uint8_t> key) {
    std::vector<rte_eth_rss_reta_entry64> entries((table.size() + RTE_ETH_RETA_GROUP_SIZE - 1) /
                                                  RTE_ETH_RETA_GROUP_SIZE);
    for (std::size_t i = 0; i < table.size(); ++i) {
        auto& group = entries[i / RTE_ETH_RETA_GROUP_SIZE];
        group.mask |= std::uint64_t{1} << (i % RTE_ETH_RETA_GROUP_SIZE);
        group.reta[i % RTE_ETH_RETA_GROUP_SIZE] = table[i];
    }
    std::vector<std::uint8_t> now(key.size());
    auto conf = rss_with(0, now);
    return rte_eth_dev_rss_reta_update(p.id, entries.data(),
                                       static_cast<std::uint16_t>(table.size())) == 0 &&
           rte_eth_dev_rss_hash_conf_get(p.id, &conf) == 0 &&
           (conf.rss_hf & RTE_ETH_RSS_NONFRAG_IPV4_TCP) != 0 &&
           std::equal(now.begin(), now.end(), key.begin());
}

result<bool, std::string> set_up_queues(const port& p, const rte_eth_dev_info& info,
                                        const rte_eth_conf& conf, const config::port_config& c,
                                        std::span<const stack::pools> workers) {
    auto rx = static_cast<std::uint16_t>(c.rx_descriptors);
    auto tx = static_cast<std::uint16_t>(c.tx_descriptors);
    if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(p.id, &rx, &tx); error != 0) {
        return refused(p, "choosing descriptors", error);
    }
    const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(p.id));
    auto rx_conf = info.default_rxconf;
    rx_conf.offloads = conf.rxmode.offloads;
    auto tx_conf = info.default_txconf;
    tx_conf.offloads = conf.txmode.offloads;
    for (std::uint16_t queue = 0; queue < workers.size(); ++queue) {
        int error = rte_eth_rx_queue_setup(p.id, queue, rx, socket, &rx_conf, workers[queue].data);
        if (error != 0) {
            return refused(p, "receive queue " + std::to_string(queue), error);
        }
        error = rte_eth_tx_queue_setup(p.id, queue, tx, socket, &tx_conf);
        if (error != 0) {
            return refused(p, "transmit queue " + std::to_string(queue), error);
        }
    }
    return true;
}

// Drivers apply the MTU at different moments, so it is set once more where it differs.
result<bool, std::string> set_mtu(const port& p, std::uint32_t mtu) {
    std::uint16_t now = 0;
    rte_eth_dev_get_mtu(p.id, &now);
    const int error = now == mtu ? 0 : rte_eth_dev_set_mtu(p.id, static_cast<std::uint16_t>(mtu));
    if (error != 0) {
        return wrong(p, "its MTU is " + std::to_string(now) + " and cannot be " +
                            std::to_string(mtu) + " (" + std::strerror(-error) +
                            "); change port.mtu");
    }
    return true;
}

result<bool, std::string> start(port& p, const config::port_config& c) {
    if (const int error = rte_eth_dev_start(p.id); error != 0) {
        return refused(p, "starting it", error);
    }
    if (c.promiscuous) {
        if (const int error = rte_eth_promiscuous_enable(p.id); error != 0) {
            return refused(p, "promiscuous mode", error);
        }
    }
    rte_ether_addr address{};
    if (const int error = rte_eth_macaddr_get(p.id, &address); error != 0) {
        return refused(p, "reading its address", error);
    }
    if (rte_is_zero_ether_addr(&address) != 0) {
        rte_eth_random_addr(address.addr_bytes);  // net_ring has none; the stack uses this one
    }
    std::copy_n(address.addr_bytes, p.link.mac.bytes.size(), p.link.mac.bytes.begin());
    return true;
}

}  // namespace

result<bool, std::string> make_ring_pair(std::uint32_t queues) {
    // rings[d][q]: from port d to port 1 - d, queue q.
    std::vector<rte_ring*> rings[2];
    for (int direction = 0; direction < 2; ++direction) {
        for (std::uint32_t queue = 0; queue < queues; ++queue) {
            const auto name =
                "lastack_wire_" + std::to_string(direction) + "_" + std::to_string(queue);
            rings[direction].push_back(
                rte_ring_create(name.c_str(), 4096, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ));
            if (rings[direction].back() == nullptr) {
                return failure{
                    std::string("no memory for the rings of port.ring_pair; give EAL "
                                "more (-m MIB)")};
            }
        }
    }
    for (int side = 0; side < 2; ++side) {
        const auto name = "lastack_ring" + std::to_string(side);
        if (rte_eth_from_rings(name.c_str(), rings[1 - side].data(), queues, rings[side].data(),
                               queues, 0) < 0) {
            return failure{
                std::string("port.ring_pair: net_ring is missing; install DPDK's "
                            "librte_net_ring")};
        }
    }
    return true;
}

std::vector<std::uint16_t> port_ids() {
    std::vector<std::uint16_t> ids;
    std::uint16_t id = 0;
    RTE_ETH_FOREACH_DEV(id) {
        ids.push_back(id);
    }
    return ids;
}

bool can_spread(std::uint16_t id, const config::port_config& c, std::size_t workers) {
    rte_eth_dev_info info{};
    return workers > 1 && c.rss && rte_eth_dev_info_get(id, &info) == 0 && offers_rss(info) &&
           queues_for(info, c, workers) == workers;
}

result<port, std::string> open_port(std::uint16_t id, const config::port_config& c,
                                    std::span<const stack::pools> workers) {
    port p;
    p.id = id;
    rte_eth_dev_info info{};
    char name[RTE_ETH_NAME_MAX_LEN] = "";
    rte_eth_dev_get_name_by_port(id, name);
    p.name = name;
    if (const int error = rte_eth_dev_info_get(id, &info); error != 0) {
        return refused(p, "asking what it can do", error);
    }
    p.driver = info.driver_name;

    auto conf = choose(p, info, c);
    if (!conf) {
        return failure{conf.error()};
    }
    p.queues = queues_for(info, c, workers.size());
    bool spreads = can_spread(id, c, workers.size());
    std::vector<std::uint8_t> key(
        std::max<std::size_t>(spreads ? info.hash_key_size : 0, flow::flow_owner::key_bytes));
    if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
        return wrong(p, "no random octets for its RSS key");
    }
    const auto plain = *conf;
    if (spreads) {
        ask_for_rss(*conf, info, key);
    }
    int error = rte_eth_dev_configure(id, p.queues, p.queues, &*conf);
    if (error != 0 && spreads) {  // the key, perhaps
        spreads = false;
        *conf = plain;
        error = rte_eth_dev_configure(id, p.queues, p.queues, &*conf);
    }
    if (error != 0) {
        return refused(p, "configuring it", error);
    }
    if (const auto done = set_mtu(p, c.mtu); !done) {
        return failure{done.error()};
    }
    if (const auto done = set_up_queues(p, info, *conf, c, workers.first(p.queues)); !done) {
        return failure{done.error()};
    }
    if (const auto done = start(p, c); !done) {
        return failure{done.error()};
    }
    if (workers.size() > 1) {
        const auto n = static_cast<unsigned>(workers.size());
        auto table = flow::even_redirection(spreads ? info.reta_size : software_entries, n);
        spreads = spreads && set_redirection(p, table, key);
        p.exchange = std::make_shared<frame_exchange>(
            id, p.queues, n, flow::flow_owner(key, std::move(table)), spreads);
    }
    return p;
}

void close_port(std::uint16_t id) {
    rte_eth_dev_stop(id);
    rte_eth_dev_close(id);
}

}  // namespace lastack::dpdk
