// SPDX-License-Identifier: BSD-3-Clause
// What can be seen of a running stack: rows, pages, explanations, the last closes, histograms.
#include "stack/inspect.hpp"

#include <algorithm>
#include <set>

#include "stack/census.hpp"
#include "support/scenario_test.hpp"
#include "teardown/names.hpp"

namespace lastack::test {
namespace {

using stack::connection_row;
using stack::explanation;
using stack::timer_kind;

// All rows, asked for in pages of `page` and slices of `budget`.
std::vector<connection_row> all_rows(const scenario& s, const stack::row_filter& filter = {},
                                     std::uint32_t budget = 64, std::size_t page = 8) {
    std::vector<connection_row> all, rows(page);
    for (stack::table_position at; !at.at_end();) {
        const auto n = stack::list_rows(const_cast<scenario&>(s).core(), at, filter, budget, rows);
        all.insert(all.end(), rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(n));
    }
    return all;
}

stack::row_filter only(teardown::state st) {
    stack::row_filter f;
    f.states = static_cast<std::uint16_t>(1u << static_cast<unsigned>(st));
    return f;
}

// The one row in this state.
connection_row row_in(const scenario& s, teardown::state st) {
    const auto rows = all_rows(s, only(st));
    EXPECT_EQ(rows.size(), 1u);
    return rows.empty() ? connection_row{} : rows.front();
}

flow::key4 key_of(const remote& r) {
    return {peer_address, stack_address, r.port, r.stack_port};
}

TEST(inspect, a_listener_shows_its_backlog_and_who_waits_to_be_accepted) {
    checked_scenario s;
    const auto r = row_in(s, state::listen);
    EXPECT_EQ(r.key.local_port, listen_port);
    EXPECT_EQ(r.send_q, s.core().settings().somaxconn);
    EXPECT_EQ(r.timer, timer_kind::off);
}

TEST(inspect, each_state_is_listed_once_under_its_own_name) {
    checked_scenario s;
    s.make_syn_received();
    s.make_established();
    s.make_fin_wait_1();
    s.make_fin_wait_2();
    s.make_orphan_fin_wait_2();
    s.make_closing();
    s.make_close_wait();
    s.make_last_ack();
    s.make_time_wait();
    s.make_syn_sent();
    const auto counts = s.core().states();
    for (std::size_t st = 1; st < teardown::state_count; ++st) {
        const auto rows = all_rows(s, only(static_cast<teardown::state>(st)));
        EXPECT_EQ(rows.size(), counts.by_state[st]) << teardown::state_names[st];
        EXPECT_GE(rows.size(), 1u) << teardown::state_names[st];
    }
}

TEST(inspect, a_walk_in_small_slices_meets_each_connection_exactly_once) {
    checked_scenario s;
    std::set<std::uint16_t> expected;
    for (int i = 0; i < 40; ++i) {
        expected.insert(i % 2 == 0 ? s.make_established().port : s.make_time_wait().port);
    }
    for (const std::uint32_t budget : {1u, 7u, 1000u}) {
        std::multiset<std::uint16_t> met;
        for (const auto& row : all_rows(s, {}, budget)) {
            if (row.st != state::listen) {
                met.insert(row.key.remote_port);
            }
        }
        EXPECT_EQ(met.size(), expected.size());
        EXPECT_EQ(std::set(met.begin(), met.end()), expected);
    }
}

TEST(inspect, a_slice_looks_at_no_more_than_its_budget) {
    checked_scenario s;
    s.make_established();
    stack::table_position at;
    std::array<connection_row, 8> rows;
    std::uint32_t slices = 0;
    for (; !at.at_end(); ++slices) {
        static_cast<void>(stack::list_rows(s.core(), at, {}, 1, rows));
    }
    EXPECT_GE(slices, s.core().settings().connections);
}

TEST(inspect, filters_by_port_and_state) {
    checked_scenario s;
    remote& a = s.make_established();
    s.make_established();
    s.make_time_wait();
    stack::row_filter f;
    f.remote_port = a.port;
    EXPECT_EQ(all_rows(s, f).size(), 1u);
    f.local_port = listen_port + 1;
    EXPECT_EQ(all_rows(s, f).size(), 0u);
    EXPECT_EQ(all_rows(s, only(state::time_wait)).size(), 1u);
}

TEST(inspect, time_wait_and_a_closed_fin_wait_2_show_the_time_that_is_left) {
    checked_scenario s;
    s.make_time_wait();
    s.make_orphan_fin_wait_2();
    s.advance(10s);
    for (const auto st : {state::time_wait, state::fin_wait_2}) {
        const auto r = row_in(s, st);
        EXPECT_EQ(r.timer, timer_kind::timewait);
        EXPECT_NEAR(r.remaining_ms, 50000, 100);
    }
}

TEST(inspect, queues_and_the_retransmission_timer_are_as_ss_shows_them) {
    checked_scenario s;
    remote& r = s.make_established();
    r.send(seg(".").text("hello"));
    EXPECT_EQ(s.send(r.id, "0123456789"), 10u);
    auto row = row_in(s, state::established);
    EXPECT_EQ(row.recv_q, 5u);
    EXPECT_EQ(row.send_q, 10u);
    EXPECT_EQ(row.timer, timer_kind::on);
    s.shutdown(r.id, shutdown_how::write);
    row = row_in(s, state::fin_wait_1);
    EXPECT_EQ(row.send_q, 11u);  // the FIN takes a number
    EXPECT_GT(row.remaining_ms, 0u);
    s.advance(5s);
    EXPECT_GE(row_in(s, state::fin_wait_1).tries, 1u);
}

TEST(inspect, age_counts_from_the_last_change_of_state) {
    checked_scenario s;
    remote& r = s.make_established();
    s.advance(30s);
    r.send(seg("F."));
    s.advance(7s);
    const auto row = row_in(s, state::close_wait);
    EXPECT_TRUE(row.has_age);
    EXPECT_NEAR(row.age_ms, 7000, 50);
    EXPECT_EQ(row.listener_port, listen_port);
}

TEST(explain, a_live_connection_tells_its_path) {
    checked_scenario s;
    remote& r = s.make_close_wait();
    const auto x = stack::explain(s.core(), key_of(r));
    EXPECT_EQ(x.found, explanation::found_as::connection);
    EXPECT_EQ(x.row.st, state::close_wait);
    using tcp::then;
    EXPECT_EQ(x.taken,
              then(then(then(0, state::syn_received), state::established), state::close_wait));
    EXPECT_TRUE(x.held);
    EXPECT_EQ(x.closes_found, 0u);
}

TEST(explain, what_is_gone_tells_how_it_ended) {
    checked_scenario s;
    remote& r = s.make_established();
    const auto ended = s.now();
    r.send(seg("R.").seq(1));
    s.advance(5s);
    const auto x = stack::explain(s.core(), key_of(r));
    EXPECT_EQ(x.found, explanation::found_as::nothing);
    ASSERT_EQ(x.closes_found, 1u);
    EXPECT_EQ(x.closes[0].outcome, close_outcome::reset_by_peer);
    EXPECT_EQ(x.closes[0].at_us, ended.us);
    using tcp::then;
    EXPECT_EQ(x.closes[0].taken,
              then(then(then(0, state::syn_received), state::established), state::closed));
}

TEST(explain, a_closed_fin_wait_2_leaves_two_entries_the_end_first) {
    checked_scenario s;
    remote& r = s.make_orphan_fin_wait_2();
    EXPECT_EQ(stack::explain(s.core(), key_of(r)).found, explanation::found_as::record);
    s.advance(61s);
    const auto x = stack::explain(s.core(), key_of(r));
    EXPECT_EQ(x.found, explanation::found_as::nothing);
    ASSERT_EQ(x.closes_found, 2u);
    EXPECT_EQ(x.closes[0].outcome, close_outcome::timed_out_fin_wait_2);
    EXPECT_EQ(x.closes[1].outcome, close_outcome::none);
}

TEST(close_log, keeps_the_latest_and_forgets_the_oldest) {
    tcp::close_log log;
    for (std::uint32_t i = 0; i < tcp::close_log::entries + 10; ++i) {
        log.add(i, 0, {peer_address, stack_address, static_cast<std::uint16_t>(i), 80},
                close_outcome::clean_active);
    }
    EXPECT_EQ(log.latest(0).at_us, tcp::close_log::entries + 9);
    std::array<tcp::close_entry, 4> found;
    EXPECT_EQ(log.find({peer_address, stack_address, 9, 80}, found), 0u);
    EXPECT_EQ(log.find({peer_address, stack_address, 10, 80}, found), 1u);
}

TEST(census, histograms_tell_what_is_left_of_time_wait_and_how_old_close_wait_is) {
    checked_scenario s;
    s.make_close_wait();
    s.advance(100s);
    s.make_close_wait();
    s.make_time_wait();
    s.advance(25s);
    stack::census c;
    for (const auto& row : all_rows(s)) {
        c.add(row, 60000);
    }
    EXPECT_EQ(c.time_wait_left[7], 1u);  // 30 s to 40 s
    const auto& ages = c.age[static_cast<std::size_t>(state::close_wait)];
    EXPECT_EQ(ages[2], 1u);  // 10 s to 60 s
    EXPECT_EQ(ages[3], 1u);  // 60 s to 300 s
    EXPECT_EQ(c.overdue, 1u);
    ASSERT_EQ(c.leak_count, 1u);
    EXPECT_EQ(c.leaks[0].port, listen_port);
    EXPECT_EQ(c.leaks[0].waiting, 2u);
    EXPECT_EQ(c.leaks[0].overdue, 1u);
    ASSERT_EQ(c.oldest_count, 2u);
    EXPECT_GT(c.oldest[0].age_ms, c.oldest[1].age_ms);
}

TEST(census, sums_keep_the_oldest_of_all_in_order) {
    stack::census sum;
    for (std::uint32_t core = 0; core < 3; ++core) {
        stack::census one;
        for (std::uint32_t i = 0; i < 20; ++i) {
            connection_row r;
            r.st = state::close_wait;
            r.has_age = true;
            r.age_ms = i * 3 + core;
            one.add(r, 30);
        }
        sum.add(one);
    }
    ASSERT_EQ(sum.oldest_count, stack::census::oldest_max);
    for (std::uint32_t i = 0; i < stack::census::oldest_max; ++i) {
        EXPECT_EQ(sum.oldest[i].age_ms, 59 - i);
    }
    EXPECT_EQ(sum.overdue, 30u);
}

// R42
TEST(live_settings, a_new_length_of_time_wait_holds_for_the_next_record_only) {
    checked_scenario s;
    s.make_time_wait();
    auto settings = s.core().settings();
    settings.time_wait_ms = 2000;
    s.core().apply_settings(settings);
    s.make_time_wait();
    s.advance(3s);
    EXPECT_EQ(s.in_state(state::time_wait), 1u);
    s.advance(58s);
    EXPECT_EQ(s.in_state(state::time_wait), 0u);
}

// R54
TEST(live_settings, lowering_the_cap_evicts_nothing_and_refuses_the_next) {
    checked_scenario s;
    s.make_time_wait();
    s.make_time_wait();
    auto settings = s.core().settings();
    settings.tcp_max_tw_buckets = 1;
    s.core().apply_settings(settings);
    EXPECT_EQ(s.in_state(state::time_wait), 2u);
    remote& r = s.make_fin_wait_2();
    r.send(seg("F."));
    EXPECT_EQ(s.in_state(state::time_wait), 2u);
    EXPECT_EQ(s.count(counter::tw_overflow), 1u);
    settings.tcp_max_tw_buckets = 100;
    s.core().apply_settings(settings);
    s.make_time_wait();
    EXPECT_EQ(s.in_state(state::time_wait), 3u);
}

TEST(live_settings, timestamps_are_for_new_connections_only) {
    checked_scenario s;
    peer_options with;
    with.timestamps = true;
    remote& old = s.make_established(with);
    auto settings = s.core().settings();
    settings.tcp_timestamps = 0;
    s.core().apply_settings(settings);
    remote& fresh = s.make_established(with);
    EXPECT_EQ(s.send(old.id, "a"), 1u);
    EXPECT_EQ(s.send(fresh.id, "b"), 1u);
    EXPECT_TRUE(old.last().tcp.options.has_timestamps);
    EXPECT_FALSE(fresh.last().tcp.options.has_timestamps);
}

// R57
TEST(live_settings, connect_takes_its_port_from_the_new_range) {
    checked_scenario s;
    auto settings = s.core().settings();
    settings.ip_local_port_range = {50000, 50000};
    s.core().apply_settings(settings);
    EXPECT_EQ(s.make_syn_sent().stack_port, 50000);
    EXPECT_FALSE(s.calls().connect({peer_address, 40000}).ok() &&
                 s.calls().connect({peer_address, 40000}).ok());
}

TEST(resets, each_is_counted_under_the_fact_that_asked_for_it) {
    checked_scenario s;
    const auto by = [&s](teardown::event e) {
        return s.tcp().resets()[static_cast<std::size_t>(e)];
    };
    s.abort(s.make_established().id);
    EXPECT_EQ(by(teardown::event::app_abort), 1u);
    remote& closed_port = s.new_remote({}, 81);
    closed_port.send(seg("S"));
    EXPECT_EQ(by(teardown::event::rx_syn), 1u);
    std::uint64_t sum = 0;
    for (const auto n : s.tcp().resets()) {
        sum += n;
    }
    EXPECT_EQ(sum, s.count(counter::tcp_out_rsts));
}

}  // namespace
}  // namespace lastack::test
