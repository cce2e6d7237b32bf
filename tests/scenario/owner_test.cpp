// SPDX-License-Identifier: BSD-3-Clause
// connect() where workers share a port: the answers must come to the worker that opened.
#include <set>

#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

constexpr std::uint8_t rss_key[16] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
                                      0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0};
constexpr std::uint16_t first_port = 40000;
constexpr std::uint16_t ports = 200;

// Every local port that this worker can get towards one destination.
std::set<std::uint16_t> all_ports_of(const flow::flow_owner& owners, unsigned worker) {
    scenario_options o;
    o.owners = &owners;
    o.worker = worker;
    o.settings.ip_local_port_range = {first_port, first_port + ports - 1};
    o.settings.connections = 2 * ports;
    checked_scenario s(o);
    std::set<std::uint16_t> used;
    while (true) {
        const auto id = s.calls().connect({peer_address, 5000});
        if (!id) {
            EXPECT_EQ(id.error(), call_error::address_not_available);
            break;
        }
        const auto port = s.calls().local_endpoint(*id)->port;
        EXPECT_EQ(owners.owner_of({peer_address, stack_address, 5000, port}), worker);
        EXPECT_TRUE(used.insert(port).second) << port;
    }
    return used;
}

TEST(owner, workers_divide_the_ports_towards_a_destination_and_leave_none_out) {  // R57
    const flow::flow_owner owners(rss_key, flow::even_redirection(128, 3));
    std::set<std::uint16_t> all;
    for (unsigned worker = 0; worker < 3; ++worker) {
        const auto own = all_ports_of(owners, worker);
        EXPECT_GT(own.size(), ports / 6u);
        for (const auto port : own) {
            EXPECT_TRUE(all.insert(port).second) << port << " belongs to two workers";
        }
    }
    EXPECT_EQ(all.size(), ports);
}

TEST(owner, an_explicit_port_is_refused_where_its_answers_would_go_elsewhere) {  // R56
    const flow::flow_owner owners(rss_key, flow::even_redirection(128, 2));
    scenario_options o;
    o.owners = &owners;
    checked_scenario s(o);
    int taken = 0;
    for (std::uint16_t port = first_port; port < first_port + 20; ++port) {
        const auto id =
            s.calls().connect({peer_address, 5000}, {.local = endpoint{stack_address, port}});
        const bool ours = owners.owner_of({peer_address, stack_address, 5000, port}) == 0;
        EXPECT_EQ(id.ok(), ours) << port;
        if (!ours) {
            EXPECT_EQ(id.error(), call_error::address_not_available);
        }
        taken += ours ? 1 : 0;
    }
    EXPECT_GT(taken, 0);
    EXPECT_LT(taken, 20);
}

}  // namespace
}  // namespace lastack::test
