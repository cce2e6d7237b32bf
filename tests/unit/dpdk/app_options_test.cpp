// SPDX-License-Identifier: BSD-3-Clause
// The shared command line: what goes to EAL, who wins, and what is refused with which status.
#include "lastack/app_options.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "config/configuration.hpp"

namespace lastack {
namespace {

using words = std::vector<std::string>;

// One run of a program with an option of its own.
struct run {
    explicit run(const words& given) {
        std::vector<const char*> argv{"app"};
        for (const auto& word : given) {
            argv.push_back(word.c_str());
        }
        CLI::App app{"An application", "app"};
        app.add_option("--root", root);
        app_options shared(app, 7);
        testing::internal::CaptureStderr();
        testing::internal::CaptureStdout();
        auto parsed = shared.parse(static_cast<int>(argv.size()), argv.data());
        out = testing::internal::GetCapturedStdout();
        err = testing::internal::GetCapturedStderr();
        if (parsed) {
            options = *parsed;
            accepted = true;
        } else {
            status = parsed.error();
        }
    }
    const config::configuration& values() const { return options.values(); }

    std::string root, out, err;
    runtime_options options;
    bool accepted = false;
    int status = 0;
};

// A file that is gone with the test.
struct temporary_file {
    explicit temporary_file(std::string_view text) {
        const int file = ::mkstemp(path.data());
        EXPECT_GE(file, 0);
        ::close(file);
        std::ofstream(path) << text;
    }
    ~temporary_file() { ::unlink(path.c_str()); }
    std::string path = testing::TempDir() + "app_options_XXXXXX";
};

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

void expect_one_line(const run& r, std::string_view part) {
    EXPECT_FALSE(r.accepted);
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
    EXPECT_TRUE(r.err.starts_with("app: ")) << r.err;
    EXPECT_TRUE(contains(r.err, part)) << r.err;
    EXPECT_TRUE(r.out.empty()) << r.out;
}

TEST(app_options, nothing_given_is_the_built_in_tap_and_the_applications_port) {
    const run r({});
    ASSERT_TRUE(r.accepted);
    auto expected = config::built_in();
    expected.stack.listen = {7};
    EXPECT_TRUE(r.values() == expected);
    EXPECT_EQ(r.options.program, "app");
}

TEST(app_options, words_before_the_separator_are_eals) {
    const run r({"-l", "0,1", "--", "--root", "x"});
    ASSERT_TRUE(r.accepted) << r.err;
    EXPECT_EQ(r.values().eal, (words{"--vdev=net_tap0,iface=lastack0", "-l", "0,1"}));
    EXPECT_EQ(r.root, "x");
}

TEST(app_options, a_device_on_the_command_line_takes_the_default_ones_place) {
    const run r({"--vdev=net_null0", "--"});
    ASSERT_TRUE(r.accepted);
    EXPECT_EQ(r.values().eal, (words{"--vdev=net_null0"}));
    EXPECT_TRUE(r.values().kernel.interface.empty());
}

TEST(app_options, a_ring_pair_in_the_configuration_takes_the_default_ones_place) {
    const temporary_file config("[port]\nring_pair = true\n");
    const run r({"-l", "0,1", "--", "--config", config.path});
    ASSERT_TRUE(r.accepted) << r.err;
    EXPECT_EQ(r.values().eal, (words{"-l", "0,1"}));
    EXPECT_TRUE(r.values().kernel.interface.empty());
}

TEST(app_options, a_device_on_the_command_line_completes_a_driver_configuration) {
    const temporary_file driver("[eal]\nargs = [\"--iova-mode=pa\"]\n[port]\nmtu = 9000\n");
    const run r({"-a", "0000:01:00.0", "--", "--driver-config", driver.path});
    ASSERT_TRUE(r.accepted) << r.err;
    EXPECT_EQ(r.values().eal, (words{"--iova-mode=pa", "-a", "0000:01:00.0"}));
    EXPECT_EQ(r.values().port.mtu, 9000u);
}

TEST(app_options, an_eal_word_without_the_separator_is_refused_and_shown_where_it_goes) {
    for (const auto* word : {"-l", "--vdev=net_null0", "-a0000:01:00.0", "--no-huge"}) {
        expect_one_line(run({word}), std::string("app ") + word + " ... -- --listen");
    }
}

TEST(app_options, built_in_yields_to_driver_to_config_to_sysctl_file_to_command_line) {
    const temporary_file driver(
        "[settings]\nnet.ipv4.tcp_fin_timeout = 11\nnet.ipv4.tcp_retries2 = 11\n"
        "net.ipv4.tcp_syn_retries = 11\nnet.ipv4.tcp_synack_retries = 11\n"
        "[stack]\nworkers = 11\naddresses = [\"10.0.0.11/24\"]\nlisten = [11]\n");
    const temporary_file config(
        "[settings]\nnet.ipv4.tcp_fin_timeout = 12\nnet.ipv4.tcp_retries2 = 12\n"
        "net.ipv4.tcp_syn_retries = 12\n[stack]\naddresses = [\"10.0.0.12/24\"]\nlisten = [12]\n");
    const temporary_file sysctl("net.ipv4.tcp_fin_timeout = 13\nnet.ipv4.tcp_retries2 = 13\n");
    const words files{"--sysctl-file", sysctl.path,       "--config",
                      config.path,     "--driver-config", driver.path};
    words all = files;
    all.insert(all.begin(), {"--set", "net.ipv4.tcp_fin_timeout=14", "--address", "10.0.0.14/24",
                             "--listen", "14", "--workers", "14"});
    const run r(all);
    ASSERT_TRUE(r.accepted) << r.err;
    EXPECT_EQ(r.values().values.tcp_fin_timeout, 14u);
    EXPECT_EQ(r.values().values.tcp_retries2, 13u);
    EXPECT_EQ(r.values().values.tcp_syn_retries, 12u);
    EXPECT_EQ(r.values().values.tcp_synack_retries, 11u);
    EXPECT_EQ(r.values().values.tcp_fin_timeout, 14u);
    EXPECT_EQ(r.values().stack.workers, 14u);
    EXPECT_EQ(r.values().stack.listen, (std::vector<std::uint16_t>{14}));
    EXPECT_EQ(to_string(r.values().stack.addresses.at(0).prefix.address), "10.0.0.14");

    const run without(files);
    ASSERT_TRUE(without.accepted);
    EXPECT_EQ(without.values().stack.workers, 11u);
    EXPECT_EQ(without.values().stack.listen, (std::vector<std::uint16_t>{12}));
    EXPECT_EQ(to_string(without.values().stack.addresses.at(0).prefix.address), "10.0.0.12");
}

TEST(app_options, an_address_counts_as_given_also_when_it_is_the_built_in_one) {
    EXPECT_FALSE(run({}).options.addresses_given());
    EXPECT_TRUE(run({"--address", "10.0.0.2/24"}).options.addresses_given());
}

TEST(app_options, repeatable_options_collect) {
    const run r({"--address", "10.0.0.2/24", "--address=10.1.0.2/24@1", "--listen", "80",
                 "--listen", "81", "--set", "net.ipv4.tcp_sack=0", "--set", "lastack.drain_ms=1"});
    ASSERT_TRUE(r.accepted) << r.err;
    EXPECT_EQ(r.values().stack.addresses.size(), 2u);
    EXPECT_EQ(r.options.listen(), (std::vector<std::uint16_t>{80, 81}));
    EXPECT_FALSE(r.values().values.tcp_sack);
    EXPECT_EQ(r.values().values.drain_ms, 1u);
}

TEST(app_options, the_rest_arrives) {
    const run r({"--run-for", "3", "--stats", "1", "--capture", "f", "--gateway", "10.0.0.1"});
    ASSERT_TRUE(r.accepted) << r.err;
    EXPECT_EQ(r.options.run_for.count(), 3);
    EXPECT_EQ(r.options.stats.count(), 1);
    EXPECT_EQ(r.options.capture, "f");
    EXPECT_EQ(r.values().stack.gateway, ipv4_address{0x0a000001});
}

TEST(app_options, settings_of_others_in_a_sysctl_file_are_kept_for_the_log) {
    const temporary_file sysctl("vm.swappiness = 1\n");
    const run r({"--sysctl-file", sysctl.path});
    ASSERT_TRUE(r.accepted);
    EXPECT_EQ(r.options.foreign_settings(), (words{"vm.swappiness"}));
}

TEST(app_options, every_bad_word_is_one_line_and_status_2) {
    expect_one_line(run({"--frob"}), "--frob");
    expect_one_line(run({"stray"}), "stray");
    expect_one_line(run({"--listen", "0"}), "--listen");
    expect_one_line(run({"--listen", "65536"}), "--listen");
    expect_one_line(run({"--listen", "http"}), "--listen");
    expect_one_line(run({"--listen"}), "--listen");
    expect_one_line(run({"--workers", "0"}), "--workers");
    expect_one_line(run({"--run-for", "0"}), "--run-for");
    expect_one_line(run({"--stats", "-1"}), "--stats");
    expect_one_line(run({"--address", "10.0.0.2"}), "prefix length");
    expect_one_line(run({"--gateway", "gw"}), "IPv4 address");
    expect_one_line(run({"--set", "net.ipv4.tcp_sack"}), "KEY=VALUE");
    expect_one_line(run({"--set", "net.ipv4.tcp_sakc=1"}), "net.ipv4.tcp_sack");
    expect_one_line(run({"--set", "net.ipv4.tcp_tw_recycle=1"}), "NAT");
    expect_one_line(run({"--config", "/nonexistent"}), "/nonexistent");
    expect_one_line(run({"--sysctl-file", "/nonexistent"}), "/nonexistent");
    expect_one_line(run({"--driver-config", "/nonexistent"}), "/nonexistent");
    expect_one_line(run({"--capture", ""}), "--capture is given an empty value");
    expect_one_line(run({"--capture=", "--help-settings"}), "--capture is given an empty value");
}

TEST(app_options, help_is_printed_with_status_0) {
    for (const auto* word : {"--help", "-h", "--help-settings"}) {
        const run r({word});
        EXPECT_FALSE(r.accepted);
        EXPECT_EQ(r.status, 0);
        EXPECT_TRUE(r.err.empty());
        EXPECT_TRUE(contains(r.out, "--listen") || contains(r.out, "net.ipv4.tcp_fin_timeout"));
    }
}

}  // namespace
}  // namespace lastack
