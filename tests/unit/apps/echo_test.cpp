// SPDX-License-Identifier: BSD-3-Clause
// The echo server against a stack that the test plays.
#include "apps/echo/echo.hpp"

#include <gtest/gtest.h>

#include "unit/coroutine/fake_stack.hpp"

namespace lastack {
namespace {

struct echo_server : testing::Test {
    stack::core core;
    local_stack s{core};
    echo::totals sum;

    auto make() {
        return coroutine_server([this](connection c) { return echo::serve(std::move(c), sum); },
                                {{{}, 7}});
    }
    std::uint64_t ended(close_outcome how) { return sum.ended[static_cast<std::size_t>(how)]; }
};

// R08
TEST_F(echo_server, a_peer_that_has_closed_its_side_still_gets_the_rest) {
    auto server = make();
    ASSERT_TRUE(server.on_start(s).ok());
    const conn_id id = core.accept();
    core.poll(s, server);
    core.at(id).room = 3;
    core.data(id, "abc");
    core.data(id, "defg");
    core.fin(id);
    core.poll(s, server);
    EXPECT_EQ(core.at(id).tx, "abc");
    EXPECT_FALSE(core.at(id).fin_sent);
    core.room(id, 100);
    core.poll(s, server);
    EXPECT_EQ(core.at(id).tx, "abcdefg");
    EXPECT_TRUE(core.at(id).fin_sent);
    EXPECT_FALSE(core.at(id).rst_sent);
    core.end(id, close_outcome::clean_passive);
    core.poll(s, server);
    EXPECT_EQ(ended(close_outcome::clean_passive), 1u);
    EXPECT_EQ(sum.octets, 7u);
}

TEST_F(echo_server, a_slow_reader_is_not_read_from) {
    auto server = make();
    ASSERT_TRUE(server.on_start(s).ok());
    const conn_id id = core.accept();
    core.at(id).room = 0;
    core.data(id, "one");
    core.data(id, "two");
    core.poll(s, server);
    EXPECT_EQ(core.at(id).rx.size(), 1u);  // one waits to be sent, one lies in the receive queue
}

TEST_F(echo_server, a_reset_is_counted_as_one) {
    auto server = make();
    ASSERT_TRUE(server.on_start(s).ok());
    const conn_id id = core.accept();
    core.poll(s, server);
    core.reset(id);
    core.poll(s, server);
    EXPECT_EQ(ended(close_outcome::reset_by_peer), 1u);
    EXPECT_TRUE(core.at(id).handle_dead);
}

}  // namespace
}  // namespace lastack
