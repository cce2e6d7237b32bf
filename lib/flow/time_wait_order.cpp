// SPDX-License-Identifier: BSD-3-Clause
#include "flow/time_wait_order.hpp"

#include <algorithm>

namespace lastack::flow {

namespace {

constexpr std::uint32_t slack = 8;  // buckets for one extra entry of the order

}  // namespace

// A few more for small tables, where chance weighs more.
std::uint32_t time_wait_order::extras_for(std::uint32_t buckets) {
    return buckets / slack + 8;
}

std::size_t time_wait_order::bytes_for(std::uint32_t buckets) {
    return timer::calendar::bytes_for(buckets + extras_for(buckets));
}

result<time_wait_order, std::string> time_wait_order::make(std::uint32_t buckets,
                                                           std::uint32_t capacity,
                                                           page_size preference, tick now) {
    time_wait_order made;
    made.last_ = now;
    made.clock_ms_ = now.raw;
    made.lanes_looked_at_ms_ = now.raw;
    made.queued_until_ = made.today();
    made.extras_max_ = extras_for(buckets);
    made.horizon_min_ms_ = std::max(1000u, capacity / 32000);
    auto order = timer::calendar::make(buckets + made.extras_max_, made.today(), preference);
    if (!order.ok()) {
        return failure{order.error()};
    }
    made.order_ = std::move(order).value();
    return made;
}

// --- clock -------------------------------------------------------------------------------------

std::uint64_t time_wait_order::clock_at(tick now) const {
    constexpr std::int32_t step_max =
        static_cast<std::int32_t>(time_wait_lanes::length_max.count()) +
        static_cast<std::int32_t>(2 * coarse_tick_ms);
    const std::int32_t step = std::clamp(distance(last_, now), 0, step_max);
    return clock_ms_ + static_cast<std::uint32_t>(step);
}

// --- order -------------------------------------------------------------------------------------

void time_wait_order::queue(time_wait_head& head, std::uint32_t bucket, std::uint32_t ticks_ahead) {
    head.set_queued();
    const std::uint32_t limit = coarse_up(clock_ms_ + horizon_ms()) - today();
    const std::uint32_t at = today() + std::min(ticks_ahead, limit);
    if (static_cast<std::int32_t>(at - queued_until_) > 0) {
        queued_until_ = at;
    }
    order_.push(at, bucket);
}

void time_wait_order::keep(time_wait_head& head, std::uint32_t bucket, std::uint32_t ticks_ahead) {
    if (!head.queued()) {
        queue(head, bucket, ticks_ahead);
    } else if (static_cast<std::int32_t>(queued_until_ - (today() + ticks_ahead)) > 0 &&
               extras_ < extras_max_) {
        ++extras_;
        order_.push(today() + ticks_ahead, bucket | extra_bit);
    }
}

void time_wait_order::requeue(time_wait_head& head, std::uint32_t entry,
                              std::uint32_t ticks_ahead) {
    const std::uint32_t bucket = bucket_of_entry(entry);
    if (ticks_ahead == time_wait_head::nothing_ahead) {
        if (is_extra(entry)) {
            extra_is_done();
        } else {
            head.clear_queued();
        }
    } else if (is_extra(entry)) {
        order_.push(today() + ticks_ahead, entry);
    } else {
        queue(head, bucket, ticks_ahead);
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
