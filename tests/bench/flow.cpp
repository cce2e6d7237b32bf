// SPDX-License-Identifier: BSD-3-Clause
// The flow tables, in bursts of 32. Sizes: 1 M and 10 M records; LASTACK_BENCH_RECORDS=60000000
// adds one more.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "flow/connection_table.hpp"
#include "flow/table_hash.hpp"
#include "flow/time_wait_table.hpp"

namespace lastack::flow {
namespace {

constexpr std::size_t burst = 32;
const table_hash hash(1, 2);
constexpr milliseconds minute{60'000};

key4 key_of(std::uint32_t n, std::uint16_t local_port, key4) {
    return {ipv4_address{0x0a000000 + (n >> 14)}, ipv4_address{0xc0000201},
            static_cast<std::uint16_t>(32768 + (n & 0x3fff)), local_port};
}
key6 key_of(std::uint32_t n, std::uint16_t local_port, key6) {
    key6 k;
    std::memcpy(k.remote.bytes.data() + 8, &n, sizeof n);
    k.remote_port = static_cast<std::uint16_t>(n);
    k.local_port = local_port;
    return k;
}

// A cheap stream of numbers below `range`.
class numbers {
  public:
    explicit numbers(std::uint32_t range) : range_(range) {}
    std::uint32_t next() {
        x_ ^= x_ << 13;
        x_ ^= x_ >> 7;
        x_ ^= x_ << 17;
        return reduce(static_cast<std::uint32_t>(x_ >> 32), range_);
    }

  private:
    std::uint64_t x_ = 88172645463325252;
    std::uint32_t range_;
};

template <class Key>
struct filled {
    explicit filled(std::uint32_t count) : table(make(count)), records(count) {}

    static time_wait_table<Key> make(std::uint32_t count) {
        auto made = time_wait_table<Key>::make(count, page_size::huge, tick{0});
        if (!made.ok()) {
            std::fprintf(stderr, "%s\n", made.error().c_str());
            std::exit(2);
        }
        return std::move(*made);
    }

    // Enters records [from, from + burst), or fewer at the end.
    void enter_burst(std::uint32_t from) {
        std::array<std::uint64_t, burst> hashes;
        std::array<time_wait_entry<Key>, burst> entries;
        const std::size_t count = records - from < burst ? records - from : burst;
        for (std::size_t i = 0; i < count; ++i) {
            const auto n = static_cast<std::uint32_t>(from + i);
            entries[i] = {key_of(n, 80, Key{}), {n}, {n}, n, 512, true};
            hashes[i] = hash(entries[i].key);
            table.prefetch(hashes[i]);
        }
        table.prefetch_enter(std::span(hashes).first(count));
        const tick now{from / 1000};  // a million a second
        for (std::size_t i = 0; i < count; ++i) {
            benchmark::DoNotOptimize(table.enter(hashes[i], entries[i], minute, now));
        }
    }
    void enter_all() {
        for (std::uint32_t n = 0; n < records; n += burst) {
            enter_burst(n);
        }
    }
    tick now() const { return tick{records / 1000}; }

    time_wait_table<Key> table;
    std::uint32_t records;
};

// One full table of each size is kept for all benchmarks that only look.
template <class Key>
filled<Key>& full_table(std::uint32_t count) {
    static std::unique_ptr<filled<Key>> kept;
    if (kept == nullptr || kept->records != count || kept->table.size() != count) {
        kept.reset();
        kept = std::make_unique<filled<Key>>(count);
        kept->enter_all();
    }
    return *kept;
}

void count_operations(benchmark::State& state, std::int64_t operations) {
    state.SetItemsProcessed(operations);
    state.counters["each"] = benchmark::Counter(
        static_cast<double>(operations), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

template <class Key>
void enter(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    std::int64_t entered = 0;
    for (auto _ : state) {
        state.PauseTiming();
        auto fresh = std::make_unique<filled<Key>>(count);
        state.ResumeTiming();
        fresh->enter_all();
        entered += fresh->table.size();
        state.PauseTiming();
        fresh.reset();
        state.ResumeTiming();
    }
    count_operations(state, entered);
    state.counters["bytes"] =
        static_cast<double>(time_wait_table<Key>::bytes_for(count)) / static_cast<double>(count);
}

template <class Key, bool Hit, bool Restart>
void look_up(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    filled<Key>& full = full_table<Key>(count);
    numbers pick(count);
    std::array<std::uint64_t, burst> hashes;
    std::array<Key, burst> keys;
    std::array<time_wait_slot, burst> found;
    for (auto _ : state) {
        for (std::size_t i = 0; i < burst; ++i) {
            keys[i] = key_of(pick.next(), Hit ? 80 : 81, Key{});
            hashes[i] = hash(keys[i]);
            full.table.prefetch(hashes[i]);
        }
        full.table.find_burst(hashes, keys, found);
        if constexpr (Restart) {
            for (const time_wait_slot slot : found) {
                full.table.restart(slot, full.now());
            }
        }
        benchmark::DoNotOptimize(found);
    }
    count_operations(state, static_cast<std::int64_t>(state.iterations() * burst));
}

template <class Key>
void miss_in_an_empty_table(benchmark::State& state) {
    filled<Key> empty(static_cast<std::uint32_t>(state.range(0)));
    numbers pick(1u << 30);
    for (auto _ : state) {
        const Key key = key_of(pick.next(), 80, Key{});
        const std::uint64_t h = hash(key);
        benchmark::DoNotOptimize(empty.table.find(h, key));
    }
}

// All records fall due in one instant; `longest_us` is the longest call with a budget of 256.
template <class Key>
void expire_all(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    std::int64_t expired = 0;
    double longest = 0;
    for (auto _ : state) {
        state.PauseTiming();
        filled<Key>& full = full_table<Key>(count);
        state.ResumeTiming();
        for (bool more = true; more;) {
            const auto start = std::chrono::steady_clock::now();
            const expire_result done =
                full.table.expire(full.now() + 130'000, 256, [](time_wait_slot) {});
            const std::chrono::duration<double, std::micro> took =
                std::chrono::steady_clock::now() - start;
            longest = std::max(longest, took.count());
            expired += done.expired;
            more = done.more;
        }
    }
    count_operations(state, expired);
    state.counters["longest_us"] = longest;
}

void connection_find(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    auto made = connection_table::make(count, page_size::huge);
    if (!made.ok()) {
        state.SkipWithError(made.error().c_str());
        return;
    }
    for (std::uint32_t n = 0; n < count; ++n) {
        benchmark::DoNotOptimize(made->insert(hash(key_of(n, 80, key4{})), n));
    }
    numbers pick(count);
    std::array<std::uint64_t, burst> hashes;
    std::array<std::uint32_t, burst> wanted;
    for (auto _ : state) {
        for (std::size_t i = 0; i < burst; ++i) {
            wanted[i] = pick.next();
            hashes[i] = hash(key_of(wanted[i], 80, key4{}));
            made->prefetch(hashes[i]);
        }
        for (std::size_t i = 0; i < burst; ++i) {
            benchmark::DoNotOptimize(
                made->find(hashes[i], [&](std::uint32_t v) { return v == wanted[i]; }));
        }
    }
    count_operations(state, static_cast<std::int64_t>(state.iterations() * burst));
}

void hash_key4(benchmark::State& state) {
    numbers pick(1u << 30);
    for (auto _ : state) {
        benchmark::DoNotOptimize(hash(key_of(pick.next(), 80, key4{})));
    }
}

void sizes(benchmark::internal::Benchmark* b) {
    b->Arg(1'000'000)->Arg(10'000'000);
    if (const char* more = std::getenv("LASTACK_BENCH_RECORDS")) {
        b->Arg(std::atoll(more));
    }
}

BENCHMARK(hash_key4);
BENCHMARK(miss_in_an_empty_table<key4>)->Arg(1'000'000);
BENCHMARK(connection_find)->Arg(262'144)->Arg(4'000'000);
BENCHMARK(enter<key4>)->Apply(sizes)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(look_up<key4, true, false>)->Apply(sizes);
BENCHMARK(look_up<key4, false, false>)->Apply(sizes);
BENCHMARK(look_up<key4, true, true>)->Apply(sizes);
BENCHMARK(expire_all<key4>)->Apply(sizes)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(enter<key6>)->Apply(sizes)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(look_up<key6, true, false>)->Apply(sizes);
BENCHMARK(expire_all<key6>)->Apply(sizes)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lastack::flow
