// SPDX-License-Identifier: BSD-3-Clause
// The TIME_WAIT table against an ordered map: random operations on both, compared after each.
//
// Enter, look up, restart, reuse (erase and enter again), a FIN for FIN_WAIT_2, eviction of the
// oldest, expiry under any budget, and a clock that stands still, walks and jumps.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>

#include "flow/keyed_hash.hpp"
#include "flow/time_wait_table.hpp"

namespace lastack::flow {

template <class Key>
Key key_of(std::uint32_t n);
template <>
inline key4 key_of<key4>(std::uint32_t n) {
    return {ipv4_address{0x0a000000 + (n >> 15)}, ipv4_address{0xc0000201},
            static_cast<std::uint16_t>(32768 + (n & 0x7fff)), 80};
}
template <>
inline key6 key_of<key6>(std::uint32_t n) {
    key6 k;
    std::memcpy(k.remote.bytes.data() + 8, &n, sizeof n);
    k.remote_port = static_cast<std::uint16_t>(n);
    k.local_port = 443;
    return k;
}

inline constexpr keyed_hash hash(1, 2);
inline constexpr std::uint32_t coarse_ms = time_wait_table<key4>::coarse_tick_ms;
inline constexpr milliseconds minute{60'000};
inline constexpr auto ignore = [](time_wait_slot) {};

template <class Key>
time_wait_table<Key> make(std::uint32_t capacity, tick now = tick{0}) {
    auto made = time_wait_table<Key>::make(capacity, page_size::normal, now);
    EXPECT_TRUE(made.ok());
    return std::move(*made);
}

template <class Key>
time_wait_entry<Key> entry_of(std::uint32_t n) {
    time_wait_entry<Key> e;
    e.key = key_of<Key>(n);
    e.snd_nxt = {n * 3};
    e.rcv_nxt = {n * 5};
    e.ts_recent = n * 7;
    e.window = static_cast<std::uint16_t>(n * 24);
    e.timestamps = (n & 1) != 0;
    e.ts_strict = n % 3 == 0;
    e.ts_plain = e.timestamps && n % 5 == 0;
    e.fin_wait_2 = (n & 2) != 0;
    e.parked = !e.fin_wait_2 && (n & 4) != 0;
    e.waiter = e.fin_wait_2 && (n & 4) != 0;
    e.reuse_addr = (n & 8) != 0;
    e.reuse_port = (n & 16) != 0;
    return e;
}

template <class Key>
time_wait_slot find(const time_wait_table<Key>& t, std::uint32_t n) {
    return t.find(hash(key_of<Key>(n)), key_of<Key>(n));
}

template <class Key>
time_wait_slot enter(time_wait_table<Key>& t, std::uint32_t n, milliseconds length, tick now) {
    return t.enter(hash(key_of<Key>(n)), entry_of<Key>(n), length, now);
}

struct modelled {
    std::uint64_t deadline;  // since the start, exact
    std::uint64_t length;
};

// Random operations against an ordered map. Time runs in 64 bits in the model.
template <class Key>
void run_model(std::uint32_t start, std::uint64_t seed, int operations, std::uint32_t capacity) {
    std::mt19937_64 random(seed);
    auto t = make<Key>(capacity, tick{start});
    std::map<std::uint32_t, time_wait_entry<Key>> entries;
    std::map<std::uint32_t, modelled> times;
    std::uint64_t elapsed = 0;
    const std::uint32_t lengths[4] = {60'000, 1'600, 120'000, 3'200};
    for (const std::uint32_t length : lengths) {
        t.expect_length(milliseconds{length});
    }
    auto forget = [&](std::uint32_t n) {
        entries.erase(n);
        times.erase(n);
    };
    for (int i = 0; i < operations; ++i) {
        const tick now{start + static_cast<std::uint32_t>(elapsed)};
        const auto n = static_cast<std::uint32_t>(random() % (2 * capacity));
        const time_wait_slot slot = find(t, n);
        ASSERT_EQ(static_cast<bool>(slot), entries.count(n) == 1);
        const std::uint64_t length = lengths[random() % 4];
        if (slot) {
            auto& e = entries[n];
            auto& m = times[n];
            ASSERT_EQ(t.read(slot), e);
            const auto left = static_cast<std::int64_t>(t.remaining(slot, now).count());
            const auto exact = static_cast<std::int64_t>(m.deadline - elapsed);
            ASSERT_GE(left, std::max<std::int64_t>(exact, 0));
            ASSERT_LE(left, std::max<std::int64_t>(exact, 0) + coarse_ms);
            switch (random() % 7) {
                case 0:
                case 1:
                    t.erase(slot);
                    forget(n);
                    break;
                case 2:
                case 3:
                    t.restart(slot, now);
                    m.deadline = elapsed + m.length;
                    break;
                case 4:
                    if (e.fin_wait_2) {
                        e.fin_wait_2 = false;
                        e.waiter = false;
                        e.rcv_nxt += 1;
                        m.length = length;
                        m.deadline = elapsed + length;
                        t.become_time_wait(slot, e.rcv_nxt, milliseconds{length}, now);
                    }
                    break;
                case 5:
                    e.ts_recent = static_cast<std::uint32_t>(random());
                    t.set_ts_recent(slot, e.ts_recent);
                    if (e.fin_wait_2) {
                        e.waiter = !e.waiter;
                        t.set_waiter(slot, e.waiter);
                    } else {
                        e.parked = !e.parked;
                        t.set_parked(slot, e.parked);
                    }
                    break;
                default:
                    break;
            }
        } else {
            const time_wait_slot entered = enter(t, n, milliseconds{length}, now);
            ASSERT_EQ(bool(entered), entries.size() < capacity);
            if (entered) {
                entries[n] = entry_of<Key>(n);
                times[n] = {elapsed + length, length};
            } else if (random() % 4 == 0) {
                const time_wait_slot old = t.oldest(now);
                ASSERT_TRUE(old);
                std::uint32_t victim = t.read(old).snd_nxt.raw / 3;
                for (const auto& [k, e] : entries) {
                    if (e.key == t.read(old).key) {
                        victim = k;
                    }
                }
                t.erase(find(t, victim));
                forget(victim);
            }
        }
        ASSERT_EQ(t.size(), entries.size());
        if (random() % 3 == 0) {
            elapsed += random() % 64 == 0 ? random() % 20'000 : random() % 40;
            const tick later{start + static_cast<std::uint32_t>(elapsed)};
            const std::uint32_t budget = random() % 2 == 0 ? ~0u : 1 + random() % 20;
            const expire_result done = t.expire(later, budget, [&](time_wait_slot s) {
                const auto e = t.read(s);
                const auto it = std::find_if(entries.begin(), entries.end(), [&](const auto& one) {
                    return one.second.key == e.key;
                });
                ASSERT_NE(it, entries.end());
                ASSERT_EQ(e, it->second);
                ASSERT_LE(times[it->first].deadline, elapsed);  // never early
                forget(it->first);
            });
            ASSERT_LE(done.touched, budget);
            if (!done.more) {
                for (const auto& [k, m] : times) {
                    ASSERT_GT(m.deadline + coarse_ms, elapsed) << k;  // never late
                }
            }
        }
    }
    std::size_t fin_wait_2 = 0;
    for (const auto& [k, e] : entries) {
        fin_wait_2 += e.fin_wait_2;
    }
    ASSERT_EQ(t.fin_wait_2_size(), fin_wait_2);
}

}  // namespace lastack::flow
