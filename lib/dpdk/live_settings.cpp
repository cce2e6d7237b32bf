// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/live_settings.hpp"

#include <memory>
#include <vector>

#include "config/options.hpp"
#include "dpdk/plan.hpp"
#include "dpdk/tasks.hpp"

namespace lastack::dpdk {

config::settings live_settings::now() const {
    const std::lock_guard hold(lock_);
    return values_;
}

result<bool, std::string> live_settings::change(std::string_view key, std::string_view text) {
    const std::lock_guard one_at_a_time(change_lock_);
    const auto next = config::change_running(now(), key, text);
    if (!next) {
        return failure{next.error()};
    }
    {
        const std::lock_guard hold(lock_);
        values_ = *next;
    }
    std::vector<task_desk::task_pointer> tasks;
    for (std::size_t i = 0; i < desk_.workers(); ++i) {
        tasks.push_back(std::make_shared<settings_task>(share(*next, stacks_)));
    }
    if (const auto done = desk_.ask(tasks); !done) {
        return failure{done.error() + "; it takes the new value when it goes on"};
    }
    return true;
}

}  // namespace lastack::dpdk
