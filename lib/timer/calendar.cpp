// SPDX-License-Identifier: BSD-3-Clause
#include "timer/calendar.hpp"

#include <cstring>

#include "base/prefetch.hpp"

namespace lastack::timer {

namespace {

constexpr std::uint32_t beyond = calendar::span;  // the place of entries that the ring cannot hold

}  // namespace

// Every full chunk holds chunk_entries, and each place has at most one that is not full.
std::size_t calendar::chunks_for(std::uint32_t entries_max) {
    return std::size_t{entries_max} / chunk_entries + span + 1;
}

std::size_t calendar::bytes_for(std::uint32_t entries_max) {
    return chunks_for(entries_max) * sizeof(chunk);
}

result<calendar, std::string> calendar::make(std::uint32_t entries_max, std::uint32_t now,
                                             page_size preference) {
    auto chunks = fixed_array<chunk>::make(chunks_for(entries_max), preference);
    if (!chunks.ok()) {
        return failure{chunks.error()};
    }
    calendar made;
    made.chunks_ = std::move(chunks).value();
    made.today_ = now;
    return made;
}

void calendar::push(std::uint32_t at, std::uint32_t entry) {
    std::int32_t ahead = static_cast<std::int32_t>(at - today_);
    ahead = std::max(ahead, 0);
    const std::uint32_t place = ahead < static_cast<std::int32_t>(span)
                                    ? (today_ + static_cast<std::uint32_t>(ahead)) % span
                                    : beyond;
    stack& to = days_[place];
    if (to.top == none || to.count == chunk_entries) {
        std::uint32_t fresh = free_;
        if (fresh != none) {
            free_ = chunks_[fresh - 1].next;
        } else {
            LASTACK_ASSERT(unused_ < chunks_.size());
            fresh = ++unused_;
        }
        chunks_[fresh - 1].next = to.top;
        to = {fresh, 0};
        if (place != beyond) {
            occupied_[place / 64] |= std::uint64_t{1} << (place % 64);
        }
    }
    chunks_[to.top - 1].entries[to.count++] = entry;
    ++size_;
}

std::uint32_t calendar::first_ahead(std::uint32_t limit, std::uint32_t passed) const {
    while (passed < limit) {
        const std::uint32_t place = (today_ + passed) % span;
        const std::uint64_t word = occupied_[place / 64] >> (place % 64);
        if (word != 0) {
            return std::min(limit, passed + static_cast<std::uint32_t>(std::countr_zero(word)));
        }
        passed += 64 - place % 64;
    }
    return limit;
}

std::size_t calendar::take_from(std::uint32_t place, std::span<std::uint32_t> out) {
    stack& from = days_[place];
    if (from.top == none || out.empty()) {
        return 0;
    }
    chunk& top = chunks_[from.top - 1];
    const std::size_t count = std::min<std::size_t>(out.size(), from.count);
    from.count -= static_cast<std::uint32_t>(count);
    std::memcpy(out.data(), &top.entries[from.count], count * sizeof(std::uint32_t));
    size_ -= static_cast<std::uint32_t>(count);
    if (from.count == 0) {
        const std::uint32_t emptied = from.top;
        from = {top.next, chunk_entries};
        if (from.top != none) {
            prefetch_to_read(&chunks_[from.top - 1]);
            prefetch_to_read(&chunks_[from.top - 1].entries.back());
        } else if (place != beyond) {
            occupied_[place / 64] &= ~(std::uint64_t{1} << (place % 64));
        }
        top.next = free_;
        free_ = emptied;
    }
    return count;
}

bool calendar::ready(std::uint32_t now) const {
    const auto passed = static_cast<std::int32_t>(now - today_);
    if (size_ == 0 || passed < 0) {
        return false;
    }
    const std::uint32_t limit = std::min(static_cast<std::uint32_t>(passed) + 1, span);
    return days_[beyond].top != none || first_ahead(limit) < limit;
}

std::size_t calendar::take(std::uint32_t now, std::span<std::uint32_t> out) {
    const auto passed = static_cast<std::int32_t>(now - today_);
    if (passed < 0) {
        return 0;
    }
    if (size_ == 0) {
        today_ = now;
        return 0;
    }
    const std::uint32_t limit = std::min(static_cast<std::uint32_t>(passed) + 1, span);
    const std::uint32_t ahead = first_ahead(limit);
    if (ahead < limit) {
        today_ += ahead;
        return take_from(today_ % span, out);
    }
    today_ = now;
    return take_from(beyond, out);
}

std::size_t calendar::take_earliest(std::uint32_t& day, std::span<std::uint32_t> out) {
    const auto from = std::max(static_cast<std::int32_t>(day - today_), 0);
    const std::uint32_t ahead = first_ahead(span, static_cast<std::uint32_t>(from));
    day = today_ + ahead;
    return take_from(ahead < span ? day % span : beyond, out);
}

std::optional<std::uint32_t> calendar::earliest() const {
    if (size_ == 0) {
        return std::nullopt;
    }
    return days_[beyond].top != none ? today_ : today_ + first_ahead(span);
}

}  // namespace lastack::timer
