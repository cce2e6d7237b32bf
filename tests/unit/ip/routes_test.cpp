// SPDX-License-Identifier: BSD-3-Clause
// Routes, own addresses, and path MTUs.
#include "ip/routes.hpp"

#include <gtest/gtest.h>

#include "ip/path_mtu.hpp"

using namespace lastack;
using namespace lastack::ip;

namespace {

ipv4_address ip4(const char* text) {
    return *parse_ipv4(text);
}
ipv4_prefix net(const char* text) {
    return *parse_ipv4_prefix(text);
}

route_table example() {
    route_table r;
    EXPECT_FALSE(r.add_address(net("10.0.0.2/24")));
    EXPECT_FALSE(r.add_address(net("10.0.0.3/24")));
    EXPECT_FALSE(r.add_address(net("192.168.5.9/16")));
    EXPECT_FALSE(r.set_gateway(ip4("10.0.0.1")));
    EXPECT_FALSE(r.add_route(net("172.16.0.0/12"), ip4("192.168.0.1")));
    EXPECT_FALSE(r.add_route(net("172.16.7.0/24"), ip4("10.0.0.7")));
    return r;
}

constexpr instant start{5'000'000};

}  // namespace

TEST(routes, the_longest_prefix_wins) {
    const route_table r = example();
    EXPECT_EQ(r.lookup(ip4("10.0.0.77")), (route{ip4("10.0.0.77"), ip4("10.0.0.2")}));
    EXPECT_EQ(r.lookup(ip4("192.168.77.1")), (route{ip4("192.168.77.1"), ip4("192.168.5.9")}));
    EXPECT_EQ(r.lookup(ip4("172.16.1.1")), (route{ip4("192.168.0.1"), ip4("192.168.5.9")}));
    EXPECT_EQ(r.lookup(ip4("172.16.7.1")), (route{ip4("10.0.0.7"), ip4("10.0.0.2")}));
    EXPECT_EQ(r.lookup(ip4("8.8.8.8")), (route{ip4("10.0.0.1"), ip4("10.0.0.2")}));
}

TEST(routes, without_a_gateway_only_the_link_is_reached) {
    route_table r;
    EXPECT_FALSE(r.add_address(net("10.0.0.2/24")));
    EXPECT_TRUE(r.lookup(ip4("10.0.0.1")));
    EXPECT_FALSE(r.lookup(ip4("8.8.8.8")));
}

TEST(routes, nothing_leads_to_what_cannot_be_a_peer) {
    const route_table r = example();
    for (const char* a :
         {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.255.255.255", "255.255.255.255",
          "10.0.0.255", "192.168.255.255", "10.0.0.2", "192.168.5.9"}) {
        EXPECT_FALSE(r.lookup(ip4(a))) << a;
        EXPECT_FALSE(r.is_valid_source(ip4(a))) << a;
    }
    EXPECT_TRUE(r.is_valid_source(ip4("8.8.8.8")));
    EXPECT_TRUE(r.is_valid_source(ip4("10.0.0.254")));
}

TEST(routes, own_addresses_links_and_broadcasts_are_known) {
    const route_table r = example();
    EXPECT_TRUE(r.is_local(ip4("10.0.0.3")));
    EXPECT_FALSE(r.is_local(ip4("10.0.0.1")));
    EXPECT_TRUE(r.is_on_link(ip4("192.168.9.9")));
    EXPECT_FALSE(r.is_on_link(ip4("172.16.0.1")));
    EXPECT_TRUE(r.is_broadcast(ip4("10.0.0.255")));
    EXPECT_FALSE(r.is_broadcast(ip4("10.0.1.255")));
    EXPECT_FALSE(r.is_broadcast(ip4("192.168.5.255")));
    EXPECT_EQ(r.addresses().size(), 3u);
}

TEST(routes, an_address_that_is_also_a_prefixes_broadcast_stays_ours) {
    route_table r;
    EXPECT_FALSE(r.add_address(net("10.0.0.255/16")));
    EXPECT_FALSE(r.add_address(net("10.0.0.2/24")));
    EXPECT_TRUE(r.is_local(ip4("10.0.0.255")));
    EXPECT_FALSE(r.is_valid_source(ip4("10.0.0.255")));
}

// RFC 3021
TEST(routes, both_ends_of_a_31_are_hosts) {
    route_table r;
    EXPECT_FALSE(r.add_address(net("10.0.0.0/31")));
    EXPECT_EQ(r.lookup(ip4("10.0.0.1")), (route{ip4("10.0.0.1"), ip4("10.0.0.0")}));
    EXPECT_FALSE(r.is_broadcast(ip4("10.0.0.1")));
}

TEST(routes, impossible_additions_are_refused_with_a_reason) {
    route_table r = example();
    EXPECT_EQ(r.add_address(net("224.0.0.1/24")), route_error::not_a_host);
    EXPECT_EQ(r.add_address(net("127.0.0.1/8")), route_error::not_a_host);
    EXPECT_EQ(r.add_address(net("10.9.0.255/24")), route_error::not_a_host);
    EXPECT_EQ(r.add_address(net("0.0.0.0/0")), route_error::not_a_host);
    EXPECT_EQ(r.add_address(net("10.0.0.2/16")), route_error::duplicate);
    EXPECT_EQ(r.set_gateway(ip4("10.0.0.9")), route_error::duplicate);
    EXPECT_EQ(r.add_route(net("172.16.0.0/12"), ip4("10.0.0.9")), route_error::duplicate);
    EXPECT_EQ(r.add_route(net("172.17.0.0/16"), ip4("10.0.0.2")), route_error::gateway_is_ours);
    EXPECT_EQ(r.add_route(net("172.17.0.0/16"), ip4("8.8.8.8")), route_error::gateway_not_on_link);
    EXPECT_EQ(r.add_route(net("172.17.0.0/16"), ip4("10.0.0.255")), route_error::not_a_host);
}

TEST(routes, the_table_is_bounded) {
    route_table r;
    for (std::uint32_t i = 0; i < route_table::addresses_max; ++i) {
        EXPECT_FALSE(r.add_address({{0x0a000001 + (i << 8)}, 24}));
    }
    EXPECT_EQ(r.add_address(net("11.0.0.1/24")), route_error::full);
    std::uint32_t added = 0;
    while (!r.add_route({{0xac000000 + (added << 8)}, 24}, ip4("10.0.0.9"))) {
        ++added;
    }
    EXPECT_EQ(added, route_table::routes_max - route_table::addresses_max);
    EXPECT_EQ(r.add_route(net("11.0.0.0/24"), ip4("10.0.0.9")), route_error::full);
}

TEST(path_mtu, an_unknown_path_has_the_interfaces_mtu) {
    const path_mtu_cache c(64, 1);
    EXPECT_EQ(c.lookup(ip4("8.8.8.8"), 1500, start), (path_mtu{1500, true}));
}

TEST(path_mtu, a_report_narrows_the_path_to_its_destination_only) {
    path_mtu_cache c(64, 1);
    EXPECT_TRUE(c.lower(ip4("8.8.8.8"), 1400, 1500, 1500, start));
    EXPECT_EQ(c.lookup(ip4("8.8.8.8"), 1500, start), (path_mtu{1400, true}));
    EXPECT_EQ(c.lookup(ip4("8.8.4.4"), 1500, start), (path_mtu{1500, true}));
    EXPECT_EQ(c.lookup(ip4("8.8.8.8"), 1300, start), (path_mtu{1300, true}));
}

TEST(path_mtu, a_report_never_widens_a_path) {
    path_mtu_cache c(64, 1);
    EXPECT_FALSE(c.lower(ip4("8.8.8.8"), 1500, 1500, 1500, start));
    EXPECT_FALSE(c.lower(ip4("8.8.8.8"), 9000, 1500, 1500, start));
    EXPECT_TRUE(c.lower(ip4("8.8.8.8"), 1300, 1500, 1500, start));
    EXPECT_FALSE(c.lower(ip4("8.8.8.8"), 1400, 1500, 1500, start));
    EXPECT_EQ(c.lookup(ip4("8.8.8.8"), 1500, start).octets, 1300);
}

TEST(path_mtu, it_lasts_ten_minutes_from_the_last_report) {
    path_mtu_cache c(64, 1);
    const ipv4_address a = ip4("8.8.8.8");
    EXPECT_TRUE(c.lower(a, 1400, 1500, 1500, start));
    EXPECT_FALSE(c.lower(a, 1400, 1500, 1500, start + seconds{300}));  // no change
    EXPECT_EQ(c.lookup(a, 1500, start + seconds{899}).octets, 1400);
    EXPECT_EQ(c.lookup(a, 1500, start + seconds{900}).octets, 1500);
    EXPECT_TRUE(c.lower(a, 1450, 1500, 1500, start + seconds{901}));
    EXPECT_EQ(c.lookup(a, 1500, start + seconds{901}).octets, 1450);
}

TEST(path_mtu, below_the_floor_it_is_the_floor_without_df) {
    path_mtu_cache c(64, 1);
    const ipv4_address a = ip4("8.8.8.8");
    EXPECT_TRUE(c.lower(a, 500, 1500, 1500, start));
    EXPECT_EQ(c.lookup(a, 1500, start), (path_mtu{552, false}));
    EXPECT_FALSE(c.lower(a, 552, 1500, 1500, start));
    EXPECT_EQ(c.lookup(a, 1500, start), (path_mtu{552, false}));
    path_mtu_cache d(64, 1);
    EXPECT_TRUE(d.lower(a, 552, 1500, 1500, start));
    EXPECT_EQ(d.lookup(a, 1500, start), (path_mtu{552, true}));
}

// RFC 1191 5, 7.1
TEST(path_mtu, a_router_that_reports_nothing_means_the_next_plateau) {
    EXPECT_EQ(mtu_plateau_below(65535), 32000);
    EXPECT_EQ(mtu_plateau_below(1500), 1492);
    EXPECT_EQ(mtu_plateau_below(1492), 1006);
    EXPECT_EQ(mtu_plateau_below(68), 68);
    EXPECT_EQ(mtu_plateau_below(0), 68);
    path_mtu_cache c(64, 1);
    const ipv4_address a = ip4("8.8.8.8");
    EXPECT_TRUE(c.lower(a, 0, 1500, 1500, start));
    EXPECT_EQ(c.lookup(a, 1500, start).octets, 1492);
    EXPECT_TRUE(c.lower(a, 0, 1492, 1500, start));
    EXPECT_EQ(c.lookup(a, 1500, start).octets, 1006);
    // A router that adds the header to the length it quotes: the path as we know it is the limit.
    EXPECT_TRUE(c.lower(a, 0, 1512, 1500, start));
    EXPECT_EQ(c.lookup(a, 1500, start), (path_mtu{552, false}));
    // An impossible report is none.
    path_mtu_cache d(64, 1);
    EXPECT_TRUE(d.lower(a, 67, 1500, 1500, start));
    EXPECT_EQ(d.lookup(a, 1500, start).octets, 1492);
}

TEST(path_mtu, the_entry_that_would_expire_first_gives_way) {
    path_mtu_cache c(4, 1);  // one bucket
    for (std::uint32_t i = 1; i <= 5; ++i) {
        EXPECT_TRUE(c.lower({i << 24}, 1400, 1500, 1500, start + seconds{i}));
    }
    EXPECT_EQ(c.lookup({1u << 24}, 1500, start + seconds{6}).octets, 1500);
    for (std::uint32_t i = 2; i <= 5; ++i) {
        EXPECT_EQ(c.lookup({i << 24}, 1500, start + seconds{6}).octets, 1400);
    }
}
