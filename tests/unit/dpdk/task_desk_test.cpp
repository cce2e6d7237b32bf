// SPDX-License-Identifier: BSD-3-Clause
// Tasks from many threads to workers, through the one thread that may fill their queues.
#include "dpdk/task_desk.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "support/environment.hpp"

namespace lastack::dpdk {
namespace {

using namespace std::chrono_literals;

class counting_task final : public core_task {
  public:
    explicit counting_task(int slices) : left(slices) {}
    bool run(std::span<stack::core* const>) override { return --left == 0; }
    int left;
};

// Workers without ports that take their turns, and a control thread that forwards, until the end.
class desk_test : public ::testing::Test {
  protected:
    desk_test() {
        test::environment::start();
        for (unsigned i = 0; i < 2; ++i) {
            workers.push_back(std::make_unique<lcore_worker>(i, shared, 0));
        }
        desk.emplace(std::vector{workers[0].get(), workers[1].get()});
        control = std::jthread([this](std::stop_token stop) {
            while (!stop.stop_requested()) {
                desk->forward();
                std::this_thread::sleep_for(1ms);
            }
        });
    }
    void run_worker(std::size_t i) {
        threads.emplace_back([this, i](std::stop_token stop) {
            while (!stop.stop_requested()) {
                workers[i]->turn();
                std::this_thread::yield();
            }
        });
    }
    ~desk_test() override {
        threads.clear();
        control = {};
    }

    steering shared;
    std::vector<std::unique_ptr<lcore_worker>> workers;
    std::optional<task_desk> desk;
    std::vector<std::jthread> threads;
    std::jthread control;
};

TEST_F(desk_test, a_task_of_many_slices_is_run_to_its_end) {
    run_worker(0);
    run_worker(1);
    const std::vector<task_desk::task_pointer> tasks{std::make_shared<counting_task>(1000),
                                                     std::make_shared<counting_task>(3)};
    const auto done = desk->ask(tasks, 10s);
    EXPECT_TRUE(done) << done.error();
}

TEST_F(desk_test, a_worker_that_hangs_gives_an_error_that_names_it_not_a_hang) {
    run_worker(0);
    const std::vector<task_desk::task_pointer> tasks{std::make_shared<counting_task>(1),
                                                     std::make_shared<counting_task>(1)};
    const auto done = desk->ask(tasks, 100ms);
    ASSERT_FALSE(done);
    EXPECT_TRUE(done.error().starts_with("worker 1 did not answer within 100 ms"));
}

TEST_F(desk_test, a_task_whose_asker_has_gone_is_kept_until_its_worker_is_through_with_it) {
    const auto task = std::make_shared<counting_task>(1);
    EXPECT_FALSE(desk->ask(std::vector<task_desk::task_pointer>{task}, 50ms));
    EXPECT_GE(task.use_count(), 2);  // the desk's is the other
    run_worker(0);
    for (int i = 0; i < 1000 && task.use_count() > 1; ++i) {
        std::this_thread::sleep_for(5ms);
    }
    EXPECT_TRUE(task->done());
    EXPECT_EQ(task.use_count(), 1);
}

TEST_F(desk_test, ten_threads_at_once_are_all_answered) {
    run_worker(0);
    run_worker(1);
    std::atomic<int> answered{0};
    {
        std::vector<std::jthread> askers;
        for (int i = 0; i < 10; ++i) {
            askers.emplace_back([&] {
                for (int n = 0; n < 20; ++n) {
                    const std::vector<task_desk::task_pointer> tasks{
                        std::make_shared<counting_task>(2), std::make_shared<counting_task>(2)};
                    answered += desk->ask(tasks, 20s) ? 1 : 0;
                }
            });
        }
    }
    EXPECT_EQ(answered, 200);
}

TEST_F(desk_test, closing_the_desk_lets_those_go_who_wait) {
    std::jthread closer([this] {
        std::this_thread::sleep_for(50ms);
        desk->close();
    });
    const auto done =
        desk->ask(std::vector<task_desk::task_pointer>{std::make_shared<counting_task>(1)}, 60s);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error(), "the stack is stopping");
}

}  // namespace
}  // namespace lastack::dpdk
