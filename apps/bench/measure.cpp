// SPDX-License-Identifier: BSD-3-Clause
#include "measure.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>

namespace bench {

namespace {

// The sum of the named lines of a /proc file that gives kB, in bytes.
std::size_t sum_of(const char* file, std::initializer_list<std::string_view> names) {
    std::ifstream in(file);
    std::size_t kib = 0;
    for (std::string line; std::getline(in, line);) {
        std::istringstream fields(line);
        std::string name;
        std::size_t value = 0;
        if (fields >> name >> value &&
            std::find(names.begin(), names.end(), std::string_view(name)) != names.end()) {
            kib += value;
        }
    }
    return kib << 10;
}

int open_counter(std::uint64_t which) {
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_HARDWARE;
    attr.config = which;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    return static_cast<int>(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

}  // namespace

std::size_t resident_bytes() {
    return sum_of("/proc/self/smaps_rollup", {"Rss:", "Private_Hugetlb:", "Shared_Hugetlb:"});
}

std::size_t free_huge_bytes() {
    // HugePages_Free is a count and has no unit; every page is 2 MiB.
    return (sum_of("/proc/meminfo", {"HugePages_Free:"}) >> 10) * (std::size_t{2} << 20);
}

double thread_nanoseconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

hardware_counters::hardware_counters()
    : cycles_(open_counter(PERF_COUNT_HW_CPU_CYCLES)),
      misses_(open_counter(PERF_COUNT_HW_CACHE_MISSES)) {}

hardware_counters::~hardware_counters() {
    for (const int fd : {cycles_, misses_}) {
        if (fd >= 0) {
            close(fd);
        }
    }
}

double hardware_counters::read(int fd) {
    std::uint64_t value = 0;
    if (fd < 0 || ::read(fd, &value, sizeof value) != sizeof value) {
        return -1;
    }
    return static_cast<double>(value);
}

double poll_times::percentile(double share) {
    if (us_.empty()) {
        return 0;
    }
    const auto last = static_cast<double>(us_.size() - 1);
    const auto at = us_.begin() + static_cast<std::ptrdiff_t>(std::ceil(share * last));
    std::nth_element(us_.begin(), at, us_.end());
    return *at;
}

progress::progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

progress::~progress() {
    if (terminal_ && last_ >= 0) {
        std::fputs("\r\033[K", stderr);
    }
}

void progress::show(const char* phase, double share) {
    const int percent = static_cast<int>(share * 100);
    if (!terminal_ || (percent == last_ && phase_ == phase)) {
        return;
    }
    last_ = percent;
    phase_ = phase;
    constexpr std::string_view full = "########################################";
    const int width = percent * static_cast<int>(full.size()) / 100;
    std::fprintf(stderr, "\r\033[K%-16s [%-40.*s] %3d %%", phase, width, full.data(), percent);
    std::fflush(stderr);
}

}  // namespace bench
