// SPDX-License-Identifier: BSD-3-Clause
#include "flow/port_ledger.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace lastack::flow {
namespace {

key4 towards(std::uint32_t host, std::uint16_t port = 80) {
    return {ipv4_address{0x0a000000 + host}, ipv4_address{0xc0000201}, port, 0};
}

port_ledger make(port_range range, std::uint32_t time_wait_records = 0) {
    auto made = port_ledger::make(keyed_hash(5, 6), range, time_wait_records, page_size::normal);
    EXPECT_TRUE(made.ok());
    return std::move(*made);
}

key4 with_port(key4 key, std::uint16_t port) {
    key.local_port = port;
    return key;
}

const auto all_free = [](std::uint16_t) { return port_state::free; };

TEST(port_ledger, gives_every_port_once_and_then_fails) {  // R57
    auto ledger = make({1000, 1999});
    std::set<std::uint16_t> seen;
    const auto look = [&](std::uint16_t port) {
        return seen.count(port) == 0 ? port_state::free : port_state::taken;
    };
    for (int i = 0; i < 1000; ++i) {
        const auto port = ledger.next(towards(1), look);
        ASSERT_TRUE(port);
        EXPECT_GE(*port, 1000);
        EXPECT_LE(*port, 1999);
        EXPECT_TRUE(seen.insert(*port).second);
    }
    EXPECT_FALSE(ledger.next(towards(1), look));
    ledger.changed(with_port(towards(1), 1234), port_state::free);
    seen.erase(1234);
    EXPECT_EQ(ledger.next(towards(1), look), 1234);
}

TEST(port_ledger, the_port_that_has_been_free_longest_comes_first) {
    auto ledger = make({1000, 1009});
    std::vector<std::uint16_t> order;
    for (int i = 0; i < 10; ++i) {
        order.push_back(*ledger.next(towards(1), all_free));
    }
    for (const std::size_t i : {7u, 2u, 5u}) {
        ledger.changed(with_port(towards(1), order[i]), port_state::free);
    }
    for (const std::size_t i : {7u, 2u, 5u}) {
        EXPECT_EQ(ledger.next(towards(1), all_free), order[i]);
    }
}

TEST(port_ledger, a_full_range_costs_one_look_whether_it_succeeds_or_fails) {  // R55
    auto ledger = make({10'000, 59'999});
    std::map<std::uint16_t, int> since;  // in TIME_WAIT
    int now = 0;
    int looks = 0;
    const auto look = [&](std::uint16_t port) {
        ++looks;
        const auto found = since.find(port);
        if (found == since.end()) {
            return port_state::free;
        }
        return now - found->second > 60'000 ? port_state::reusable : port_state::waiting;
    };
    for (; now < 50'000; ++now) {
        const auto port = ledger.next(towards(1), look);
        ASSERT_TRUE(port);
        since[*port] = now;
        ledger.changed(with_port(towards(1), *port), port_state::waiting);
    }
    EXPECT_EQ(looks, 50'000);
    looks = 0;
    for (; now < 60'000; ++now) {
        ASSERT_FALSE(ledger.next(towards(1), look));
    }
    EXPECT_EQ(looks, 10'000);
    looks = 0;
    for (now = 60'001; now < 200'000; ++now) {
        const auto oldest = std::min_element(since.begin(), since.end(),
                                             [](auto& a, auto& b) { return a.second < b.second; });
        const int age = now - oldest->second;
        const auto port = ledger.next(towards(1), look);
        ASSERT_EQ(port.has_value(), age > 60'000);
        if (port) {
            ASSERT_EQ(now - since[*port], age);
            since[*port] = now;
            ledger.changed(with_port(towards(1), *port), port_state::waiting);
        }
        now += 97;  // min_element is slow
    }
    EXPECT_LE(looks, 1500);
}

TEST(port_ledger, a_restarted_record_goes_to_the_end) {  // R43
    auto ledger = make({1000, 1002});
    std::vector<std::uint16_t> ports;
    for (int i = 0; i < 3; ++i) {
        ports.push_back(*ledger.next(towards(1), all_free));
        ledger.changed(with_port(towards(1), ports.back()), port_state::waiting);
    }
    ledger.changed(with_port(towards(1), ports[0]), port_state::waiting);
    const auto reusable = [](std::uint16_t) { return port_state::reusable; };
    EXPECT_EQ(ledger.next(towards(1), reusable), ports[1]);
    EXPECT_EQ(ledger.next(towards(1), reusable), ports[2]);
    EXPECT_EQ(ledger.next(towards(1), reusable), ports[0]);
}

TEST(port_ledger, more_destinations_than_pages_still_find_what_is_usable) {
    auto ledger = make({1000, 1003});
    std::set<std::pair<std::uint32_t, std::uint16_t>> used;
    for (int round = 0; round < 4; ++round) {
        for (std::uint32_t host = 0; host < 100; ++host) {
            const auto port = ledger.next(towards(host), [&](std::uint16_t p) {
                return used.count({host, p}) == 0 ? port_state::free : port_state::taken;
            });
            ASSERT_TRUE(port);
            used.insert({host, *port});
        }
    }
    EXPECT_EQ(used.size(), 400u);
}

TEST(port_ledger, agrees_with_a_search_through_the_range) {
    std::mt19937 random(7);
    auto ledger = make({2000, 2063});
    constexpr std::uint32_t hosts = 40;  // more than there are pages
    std::map<std::pair<std::uint32_t, std::uint16_t>, port_state> tuples;
    for (int i = 0; i < 200'000; ++i) {
        const std::uint32_t host = random() % hosts;
        const auto look = [&](std::uint16_t port) {
            const auto found = tuples.find({host, port});
            return found == tuples.end() ? port_state::free : found->second;
        };
        if (random() % 2 == 0) {
            const auto port = ledger.next(towards(host), look);
            bool any = false;
            for (std::uint16_t p = 2000; p <= 2063; ++p) {
                any |= look(p) == port_state::free;
            }
            ASSERT_EQ(port.has_value(), any);
            if (port) {
                ASSERT_EQ(look(*port), port_state::free);
                tuples[{host, *port}] = port_state::taken;
            }
        } else {
            const auto port = static_cast<std::uint16_t>(2000 + random() % 64);
            switch (random() % 4) {
                case 0:
                    tuples[{host, port}] = port_state::taken;  // by another way: unreported
                    break;
                case 1:
                    if (tuples.count({host, port}) != 0) {
                        tuples[{host, port}] = port_state::waiting;
                        ledger.changed(with_port(towards(host), port), port_state::waiting);
                    }
                    break;
                default:
                    tuples.erase({host, port});
                    ledger.changed(with_port(towards(host), port), port_state::free);
                    break;
            }
        }
    }
}

TEST(port_ledger, as_many_full_destinations_as_records_can_fill_cost_one_look_each) {  // R55
    constexpr std::uint32_t hosts = 150;
    auto ledger = make({1000, 1063}, (hosts - 32) * 64);
    int looks = 0;
    const auto waiting = [&](std::uint16_t) { return ++looks, port_state::waiting; };
    for (std::uint32_t host = 0; host < hosts; ++host) {
        for (int i = 0; i < 64; ++i) {
            ledger.changed(with_port(towards(host), *ledger.next(towards(host), all_free)),
                           port_state::waiting);
        }
        EXPECT_FALSE(ledger.next(towards(host), waiting));
    }
    looks = 0;
    for (std::uint32_t host = 0; host < hosts; ++host) {
        EXPECT_FALSE(ledger.next(towards(host), waiting));
    }
    EXPECT_EQ(looks, static_cast<int>(hosts));
}

TEST(port_ledger, idle_pages_change_hands_and_forget) {
    auto ledger = make({1000, 1003}, 1000);
    for (std::uint32_t round = 0; round < 5000; ++round) {
        std::set<std::uint16_t> given;
        while (const auto port = ledger.next(towards(round), all_free)) {
            ASSERT_TRUE(given.insert(*port).second) << round;
        }
        ASSERT_EQ(given.size(), 4u) << round;
        for (const std::uint16_t port : given) {
            ledger.changed(with_port(towards(round), port),
                           round % 3 == 0 ? port_state::waiting : port_state::free);
        }
        if (round >= 200) {  // those that waited are free at last
            for (std::uint16_t port = 1000; port < 1004; ++port) {
                ledger.changed(with_port(towards(round - 200), port), port_state::free);
            }
        }
    }
}

TEST(port_ledger, ports_of_other_workers_do_not_keep_a_page_in_use) {
    auto ledger = make({1000, 1063}, 64);  // 33 pages
    int looks = 0;
    const auto every_fourth = [&](std::uint16_t port) {
        ++looks;
        return port % 4 == 0 ? port_state::free : port_state::foreign;
    };
    constexpr int hosts = 500;
    for (std::uint32_t host = 0; host < hosts; ++host) {
        std::set<std::uint16_t> given;
        while (const auto port = ledger.next(towards(host), every_fourth)) {
            ASSERT_TRUE(given.insert(*port).second);
        }
        ASSERT_EQ(given.size(), 16u) << host;
        ledger.changed(with_port(towards(host), 1001), port_state::free);  // no news of ours
        ledger.released(1002);
        ASSERT_FALSE(ledger.next(towards(host), every_fourth));
        for (const std::uint16_t port : given) {
            ledger.changed(with_port(towards(host), port), port_state::free);
        }
    }
    EXPECT_EQ(looks, hosts * 64);
}

TEST(port_ledger, ports_outside_the_range_and_other_destinations_change_nothing) {
    auto ledger = make({1000, 1001});
    ledger.next(towards(1), all_free);
    ledger.next(towards(1), all_free);
    ledger.changed(with_port(towards(1), 999), port_state::free);
    ledger.changed(with_port(towards(1), 1002), port_state::free);
    ledger.changed(with_port(towards(2), 1000), port_state::free);
    EXPECT_FALSE(ledger.next(towards(1), all_free));
    ledger.set_range({1000, 1001});
    EXPECT_TRUE(ledger.next(towards(1), all_free));
}

TEST(port_ledger, a_released_port_is_found_again_towards_every_destination) {  // R56
    auto ledger = make({1000, 1009});
    const auto not_1005 = [](std::uint16_t port) {
        return port == 1005 ? port_state::taken : port_state::free;
    };
    for (std::uint32_t host = 1; host <= 3; ++host) {
        while (ledger.next(towards(host), not_1005)) {
        }
    }
    EXPECT_FALSE(ledger.next(towards(1), all_free));
    ledger.released(1005);
    for (std::uint32_t host = 1; host <= 3; ++host) {
        EXPECT_EQ(ledger.next(towards(host), all_free), 1005);
        EXPECT_FALSE(ledger.next(towards(host), all_free));
    }
}

TEST(port_ledger, any_port_is_looked_for_once_each) {
    auto ledger = make({1000, 1009});
    int looks = 0;
    EXPECT_EQ(ledger.any([&](std::uint16_t) { return ++looks, false; }), 0);
    EXPECT_EQ(looks, 10);
    EXPECT_EQ(ledger.any([](std::uint16_t port) { return port == 1003; }), 1003);
}

}  // namespace
}  // namespace lastack::flow
