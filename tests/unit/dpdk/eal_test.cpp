// SPDX-License-Identifier: BSD-3-Clause
// EAL's argument list, as a function of what was asked for and what the machine has.
#include "dpdk/eal.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace lastack::dpdk {
namespace {

using words = std::vector<std::string>;

constexpr std::uint64_t mib = 1 << 20;
const machine two_cpus{{0, 1}, 0, 42};

eal_request asks(words given, std::uint32_t workers = 1) {
    return {"app", std::move(given), workers, 100 * mib, 150 * mib};
}

words arguments(const words& given, const machine& m = two_cpus, std::uint32_t workers = 1) {
    const auto made = eal_arguments(asks(given, workers), m);
    EXPECT_TRUE(made) << made.error();
    return made ? *made : words{};
}

bool has(const words& all, std::string_view one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

TEST(eal_arguments, without_hugepages_memory_is_ordinary_and_its_size_is_given) {
    EXPECT_EQ(arguments({"--vdev=net_tap0"}),
              (words{"app", "--vdev=net_tap0", "--lcores=0@(0,1),1@1", "--no-pci", "--iova-mode=va",
                     "--no-huge", "-m", "151", "--no-shconf", "--file-prefix=lastack-42"}));
}

TEST(eal_arguments, free_hugepages_are_used_and_leave_no_file) {
    const machine m{{0, 1}, 100 * mib, 42};
    EXPECT_EQ(arguments({}, m), (words{"app", "--lcores=0@(0,1),1@1", "--no-pci", "--iova-mode=va",
                                       "--in-memory", "--file-prefix=lastack-42"}));
    const machine one_short{{0, 1}, 100 * mib - 1, 42};
    EXPECT_TRUE(has(arguments({}, one_short), "--no-huge"));
}

TEST(eal_arguments, no_huge_is_never_joined_with_what_needs_hugepages) {
    for (const auto& given : {words{"--no-huge"}, words{"--no-huge", "-m", "64"}, words{}}) {
        const auto all = arguments(given);
        EXPECT_FALSE(has(all, "--in-memory"));
        EXPECT_FALSE(has_option(all, "--huge-unlink"));
        EXPECT_EQ(std::count(all.begin(), all.end(), "--no-huge"), 1);
        EXPECT_EQ(std::count(all.begin(), all.end(), "-m"), 1);
    }
}

TEST(eal_arguments, a_named_hugepage_directory_gets_files_that_are_unlinked_at_once) {
    const auto all = arguments({"--huge-dir=/mnt/huge"});
    EXPECT_TRUE(has(all, "--huge-unlink=always"));
    EXPECT_FALSE(has(all, "--in-memory"));
    EXPECT_FALSE(has(all, "--no-huge"));
    EXPECT_FALSE(has(arguments({"--huge-dir=/x", "--huge-unlink=never"}), "--huge-unlink=always"));
}

TEST(eal_arguments, memory_asked_for_by_hand_means_hugepages) {
    const auto all = arguments({"-m", "512"});
    EXPECT_TRUE(has(all, "--in-memory"));
    EXPECT_FALSE(has(all, "--no-huge"));
    EXPECT_EQ(std::count(all.begin(), all.end(), "-m"), 1);
}

TEST(eal_arguments, pci_is_probed_only_when_a_device_is_named) {
    EXPECT_TRUE(has(arguments({}), "--no-pci"));
    for (const auto& device : {words{"-a", "0000:01:00.0"}, words{"-a0000:01:00.0"},
                               words{"--allow=0000:01:00.0"}, words{"-b", "0000:01:00.0"}}) {
        EXPECT_FALSE(has(arguments(device), "--no-pci"));
        EXPECT_FALSE(has_option(arguments(device), "--iova-mode"));
    }
    const auto given = arguments({"--no-pci"});
    EXPECT_EQ(std::count(given.begin(), given.end(), "--no-pci"), 1);
}

TEST(eal_arguments, control_floats_and_workers_are_pinned_from_the_last_cpu_down) {
    EXPECT_TRUE(has(arguments({}, {{3}, 0, 1}), "--lcores=0@(3),1@3"));
    EXPECT_TRUE(has(arguments({}, {{2, 5, 7}, 0, 1}, 2), "--lcores=0@(2,5,7),1@7,2@5"));
}

TEST(eal_arguments, lcores_chosen_by_hand_stay) {
    for (const auto& given :
         {words{"-l", "0,1"}, words{"-l0,1"}, words{"--lcores=0@0,1@1"}, words{"-c", "3"}}) {
        const auto all = arguments(given);
        EXPECT_FALSE(has(all, "--lcores=0@(0,1),1@1"));
    }
    EXPECT_TRUE(eal_arguments(asks({"--lcores=0@0,1@0,2@0"}, 2), {{0}, 0, 1}));
}

TEST(eal_arguments, more_workers_than_cpus_is_an_error) {
    const auto made = eal_arguments(asks({}, 3), two_cpus);
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().find("--workers"), std::string::npos);
}

TEST(eal_arguments, a_word_that_eal_does_not_know_is_an_error) {
    for (const auto* word : {"--listen", "--bogus", "-x", "-"}) {
        const auto made = eal_arguments(asks({word}), two_cpus);
        ASSERT_FALSE(made) << word;
        EXPECT_NE(made.error().find(word), std::string::npos);
    }
}

TEST(eal_arguments, a_word_that_is_no_options_value_is_an_error) {
    for (const auto& given : {words{"web"}, words{"--no-huge", "web"}, words{"-m", "64", "web"},
                              words{"-m64", "web"}, words{"--vdev=net_tap0", "web"}}) {
        const auto made = eal_arguments(asks(given), two_cpus);
        ASSERT_FALSE(made);
        EXPECT_NE(made.error().find("'web'"), std::string::npos);
    }
    EXPECT_TRUE(eal_arguments(asks({"--vdev", "net_tap0", "--no-huge", "-m", "64"}), two_cpus));
}

TEST(eal_arguments, an_option_without_its_value_is_an_error) {
    for (const auto& given : {words{"--vdev"}, words{"-l"}, words{"--file-prefix", "--no-huge"}}) {
        const auto made = eal_arguments(asks(given), two_cpus);
        ASSERT_FALSE(made);
        EXPECT_NE(made.error().find("lacks its value"), std::string::npos);
    }
}

TEST(eal_arguments, a_chosen_file_prefix_stays) {
    EXPECT_FALSE(has(arguments({"--file-prefix", "mine"}), "--file-prefix=lastack-42"));
}

TEST(eal_words, name_the_interfaces_that_net_tap_opens) {
    EXPECT_EQ(tap_interfaces({"--vdev=net_tap0,iface=a0", "--vdev", "net_tap1,mac=fixed,iface=b0",
                              "--vdev=net_af_packet0,iface=c0", "--vdev=net_tap2", "-l", "0"}),
              (words{"a0", "b0"}));
}

TEST(eal_words, are_recognised_in_every_spelling) {
    for (const auto* word :
         {"-l", "-l0,1", "--lcores=0", "--vdev", "--vdev=net_tap0", "-a", "-a0000:01:00.0",
          "--no-huge", "--no-pci", "-m", "-m64", "--file-prefix=x", "--log-level=*:debug"}) {
        EXPECT_TRUE(is_eal_word(word)) << word;
    }
    for (const auto* word : {"--listen", "--address=10.0.0.2/24", "--vdevs", "80", "", "-", "--",
                             "-h", "--help", "--set", "--capture"}) {
        EXPECT_FALSE(is_eal_word(word)) << word;
    }
}

}  // namespace
}  // namespace lastack::dpdk
