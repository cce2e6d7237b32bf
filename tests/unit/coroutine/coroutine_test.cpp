// SPDX-License-Identifier: BSD-3-Clause
// Coroutines against a stack that the test plays.
#include "lastack/coroutine.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "unit/coroutine/fake_stack.hpp"

namespace lastack {
namespace {

std::string text_of(const buffer& b) {
    std::string text;
    b.for_each_segment([&](std::span<const std::byte> s) {
        text.append(reinterpret_cast<const char*>(s.data()), s.size());
    });
    return text;
}
std::span<const std::byte> octets(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

// What the coroutines under test tell the test.
struct diary {
    std::string lines;
    std::optional<close_outcome> closed;
    std::optional<io_failure> failed;
};

struct coroutines : testing::Test {
    stack::core core;
    local_stack s{core};
    diary log;

    template <class Server>
    void poll(Server& server) {
        core.poll(s, server);
    }
    stack::fake_connection& at(conn_id id) { return core.at(id); }
    template <class Serve>
    auto serving(Serve serve, const coroutine_options& options = {}) {
        return started_server<Serve>{s, serve, options};
    }
    template <class Serve>
    struct started_server : coroutine_server<Serve> {
        started_server(local_stack& s, Serve serve, const coroutine_options& options)
            : coroutine_server<Serve>(serve, {{{}, 80}}, options) {
            EXPECT_TRUE(this->on_start(s).ok());
        }
    };

    auto reader() {
        return [this](connection c) -> task {
            for (;;) {
                auto data = co_await c.read();
                if (!data) {
                    log.failed = data.error();
                    break;
                }
                if (data->size() == 0) {
                    log.lines += "<end>";
                    break;
                }
                log.lines += text_of(*data);
            }
            log.closed = co_await c.close();
        };
    }
};

TEST_F(coroutines, read_gives_what_came_in_order_and_an_empty_buffer_at_the_end) {
    auto server = serving(reader());
    const conn_id id = core.accept();
    poll(server);
    EXPECT_EQ(log.lines, "");
    core.data(id, "one ");
    core.data(id, "two");
    poll(server);
    EXPECT_EQ(log.lines, "one two");
    core.fin(id);
    poll(server);
    EXPECT_EQ(log.lines, "one two<end>");
    EXPECT_TRUE(at(id).fin_sent);
    EXPECT_FALSE(log.closed);
    core.end(id, close_outcome::clean_passive);
    poll(server);
    EXPECT_EQ(log.closed, close_outcome::clean_passive);
    EXPECT_EQ(server.context().frames().available(), coroutine_options{}.frames);
}

TEST_F(coroutines, data_that_came_with_the_opening_is_read_without_another_event) {
    auto server = serving(reader());
    const conn_id id = core.accept();
    core.data(id, "early");
    core.fin(id);
    poll(server);
    EXPECT_EQ(log.lines, "early<end>");
}

TEST_F(coroutines, a_reader_learns_how_its_connection_ended) {
    auto server = serving(reader());
    const conn_id id = core.accept();
    poll(server);
    core.reset(id);
    poll(server);
    ASSERT_TRUE(log.failed);
    EXPECT_EQ(log.failed->why, call_error::connection_reset);
    EXPECT_EQ(log.failed->outcome, close_outcome::reset_by_peer);
    // It had ended already, so close() does not wait, and gives the handle back.
    EXPECT_EQ(log.closed, close_outcome::reset_by_peer);
    EXPECT_TRUE(at(id).handle_dead);
}

TEST_F(coroutines, unread_data_comes_before_the_news_of_a_reset) {
    auto server = serving(reader());
    const conn_id id = core.accept();
    poll(server);
    core.data(id, "last words");
    core.reset(id);
    poll(server);
    EXPECT_EQ(log.lines, "last words");
    EXPECT_EQ(log.closed, close_outcome::reset_by_peer);
}

TEST_F(coroutines, a_connection_that_opened_and_ended_in_one_poll_says_so) {
    auto server = serving(reader());
    const conn_id id = core.accept();
    core.reset(id);
    poll(server);
    EXPECT_EQ(log.failed->outcome, close_outcome::reset_by_peer);
    EXPECT_EQ(log.closed, close_outcome::reset_by_peer);
}

TEST_F(coroutines, read_some_copies_as_much_as_there_is_room_for) {
    auto server = serving([this](connection c) -> task {
        std::array<std::byte, 4> into;
        for (;;) {
            auto n = co_await c.read_some(into);
            if (!n || *n == 0) {
                break;
            }
            log.lines += std::string(reinterpret_cast<char*>(into.data()), *n) + "|";
        }
    });
    const conn_id id = core.accept();
    poll(server);
    core.data(id, "abcdef");
    core.fin(id);
    poll(server);
    EXPECT_EQ(log.lines, "abcd|ef|");
}

TEST_F(coroutines, write_waits_until_all_of_it_is_queued) {
    auto server = serving([this](connection c) -> task {
        auto n = co_await c.write(octets("0123456789"));
        log.lines += n ? std::to_string(*n) : "failed";
        co_await c.close();
    });
    const conn_id id = core.accept();
    at(id).room = 4;
    poll(server);
    EXPECT_EQ(at(id).tx, "0123");
    EXPECT_EQ(log.lines, "");
    core.room(id, 3);
    poll(server);
    EXPECT_EQ(at(id).tx, "0123456");
    EXPECT_FALSE(at(id).fin_sent);
    core.room(id, 100);
    poll(server);
    EXPECT_EQ(at(id).tx, "0123456789");
    EXPECT_EQ(log.lines, "10");
    EXPECT_TRUE(at(id).fin_sent);
}

TEST_F(coroutines, a_buffer_waits_whole_and_is_freed_when_the_connection_ends_first) {
    const unsigned before = rte_mempool_avail_count(stack::fake_mbufs());
    auto server = serving([this](connection c) -> task {
        auto first = co_await c.write(stack::fake_buffer("abc"));
        log.lines += first ? "first " : "failed ";
        auto second = co_await c.write(stack::fake_buffer("defghi"));
        if (!second) {
            log.failed = second.error();
        }
    });
    const conn_id id = core.accept();
    at(id).room = 5;
    poll(server);
    EXPECT_EQ(at(id).tx, "abc");
    EXPECT_EQ(log.lines, "first ");
    core.end(id, close_outcome::timed_out_retransmit);
    poll(server);
    EXPECT_EQ(log.failed->why, call_error::timed_out);
    EXPECT_EQ(log.failed->outcome, close_outcome::timed_out_retransmit);
    EXPECT_EQ(rte_mempool_avail_count(stack::fake_mbufs()), before);
}

TEST_F(coroutines, a_write_behind_shutdown_is_refused_while_reading_goes_on) {
    auto server = serving([this](connection c) -> task {
        (void)c.shutdown_write();
        auto n = co_await c.write(octets("x"));
        log.failed = n.error();
        auto data = co_await c.read();
        log.lines += data ? text_of(*data) : "failed";
    });
    const conn_id id = core.accept();
    poll(server);
    EXPECT_EQ(log.failed->why, call_error::closed_for_sending);
    EXPECT_EQ(log.failed->outcome, close_outcome::none);
    core.data(id, "still here");
    poll(server);
    EXPECT_EQ(log.lines, "still here");
}

TEST_F(coroutines, close_resolves_once_and_everything_behind_it_is_refused) {
    auto server = serving([this](connection c) -> task {
        log.closed = co_await c.close();
        auto n = co_await c.read();
        log.failed = n.error();
        EXPECT_EQ(co_await c.close(), close_outcome::clean_active);
        EXPECT_EQ(c.outcome(), close_outcome::clean_active);
        EXPECT_EQ(c.shutdown_write().error(), call_error::stale_handle);
        c.abort();
        log.lines += "done";
    });
    const conn_id id = core.accept();
    poll(server);
    EXPECT_FALSE(log.closed);
    core.end(id, close_outcome::clean_active);  // TIME_WAIT
    poll(server);
    EXPECT_EQ(log.closed, close_outcome::clean_active);
    EXPECT_EQ(log.failed->why, call_error::stale_handle);
    EXPECT_EQ(log.failed->outcome, close_outcome::clean_active);
    EXPECT_EQ(log.lines, "done");
    EXPECT_FALSE(at(id).rst_sent);
}

// R06
TEST_F(coroutines, close_with_unread_data_tells_of_the_reset) {
    auto server = serving([this](connection c) -> task { log.closed = co_await c.close(); });
    const conn_id id = core.accept();
    core.data(id, "never read");
    poll(server);
    EXPECT_TRUE(at(id).rst_sent);
    poll(server);
    EXPECT_EQ(log.closed, close_outcome::aborted_unread_data);
}

TEST_F(coroutines, one_that_returns_without_a_word_has_its_connection_closed) {
    auto server = serving([](connection) -> task { co_return; });
    const conn_id read_up = core.accept();
    const conn_id unread = core.accept();
    core.data(unread, "never read");
    poll(server);
    EXPECT_TRUE(at(read_up).fin_sent);
    EXPECT_FALSE(at(read_up).rst_sent);
    EXPECT_TRUE(at(unread).rst_sent);  // R06
    EXPECT_TRUE(at(unread).handle_dead);
    EXPECT_EQ(server.context().frames().available(), coroutine_options{}.frames);
}

TEST_F(coroutines, abort_resets_at_once) {
    auto server = serving([this](connection c) -> task {
        c.abort();
        log.closed = co_await c.close();
    });
    const conn_id id = core.accept();
    poll(server);
    EXPECT_TRUE(at(id).rst_sent);
    EXPECT_EQ(log.closed, close_outcome::aborted_by_application);
}

TEST_F(coroutines, an_empty_pool_refuses_the_connection_and_counts_it) {
    auto server = serving(reader(), {.frames = 2});
    const conn_id a = core.accept();
    const conn_id b = core.accept();
    const conn_id c = core.accept();
    poll(server);
    EXPECT_FALSE(at(a).rst_sent || at(b).rst_sent);
    EXPECT_TRUE(at(c).rst_sent);
    EXPECT_EQ(server.refused(), 1u);
    // A frame that comes free serves again.
    core.reset(a);
    poll(server);
    const conn_id d = core.accept();
    poll(server);
    EXPECT_FALSE(at(d).rst_sent);
    EXPECT_EQ(server.refused(), 1u);
}

TEST_F(coroutines, a_task_started_by_hand_says_that_the_pool_was_empty) {
    auto server = serving(reader(), {.frames = 1});
    auto idle = [](coroutine_context& context) -> task {
        auto c = co_await context.connect({ipv4_address{0x0a000001}, 80});
    };
    EXPECT_TRUE(static_cast<bool>(idle(server.context())));
    EXPECT_FALSE(static_cast<bool>(idle(server.context())));
}

TEST_F(coroutines, destroying_the_server_ends_live_frames_and_closes_their_connections) {
    const unsigned before = rte_mempool_avail_count(stack::fake_mbufs());
    const conn_id a = core.accept();
    const conn_id b = core.accept();
    {
        auto server = serving([](connection c) -> task {
            buffer held = stack::fake_buffer("held in the frame");
            auto data = co_await c.read();
            (void)co_await c.write(stack::fake_buffer("waiting for room"));
        });
        at(b).room = 0;
        poll(server);
        core.data(b, "go");
        poll(server);
    }
    EXPECT_TRUE(at(a).fin_sent);
    EXPECT_TRUE(at(b).fin_sent);
    EXPECT_EQ(rte_mempool_avail_count(stack::fake_mbufs()), before);
}

TEST_F(coroutines, destroying_the_server_leaves_a_close_that_is_under_way_alone) {
    const conn_id id = core.accept();
    {
        auto server = serving([](connection c) -> task { (void)co_await c.close(); });
        poll(server);
        EXPECT_TRUE(at(id).fin_sent);
    }
    EXPECT_FALSE(at(id).rst_sent);
}

TEST_F(coroutines, connect_gives_the_connection_once_it_is_open) {
    auto server = serving(reader());
    auto client = [this](coroutine_context& context) -> task {
        auto c = co_await context.connect({ipv4_address{0x0a000001}, 80});
        if (!c) {
            log.failed = c.error();
            co_return;
        }
        (void)co_await c->write(octets("hello"));
        log.closed = co_await c->close();
    };
    (void)client(server.context());
    const conn_id id = core.connections.back().id;
    poll(server);
    EXPECT_EQ(at(id).tx, "");
    core.established(id);
    poll(server);
    EXPECT_EQ(at(id).tx, "hello");
    EXPECT_EQ(log.lines, "");  // it was not taken for an accepted one
    core.end(id, close_outcome::clean_active);
    poll(server);
    EXPECT_EQ(log.closed, close_outcome::clean_active);

    (void)client(server.context());
    core.end(core.connections.back().id, close_outcome::refused);
    poll(server);
    ASSERT_TRUE(log.failed);
    EXPECT_EQ(log.failed->why, call_error::connection_refused);
    EXPECT_EQ(log.failed->outcome, close_outcome::refused);
    EXPECT_TRUE(core.connections.back().handle_dead);

    core.refuse_connect = true;
    (void)client(server.context());
    EXPECT_EQ(log.failed->why, call_error::host_unreachable);
    EXPECT_EQ(server.context().frames().available(), coroutine_options{}.frames);
}

// A coroutine that holds two connections and drops one while an event for it is in the same batch.
TEST_F(coroutines, an_event_for_a_connection_given_up_in_the_same_batch_resumes_nobody) {
    auto server = serving([this](connection c) -> task {
        auto upstream = co_await c.context().connect({ipv4_address{0x0a000001}, 80});
        auto data = co_await c.read();
        upstream->abort();
        log.lines += "gave up";
        (void)co_await c.read();
        log.lines += " and ended";
    });
    const conn_id down = core.accept();
    poll(server);
    const conn_id up = core.connections.back().id;
    core.established(up);
    poll(server);
    core.data(down, "x");
    core.data(up, "y");
    poll(server);
    EXPECT_EQ(log.lines, "gave up");
    core.fin(down);
    poll(server);
    EXPECT_EQ(log.lines, "gave up and ended");
}

TEST_F(coroutines, a_listener_that_is_refused_ends_the_start_with_a_sentence) {
    core.refuse_listen = true;
    coroutine_server server([](connection) -> task { co_return; }, {{ipv4_address{0x0a000002}, 7}});
    EXPECT_EQ(server.on_start(s).error(), "cannot listen on 10.0.0.2:7: address_in_use");
}

TEST_F(coroutines, slots_run_out_like_frames) {
    auto server = serving(reader(), {.frames = 8, .connections = 1});
    const conn_id a = core.accept();
    const conn_id b = core.accept();
    poll(server);
    EXPECT_FALSE(at(a).rst_sent);
    EXPECT_TRUE(at(b).rst_sent);
}

using coroutines_death = coroutines;
TEST_F(coroutines_death, an_exception_that_leaves_a_coroutine_ends_the_process_with_its_message) {
    auto server = serving([](connection) -> task {
        throw std::runtime_error("nobody caught this");
        co_return;
    });
    core.accept();
    EXPECT_DEATH(poll(server), "an exception left a coroutine: nobody caught this");
}
TEST_F(coroutines_death, a_frame_larger_than_the_blocks_names_the_option_to_raise) {
    auto server = serving(reader(), {.frame_octets = 16});
    core.accept();
    EXPECT_DEATH(poll(server), "raise coroutine_options::frame_octets");
}

TEST(frame_pool, gives_back_what_it_was_given_and_aligns_to_16) {
    frame_pool pool(3, 100);
    void* a = pool.take(100);
    void* b = pool.take(1);
    void* c = pool.take(50);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 16, 0u);
    EXPECT_NE(a, b);
    EXPECT_EQ(pool.take(1), nullptr);
    EXPECT_EQ(pool.available(), 0u);
    frame_pool::give_back(b);
    EXPECT_EQ(pool.available(), 1u);
    EXPECT_EQ(pool.take(100), b);
    frame_pool::give_back(a);
    frame_pool::give_back(b);
    frame_pool::give_back(c);
    EXPECT_EQ(pool.available(), 3u);
}

}  // namespace
}  // namespace lastack
