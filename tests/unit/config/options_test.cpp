// SPDX-License-Identifier: BSD-3-Clause
// The table of settings: every row can be set, printed and refused, and the page shows the rows.
#include "config/options.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/suggest.hpp"

namespace lastack::config {
namespace {

std::string error_of(std::string_view key, std::string_view text) {
    settings s;
    const auto done = set(s, key, text);
    EXPECT_TRUE(done || s == settings{}) << "a refused value changed a setting";
    return done ? "" : done.error();
}

settings with(std::string_view assignment) {
    settings s;
    const auto done = set_assignment(s, assignment);
    EXPECT_TRUE(done) << done.error();
    return s;
}

std::string resolve_error(std::string_view assignment) {
    const auto done = resolve(with(assignment));
    return done ? "" : done.error();
}

TEST(options, every_row_is_found_by_its_key_and_takes_back_what_it_prints) {
    settings resolved = *resolve(settings{});
    for (const option& o : options()) {
        EXPECT_EQ(find_option(o.key), &o);
        settings s;
        const auto done = set(s, o.key, get(resolved, o));
        EXPECT_TRUE(done) << done.error();
        EXPECT_EQ(get(s, o), get(resolved, o));
        EXPECT_FALSE(o.sentence.empty());
        EXPECT_EQ(o.sentence.back(), '.');
    }
}

TEST(options, every_row_writes_a_field_of_its_own) {
    // Setting one option must change what that option prints and nothing else.
    for (const option& o : options()) {
        settings s;
        const auto text = std::holds_alternative<file_name settings::*>(o.where) ? "a-file"
                          : o.key.ends_with("headroom")                          ? "2"
                          : o.key.ends_with("port_range")                        ? "1000 1001"
                          : o.key.ends_with("mem")                               ? "1 2 3"
                          : o.key.ends_with("cap_policy")                        ? "evict_oldest"
                          : o.key.ends_with("ts_missing")                        ? "drop"
                          : get(s, o) == "1"                                     ? "0"
                          : o.min == o.max                                       ? ""
                          : std::to_string(o.max) == get(s, o) ? std::to_string(o.min)
                                                               : std::to_string(o.max);
        if (o.key == "net.ipv4.tcp_rto_max_ms") {
            continue;  // its default is its maximum and its text above is its minimum: covered
                       // below
        }
        ASSERT_TRUE(set(s, o.key, text)) << o.key;
        for (const option& other : options()) {
            EXPECT_EQ(get(s, other) != get(settings{}, other), other.key == o.key)
                << o.key << " against " << other.key;
        }
    }
    EXPECT_EQ(with("net.ipv4.tcp_rto_max_ms=1000").tcp_rto_max_ms, 1000u);
}

TEST(options, a_number_outside_its_range_is_refused_with_range_and_unit) {
    for (const option& o : options()) {
        if (!std::holds_alternative<std::uint32_t settings::*>(o.where)) {
            continue;
        }
        const auto above = std::to_string(std::uint64_t{o.max} + 1);
        const auto range = std::to_string(o.min) + " to " + std::to_string(o.max);
        const auto error = error_of(o.key, above);
        EXPECT_NE(error.find(range), error.npos) << error;
        EXPECT_NE(error.find(o.unit), error.npos) << error;
        EXPECT_EQ(error.find(o.key), 0u) << error;
        if (o.min > 0) {
            EXPECT_FALSE(error_of(o.key, std::to_string(o.min - 1)).empty());
        }
        EXPECT_TRUE(error_of(o.key, std::to_string(o.min)).empty());
        EXPECT_TRUE(error_of(o.key, std::to_string(o.max)).empty());
    }
}

TEST(options, text_that_is_no_number_is_refused) {
    for (const auto* text :
         {"", " ", "x", "1x", "-1", "+1", "0x10", "1 2", "99999999999999", "1.5"}) {
        EXPECT_FALSE(error_of("net.ipv4.tcp_fin_timeout", text).empty()) << text;
    }
    EXPECT_TRUE(error_of("net.ipv4.tcp_fin_timeout", " 30\t").empty());
}

TEST(options, a_flag_takes_0_or_1_only) {
    EXPECT_FALSE(with("net.ipv4.tcp_sack = 0").tcp_sack);
    EXPECT_EQ(error_of("net.ipv4.tcp_sack", "2"),
              "net.ipv4.tcp_sack cannot be '2': it takes 0 or 1");
    EXPECT_FALSE(error_of("net.ipv4.tcp_sack", "true").empty());
}

TEST(options, a_word_must_be_one_of_its_words) {
    EXPECT_EQ(with("lastack.time_wait_cap_policy=evict_oldest").time_wait_cap_policy,
              cap_policy::evict_oldest);
    EXPECT_EQ(with("lastack.ts_missing=drop").ts_missing, ts_missing_policy::drop);
    EXPECT_EQ(error_of("lastack.ts_missing", "reject"),
              "lastack.ts_missing cannot be 'reject': it takes accept or drop");
    EXPECT_FALSE(error_of("lastack.time_wait_cap_policy", "").empty());
}

TEST(options, ranges_and_limits_must_ascend) {
    EXPECT_EQ(with("net.ipv4.ip_local_port_range=1024 65535").ip_local_port_range,
              (port_range{1024, 65535}));
    EXPECT_EQ(with("net.ipv4.tcp_rmem=4096\t87380\t6291456").tcp_rmem,
              (buffer_limits{4096, 87380, 6291456}));
    for (const auto* bad : {"1024", "2000 1000", "0 1000", "1 65536", "1 2 3", "1,2"}) {
        EXPECT_FALSE(error_of("net.ipv4.ip_local_port_range", bad).empty()) << bad;
    }
    for (const auto* bad : {"4096 87380", "3 2 1", "1 3 2", "0 1 2", "1 2 3 4"}) {
        EXPECT_FALSE(error_of("net.ipv4.tcp_wmem", bad).empty()) << bad;
    }
}

TEST(options, a_file_name_may_be_as_long_as_it_is_held_and_no_longer) {
    EXPECT_EQ(with("lastack.secret_file=/etc/secret").secret_file.view(), "/etc/secret");
    EXPECT_TRUE(error_of("lastack.secret_file", std::string(255, 'x')).empty());
    EXPECT_FALSE(error_of("lastack.secret_file", std::string(256, 'x')).empty());
    EXPECT_FALSE(error_of("lastack.secret_file", std::string_view("a\0b", 3)).empty());
}

TEST(options, a_factor_takes_two_decimals) {
    EXPECT_EQ(with("lastack.core_headroom=1.5").core_headroom, factor{150});
    EXPECT_EQ(with("lastack.core_headroom=64").core_headroom, factor{6400});
    EXPECT_EQ(get(with("lastack.core_headroom=2.07"), *find_option("lastack.core_headroom")),
              "2.07");
    EXPECT_EQ(
        error_of("lastack.core_headroom", "0.99"),
        "lastack.core_headroom cannot be '0.99': it takes 1 to 64, with at most two decimals");
    for (const auto* bad :
         {"", ".", "1.", ".5", "1.255", "1,5", "64.01", "-1", "1.2.3", "99999999999999999999"}) {
        EXPECT_FALSE(error_of("lastack.core_headroom", bad).empty()) << bad;
    }
}

TEST(options, a_slash_separates_as_it_does_for_sysctl) {
    EXPECT_EQ(with("net/ipv4/tcp_fin_timeout=30").tcp_fin_timeout, 30u);
}

TEST(options, an_unknown_key_names_the_nearest_one) {
    EXPECT_NE(error_of("net.ipv4.tcp_fin_timeot", "1").find("'net.ipv4.tcp_fin_timeout'"),
              std::string::npos);
    EXPECT_NE(error_of("tcp_sack", "1").find("'net.ipv4.tcp_sack'"), std::string::npos);
    EXPECT_NE(error_of("tcp_sakc", "1").find("'net.ipv4.tcp_sack'"), std::string::npos);
    EXPECT_NE(error_of("lastack.time_wait", "1").find("'lastack.time_wait_ms'"), std::string::npos);
    EXPECT_NE(error_of("", "1").find("unknown setting"), std::string::npos);
}

TEST(options, tcp_tw_recycle_is_refused_with_the_reason) {
    const auto error = error_of("net.ipv4.tcp_tw_recycle", "1");
    EXPECT_NE(error.find("NAT"), error.npos);
    EXPECT_NE(error.find("4.12"), error.npos);
}

TEST(options, an_assignment_needs_an_equals_sign) {
    settings s;
    const auto done = set_assignment(s, "net.ipv4.tcp_sack");
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().find("KEY=VALUE"), std::string::npos);
}

// R54, R63, R64: the defaults of these limits are the capacities reserved at start.
TEST(options, limits_follow_the_capacities_unless_they_are_set) {
    auto s = with("lastack.time_wait_records=1000");
    ASSERT_TRUE(set(s, "lastack.connections", "500"));
    const auto r = resolve(s);
    ASSERT_TRUE(r);
    EXPECT_EQ(r->tcp_max_tw_buckets, 1000u);
    EXPECT_EQ(r->tcp_max_orphans, 500u);
    EXPECT_EQ(r->somaxconn, 500u);
    EXPECT_EQ(r->tcp_max_syn_backlog, r->syn_records);
    EXPECT_EQ(resolve(with("net.ipv4.tcp_max_tw_buckets=0"))->tcp_max_tw_buckets, 0u);
}

TEST(options, a_limit_above_what_is_reserved_is_refused_and_names_the_capacity) {
    const auto error = resolve_error("net.ipv4.tcp_max_tw_buckets=4194305");
    EXPECT_NE(error.find("lastack.time_wait_records"), error.npos) << error;
    EXPECT_TRUE(resolve_error("net.ipv4.tcp_max_tw_buckets=4194304").empty());
    EXPECT_NE(resolve_error("net.ipv4.tcp_max_orphans=262145").find("lastack.connections"),
              std::string::npos);
}

TEST(options, the_shortest_timeout_may_not_exceed_the_longest) {
    auto s = with("net.ipv4.tcp_rto_min_us=2000000");
    EXPECT_TRUE(resolve(s));
    ASSERT_TRUE(set(s, "net.ipv4.tcp_rto_max_ms", "1000"));
    EXPECT_FALSE(resolve(s));
}

TEST(options, a_fast_open_server_is_refused_with_a_sentence) {
    for (const char* bits : {"0", "1", "4", "5"}) {
        EXPECT_EQ(resolve_error(std::string("net.ipv4.tcp_fastopen=") + bits), "") << bits;
    }
    EXPECT_NE(resolve_error("net.ipv4.tcp_fastopen=3").find("no Fast Open server"),
              std::string::npos);
    EXPECT_FALSE(resolve(with("net.ipv4.tcp_fastopen=2")));
    settings s;
    EXPECT_FALSE(set(s, "net.ipv4.tcp_fastopen", "1027"));
}

TEST(options, help_names_every_setting) {
    const auto help = help_text();
    for (const option& o : options()) {
        EXPECT_NE(help.find(o.key), help.npos) << o.key;
        EXPECT_NE(help.find(o.sentence), help.npos) << o.key;
    }
}

TEST(options, the_committed_page_is_the_table) {
    std::stringstream page;
    page << std::ifstream(LASTACK_SOURCE_DIR "/docs/settings.md").rdbuf();
    EXPECT_EQ(page.str(), markdown()) << "run scripts/make-docs";
}

TEST(suggest, distance_counts_inserted_removed_replaced_and_swapped_letters) {
    EXPECT_EQ(edit_distance("", ""), 0u);
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(edit_distance("abc", ""), 3u);
    EXPECT_EQ(edit_distance("abc", "abd"), 1u);
    EXPECT_EQ(edit_distance("abc", "acb"), 1u);
    EXPECT_EQ(edit_distance("abc", "xabc"), 1u);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(suggest, nearest_of_nothing_is_nothing) {
    EXPECT_EQ(nearest("a", {}), "");
}

TEST(options, a_running_stack_takes_what_does_not_reserve_memory) {
    const auto now = *resolve(settings{});
    const auto next = change_running(now, "net/ipv4/tcp_fin_timeout", " 30 ");
    ASSERT_TRUE(next) << next.error();
    auto expected = now;
    expected.tcp_fin_timeout = 30;
    EXPECT_EQ(*next, expected);
}

TEST(options, a_running_stack_refuses_with_a_sentence_what_it_cannot_take) {
    const auto now = *resolve(settings{});
    const auto refusal = [&now](std::string_view key, std::string_view text) {
        const auto next = change_running(now, key, text);
        return next ? "" : next.error();
    };
    EXPECT_NE(refusal("lastack.connections", "10").find("fixed at start"), std::string::npos);
    EXPECT_NE(refusal("net.ipv4.tcp_fin_timeout", "-1").find("it takes 0 to"), std::string::npos);
    EXPECT_NE(refusal("net.ipv4.tcp_max_tw_buckets", "2000000000").find("reserved at start"),
              std::string::npos);
    EXPECT_NE(refusal("net.ipv4.tcp_tw_recycle", "1").find("is refused"), std::string::npos);
    EXPECT_NE(refusal("net.ipv4.tcp_fin_timeouts", "1").find("nearest"), std::string::npos);
}

}  // namespace
}  // namespace lastack::config
