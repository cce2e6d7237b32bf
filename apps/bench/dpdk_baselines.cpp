// SPDX-License-Identifier: BSD-3-Clause
// rte_timer and rte_hash, holding the same records.
//
// rte_timer reads the TSC itself, so its minute cannot be virtual: the timers are armed for a
// minute, which is what entering costs, then all re-armed for a moment, which is what a restart
// costs, and expire together. rte_timer_manage() has no budget: that one call is its longest poll.
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_lcore.h>
#include <rte_timer.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "records.hpp"
#include "timewait.hpp"

namespace bench {

namespace {

using lastack::flow::key4;
using lastack::flow::key6;

std::uint32_t entries_of(const timewait_options& o) {
    return std::min(o.entries, baseline_entries_max);
}

baseline measure_rte_timer(const timewait_options& o, progress& bar) {
    const std::uint32_t count = entries_of(o);
    const hardware_counters counters;
    const std::size_t before = resident_bytes();
    std::vector<rte_timer> timers(count);
    rte_timer_subsystem_init();
    for (rte_timer& t : timers) {
        rte_timer_init(&t);
    }
    const unsigned lcore = rte_lcore_id();
    std::uint32_t fired = 0;
    const auto count_one = [](rte_timer*, void* n) { ++*static_cast<std::uint32_t*>(n); };
    const std::uint64_t minute = 60 * rte_get_timer_hz();
    baseline b;
    b.name = "rte_timer";
    b.entries = count;
    bar.show("rte_timer", 0);
    b.enter = measure(counters, count, [&] {
        for (rte_timer& t : timers) {
            rte_timer_reset(&t, minute, SINGLE, lcore, count_one, &fired);
        }
    });
    b.bytes_per_record = static_cast<double>(resident_bytes() - before) / count;
    bar.show("rte_timer", 0.4);
    b.restart = measure(counters, count, [&] {
        for (rte_timer& t : timers) {
            rte_timer_reset(&t, 1, SINGLE, lcore, count_one, &fired);
        }
    });
    bar.show("rte_timer", 0.8);
    rte_delay_us_block(1000);
    double longest = 0;
    b.expire = measure(counters, count, [&] {
        while (fired < count) {
            const auto start = clock::now();
            rte_timer_manage();
            longest = std::max(longest, nanoseconds_since(start) / 1000);
        }
    });
    b.longest_poll_us = longest;
    rte_timer_subsystem_finalize();
    return b;
}

template <class Key>
lastack::result<baseline, std::string> measure_rte_hash(const timewait_options& o, progress& bar) {
    const std::uint32_t count = entries_of(o);
    const hardware_counters counters;
    bar.show("rte_hash", 0);
    rte_hash_parameters parameters{};
    parameters.name = "records";
    parameters.entries = count;
    parameters.key_len = sizeof(Key);
    // Its two choices alone do not reach 100 % of the stated entries.
    parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE;
    const std::size_t before = resident_bytes();
    const std::unique_ptr<rte_hash, void (*)(rte_hash*)> table(rte_hash_create(&parameters),
                                                               rte_hash_free);
    if (table == nullptr) {
        return lastack::failure{
            std::string("rte_hash takes more memory than EAL has: give EAL -m ") +
            std::to_string(heap_mib(o) * 2)};
    }
    // Its bulk calls take 32-bit hashes; the benchmarks' keyed hash is what it is paid for here
    // too.
    const auto find = [&](std::uint32_t bursts, std::uint16_t port) {
        numbers pick(count);
        std::array<Key, burst> keys;
        std::array<const void*, burst> pointers;
        std::array<hash_sig_t, burst> hashes;
        std::array<std::int32_t, burst> positions;
        for (std::uint32_t n = 0; n < bursts; ++n) {
            for (std::uint32_t i = 0; i < burst; ++i) {
                make_key(pick.next(), port, keys[i]);
                pointers[i] = &keys[i];
                hashes[i] = static_cast<hash_sig_t>(hash(keys[i]));
            }
            rte_hash_lookup_with_hash_bulk(table.get(), pointers.data(), hashes.data(), burst,
                                           positions.data());
            keep(positions);
        }
    };
    const auto each = [&](auto&& f) {
        for (std::uint32_t n = 0; n < count; ++n) {
            Key key;
            make_key(n, server_port, key);
            keep(f(&key, static_cast<hash_sig_t>(hash(key))));
        }
    };
    baseline b;
    b.name = "rte_hash";
    b.entries = count;
    b.enter = measure(counters, count, [&] {
        each([&](const Key* k, hash_sig_t h) {
            return rte_hash_add_key_with_hash(table.get(), k, h);
        });
    });
    b.bytes_per_record = static_cast<double>(resident_bytes() - before) / count;
    const std::uint32_t bursts = std::min(1u << 17, count * 4 / burst + 1);
    bar.show("rte_hash", 0.5);
    b.hit = measure(counters, std::uint64_t{bursts} * burst, [&] { find(bursts, server_port); });
    b.miss = measure(counters, std::uint64_t{bursts} * burst, [&] { find(bursts, absent_port); });
    b.expire = measure(counters, count, [&] {
        each([&](const Key* k, hash_sig_t h) {
            return rte_hash_del_key_with_hash(table.get(), k, h);
        });
    });
    return b;
}

}  // namespace

// What rte_hash takes, with room for its tables to be rounded up to a power of two.
std::size_t heap_mib(const timewait_options& o) {
    const std::size_t each = o.family == 6 ? 160 : 128;
    return 64 + ((entries_of(o) * each) >> 20) * 2;
}

lastack::result<bool, std::string> start_eal(std::size_t mib, bool huge,
                                             std::vector<std::string> words) {
    if (words.empty()) {
        words = {"--no-pci", "--no-telemetry", "--no-shconf", "--log-level=lib.*:error"};
        if (huge && free_huge_bytes() >= mib << 20) {
            words.push_back("--in-memory");
        } else {
            words.insert(words.end(), {"--no-huge", "-m", std::to_string(mib)});
        }
    }
    words.insert(words.begin(), "lastack-bench");
    std::vector<char*> argv;
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
        return lastack::failure{std::string("EAL does not start: ") + rte_strerror(rte_errno) +
                                "; see its arguments, or leave them out"};
    }
    return true;
}

lastack::result<std::vector<baseline>, std::string> measure_dpdk(const timewait_options& o,
                                                                 progress& bar) {
    std::vector<baseline> both;
    both.push_back(measure_rte_timer(o, bar));
    auto hashed = o.family == 6 ? measure_rte_hash<key6>(o, bar) : measure_rte_hash<key4>(o, bar);
    rte_eal_cleanup();
    if (!hashed.ok()) {
        return lastack::failure{hashed.error()};
    }
    both.push_back(std::move(hashed).value());
    return both;
}

}  // namespace bench
