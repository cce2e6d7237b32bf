// SPDX-License-Identifier: BSD-3-Clause
// sysctl.conf and TOML files: what they may say, and where an error is said to stand.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "config/configuration.hpp"

namespace lastack::config {
namespace {

std::string toml_error(std::string_view text) {
    configuration c = built_in();
    const auto done = read_toml(c, text, "f.toml");
    EXPECT_TRUE(done || c == built_in()) << "a refused file changed the configuration";
    return done ? "" : done.error();
}

std::string sysctl_error(std::string_view text) {
    settings s;
    const auto done = read_sysctl(s, text, "f.conf");
    EXPECT_TRUE(done || s == settings{}) << "a refused file changed the settings";
    return done ? "" : done.error();
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

TEST(sysctl_file, takes_the_syntax_of_sysctl_conf) {
    settings s;
    const auto done = read_sysctl(s,
                                  "# a comment\n"
                                  "  ; another\n"
                                  "\n"
                                  "net.ipv4.tcp_fin_timeout = 30\r\n"
                                  "net/ipv4/tcp_max_orphans=1000\n"
                                  "  net.ipv4.tcp_rmem=4096\t 87380 6291456",
                                  "f.conf");
    ASSERT_TRUE(done) << done.error();
    EXPECT_EQ(s.tcp_fin_timeout, 30u);
    EXPECT_EQ(s.tcp_max_orphans, 1000u);
    EXPECT_EQ(s.tcp_rmem.initial, 87380u);
    EXPECT_TRUE(done->empty());
}

TEST(sysctl_file, a_later_line_wins) {
    settings s;
    ASSERT_TRUE(read_sysctl(s, "net.ipv4.tcp_sack=1\nnet.ipv4.tcp_sack=0\n", "f"));
    EXPECT_FALSE(s.tcp_sack);
}

TEST(sysctl_file, what_is_for_others_is_named_once_and_ignored) {
    settings s;
    const auto done = read_sysctl(
        s, "vm.swappiness=1\nkernel.panic = 10\nvm.swappiness=2\nnet.ipv4.tcp_mem = 1 2 3\n", "f");
    ASSERT_TRUE(done);
    EXPECT_EQ(*done,
              (std::vector<std::string>{"vm.swappiness", "kernel.panic", "net.ipv4.tcp_mem"}));
    EXPECT_EQ(s, settings{});
}

TEST(sysctl_file, a_bad_value_is_an_error_with_file_and_line) {
    const auto error = sysctl_error("# x\n\nnet.ipv4.tcp_fin_timeout = soon\n");
    EXPECT_TRUE(error.starts_with("f.conf:3: net.ipv4.tcp_fin_timeout ")) << error;
}

TEST(sysctl_file, a_key_under_our_own_prefix_must_exist) {
    EXPECT_TRUE(contains(sysctl_error("lastack.time_wait = 1"), "lastack.time_wait_ms"));
}

TEST(sysctl_file, a_refused_name_is_an_error) {
    EXPECT_TRUE(contains(sysctl_error("net.ipv4.tcp_tw_recycle = 1"), "NAT"));
}

TEST(sysctl_file, a_line_without_a_value_is_an_error) {
    EXPECT_TRUE(sysctl_error("net.ipv4.tcp_sack\n").starts_with("f.conf:1: "));
}

TEST(sysctl_file, a_leading_minus_forgives_its_line_only) {
    settings s;
    const auto done =
        read_sysctl(s, "-net.ipv4.tcp_sack = maybe\n- net.ipv4.tcp_fin_timeout = 7\n-junk\n", "f");
    ASSERT_TRUE(done) << done.error();
    EXPECT_TRUE(s.tcp_sack);
    EXPECT_EQ(s.tcp_fin_timeout, 7u);
    EXPECT_FALSE(sysctl_error("-net.ipv4.tcp_sack=x\nnet.ipv4.tcp_sack=x").empty());
}

TEST(sysctl_file, one_that_cannot_be_read_is_an_error_with_its_name) {
    settings s;
    for (const std::string path : {"/nonexistent/x.conf", "/"}) {
        const auto done = read_sysctl_file(s, path);
        ASSERT_FALSE(done);
        EXPECT_TRUE(done.error().starts_with(path + ": cannot be read: ")) << done.error();
    }
}

TEST(toml_file, fills_every_section) {
    configuration c = built_in();
    const auto done = read_toml(c, R"(
[stack]
addresses = ["192.0.2.2/24", "198.51.100.2/25@1"]
gateway = "192.0.2.1"
listen = [80, 8080]
workers = 3
[settings]
"net.ipv4.tcp_fin_timeout" = 30
net.ipv4.tcp_sack = false
net.ipv4.ip_local_port_range = [1024, 2048]
lastack.ts_missing = "drop"
[eal]
args = ["--vdev=net_null0"]
[kernel]
interface = "tap7"
address = "192.0.2.9/24"
[port]
queues = 2
rx_descriptors = 256
tx_descriptors = 512
mtu = 9000
promiscuous = true
rss = false
rx_checksum = false
tx_checksum = false
tx_multi_segment = false
ring_pair = true
)",
                                "f.toml");
    ASSERT_TRUE(done) << done.error();
    configuration expected;
    expected.stack.addresses = {{{{0xc0000202}, 24}, 0}, {{{0xc6336402}, 25}, 1}};
    expected.stack.addresses_given = true;
    expected.stack.gateway = ipv4_address{0xc0000201};
    expected.stack.listen = {80, 8080};
    expected.stack.workers = 3;
    expected.values.tcp_fin_timeout = 30;
    expected.values.tcp_sack = false;
    expected.values.ip_local_port_range = {1024, 2048};
    expected.values.ts_missing = ts_missing_policy::drop;
    expected.eal = {"--vdev=net_null0"};
    expected.kernel = {"tap7", ipv4_prefix{{0xc0000209}, 24}};
    expected.port = {2, 256, 512, 9000, true, false, false, false, false, true};
    EXPECT_TRUE(c == expected);
}

TEST(toml_file, leaves_alone_what_it_does_not_name) {
    configuration c = built_in();
    ASSERT_TRUE(read_toml(c, "[stack]\nworkers = 2\n", "f"));
    auto expected = built_in();
    expected.stack.workers = 2;
    EXPECT_TRUE(c == expected);
}

TEST(toml_file, other_eal_arguments_take_the_kernels_interface_with_them) {
    configuration c = built_in();
    ASSERT_TRUE(read_toml(c, "[eal]\nargs = []\n", "f"));
    EXPECT_TRUE(c.kernel.interface.empty());
}

TEST(toml_file, errors_say_file_line_and_column) {
    EXPECT_TRUE(toml_error("[stack\n").starts_with("f.toml:1:"));
    EXPECT_TRUE(toml_error("\n[stack]\n  workers = \"two\"\n").starts_with("f.toml:3:13: "));
    EXPECT_TRUE(toml_error("[settings]\n\"net.ipv4.tcp_sack\" = 7\n").starts_with("f.toml:2:23: "));
}

TEST(toml_file, unknown_names_suggest_the_nearest) {
    EXPECT_TRUE(contains(toml_error("[stak]\n"), "[stack]"));
    EXPECT_TRUE(contains(toml_error("[stack]\nworker = 1\n"), "'workers'"));
    EXPECT_TRUE(contains(toml_error("[port]\nrx_descriptor = 1\n"), "'rx_descriptors'"));
    EXPECT_TRUE(contains(toml_error("[settings]\nnet.ipv4.tcp_sak = 1\n"), "net.ipv4.tcp_sack"));
}

TEST(toml_file, a_section_must_be_a_section) {
    EXPECT_TRUE(contains(toml_error("stack = 1\n"), "write [stack]"));
}

TEST(toml_file, values_of_the_wrong_type_or_range_are_refused) {
    for (const auto* bad : {"[stack]\naddresses = \"10.0.0.2/24\"",
                            "[stack]\naddresses = [1]",
                            "[stack]\naddresses = [\"10.0.0.2\"]",
                            "[stack]\ngateway = 7",
                            "[stack]\ngateway = \"here\"",
                            "[stack]\nlisten = 80",
                            "[stack]\nlisten = [0]",
                            "[stack]\nlisten = [65536]",
                            "[stack]\nlisten = [\"http\"]",
                            "[stack]\nworkers = 0",
                            "[stack]\nworkers = 128",
                            "[stack]\nworkers = 1.5",
                            "[port]\nmtu = 575",
                            "[port]\nmtu = 9217",
                            "[port]\nrss = 1",
                            "[port]\nrx_descriptors = 31",
                            "[eal]\nargs = \"-l 0\"",
                            "[eal]\nargs = [1]",
                            "[kernel]\ninterface = 1",
                            "[kernel]\ninterface = \"0123456789abcdef\"",
                            "[kernel]\naddress = \"10.0.0.1\"",
                            "[settings]\nnet.ipv4.tcp_fin_timeout = 1.5",
                            "[settings]\nnet.ipv4.ip_local_port_range = [[1], 2]",
                            "[settings]\nnet.ipv4.tcp_sack = 1979-05-27"}) {
        const auto error = toml_error(bad);
        EXPECT_TRUE(error.starts_with("f.toml:2:")) << bad << ": " << error;
    }
}

TEST(toml_file, an_empty_list_of_addresses_or_ports_is_refused) {
    EXPECT_TRUE(
        contains(toml_error("[stack]\nlisten = []"), "f.toml:2:10: stack.listen cannot be"));
    EXPECT_TRUE(contains(toml_error("[stack]\naddresses = []"), "stack.addresses cannot be empty"));
}

TEST(toml_file, one_that_cannot_be_read_is_an_error_with_its_name) {
    configuration c;
    const auto done = read_toml_file(c, "/nonexistent/x.toml");
    ASSERT_FALSE(done);
    EXPECT_TRUE(done.error().starts_with("/nonexistent/x.toml: cannot be read: "));
}

TEST(interface_address, takes_address_length_and_port) {
    EXPECT_EQ(*parse_interface_address("10.1.2.3/8@7"), (interface_address{{{0x0a010203}, 8}, 7}));
    EXPECT_EQ(parse_interface_address("10.0.0.2/24")->port, 0);
    EXPECT_TRUE(parse_interface_address("10.0.0.0/31"));
    EXPECT_TRUE(parse_interface_address("10.0.0.255/32"));
}

TEST(interface_address, refuses_what_no_interface_can_have) {
    for (const auto* bad :
         {"", "10.0.0.2", "10.0.0.2/33", "10.0.0.2/", "10.0.0/24", "x/24", "10.0.0.2/24@",
          "10.0.0.2/24@x", "10.0.0.2/24@70000", "0.0.0.0/0", "127.0.0.1/8", "224.0.0.1/4",
          "255.255.255.255/32", "10.0.0.0/24", "10.0.0.255/24"}) {
        const auto parsed = parse_interface_address(bad);
        EXPECT_FALSE(parsed) << bad;
        EXPECT_TRUE(parsed || contains(parsed.error(), "ADDR/LEN"));
    }
}

TEST(driver_configurations, each_one_is_read_and_says_whether_it_was_run) {
    std::vector<std::string> names;
    for (const auto& entry :
         std::filesystem::directory_iterator(LASTACK_SOURCE_DIR "/drivers_config")) {
        if (entry.path().extension() != ".toml") {
            continue;
        }
        names.push_back(entry.path().stem());
        configuration c = built_in();
        forget_driver(c);
        const auto done = read_toml_file(c, entry.path());
        EXPECT_TRUE(done) << done.error();
        std::string text;
        {
            std::FILE* file = std::fopen(entry.path().c_str(), "r");
            char piece[4096];
            text.assign(piece, std::fread(piece, 1, sizeof piece, file));
            std::fclose(file);
        }
        EXPECT_NE(contains(text, "Was run on"), contains(text, "Written from documentation"))
            << entry.path();
        EXPECT_FALSE(c.eal.empty() && !c.port.ring_pair && !contains(text, "-a 0000:"))
            << entry.path() << " gives no device";
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names,
              (std::vector<std::string>{"ena", "i40e", "ice", "ixgbe", "mlx5", "net_af_packet",
                                        "net_af_xdp", "net_memif", "net_null", "net_pcap",
                                        "net_ring", "net_tap", "net_virtio_user", "virtio"}));
}

}  // namespace
}  // namespace lastack::config
