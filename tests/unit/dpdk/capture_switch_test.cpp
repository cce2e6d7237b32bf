// SPDX-License-Identifier: BSD-3-Clause
// A capture that was started while the stack runs ends with its lease.
#include "dpdk/capture_switch.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "support/environment.hpp"

namespace lastack::dpdk {
namespace {

using namespace std::chrono_literals;
using clock = capture_switch::clock;

// A worker without ports that takes its turns, and a control thread that forwards.
class capture_test : public ::testing::Test {
  protected:
    capture_test() {
        desk.emplace(std::vector{&worker});
        writer.emplace(std::vector{&worker.rings()});
        turns = std::jthread([this](std::stop_token stop) {
            while (!stop.stop_requested()) {
                desk->forward();
                worker.turn();
                std::this_thread::yield();
            }
        });
    }
    ~capture_test() override {
        turns = {};
        std::remove(file.c_str());
    }
    // The control thread's calls, until the capture is as wanted.
    bool ends_at(capture_switch& c, clock::time_point now) {
        for (int i = 0; i < 500 && !c.status().file.empty(); ++i) {
            c.poll(now);
            std::this_thread::sleep_for(2ms);
        }
        return c.status().file.empty();
    }

    // Before the worker, whose clock asks EAL for the counter's rate.
    const bool eal = (test::environment::start(), true);
    steering shared;
    lcore_worker worker{0, shared, 0};
    std::optional<task_desk> desk;
    std::optional<logging_thread> writer;
    std::string file = "/tmp/lastack-capture-test-" + std::to_string(::getpid());
    std::jthread turns;
};

TEST_F(capture_test, ends_a_minute_after_anybody_has_asked_about_it) {
    capture_switch c({&worker.rings()}, {"port"}, *writer, *desk, "");
    ASSERT_TRUE(c.start(file));
    c.renew();
    c.poll(clock::now() + capture_switch::lease - 1s);
    c.poll(clock::now() + capture_switch::lease - 1s);
    EXPECT_EQ(c.status().file, file);
    EXPECT_FALSE(c.start(file));
    EXPECT_TRUE(ends_at(c, clock::now() + capture_switch::lease + 1s));
    EXPECT_FALSE(c.stop());
    ASSERT_TRUE(c.start(file));
    EXPECT_TRUE(c.stop());
}

TEST_F(capture_test, one_that_began_with_the_process_has_no_lease) {
    capture_switch c({&worker.rings()}, {"port"}, *writer, *desk, file);
    c.renew();
    c.poll(clock::now() + 24h);
    c.poll(clock::now() + 24h);
    EXPECT_EQ(c.status().file, file);
}

}  // namespace
}  // namespace lastack::dpdk
