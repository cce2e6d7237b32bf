// SPDX-License-Identifier: BSD-3-Clause
// Starting EAL: which words it gets, and what is said when it fails.
//
// eal_arguments() is pure: it adds to the given words what they leave open.
//   PCI      is probed only when a device is named (-a).
//   lcores   lcore 0 is the control thread and floats over all CPUs; lcore 1 and up are workers,
//            each pinned to one CPU, from the last CPU down. They may share CPUs, so one CPU will
//            do.
//   memory   hugepages when enough are free, in memory files that have no name and so cannot
//            outlive the process; else ordinary pages, whose amount is fixed at start.
//   names    one file prefix a process, so that several may run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dpdk/machine.hpp"
#include "lastack/result.hpp"

namespace lastack::dpdk {

struct eal_request {
    std::string program;
    std::vector<std::string> words;  // from the driver configuration and the command line
    std::uint32_t workers = 1;
    // What pools and ports will need, of hugepages and of ordinary pages.
    std::uint64_t hugepage_bytes = 0;
    std::uint64_t page_bytes = 0;
};

// argv for rte_eal_init(), program name first. Error: a word that EAL does not know, or more
// workers than CPUs.
result<std::vector<std::string>, std::string> eal_arguments(const eal_request&, const machine&);

// True when one of `words` is the option: "--lcores" matches "--lcores=0,1" too, "-l" also "-l0".
bool has_option(const std::vector<std::string>& words, std::string_view option);

// True for a word that EAL knows, such as "-l" or "--vdev=net_tap0".
bool is_eal_word(std::string_view word);

// True when the words name a device, so that the default port is not wanted.
bool names_device(const std::vector<std::string>& words);

// The kernel's interfaces that the words tell net_tap to open by name.
std::vector<std::string> tap_interfaces(const std::vector<std::string>& words);

// Initializes EAL. What it prints is kept back and shown, in one line, only in an error.
result<bool, std::string> start_eal(const std::vector<std::string>& arguments);

// The first complaint that EAL or a driver made while starting; empty: none.
const std::string& first_complaint();

// Stops EAL and removes its runtime directory if its name was ours.
void stop_eal();

}  // namespace lastack::dpdk
