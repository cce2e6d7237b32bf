// SPDX-License-Identifier: BSD-3-Clause
// Seeded runs of two stacks over wires of many kinds; world.hpp says what is checked.
//
// A failure names its seed and profile. To see every frame of it:
//   LASTACK_SIM_PROFILE=reorder LASTACK_SIM_SEED=17 test_sim --gtest_filter='simulation.*'
// LASTACK_SIM_RUNS makes each profile run that many seeds.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "sim/world.hpp"

namespace lastack::sim {
namespace {

char running[128];

// An assertion of the library ends the process: say first which run it was.
void say_running(int signal) {
    static_cast<void>(!write(STDERR_FILENO, running, std::strlen(running)));
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

void run_seeds(const profile& p, std::uint64_t seeds) {
    const char* const only = std::getenv("LASTACK_SIM_PROFILE");
    if (only != nullptr && p.name != only) {
        GTEST_SKIP() << "LASTACK_SIM_PROFILE is another";
    }
    const char* const one = std::getenv("LASTACK_SIM_SEED");
    const char* const runs = std::getenv("LASTACK_SIM_RUNS");
    const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 0) : 1;
    const std::uint64_t count = one != nullptr    ? 1
                                : runs != nullptr ? std::strtoull(runs, nullptr, 0)
                                                  : seeds;
    std::signal(SIGABRT, say_running);
    std::signal(SIGSEGV, say_running);
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        std::snprintf(running, sizeof running, "LASTACK_SIM_PROFILE=%s LASTACK_SIM_SEED=%llu\n",
                      p.name.c_str(), static_cast<unsigned long long>(seed));
        const report r = run(p, seed, one != nullptr);
        ASSERT_EQ(r.failure, "") << running;
        ASSERT_GT(r.ends, 0u);
    }
}

profile named(const char* name, const std::function<void(profile&)>& change) {
    profile p;
    p.name = name;
    p.application.simultaneous = true;
    change(p);
    return p;
}

// Few local ports, so that tuples come again while TIME_WAIT holds them.
void few_ports(profile& p) {
    p.settings.ip_local_port_range = {40000, 40007};
    p.application.relisten = true;
}

TEST(simulation, connections_end_well_over_a_perfect_wire) {
    run_seeds(named("perfect", [](profile& p) { p.application.gentle = true; }), 40);
}

TEST(simulation, every_way_of_ending_over_a_perfect_wire) {
    run_seeds(named("endings", few_ports), 50);
}

TEST(simulation, mbufs_pass_from_stack_to_stack) {
    run_seeds(named("pass_mbufs",
                    [](profile& p) {
                        few_ports(p);
                        p.faults.pass_mbufs = true;
                        p.faults.loss = 0.01;
                    }),
              40);
}

TEST(simulation, one_frame_in_a_hundred_is_lost) {
    run_seeds(named("loss_1",
                    [](profile& p) {
                        few_ports(p);
                        p.faults.loss = 0.01;
                        p.faults.jitter = duration{300};
                    }),
              40);
}

TEST(simulation, one_frame_in_ten_is_lost) {
    run_seeds(named("loss_10", [](profile& p) { p.faults.loss = 0.1; }), 30);
}

TEST(simulation, connections_end_well_when_one_frame_in_ten_is_lost) {
    run_seeds(named("gentle_loss_10",
                    [](profile& p) {
                        p.application.gentle = true;
                        p.faults.loss = 0.1;
                    }),
              30);
}

// What a wire is allowed to do costs no connection: all end as they were to.
TEST(simulation, connections_end_well_over_a_wire_that_loses_one_in_a_hundred_and_reorders) {
    run_seeds(named("gentle_loss_1_reorder",
                    [](profile& p) {
                        p.application.gentle = true;
                        p.faults.loss = 0.01;
                        p.faults.reorder = 0.1;
                        p.faults.held_back = duration{20000};
                    }),
              40);
}

TEST(simulation, frames_overtake_one_another) {
    run_seeds(named("reorder",
                    [](profile& p) {
                        few_ports(p);
                        p.faults.reorder = 0.3;
                        p.faults.held_back = duration{20000};
                    }),
              40);
}

TEST(simulation, frames_come_twice) {
    run_seeds(named("duplicate",
                    [](profile& p) {
                        few_ports(p);
                        p.faults.duplicate = 0.2;
                        p.faults.held_back = duration{400000};
                    }),
              40);
}

TEST(simulation, frames_are_corrupted) {
    run_seeds(named("corrupt", [](profile& p) { p.faults.corrupt = 0.05; }), 40);
}

TEST(simulation, everything_at_once) {
    run_seeds(named("storm",
                    [](profile& p) {
                        p.faults = {.loss = 0.05,
                                    .duplicate = 0.05,
                                    .corrupt = 0.03,
                                    .reorder = 0.1,
                                    .port_full = 0.1,
                                    .delay = duration{10000},
                                    .jitter = duration{5000},
                                    .held_back = duration{100000}};
                    }),
              40);
}

TEST(simulation, windows_are_tiny) {
    run_seeds(named("tiny_windows",
                    [](profile& p) {
                        p.settings.tcp_rmem = {4096, 4096, 4096};
                        p.settings.tcp_wmem = {4096, 4096, 4096};
                        p.faults.loss = 0.01;
                    }),
              30);
}

TEST(simulation, neither_side_speaks_sack) {
    run_seeds(named("no_sack",
                    [](profile& p) {
                        few_ports(p);
                        p.settings.tcp_sack = false;
                        p.faults.loss = 0.03;
                        p.faults.reorder = 0.05;
                        p.faults.held_back = duration{5000};
                    }),
              40);
}

// Without timestamps only TIME_WAIT keeps incarnations apart, and a RST skips it: many ports.
TEST(simulation, neither_side_speaks_timestamps) {
    run_seeds(named("no_timestamps",
                    [](profile& p) {
                        p.settings.tcp_timestamps = 0;
                        p.faults.loss = 0.03;
                        p.faults.duplicate = 0.03;
                        p.faults.held_back = duration{5000};
                    }),
              40);
}

TEST(simulation, one_side_speaks_no_options) {
    run_seeds(named("uneven",
                    [](profile& p) {
                        p.uneven = true;
                        p.right.tcp_timestamps = 0;
                        p.right.tcp_sack = false;
                        p.right.tcp_window_scaling = false;
                        p.right.tcp_rmem = {4096, 8192, 16384};
                        p.faults.loss = 0.02;
                    }),
              30);
}

TEST(simulation, packets_are_small) {
    run_seeds(named("small_mtu",
                    [](profile& p) {
                        few_ports(p);
                        p.mtu = 576;
                        p.multi_segment_tx = false;
                        p.faults.loss = 0.02;
                    }),
              30);
}

TEST(simulation, memory_is_short) {
    run_seeds(named("tiny_pools",
                    [](profile& p) {
                        p.pools = {192, 32, 64};
                        p.poll_every = duration{20000};
                        p.faults.loss = 0.01;
                    }),
              30);
}

TEST(simulation, tables_are_small) {
    run_seeds(named("small_tables",
                    [](profile& p) {
                        few_ports(p);
                        p.settings.connections = 8;
                        p.settings.syn_records = 4;
                        p.judge_ends = false;
                        p.settings.time_wait_records = 8;
                        p.settings.tcp_max_tw_buckets = 8;
                        p.faults.loss = 0.02;
                    }),
              30);
}

// --- bulk ----------------------------------------------------------------------------------------

void run_bulk(const profile& p, std::chrono::seconds at_most) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        const report r = run(p, seed, false);
        ASSERT_EQ(r.failure, "") << p.name << " seed " << seed;
        EXPECT_LE(r.lasted, at_most) << p.name << " seed " << seed;
    }
}

profile bulk(const char* name, double loss) {
    return named(name, [&](profile& p) {
        p.application.simultaneous = false;
        p.application.gentle = true;
        p.application.opens = 1;
        p.application.opens_within = duration{0};
        p.application.bulk_octets = 4 << 20;
        p.faults.delay = duration{5000};
        p.faults.loss = loss;
        p.settings.tcp_rmem.max = 1 << 20;
        p.settings.tcp_wmem.max = 1 << 20;
        p.pools = {4096, 1024, 4096};
    });
}

TEST(simulation, bulk_moves_both_ways_over_a_perfect_wire) {
    run_bulk(bulk("bulk_perfect", 0), seconds{2});
}

TEST(simulation, bulk_moves_both_ways_when_one_frame_in_a_hundred_is_lost) {
    run_bulk(bulk("bulk_loss_1", 0.01), seconds{30});
}

TEST(simulation, bulk_moves_both_ways_without_sack) {
    profile p = bulk("bulk_no_sack", 0.01);
    p.settings.tcp_sack = false;
    run_bulk(p, seconds{60});
}

// 100 Mbit/s with a queue of 20 ms: loss comes from congestion alone.
TEST(simulation, bulk_fills_a_narrow_wire) {
    profile p = bulk("bulk_narrow", 0);
    p.faults.octets_per_ms = 12500;
    p.faults.queue = duration{20000};
    run_bulk(p, seconds{10});
}

}  // namespace
}  // namespace lastack::sim
