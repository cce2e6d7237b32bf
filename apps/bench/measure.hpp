// SPDX-License-Identifier: BSD-3-Clause
// What a benchmark measures with: time, the process's real memory, hardware counters, a progress
// bar.
//
// Everything here is read outside the loops that are measured, so none of it is in the figures.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

using clock = std::chrono::steady_clock;

inline double nanoseconds_since(clock::time_point start) {
    return std::chrono::duration<double, std::nano>(clock::now() - start).count();
}

// Resident bytes of this process, 2 MiB pages of hugetlbfs included, which the kernel counts apart
// (/proc/self/smaps_rollup: Rss, Private_Hugetlb, Shared_Hugetlb).
std::size_t resident_bytes();

// Free pages of 2 MiB, in bytes.
std::size_t free_huge_bytes();

// What one operation took. Counters are negative where the machine has none.
struct cost {
    double ns = 0;
    double cycles = -1;
    double misses = -1;  // loads that left the last cache
};

// Cycles and cache misses of this thread in user mode, through perf_event_open().
class hardware_counters {
  public:
    hardware_counters();
    ~hardware_counters();
    hardware_counters(const hardware_counters&) = delete;

    bool present() const { return cycles_ >= 0; }
    double cycles() const { return read(cycles_); }
    double misses() const { return read(misses_); }

  private:
    static double read(int fd);
    int cycles_ = -1;
    int misses_ = -1;
};

// This thread's time on a processor. On a core of its own, as an lcore has, it is the same as the
// time of day; on a machine that others use too it leaves out what they take.
double thread_nanoseconds();

// Runs f(), which does `operations` of them, and says what one cost.
template <class F>
cost measure(const hardware_counters& counters, std::uint64_t operations, F&& f) {
    const double cycles = counters.cycles();
    const double misses = counters.misses();
    const double start = thread_nanoseconds();
    f();
    const auto each = static_cast<double>(operations == 0 ? 1 : operations);
    cost c{(thread_nanoseconds() - start) / each, -1, -1};
    if (counters.present()) {
        c.cycles = (counters.cycles() - cycles) / each;
        c.misses = (counters.misses() - misses) / each;
    }
    return c;
}

// How long polls took.
class poll_times {
  public:
    explicit poll_times(std::size_t expected) { us_.reserve(expected); }
    void add(double us) { us_.push_back(static_cast<float>(us)); }
    // `share` from 0 to 1; 1 is the longest. Sorts on the way.
    double percentile(double share);

  private:
    std::vector<float> us_;
};

// One line on standard error, redrawn in place; nothing where that is no terminal.
class progress {
  public:
    progress();
    ~progress();
    void show(const char* phase, double share);

  private:
    bool terminal_;
    int last_ = -1;
    std::string phase_;
};

}  // namespace bench
