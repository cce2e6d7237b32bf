// SPDX-License-Identifier: BSD-3-Clause
#include "flow/time_wait_order.hpp"

#include <algorithm>

namespace lastack::flow {

namespace {

constexpr std::uint32_t slack = 8;  // blocks for one extra entry of the order

}  // namespace

// A few more for small tables, where chance weighs more.
std::uint32_t time_wait_order::extras_for(std::uint32_t blocks) {
    return blocks / slack + 8;
}

std::size_t time_wait_order::bytes_for(std::uint32_t blocks) {
    return timer::calendar::bytes_for(blocks + extras_for(blocks));
}

result<time_wait_order, std::string> time_wait_order::make(std::uint32_t blocks,
                                                           std::uint32_t capacity,
                                                           page_size preference, tick now) {
    time_wait_order made;
    made.last_ = now;
    made.clock_ms_ = now.raw;
    made.expired_ms_ = now.raw;
    made.lanes_looked_at_ms_ = now.raw;
    made.queued_until_ = made.today();
    made.extras_max_ = extras_for(blocks);
    made.horizon_min_ms_ = std::max(1000u, capacity / 32000);
    auto order = timer::calendar::make(blocks + made.extras_max_, made.today(), preference);
    if (!order.ok()) {
        return failure{order.error()};
    }
    made.order_ = std::move(order).value();
    return made;
}

// --- clock -------------------------------------------------------------------------------------

std::uint64_t time_wait_order::clock_at(tick now) const {
    const std::uint64_t step = static_cast<std::uint32_t>(std::max(distance(last_, now), 0));
    return std::min(clock_ms_ + step, std::max(clock_ms_, expired_ms_ + behind_max_ms));
}

// --- order -------------------------------------------------------------------------------------

void time_wait_order::queue(time_wait_deadlines& of_block, std::uint32_t block,
                            std::uint32_t ticks_ahead) {
    of_block.set_queued();
    const std::uint32_t limit = coarse_up(clock_ms_ + horizon_ms()) - today();
    const std::uint32_t at = today() + std::min(ticks_ahead, limit);
    if (static_cast<std::int32_t>(at - queued_until_) > 0) {
        queued_until_ = at;
    }
    order_.push(at, block);
}

void time_wait_order::push_extra(std::uint32_t block, std::uint32_t at) {
    extra_block_ = block;
    extra_at_ = at;
    order_.push(at, block | extra_bit);
}

std::uint32_t time_wait_order::keep(time_wait_deadlines& of_block, std::uint32_t block,
                                    std::uint32_t ticks_ahead) {
    if (!of_block.queued()) {
        queue(of_block, block, ticks_ahead);
        return ticks_ahead;
    }
    return keep_queued(block, ticks_ahead);
}

std::uint32_t time_wait_order::keep_queued(std::uint32_t block, std::uint32_t ticks_ahead) {
    const std::uint32_t deadline = today() + ticks_ahead;
    const auto late = static_cast<std::int32_t>(queued_until_ - deadline);
    const bool has_extra =
        extra_block_ == block && static_cast<std::int32_t>(deadline - extra_at_) >= 0;
    if (late <= 0 || has_extra) {
        return ticks_ahead;
    }
    if (extras_ == extras_max_) {
        return ticks_ahead + static_cast<std::uint32_t>(late);
    }
    ++extras_;
    push_extra(block, deadline);
    return ticks_ahead;
}

void time_wait_order::requeue(time_wait_deadlines& of_block, std::uint32_t entry,
                              std::uint32_t ticks_ahead) {
    const std::uint32_t block = block_of_entry(entry);
    if (!is_extra(entry)) {
        if (ticks_ahead == time_wait_deadlines::nothing_ahead) {
            of_block.clear_queued();
        } else {
            queue(of_block, block, ticks_ahead);
        }
        return;
    }
    if (extra_block_ == block) {
        extra_block_ = ~0u;
    }
    const std::uint32_t at = today() + ticks_ahead;
    if (ticks_ahead != time_wait_deadlines::nothing_ahead &&
        static_cast<std::int32_t>(queued_until_ - at) > 0) {
        push_extra(block, at);
    } else {
        --extras_;
    }
}

std::optional<tick> time_wait_order::next() const {
    const std::optional<std::uint32_t> day = order_.earliest();
    if (!day) {
        return std::nullopt;
    }
    const auto days = static_cast<std::int32_t>(*day - today());
    const auto gone = static_cast<std::uint32_t>(clock_ms_ % coarse_tick_ms);
    return days <= 0 ? last_ : last_ + (static_cast<std::uint32_t>(days) * coarse_tick_ms - gone);
}

}  // namespace lastack::flow
