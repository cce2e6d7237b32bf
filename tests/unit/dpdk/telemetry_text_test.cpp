// SPDX-License-Identifier: BSD-3-Clause
// What telemetry understands and says: requests, cursors, rows, explanations, warnings.
#include "dpdk/telemetry_text.hpp"

#include <gtest/gtest.h>

#include "config/options.hpp"
#include "dpdk/close_wait_watch.hpp"

namespace lastack::dpdk {
namespace {

using stack::connection_row;
using stack::explanation;
using teardown::state;

connection_row time_wait_row() {
    connection_row r;
    r.st = state::time_wait;
    r.key = {*parse_ipv4("10.0.0.1"), *parse_ipv4("10.0.0.2"), 40000, 80};
    r.timer = stack::timer_kind::timewait;
    r.remaining_ms = 41000;
    return r;
}

std::string all_of(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) {
        text += line + "\n";
    }
    return text;
}

bool says(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

TEST(telemetry_text, a_row_has_one_word_a_column) {
    EXPECT_EQ(row_text(time_wait_row(), 3),
              "TIME-WAIT 0 0 10.0.0.2:80 10.0.0.1:40000 timewait 41000 0 3");
    connection_row listens;
    listens.st = state::listen;
    listens.key.local_port = 80;
    listens.send_q = 128;
    EXPECT_EQ(row_text(listens, 1), "LISTEN 0 128 0.0.0.0:80 0.0.0.0:* off 0 0 1");
}

TEST(telemetry_text, the_longest_row_fits_a_telemetry_string) {
    connection_row r = time_wait_row();
    r.st = state::close_wait;
    r.key = {*parse_ipv4("255.255.255.255"), *parse_ipv4("255.255.255.255"), 65535, 65535};
    r.recv_q = r.send_q = r.remaining_ms = ~0u;
    r.tries = 255;
    r.timer = stack::timer_kind::keepalive;
    const auto text = row_text(r, 1023);
    EXPECT_LT(text.size(), 127u);
    EXPECT_TRUE(text.ends_with(" 1023"));
}

TEST(telemetry_text, a_list_request_names_states_ports_and_the_cursor) {
    const auto r = parse_list_request("cursor=1.0.3.512,state=TIME-WAIT+ESTAB,sport=80,dport=9");
    ASSERT_TRUE(r) << r.error();
    EXPECT_EQ(r->from.worker, 1u);
    EXPECT_EQ(r->from.at.position.which, stack::table_position::table::time_wait);
    EXPECT_EQ(r->from.at.position.next, 512u);
    EXPECT_EQ(to_text(r->from), "1.0.3.512");
    EXPECT_TRUE(r->filter.wants(state::time_wait));
    EXPECT_TRUE(r->filter.wants(state::established));
    EXPECT_FALSE(r->filter.wants(state::close_wait));
    EXPECT_EQ(r->filter.local_port, 80);
    EXPECT_EQ(r->filter.remote_port, 9);
    EXPECT_TRUE(parse_list_request("")->filter.wants(state::last_ack));
}

TEST(telemetry_text, a_bad_list_request_is_refused_by_the_part_that_is_wrong) {
    for (const auto* bad : {"cursor=1.2.3", "cursor=1.0.9.0", "cursor=a.0.0.0", "state=TIMEWAIT",
                            "sport=70000", "dport=", "colour=red"}) {
        const auto r = parse_list_request(bad);
        ASSERT_FALSE(r) << bad;
        EXPECT_TRUE(says(r.error(), bad));
    }
}

TEST(telemetry_text, a_connection_is_named_by_both_its_ends) {
    const auto key = parse_key("10.0.0.2:80-10.0.0.1:40000");
    ASSERT_TRUE(key);
    EXPECT_EQ(*key, time_wait_row().key);
    EXPECT_EQ(row_key_text(time_wait_row()), "10.0.0.2:80-10.0.0.1:40000");
    for (const auto* bad : {"", "10.0.0.2:80", "10.0.0.2:80-10.0.0.1", "10.0.0.2:80-10.0.0.1:x",
                            "10.0.0.2:99999-10.0.0.1:1", "host:80-10.0.0.1:1"}) {
        EXPECT_FALSE(parse_key(bad)) << bad;
    }
}

TEST(telemetry_text, time_wait_says_what_it_waits_for_and_when_it_ends) {
    explanation x;
    x.found = explanation::found_as::record;
    x.row = time_wait_row();
    const auto text = all_of(explain_lines(x, x.row.key, {}));
    EXPECT_TRUE(says(text, "TIME-WAIT\n"));
    EXPECT_TRUE(says(text, "old duplicates"));
    EXPECT_TRUE(says(text, "in 41.0 s"));
}

TEST(telemetry_text, close_wait_says_that_only_the_application_can_end_it) {
    explanation x;
    x.found = explanation::found_as::connection;
    x.row = time_wait_row();
    x.row.st = state::close_wait;
    x.row.has_age = true;
    x.row.age_ms = 4000000;
    const auto text = all_of(explain_lines(x, x.row.key, {}));
    EXPECT_TRUE(says(text, "CLOSE-WAIT for 1 h 6 min"));
    EXPECT_TRUE(says(text, "only when the application closes"));
}

TEST(telemetry_text, an_orphan_s_last_ack_names_its_limit_and_the_next_retransmission) {
    explanation x;
    x.found = explanation::found_as::connection;
    x.row = time_wait_row();
    x.row.st = state::last_ack;
    x.row.timer = stack::timer_kind::on;
    x.row.remaining_ms = 200;
    x.row.tries = 3;
    x.row.orphan = true;
    x.fin_sent = true;
    const auto text = all_of(explain_lines(x, x.row.key, {}));
    EXPECT_TRUE(says(text, "the ACK of our FIN, which is sent"));
    EXPECT_TRUE(says(text, "retransmitted 3 times"));
    EXPECT_TRUE(says(text, "next in 200 ms"));
    EXPECT_TRUE(says(text, "tcp_orphan_retries, 8"));
}

TEST(telemetry_text, what_is_gone_says_how_it_ended_and_who_closed_first) {
    using tcp::then;
    explanation x;
    x.now_us = 5000000;
    x.closes_found = 1;
    x.closes[0] = {2000000,
                   then(then(then(then(0, state::established), state::close_wait), state::last_ack),
                        state::closed),
                   {},
                   close_outcome::clean_passive};
    const auto text = all_of(explain_lines(x, {}, {}));
    EXPECT_TRUE(says(text, "CLOSED"));
    EXPECT_TRUE(says(text, "3.0 s ago: clean_passive"));
    EXPECT_TRUE(says(text, "closed first: the peer, by FIN"));
    EXPECT_TRUE(says(text, "path: ESTAB > CLOSE-WAIT > LAST-ACK > CLOSED"));
    x.closes_found = 0;
    EXPECT_TRUE(says(all_of(explain_lines(x, {}, {})), "not known"));
}

TEST(telemetry_text, every_line_of_an_explanation_fits_a_telemetry_string) {
    for (std::size_t st = 1; st < teardown::state_count; ++st) {
        explanation x;
        x.found = explanation::found_as::connection;
        x.row = time_wait_row();
        x.row.st = static_cast<state>(st);
        x.row.timer = stack::timer_kind::on;
        x.row.remaining_ms = x.row.recv_q = x.unsent = x.rto_ms = ~0u;
        x.user_timeout_ms = ~0u;
        x.soft_error = true;
        x.taken = 0xaaaaaaaaaaaaaaaa;
        for (const auto& line : explain_lines(x, x.row.key, {})) {
            if (!line.starts_with("path: ")) {
                EXPECT_LT(line.size(), 128u) << line;
            }
        }
    }
}

TEST(telemetry_text, durations_are_in_the_unit_one_would_say) {
    EXPECT_EQ(duration_text(200), "200 ms");
    EXPECT_EQ(duration_text(41200), "41.2 s");
    EXPECT_EQ(duration_text(600000), "10 min 0 s");
    EXPECT_EQ(duration_text(3900000), "1 h 5 min");
}

TEST(telemetry_text, outcomes_become_counter_names) {
    EXPECT_EQ(camel("timed_out_fin_wait_2"), "TimedOutFinWait2");
}

TEST(close_wait_watch, the_warning_counts_by_listener_and_names_the_oldest) {
    stack::census c;
    connection_row r = time_wait_row();
    r.st = state::close_wait;
    r.has_age = true;
    r.listener_port = 80;
    r.age_ms = 700000;
    c.add(r, 600000);
    c.add(r, 600000);
    r.listener_port = 443;
    r.age_ms = 1000;
    c.add(r, 600000);
    EXPECT_EQ(close_wait_warning(c, 600),
              "2 connections have been in CLOSE_WAIT for more than 10 min 0 s (port 80: 2): the "
              "peer has closed and the application has not; oldest 10.0.0.2:80-10.0.0.1:40000 for "
              "11 min 40 s, 10.0.0.2:80-10.0.0.1:40000 for 11 min 40 s, "
              "10.0.0.2:80-10.0.0.1:40000 for 1.0 s");
}

}  // namespace
}  // namespace lastack::dpdk
