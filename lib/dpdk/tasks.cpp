// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/tasks.hpp"

namespace lastack::dpdk {
namespace {

// A page may be short when little matches, so that its asker is not kept waiting.
constexpr std::uint32_t slices_max = 4096;

// Moves to the next stack when one is through; false when none is left.
bool go_on(list_task::place& at, std::size_t stacks) {
    if (at.position.at_end()) {
        ++at.stack;
        at.position = {};
    }
    return at.stack < stacks;
}

}  // namespace

bool snapshot_task::run(std::span<stack::core* const> stacks) {
    for (const auto* s : stacks) {
        taken.add(*s, held_);
    }
    return true;
}

bool settings_task::run(std::span<stack::core* const> stacks) {
    for (auto* s : stacks) {
        s->apply_settings(share_);
    }
    return true;
}

bool list_task::run(std::span<stack::core* const> stacks) {
    if (at.stack < stacks.size()) {
        found += stack::list_rows(*stacks[at.stack], at.position, filter_, slice_places,
                                  std::span(rows).subspan(found));
    }
    at_end = !go_on(at, stacks.size());
    return at_end || rows.size() - found < 8 || ++slices_ == slices_max;
}

bool census_task::run(std::span<stack::core* const> stacks) {
    const auto n = stack::list_rows(*stacks[at_.stack], at_.position, filter_, slice_places, rows_);
    for (std::size_t i = 0; i < n; ++i) {
        counted.add(rows_[i], overdue_ms_);
    }
    return !go_on(at_, stacks.size());
}

bool explain_task::run(std::span<stack::core* const> stacks) {
    for (const auto* s : stacks) {
        answer = stack::explain(*s, key_);
        if (known()) {
            break;
        }
    }
    return true;
}

}  // namespace lastack::dpdk
