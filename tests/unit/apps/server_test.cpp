// SPDX-License-Identifier: BSD-3-Clause
// The HTTP server against a stack that the test plays.
#include "apps/httpd/server.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "unit/coroutine/fake_stack.hpp"

namespace httpd {
namespace {

using lastack::conn_id;
using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string get_and_close = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

std::size_t count(const std::string& text, std::string_view what) {
    std::size_t n = 0;
    for (std::size_t i = text.find(what); i != std::string::npos; i = text.find(what, i + 1)) {
        ++n;
    }
    return n;
}

struct http_server : testing::Test {
    lastack::stack::core core;
    lastack::local_stack s{core};
    site files;
    counts n;
    milliseconds clock{1000};

    server make(settings options = {}) {
        if (options.connections == 0) {
            options.connections = 16;
        }
        server made(options, files, n);
        EXPECT_TRUE(made.on_start(s).ok());
        made.on_turn(s, clock);
        return made;
    }
    // The peer says `text`; one turn.
    void turn(server& h, conn_id id, std::string_view text) {
        core.data(id, text);
        turn(h);
    }
    void turn(server& h, milliseconds passed = milliseconds(0)) {
        clock += passed;
        core.poll(s, h);
        h.on_turn(s, clock);
    }
    lastack::stack::fake_connection& at(conn_id id) { return core.at(id); }
};

TEST_F(http_server, answers_and_keeps_the_connection) {
    server h = make();
    const conn_id id = core.accept();
    turn(h);
    turn(h, id, get);
    EXPECT_TRUE(at(id).tx.starts_with("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(at(id).tx.ends_with(files.find("/")->body));
    EXPECT_EQ(at(id).sends, 1);  // head and body by one call
    EXPECT_FALSE(at(id).fin_sent);
    turn(h, id, get);
    EXPECT_EQ(count(at(id).tx, "HTTP/1.1 200"), 2u);
    EXPECT_EQ(n.requests, 2u);
    EXPECT_EQ(n.by_class[2], 2u);
    EXPECT_EQ(n.octets, at(id).tx.size());
}

TEST_F(http_server, answers_what_came_with_the_opening) {
    server h = make();
    const conn_id id = core.accept();
    turn(h, id, get);
    EXPECT_EQ(count(at(id).tx, "HTTP/1.1 200"), 1u);
}

TEST_F(http_server, the_fin_of_a_last_answer_is_sent_in_the_same_turn) {
    server h = make();
    const conn_id id = core.accept();
    turn(h, id, get_and_close);
    EXPECT_NE(at(id).tx.find("Connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(at(id).fin_sent);
    EXPECT_TRUE(at(id).handle_dead);
    EXPECT_FALSE(at(id).rst_sent);
}

TEST_F(http_server, with_close_client_the_client_closes_first) {
    server h = make({.who_closes = close_first::client});
    const conn_id id = core.accept();
    turn(h, id, get_and_close);
    EXPECT_EQ(count(at(id).tx, "HTTP/1.1 200"), 1u);
    EXPECT_FALSE(at(id).fin_sent);
    core.fin(id);
    turn(h);
    EXPECT_TRUE(at(id).fin_sent);
    EXPECT_TRUE(at(id).handle_dead);
}

TEST_F(http_server, with_close_client_a_client_that_does_not_is_closed_after_the_time_out) {
    server h = make({.who_closes = close_first::client, .idle_timeout = seconds(5)});
    const conn_id id = core.accept();
    turn(h, id, get_and_close);
    turn(h, milliseconds(4999));
    EXPECT_FALSE(at(id).fin_sent);
    turn(h, milliseconds(1));
    EXPECT_TRUE(at(id).fin_sent);
}

TEST_F(http_server, a_request_may_come_octet_by_octet) {
    server h = make();
    const conn_id id = core.accept();
    turn(h);
    for (const char c : get + get_and_close) {
        turn(h, id, std::string_view(&c, 1));
    }
    EXPECT_EQ(count(at(id).tx, "HTTP/1.1 200"), 2u);
    EXPECT_TRUE(at(id).fin_sent);
}

TEST_F(http_server, pipelined_requests_are_answered_in_order_however_they_are_cut) {
    const std::string all = get + "GET /none HTTP/1.1\r\nHost: h\r\n\r\n" + get_and_close;
    for (std::size_t cut = 1; cut < all.size(); ++cut) {
        core = {};
        server h = make();
        const conn_id id = core.accept();
        turn(h, id, all.substr(0, cut));
        turn(h, id, all.substr(cut));
        const std::string& tx = at(id).tx;
        ASSERT_EQ(count(tx, "HTTP/1.1 200"), 2u) << cut;
        ASSERT_EQ(count(tx, "HTTP/1.1 404"), 1u) << cut;
        ASSERT_LT(tx.find("HTTP/1.1 200"), tx.find("HTTP/1.1 404"));
        ASSERT_LT(tx.find("HTTP/1.1 404"), tx.rfind("HTTP/1.1 200"));
        ASSERT_TRUE(at(id).fin_sent) << cut;
    }
}

TEST_F(http_server, goes_on_where_the_send_queue_was_full_and_reads_nothing_meanwhile) {
    server reference = make();
    const conn_id whole = core.accept();
    turn(reference, whole, get + get_and_close);
    const std::string expected = at(whole).tx;

    core = {};
    server h = make();
    const conn_id id = core.accept();
    at(id).room = 1;
    turn(h, id, get + get_and_close);
    core.data(id, "more");
    for (std::size_t i = 1; i < expected.size(); ++i) {
        EXPECT_FALSE(at(id).fin_sent) << i;
        EXPECT_EQ(at(id).rx.size(), 1u);
        clock += milliseconds(7);  // another second's Date must not creep into an answer
        core.room(id, 1);
        turn(h);
    }
    EXPECT_EQ(count(at(id).tx, "HTTP/1.1 200"), 2u);
    EXPECT_EQ(at(id).tx.size(), expected.size());
    EXPECT_TRUE(at(id).fin_sent);
}

TEST_F(http_server, a_head_request_is_answered_without_the_body) {
    server h = make();
    const conn_id id = core.accept();
    turn(h, id, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(at(id).tx.ends_with("\r\n\r\n"));
    EXPECT_EQ(count(at(id).tx, "Content-Length: " + std::to_string(files.find("/")->body.size())),
              1u);
}

TEST_F(http_server, a_large_file_goes_out_whole_through_a_small_queue) {
    const std::filesystem::path root = std::filesystem::path(testing::TempDir()) / "lastack_large";
    std::filesystem::create_directories(root);
    std::string text;
    for (int i = 0; text.size() < 300000; ++i) {
        text += std::to_string(i);
    }
    std::ofstream(root / "large.txt") << text;
    files = site(root);
    std::filesystem::remove_all(root);
    server h = make();
    const conn_id id = core.accept();
    at(id).room = 777;
    turn(h, id, "GET /large.txt HTTP/1.0\r\n\r\n");
    for (int i = 0; i < 100 && !at(id).fin_sent; ++i) {
        core.room(id, 10007);
        turn(h);
    }
    EXPECT_TRUE(at(id).fin_sent);
    EXPECT_EQ(at(id).tx.substr(at(id).tx.find("\r\n\r\n") + 4), text);
}

// R08
TEST_F(http_server, a_client_that_has_closed_its_side_is_still_answered) {
    server h = make();
    const conn_id id = core.accept();
    at(id).room = 10;
    core.data(id, get);
    core.fin(id);
    turn(h);
    EXPECT_FALSE(at(id).fin_sent);
    core.room(id, 100000);
    turn(h);
    EXPECT_TRUE(at(id).tx.ends_with(files.find("/")->body));
    EXPECT_TRUE(at(id).fin_sent);
    EXPECT_FALSE(at(id).rst_sent);
}

TEST_F(http_server, a_close_in_the_middle_of_a_request_closes) {
    server h = make();
    const conn_id id = core.accept();
    turn(h, id, "GET / HT");
    core.fin(id);
    turn(h);
    EXPECT_EQ(at(id).tx, "");
    EXPECT_TRUE(at(id).fin_sent);
}

// R06, R07: a reset would take the answer with it.
TEST_F(http_server, an_answer_to_a_client_that_still_sends_is_not_followed_by_a_reset) {
    server h = make();
    const conn_id id = core.accept();
    turn(h, id, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    EXPECT_TRUE(at(id).tx.starts_with("HTTP/1.1 405"));
    EXPECT_TRUE(at(id).fin_sent);
    EXPECT_FALSE(at(id).handle_dead);
    turn(h, id, std::string(50000, 'x'));
    EXPECT_TRUE(at(id).rx.empty());
    core.fin(id);
    turn(h);
    EXPECT_TRUE(at(id).handle_dead);
    EXPECT_FALSE(at(id).rst_sent);
    EXPECT_EQ(count(at(id).tx, "HTTP/1.1"), 1u);
}

TEST_F(http_server, a_header_beyond_the_limit_is_answered_431) {
    server h = make();
    const conn_id id = core.accept();
    turn(h, id, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    turn(h, id, std::string(2 * header_octets_max, 'a'));
    EXPECT_TRUE(at(id).tx.starts_with("HTTP/1.1 431 "));
    EXPECT_EQ(count(at(id).tx, "HTTP/1.1"), 1u);
    EXPECT_FALSE(at(id).rst_sent);
}

TEST_F(http_server, an_idle_connection_is_closed_and_a_begun_request_answered_408) {
    server h = make({.idle_timeout = seconds(10)});
    const conn_id idle = core.accept();
    const conn_id slow = core.accept();
    turn(h);
    turn(h, seconds(5));
    turn(h, slow, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 9; ++i) {  // each octet of a header does not win it more time
        turn(h, seconds(1));
        turn(h, slow, "X");
    }
    EXPECT_TRUE(at(idle).fin_sent);
    EXPECT_EQ(at(idle).tx, "");
    EXPECT_EQ(at(slow).tx, "");
    turn(h, seconds(1));
    EXPECT_TRUE(at(slow).tx.starts_with("HTTP/1.1 408 "));
    EXPECT_TRUE(at(slow).fin_sent);
    EXPECT_EQ(n.timed_out, 2u);
    turn(h, seconds(10));
    EXPECT_TRUE(at(slow).handle_dead);
}

TEST_F(http_server, one_that_does_not_take_its_answer_is_reset) {
    server h = make({.idle_timeout = seconds(10)});
    const conn_id id = core.accept();
    at(id).room = 5;
    turn(h, id, get);
    turn(h, seconds(9));
    core.room(id, 1);  // progress wins time
    turn(h);
    turn(h, seconds(9));
    EXPECT_FALSE(at(id).rst_sent);
    turn(h, seconds(1));
    EXPECT_TRUE(at(id).rst_sent);
}

TEST_F(http_server, a_lost_connection_gives_its_place_back) {
    server h = make({.connections = 1});
    for (int i = 0; i < 3; ++i) {
        const conn_id id = core.accept();
        turn(h, id, "GET /");
        core.reset(id);
        turn(h);
        EXPECT_TRUE(at(id).handle_dead);
    }
    EXPECT_EQ(n.connections, 3u);
    EXPECT_EQ(n.lost, 3u);
    EXPECT_EQ(n.refused, 0u);
}

TEST_F(http_server, connections_beyond_the_limit_are_reset_and_counted) {
    server h = make({.connections = 1});
    const conn_id a = core.accept();
    const conn_id b = core.accept();
    turn(h);
    EXPECT_FALSE(at(a).rst_sent);
    EXPECT_TRUE(at(b).rst_sent);
    EXPECT_EQ(n.refused, 1u);
}

TEST_F(http_server, without_a_buffer_for_a_begun_request_the_answer_is_503) {
    server h = make({.begun = 1});
    const conn_id a = core.accept();
    const conn_id b = core.accept();
    turn(h, a, "GET /");
    turn(h, b, "GET /");
    EXPECT_EQ(at(a).tx, "");
    EXPECT_TRUE(at(b).tx.starts_with("HTTP/1.1 503 "));
    turn(h, a, " HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(at(a).tx.starts_with("HTTP/1.1 200 "));
    const conn_id c = core.accept();
    turn(h, c, "GET /");
    EXPECT_EQ(at(c).tx, "");
}

TEST_F(http_server, http_1_0_is_kept_only_when_asked_for) {
    server h = make();
    const conn_id a = core.accept();
    const conn_id b = core.accept();
    turn(h, a, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(at(a).tx.find("Connection: keep-alive\r\n"), std::string::npos);
    EXPECT_FALSE(at(a).fin_sent);
    turn(h, b, "GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(at(b).fin_sent);
}

}  // namespace
}  // namespace httpd
