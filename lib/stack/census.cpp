// SPDX-License-Identifier: BSD-3-Clause
#include "stack/census.hpp"

#include <algorithm>
#include <span>

namespace lastack::stack {
namespace {

using teardown::state;

void count(std::span<std::uint64_t> histogram, std::span<const std::uint32_t> bounds_s,
           std::uint32_t value_ms) {
    std::size_t i = 0;
    while (bounds_s[i] != unbounded && value_ms / 1000 >= bounds_s[i]) {
        ++i;
    }
    ++histogram[i];
}

template <class Array>
void add_up(Array& into, const Array& from) {
    for (std::size_t i = 0; i < into.size(); ++i) {
        into[i] += from[i];
    }
}

}  // namespace

void census::add(const connection_row& r, std::uint32_t overdue_ms) {
    if (r.st == state::time_wait) {
        count(time_wait_left, time_wait_bounds_s, r.remaining_ms);
    }
    if (!r.has_age) {
        return;
    }
    count(age[static_cast<std::size_t>(r.st)], age_bounds_s, r.age_ms);
    if (r.st == state::close_wait) {
        const bool late = overdue_ms != 0 && r.age_ms >= overdue_ms;
        auto& l = leak_of(r.listener_port);
        ++l.waiting;
        l.overdue += late ? 1 : 0;
        overdue += late ? 1 : 0;
        note_old(r);
    }
}

void census::add(const census& other) {
    add_up(time_wait_left, other.time_wait_left);
    for (std::size_t s = 0; s < age.size(); ++s) {
        add_up(age[s], other.age[s]);
    }
    for (std::size_t i = 0; i < other.leak_count; ++i) {
        auto& l = leak_of(other.leaks[i].port);
        l.waiting += other.leaks[i].waiting;
        l.overdue += other.leaks[i].overdue;
    }
    for (std::size_t i = 0; i < other.oldest_count; ++i) {
        note_old(other.oldest[i]);
    }
    overdue += other.overdue;
}

census::leak& census::leak_of(std::uint16_t port) {
    const auto end = leaks.begin() + static_cast<std::ptrdiff_t>(leak_count);
    const auto found = std::find_if(leaks.begin(), end, [port](auto& l) { return l.port == port; });
    if (found != end) {
        return *found;
    }
    if (leak_count == leaks.size()) {
        return leaks.back();
    }
    leaks[leak_count].port = port;
    return leaks[leak_count++];
}

void census::note_old(const connection_row& r) {
    const auto end = oldest.begin() + static_cast<std::ptrdiff_t>(oldest_count);
    const auto at = std::find_if(oldest.begin(), end, [&](auto& o) { return o.age_ms < r.age_ms; });
    if (at == oldest.end()) {
        return;
    }
    oldest_count = std::min(oldest_count + 1, oldest.size());
    std::copy_backward(at, oldest.begin() + static_cast<std::ptrdiff_t>(oldest_count) - 1,
                       oldest.begin() + static_cast<std::ptrdiff_t>(oldest_count));
    *at = r;
}

}  // namespace lastack::stack
