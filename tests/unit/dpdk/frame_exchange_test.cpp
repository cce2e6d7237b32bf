// SPDX-License-Identifier: BSD-3-Clause
// Workers that share a port, played by one thread over rings in memory.
#include "dpdk/frame_exchange.hpp"

#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <optional>
#include <set>

#include "base/byte_order.hpp"
#include "dpdk/port.hpp"
#include "support/environment.hpp"
#include "wire/arp.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/ipv4.hpp"

namespace lastack::dpdk {
namespace {

constexpr mac_address everybody = wire::mac_broadcast;
constexpr std::uint32_t peer = 0x0a000001;
constexpr std::uint32_t ours = 0x0a000002;

// A TCP segment from the peer's port, or from ours to it.
std::vector<std::uint8_t> segment(std::uint32_t from, std::uint16_t from_port, std::uint32_t to,
                                  std::uint16_t to_port) {
    std::vector<std::uint8_t> out(60);
    wire::write_ethernet(out.data(), {everybody, {}, wire::ethertype::ipv4});
    wire::ipv4_header ip;
    ip.source = {from};
    ip.destination = {to};
    ip.protocol = wire::protocol_tcp;
    ip.total_length = 40;
    wire::write_ipv4(out.data() + 14, ip);
    store_be16(out.data() + 34, from_port);
    store_be16(out.data() + 36, to_port);
    return out;
}

// Ports 0 and 1 of a pair with `queues` queues, each used by `workers` workers.
class frame_exchange_test : public testing::TestWithParam<std::pair<unsigned, unsigned>> {
  protected:
    void SetUp() override {
        test::environment::start();
        const auto [queues, workers] = GetParam();
        ASSERT_TRUE(make_ring_pair(queues));
        ids_ = port_ids();
        ASSERT_EQ(ids_.size(), 2u);
        pools_.emplace(test::pool_sizes{.data = 4096, .control = 4096, .indirect = 64});
        config::port_config config;
        const std::vector<stack::pools> each(workers, pools_->get());
        for (const auto id : ids_) {
            EXPECT_FALSE(can_spread(id, config, workers));
            auto opened = open_port(id, config, each);
            ASSERT_TRUE(opened) << opened.error();
            EXPECT_EQ(opened->queues, queues);
            ports_.push_back(*opened);
        }
    }
    void TearDown() override {
        ports_.clear();
        for (const auto id : ids_) {
            rte_device* const d = device(id);
            close_port(id);
            EXPECT_EQ(rte_dev_remove(d), 0);
        }
        for (int direction = 0; direction < 2; ++direction) {
            for (unsigned queue = 0; queue < GetParam().first; ++queue) {
                const auto name =
                    "lastack_wire_" + std::to_string(direction) + "_" + std::to_string(queue);
                rte_ring_free(rte_ring_lookup(name.c_str()));
            }
        }
        EXPECT_EQ(pools_->leaks(), "");
    }
    static rte_device* device(std::uint16_t id) {
        rte_eth_dev_info info{};
        rte_eth_dev_info_get(id, &info);
        return info.device;
    }

    void send(unsigned port, unsigned worker, const std::vector<std::uint8_t>& octets) {
        rte_mbuf* m = test::make_frame(pools_->get().data, octets);
        ASSERT_EQ(ports_[port].exchange->send(worker, &m, 1), 1);
    }
    std::vector<std::string> receive(unsigned port, unsigned worker) {
        std::array<rte_mbuf*, frame_exchange::receive_max> got;
        const auto n =
            ports_[port].exchange->receive(worker, got, counters_, pools_->get().control);
        std::vector<std::string> frames;
        for (std::size_t i = 0; i < n; ++i) {
            frames.push_back(test::frame_bytes(got[i]));
            rte_pktmbuf_free(got[i]);
        }
        return frames;
    }
    // A turn of every worker on every port, often enough for a frame to take every step.
    std::vector<std::vector<std::string>> settle(unsigned port) {
        std::vector<std::vector<std::string>> by_worker(GetParam().second);
        for (int round = 0; round < 4; ++round) {
            for (unsigned w = 0; w < GetParam().second; ++w) {
                EXPECT_TRUE(receive(1 - port, w).empty());
                for (auto& f : receive(port, w)) {
                    by_worker[w].push_back(std::move(f));
                }
            }
        }
        return by_worker;
    }

    std::vector<std::uint16_t> ids_;
    std::vector<port> ports_;
    std::optional<test::test_pools> pools_;
    counter_set counters_;
};

TEST_P(frame_exchange_test, every_segment_reaches_the_owner_of_its_tuple_once_and_in_order) {
    const unsigned workers = GetParam().second;
    const auto& owners = ports_[0].exchange->owners();
    std::vector<std::vector<std::string>> expected(workers);
    std::size_t handed = 0;
    for (std::uint16_t i = 0; i < 20; ++i) {
        for (std::uint16_t turn = 0; turn < 2; ++turn) {
            const auto source = static_cast<std::uint16_t>(40000 + i);
            auto frame = segment(peer, source, ours, 80);
            frame[59] = static_cast<std::uint8_t>(turn);
            const unsigned owner = owners.owner_of({{peer}, {ours}, source, 80});
            const unsigned sender = i % workers;
            handed += owner != sender % GetParam().first ? 1u : 0u;
            expected[owner].emplace_back(frame.begin(), frame.end());
            send(1, sender, frame);
        }
    }
    auto got = settle(0);
    for (unsigned w = 0; w < workers; ++w) {
        // Between tuples the order is free; within one it is that in which they were sent.
        const auto by_tuple = [](const std::string& a, const std::string& b) {
            return a.substr(34, 2) < b.substr(34, 2);
        };
        std::stable_sort(got[w].begin(), got[w].end(), by_tuple);
        std::stable_sort(expected[w].begin(), expected[w].end(), by_tuple);
        EXPECT_EQ(got[w], expected[w]) << "worker " << w;
    }
    EXPECT_EQ(counters_.get(counter::steered), handed);
    EXPECT_EQ(counters_.get(counter::steer_drop), 0u);
}

TEST_P(frame_exchange_test, an_arp_reply_reaches_every_worker) {
    std::vector<std::uint8_t> frame(60);
    wire::write_ethernet(frame.data(), {everybody, {}, wire::ethertype::arp});
    wire::write_arp(frame.data() + 14,
                    {wire::arp_operation::reply, {{2, 0, 0, 0, 0, 1}}, {peer}, {}, {ours}});
    send(1, 0, frame);
    for (const auto& heard : settle(0)) {
        ASSERT_EQ(heard.size(), 1u);
        EXPECT_EQ(heard[0].substr(0, 42), std::string(frame.begin(), frame.begin() + 42));
    }
}

TEST_P(frame_exchange_test, a_worker_that_does_not_come_costs_frames_that_are_counted) {
    const unsigned workers = GetParam().second;
    const auto& owners = ports_[0].exchange->owners();
    std::uint16_t source = 1024;  // of a tuple that is not worker 0's
    while (owners.owner_of({{peer}, {ours}, source, 80}) != workers - 1) {
        ++source;
    }
    constexpr std::size_t count = 1500;
    for (std::size_t i = 0; i < count; ++i) {
        send(1, 0, segment(peer, source, ours, 80));
        EXPECT_TRUE(receive(0, 0).empty());
    }
    const auto dropped = counters_.get(counter::steer_drop);
    EXPECT_EQ(dropped, count - 1024);
    std::size_t got = 0;
    for (int i = 0; i < 64; ++i) {
        got += receive(0, workers - 1).size();
    }
    EXPECT_EQ(got, count - dropped);
}

std::string name_of(const testing::TestParamInfo<std::pair<unsigned, unsigned>>& p) {
    return std::to_string(p.param.first) + "_queues_" + std::to_string(p.param.second) + "_workers";
}

INSTANTIATE_TEST_SUITE_P(shared, frame_exchange_test,
                         testing::Values(std::pair{1u, 2u}, std::pair{2u, 2u}, std::pair{1u, 3u},
                                         std::pair{2u, 3u}),
                         name_of);

}  // namespace
}  // namespace lastack::dpdk
