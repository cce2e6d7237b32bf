// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/close_wait_watch.hpp"

#include <algorithm>

#include "dpdk/telemetry_text.hpp"
#include "lastack/log.hpp"

namespace lastack::dpdk {
namespace {

using std::chrono::seconds;

constexpr seconds look_every{10};
constexpr seconds repeat_after{600};
constexpr std::size_t named_max = 3;  // of the oldest

}  // namespace

void close_wait_watch::poll(clock::time_point now) {
    if (!asked_.empty()) {
        if (std::all_of(asked_.begin(), asked_.end(), [](auto& t) { return t->done(); })) {
            judge(now);
            asked_.clear();
        }
        return;
    }
    warn_s_ = settings_.now().close_wait_warn_s;
    if (warn_s_ == 0 || now < next_) {
        return;
    }
    next_ = now + std::min(look_every, seconds(warn_s_));
    stack::row_filter only;
    only.states = 1u << static_cast<unsigned>(teardown::state::close_wait);
    std::vector<task_desk::task_pointer> tasks;
    for (std::size_t i = 0; i < desk_.workers(); ++i) {
        asked_.push_back(std::make_shared<census_task>(only, warn_s_ * 1000));
        tasks.push_back(asked_.back());
    }
    desk_.post(tasks);
}

void close_wait_watch::judge(clock::time_point now) {
    stack::census sum;
    for (const auto& t : asked_) {
        sum.add(t->counted);
    }
    if (sum.overdue > warned_of_ || (sum.overdue > 0 && now - warned_ >= repeat_after)) {
        log(log_level::warning, close_wait_warning(sum, warn_s_));
        warned_ = now;
    }
    warned_of_ = sum.overdue;
}

std::string close_wait_warning(const stack::census& c, std::uint32_t warn_s) {
    std::string by_listener;
    for (std::size_t i = 0; i < c.leak_count; ++i) {
        const auto& l = c.leaks[i];
        if (l.overdue != 0) {
            by_listener += (by_listener.empty() ? "" : ", ") +
                           (l.port == 0 ? "no listener" : "port " + std::to_string(l.port)) + ": " +
                           std::to_string(l.overdue);
        }
    }
    std::string oldest;
    for (std::size_t i = 0; i < std::min(c.oldest_count, named_max); ++i) {
        oldest += (oldest.empty() ? "" : ", ") + row_key_text(c.oldest[i]) + " for " +
                  duration_text(c.oldest[i].age_ms);
    }
    return std::to_string(c.overdue) + (c.overdue == 1 ? " connection has" : " connections have") +
           " been in CLOSE_WAIT for more than " + duration_text(std::uint64_t{warn_s} * 1000) +
           " (" + by_listener + "): the peer has closed and the application has not; oldest " +
           oldest;
}

}  // namespace lastack::dpdk
