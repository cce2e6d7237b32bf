// SPDX-License-Identifier: BSD-3-Clause
// lastack-ctl's commands over a stack that the test plays.
#include "apps/ctl/commands.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

namespace {

using ctl::output;
using lastack::failure;
using nlohmann::json;

// Replies by command; what was asked is noted.
struct fake_stack {
    std::map<std::string, json> replies;
    std::vector<std::string> asked;

    ctl::ask_function ask() {
        return [this](const std::string& command) -> lastack::result<json, std::string> {
            asked.push_back(command);
            const auto found = replies.find(command);
            if (found == replies.end()) {
                return failure{"no reply to " + command};
            }
            return found->second;
        };
    }
};

std::string text_of(const output& o) {
    return o ? *o : "error: " + o.error();
}

fake_stack with_rows() {
    fake_stack s;
    s.replies["/lastack/connections,cursor=0.0.0.0"] = {
        {"cursor", "0.0.3.8"},
        {"rows",
         {"LISTEN 0 128 0.0.0.0:80 0.0.0.0:* off 0 0 1",
          "ESTAB 5 10 10.0.0.2:80 10.0.0.1:40000 on 200 1 1"}}};
    s.replies["/lastack/connections,cursor=0.0.3.8"] = {
        {"cursor", ""}, {"rows", {"TIME-WAIT 0 0 10.0.0.2:80 10.0.0.1:40001 timewait 41000 0 2"}}};
    return s;
}

TEST(ctl_ss, columns_are_those_of_ss_tano) {
    auto s = with_rows();
    ctl::ss_options o;
    o.timers = true;
    EXPECT_EQ(text_of(ctl::ss(s.ask(), o)),
              "State      Recv-Q Send-Q Local Address:Port Peer Address:Port\n"
              "LISTEN     0      128            0.0.0.0:80 0.0.0.0:*\n"
              "ESTAB      5      10            10.0.0.2:80 10.0.0.1:40000    timer:(on,200ms,1)\n"
              "TIME-WAIT  0      0             10.0.0.2:80 10.0.0.1:40001    "
              "timer:(timewait,41sec,0)\n");
}

TEST(ctl_ss, follows_the_cursor_to_the_end) {
    auto s = with_rows();
    ctl::ss_options o;
    o.no_header = true;
    const auto text = text_of(ctl::ss(s.ask(), o));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
    EXPECT_EQ(s.asked.size(), 2u);
}

TEST(ctl_ss, json_is_an_array_of_the_promised_shape) {
    auto s = with_rows();
    ctl::ss_options o;
    o.json = true;
    const auto list = json::parse(text_of(ctl::ss(s.ask(), o)));
    ASSERT_EQ(list.size(), 3u);
    EXPECT_EQ(list[2], (json{{"state", "TIME-WAIT"},
                             {"local", "10.0.0.2:80"},
                             {"peer", "10.0.0.1:40001"},
                             {"recv_q", 0},
                             {"send_q", 0},
                             {"timer", "timewait"},
                             {"remaining_ms", 41000},
                             {"lcore", 2}}));
}

TEST(ctl_ss, an_empty_list_is_an_empty_array) {
    fake_stack s;
    s.replies["/lastack/connections,cursor=0.0.0.0"] = {{"cursor", ""}, {"rows", json::array()}};
    ctl::ss_options o;
    o.json = true;
    EXPECT_EQ(text_of(ctl::ss(s.ask(), o)), "[]\n");
}

TEST(ctl_ss, filters_go_to_the_stack_in_its_own_words) {
    struct one {
        std::vector<std::string> words;
        std::string parameters;
    };
    for (const auto& [words, parameters] :
         {one{{"state", "time-wait"}, ",state=TIME-WAIT"},
          one{{"state", "TIME_WAIT", "sport", "=", ":80"}, ",state=TIME-WAIT,sport=80"},
          one{{"sport=:80", "and", "dport", "eq", "40000"}, ",sport=80,dport=40000"},
          one{{"state", "syn-sent", "state", "syn-recv"}, ",state=SYN-SENT+SYN-RECV"},
          one{{"sport = :80 and dport = :1", "state time-wait"},
              ",state=TIME-WAIT,sport=80,dport=1"},
          one{{"state", "bucket"}, ",state=SYN-RECV+TIME-WAIT"}}) {
        fake_stack s;
        ctl::ss_options o;
        o.filter = words;
        static_cast<void>(ctl::ss(s.ask(), o));
        ASSERT_EQ(s.asked.size(), 1u);
        EXPECT_EQ(s.asked[0], "/lastack/connections,cursor=0.0.0.0" + parameters);
    }
}

TEST(ctl_ss, a_wrong_filter_is_one_line_that_names_the_word_and_asks_nothing) {
    for (const std::vector<std::string>& words : {std::vector<std::string>{"state", "nonsense"},
                                                  {"state"},
                                                  {"sport", "=", ":x"},
                                                  {"sport", "=", ":0"},
                                                  {"dport", "99999"},
                                                  {"colour"}}) {
        fake_stack s;
        ctl::ss_options o;
        o.filter = words;
        const auto done = ctl::ss(s.ask(), o);
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().find('\n'), std::string::npos);
        EXPECT_TRUE(s.asked.empty());
    }
}

TEST(ctl_ss, times_are_written_as_ss_writes_them) {
    EXPECT_EQ(ctl::timer_text(41000), "41sec");
    EXPECT_EQ(ctl::timer_text(200), "200ms");
    EXPECT_EQ(ctl::timer_text(72000), "1min12sec");
    EXPECT_EQ(ctl::timer_text(7140000), "119min");
    EXPECT_EQ(ctl::timer_text(4444), "4.444ms");
    EXPECT_EQ(ctl::timer_text(0), "0ms");
}

TEST(ctl_ss, the_summary_is_exact_from_counts_not_from_a_walk) {
    fake_stack s;
    s.replies["/lastack/states"] = {{"all", {{"ESTAB", 2}, {"TIME_WAIT", 7}, {"orphans", 1}}}};
    ctl::ss_options o;
    o.summary = true;
    const auto text = text_of(ctl::ss(s.ask(), o));
    EXPECT_NE(text.find("TCP:   9 (estab 2, closed 7, orphaned 1, timewait 7)"), std::string::npos);
    EXPECT_NE(text.find("TIME-WAIT   7\n"), std::string::npos);
    o.filter = {"state", "time-wait"};
    EXPECT_FALSE(ctl::ss(s.ask(), o)) << "the filter would be ignored";
}

class ctl_nstat : public ::testing::Test {
  protected:
    ctl_nstat() {
        std::string pattern = ::testing::TempDir() + "nstatXXXXXX";
        folder = ::mkdtemp(pattern.data());
        options.history = folder + "/history";
        options.identity = "lastack-1.1";
        count(5);
    }
    ~ctl_nstat() override { std::filesystem::remove_all(folder); }
    void count(int expired) {
        stack.replies["/lastack/counters"] = {{"TcpExtTW", expired}, {"TcpActiveOpens", 0}};
    }
    json call() {
        auto o = options;
        o.json = true;
        return json::parse(text_of(ctl::nstat(stack.ask(), o)));
    }

    fake_stack stack;
    ctl::nstat_options options;
    std::string folder;
};

TEST_F(ctl_nstat, prints_names_as_nstat_does_and_leaves_zeros_out) {
    EXPECT_EQ(text_of(ctl::nstat(stack.ask(), options)),
              "#lastack\nTcpExtTW                                5               0.0\n");
}

TEST_F(ctl_nstat, counts_from_the_last_call) {
    EXPECT_EQ(call(), (json{{"TcpExtTW", 5}}));
    count(12);
    EXPECT_EQ(call(), (json{{"TcpExtTW", 7}}));
    EXPECT_EQ(call(), json::object());
    options.absolute = true;
    EXPECT_EQ(call(), (json{{"TcpExtTW", 12}}));
}

TEST_F(ctl_nstat, another_process_starts_from_zero) {
    call();
    options.identity = "lastack-2.2";
    EXPECT_EQ(call(), (json{{"TcpExtTW", 5}}));
}

TEST_F(ctl_nstat, leaves_the_history_alone_when_told_to) {
    options.no_update = true;
    call();
    EXPECT_EQ(call(), (json{{"TcpExtTW", 5}}));
}

TEST_F(ctl_nstat, a_broken_history_counts_as_none) {
    for (const auto* text :
         {"not json", "[]", R"({"process":5,"counters":{"TcpExtTW":1}})",
          R"({"process":"lastack-1.1"})", R"({"process":"lastack-1.1","counters":5})",
          R"({"process":"lastack-1.1","counters":{"TcpExtTW":"x"}})"}) {
        std::ofstream(options.history) << text;
        EXPECT_EQ(call(), (json{{"TcpExtTW", 5}})) << text;
    }
}

TEST_F(ctl_nstat, a_folder_in_the_history_s_place_is_an_error_that_names_it) {
    options.history = folder;
    const auto done = ctl::nstat(stack.ask(), options);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().find(folder), std::string::npos);
}

TEST_F(ctl_nstat, explains_each_counter_zeros_included) {
    stack.replies["/lastack/counter_help,0"] = {{"TcpExtTW", "ran their full time"}};
    stack.replies["/lastack/counter_help,1"] = {{"TcpActiveOpens", "opened"}};
    stack.replies["/lastack/counter_help,2"] = json::object();
    options.explain = true;
    const auto text = text_of(ctl::nstat(stack.ask(), options));
    EXPECT_NE(text.find("ran their full time"), std::string::npos);
    EXPECT_NE(text.find("opened"), std::string::npos);
}

TEST_F(ctl_nstat, a_name_that_nothing_has_is_an_error) {
    options.names = {"TcpNonsense*"};
    EXPECT_FALSE(ctl::nstat(stack.ask(), options));
}

output sysctl(fake_stack& s, const ctl::sysctl_options& o) {
    std::string before;
    return ctl::sysctl(s.ask(), o, before);
}

TEST(ctl_sysctl, reads_and_writes_by_sysctl_s_own_forms) {
    fake_stack s;
    const json setting = {{"key", "net.ipv4.tcp_fin_timeout"},
                          {"value", "30"},
                          {"range", "0 to 10 s"},
                          {"default", "60"},
                          {"changes", "while running"},
                          {"sentence", {"What", " it is."}}};
    s.replies["/lastack/settings,net.ipv4.tcp_fin_timeout"] = setting;
    s.replies["/lastack/set,net.ipv4.tcp_fin_timeout=30"] = setting;
    s.replies["/lastack/settings"] = {{"net/ipv4/tcp_fin_timeout", "30"}};
    const std::string line = "net.ipv4.tcp_fin_timeout = 30  # 0 to 10 s; default 60\n";
    const std::string explained = line + "# What it is.\n";
    EXPECT_EQ(text_of(sysctl(s, {false, false, false, {"net.ipv4.tcp_fin_timeout"}})), explained);
    EXPECT_EQ(text_of(sysctl(s, {false, false, false, {"net/ipv4/tcp_fin_timeout"}})), explained);
    EXPECT_EQ(text_of(sysctl(s, {false, false, true, {"net.ipv4.tcp_fin_timeout=30"}})), line);
    EXPECT_EQ(text_of(sysctl(s, {true, false, false, {}})), line);
    EXPECT_EQ(text_of(sysctl(s, {true, true, false, {}})), "30\n");
    EXPECT_FALSE(sysctl(s, {false, false, true, {"net.ipv4.tcp_fin_timeout"}}));
    EXPECT_FALSE(sysctl(s, {}));
}

TEST(ctl_sysctl, what_was_changed_before_a_mistake_is_told) {
    fake_stack s;
    s.replies["/lastack/set,a=1"] = {{"key", "a"}, {"value", "1"}};
    std::string before;
    EXPECT_FALSE(ctl::sysctl(s.ask(), {false, false, true, {"a=1", "bad=2", "a=1"}}, before));
    EXPECT_TRUE(before.starts_with("a = 1 ")) << before;
    EXPECT_EQ(s.asked.size(), 2u);
}

TEST(ctl_capture, starts_by_absolute_path_keeps_it_going_and_stops) {
    fake_stack s;
    const auto path = (std::filesystem::current_path() / "x.pcapng").string();
    s.replies["/lastack/capture,start " + path] = {{"frames", 0}};
    s.replies["/lastack/capture,stop"] = {{"frames", 9}, {"missed", 2}};
    s.replies["/lastack/capture,status"] = {{"frames", 5}};
    std::vector<std::size_t> asked_before_wait;
    const auto text = text_of(ctl::capture(s.ask(), "./x.pcapng", [&](auto limit) {
        EXPECT_LE(limit, std::chrono::seconds(30));
        asked_before_wait.push_back(s.asked.size());
        return asked_before_wait.size() == 3;
    }));
    EXPECT_EQ(asked_before_wait, (std::vector<std::size_t>{1, 2, 3}));
    EXPECT_EQ(text, "9 frames in " + path + "; 2 are missing, the ring was full\n");
}

TEST(ctl_connection, without_a_stack_it_says_where_it_looked_and_how_to_point_it_elsewhere) {
    const auto none = ctl::connection::open("p", {"/nonexistent/a", "/nonexistent/b"});
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().find("p/dpdk_telemetry.v2 in /nonexistent/a, /nonexistent/b"),
              std::string::npos);
    EXPECT_NE(none.error().find("RUNTIME_DIRECTORY"), std::string::npos);
    EXPECT_EQ(none.error().find('\n'), std::string::npos);
}

}  // namespace
