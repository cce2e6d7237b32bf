// SPDX-License-Identifier: BSD-3-Clause
// Who gets which address, which share of the limits, and how many mbufs.
#include "dpdk/plan.hpp"

#include <gtest/gtest.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "config/options.hpp"
#include "dpdk/memory.hpp"
#include "support/environment.hpp"
#include "tcp/table_bytes.hpp"

namespace lastack::dpdk {
namespace {

config::stack_config with(std::initializer_list<const char*> addresses, const char* gateway = "") {
    config::stack_config c;
    for (const auto* text : addresses) {
        c.addresses.push_back(*config::parse_interface_address(text));
    }
    c.gateway = parse_ipv4(gateway);
    return c;
}

TEST(plan, each_port_needs_an_address_and_each_address_a_port) {
    EXPECT_TRUE(check_addresses(with({"10.0.0.2/24"}), 1));
    EXPECT_TRUE(check_addresses(with({"10.0.0.2/24@1", "10.0.0.1/24@0"}), 2));
    EXPECT_NE(check_addresses(with({"10.0.0.2/24@1"}), 1).error().find("names port 1"),
              std::string::npos);
    EXPECT_NE(check_addresses(with({"10.0.0.2/24"}), 2).error().find("ADDR/LEN@1"),
              std::string::npos);
}

TEST(plan, an_address_given_twice_is_refused) {
    const auto done = check_addresses(with({"10.0.0.2/24", "10.0.0.3/24", "10.0.0.2/16@1"}), 2);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().find("10.0.0.2 is given twice"), std::string::npos);
}

TEST(plan, the_gateway_must_be_on_a_network_and_not_be_the_stack) {
    EXPECT_TRUE(check_addresses(with({"10.0.0.2/24"}, "10.0.0.1"), 1));
    EXPECT_FALSE(check_addresses(with({"10.0.0.2/24"}, "10.0.1.1"), 1));
    EXPECT_FALSE(check_addresses(with({"10.0.0.2/24"}, "10.0.0.2"), 1));
}

TEST(plan, addresses_and_gateway_go_to_their_port) {
    const auto c = with({"10.0.0.2/24", "10.1.0.2/24@1", "10.0.0.3/24"}, "10.1.0.1");
    EXPECT_EQ(addresses_of(c, 0).size(), 2u);
    EXPECT_EQ(addresses_of(c, 1).front().address, ipv4_address{0x0a010002});
    EXPECT_FALSE(gateway_of(c, 0));
    EXPECT_EQ(gateway_of(c, 1), ipv4_address{0x0a010001});
    EXPECT_FALSE(gateway_of(with({"10.0.0.2/24"}), 0));
}

// R63
TEST(plan, capacities_are_shared_with_headroom_and_caps_are_the_processes) {
    config::settings s;
    s.connections = 1000;
    s.time_wait_records = 7;
    const auto part = share(*config::resolve(s), 3);
    EXPECT_EQ(part.connections, 418u);  // 334 * 1.25
    EXPECT_EQ(part.time_wait_records, 4u);
    EXPECT_EQ(part.syn_records, 21846u);
    EXPECT_EQ(part.tcp_max_tw_buckets, 7u);
    EXPECT_EQ(part.tcp_max_orphans, 1000u);
    EXPECT_EQ(part.tcp_fin_timeout, 60u);
    EXPECT_EQ(share(*config::resolve(s), 1), *config::resolve(s));
    s.core_headroom = {6400};
    EXPECT_EQ(share(*config::resolve(s), 3).connections, 1000u);
    s.core_headroom = {100};
    EXPECT_EQ(share(*config::resolve(s), 3).connections, 334u);
}

TEST(memory, pools_follow_descriptors_connections_and_the_setting) {
    auto c = config::built_in();
    const auto small = plan_pools(c, 1);
    c.port.rx_descriptors += 512;
    EXPECT_EQ(plan_pools(c, 1).data, small.data + 512);
    EXPECT_EQ(plan_pools(c, 2).data, small.data + 512 + 1536 + 1024);
    c = config::built_in();
    c.values.connections *= 2;
    EXPECT_GT(plan_pools(c, 1).data, small.data);
    c.values.mbufs = 100;
    c.stack.workers = 2;
    const auto chosen = plan_pools(c, 1);
    c.values.mbufs = 200;
    EXPECT_EQ(plan_pools(c, 1).data, chosen.data + 50);
    EXPECT_GE(chosen.control, 2 * c.port.tx_descriptors);
}

TEST(memory, without_hugepages_an_mbuf_does_not_cross_a_page) {
    auto plan = plan_pools(config::built_in(), 1);
    const auto huge = plan.bytes();
    plan.hugepages = false;
    EXPECT_GE(plan.bytes(), std::uint64_t{plan.data} * 4096);
    EXPECT_GT(plan.bytes(), huge);
    EXPECT_GT(plan.eal_bytes(1), plan.bytes());
}

TEST(memory, the_arithmetic_adds_up) {
    pool_plan plan{2, 100, 10, 0, true};
    EXPECT_EQ(plan.arithmetic(),
              "2 workers x (data 100 x 2368 B + control 10 x 448 B + indirect 0 x 192 B) = 1 MiB");
    EXPECT_EQ(plan.bytes(), 2u * (100 * 2368 + 10 * 448));
}

TEST(memory, pools_give_back_what_was_freed_last) {
    test::environment::start();
    const auto made = make_pools({1, 8192, 512, 512, false}, false);
    ASSERT_TRUE(made) << made.error();
    rte_mempool* const pool = made->front().data;
    const auto handlers = std::span(rte_mempool_ops_table.ops).first(rte_mempool_ops_table.num_ops);
    if (std::ranges::none_of(handlers,
                             [](const auto& h) { return h.name == std::string_view("stack"); })) {
        GTEST_SKIP() << "DPDK's librte_mempool_stack is not installed";
    }
    // More than an lcore keeps for itself.
    std::vector<rte_mbuf*> taken(2048);
    const auto count = static_cast<unsigned>(taken.size());
    ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool, taken.data(), count), 0);
    const std::set<rte_mbuf*> warm(taken.begin(), taken.end());
    rte_pktmbuf_free_bulk(taken.data(), count);
    ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool, taken.data(), count), 0);
    const auto cold = std::ranges::count_if(taken, [&](rte_mbuf* m) { return !warm.contains(m); });
    EXPECT_LE(cold, 2 * RTE_MEMPOOL_CACHE_MAX_SIZE);  // what the cache had asked for beyond need
    rte_pktmbuf_free_bulk(taken.data(), count);
    for (rte_mempool* p : {pool, made->front().control, made->front().indirect}) {
        rte_mempool_free(p);
    }
}

TEST(plan, tables_that_do_not_fit_are_refused_with_the_arithmetic) {
    config::settings s;
    s.time_wait_records = 100'000'000;
    EXPECT_TRUE(check_tables(s, 1, std::uint64_t{8} << 30));
    EXPECT_TRUE(check_tables(s, 2, 0));  // nobody knows what is free
    const auto refused = check_tables(s, 2, std::uint64_t{7} << 30);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().find("and 7168 MiB are free: 2 stacks x ("), std::string::npos)
        << refused.error();
    EXPECT_NE(refused.error().find("lastack.time_wait_records 100000000 x 40."), std::string::npos)
        << refused.error();
}

TEST(plan, mbufs_and_tables_must_fit_together_where_there_are_no_hugepages) {
    auto c = config::built_in();
    c.values.mbufs = 1'000'000;
    auto plan = plan_pools(c, 1);
    plan.hugepages = false;
    const auto together = plan.eal_bytes(1) + tcp::bytes_of_tables(c.values).all();
    EXPECT_TRUE(check_ordinary_pages(plan, 1, c.values, 1, together));
    EXPECT_TRUE(check_ordinary_pages(plan, 1, c.values, 1, 0));
    const auto refused = check_ordinary_pages(plan, 1, c.values, 1, together - 1);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().find("lower what is largest (data mbufs: lastack.mbufs"),
              std::string::npos)
        << refused.error();
}

TEST(plan, a_capacitys_sentence_says_what_each_of_it_costs) {
    config::settings s;
    s.connections = s.syn_records = s.time_wait_records = 10'000'000;
    const auto bytes = tcp::bytes_of_tables(s);
    const auto expect = [](const char* key, double each, double within) {
        const std::string sentence(config::find_option(key)->sentence);
        const auto at = sentence.find("; each takes ");
        ASSERT_NE(at, std::string::npos) << key << " should say " << each;
        EXPECT_NEAR(std::stod(sentence.substr(at + 13)), each, within) << key;
    };
    expect("lastack.connections", static_cast<double>(bytes.connections) / 1e7, 10);
    expect("lastack.syn_records", static_cast<double>(bytes.syn_records) / 1e7, 3);
    // At a size where the pages of connect() weigh little.
    s.time_wait_records = 100'000'000;
    expect("lastack.time_wait_records",
           static_cast<double>(tcp::bytes_of_tables(s).time_wait_records) / 1e8, 0.5);
}

TEST(plan, the_bytes_said_before_are_those_taken) {
    config::settings s;
    s.connections = 20'000;
    s.syn_records = 10'000;
    s.time_wait_records = 1'000'000;
    // What engine::make() maps, but for what does not grow with a capacity.
    const auto resident = [] {
        std::ifstream file("/proc/self/statm");
        std::uint64_t all = 0, pages = 0;
        file >> all >> pages;
        return pages * 4096;
    };
    test::environment::start();
    test::test_pools pools;
    stack::core_config c;
    c.addresses = {{ipv4_address{0x0a000002}, 24}};
    c.memory = pools.get();
    c.pages = page_size::normal;
    c.settings = s;
    const auto before = resident();
    const auto made = stack::core::make(c, {1'000'000});
    ASSERT_TRUE(made);
    const auto taken = static_cast<double>(resident() - before);
    const auto said = static_cast<double>(tcp::bytes_of_tables(s).all());
    EXPECT_GT(taken, said * 0.97);
    EXPECT_LT(taken, said * 1.10 + 4e6);
}

}  // namespace
}  // namespace lastack::dpdk
