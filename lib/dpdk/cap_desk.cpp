// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/cap_desk.hpp"

#include "lastack/log.hpp"

namespace lastack::dpdk {

using teardown::cap_kind;

cap_desk::cap_desk(std::vector<lcore_worker*> workers, const config::settings& resolved)
    : workers_(std::move(workers)),
      stacks_each_(static_cast<std::uint32_t>(workers_.front()->stacks())) {
    const auto rooms = [this](cap_kind of) {
        std::vector<std::uint32_t> all;
        for (const auto* w : workers_) {
            for (std::size_t i = 0; i < stacks_each_; ++i) {
                all.push_back(w->room_for(i, of));
            }
        }
        return all;
    };
    lenders_.emplace_back(cap_kind::time_wait, resolved.tcp_max_tw_buckets,
                          rooms(cap_kind::time_wait));
    lenders_.emplace_back(cap_kind::orphans, resolved.tcp_max_orphans, rooms(cap_kind::orphans));
}

void cap_desk::poll(const config::settings& now) {
    const auto of = [this](cap_kind kind) -> teardown::cap_lender& {
        return lenders_[static_cast<std::size_t>(kind)];
    };
    of(cap_kind::time_wait).set_cap(now.tcp_max_tw_buckets);
    of(cap_kind::orphans).set_cap(now.tcp_max_orphans);
    for (std::uint32_t w = 0; w < workers_.size(); ++w) {
        workers_[w]->caps().to_lender.consume_all([&](const cap_line::entry& e) {
            of(e.message.of).hear(w * stacks_each_ + e.stack, e.message);
        });
    }
    for (auto& lender : lenders_) {
        lender.round([this](std::uint32_t index, const teardown::cap_message& m) {
            return workers_[index / stacks_each_]->caps().from_lender.push(
                {index % stacks_each_, m});
        });
    }
    warn_once(now);
}

void cap_desk::warn_once(const config::settings& now) {
    constexpr std::array<counter, warnings> counters{counter::tw_overflow, counter::tw_evicted,
                                                     counter::tw_core_full, counter::orphan_limit};
    for (std::size_t i = 0; i < counters.size(); ++i) {
        if (warned_[i]) {
            continue;
        }
        for (const auto* w : workers_) {
            warned_[i] = warned_[i] || w->counter_sum(counters[i]) > 0;
        }
        if (warned_[i]) {
            log(log_level::warning, cap_warning(counters[i], now));
        }
    }
}

std::string cap_warning(counter what, const config::settings& s) {
    const auto reached = [](const char* name, std::uint32_t cap) {
        return std::string(name) + " (" + std::to_string(cap) + ") is reached: ";
    };
    const auto tw = reached("tcp_max_tw_buckets", s.tcp_max_tw_buckets);
    switch (what) {
        case counter::tw_overflow:
            return tw + "connections skip TIME_WAIT, counted as TcpExtTCPTimeWaitOverflow";
        case counter::tw_evicted:
            return tw + "the oldest records make room, counted as LastackTimeWaitEvicted";
        case counter::orphan_limit:
            return reached("tcp_max_orphans", s.tcp_max_orphans) +
                   "closed connections are reset, counted as LastackOrphanLimit";
        default:
            return "a core's own table of TIME_WAIT records is full, though the process may be "
                   "below tcp_max_tw_buckets: connections skip TIME_WAIT, counted as "
                   "LastackTimeWaitCoreFull; raise lastack.core_headroom or "
                   "lastack.time_wait_records";
    }
}

}  // namespace lastack::dpdk
