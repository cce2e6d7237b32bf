// SPDX-License-Identifier: BSD-3-Clause
#include "flow/time_wait_lanes.hpp"

#include <algorithm>

namespace lastack::flow {

milliseconds time_wait_lanes::rounded(milliseconds length) {
    const auto cut = static_cast<std::uint32_t>(
        std::clamp<milliseconds::rep>(length.count(), 1, length_max.count()));
    return milliseconds{(cut + coarse_tick_ms - 1) / coarse_tick_ms * coarse_tick_ms};
}

std::uint32_t time_wait_lanes::find(const waiting& w) const {
    const auto same = [&, length = rounded(w.length)](const one& l) {
        return l.kind.length == length && l.kind.same_kind(w);
    };
    return static_cast<std::uint32_t>(std::ranges::find_if(lanes_, same) - lanes_.begin());
}

// One never used, else one that nobody uses now.
std::uint32_t time_wait_lanes::idle() const {
    std::uint32_t best = none;
    for (std::uint32_t i = 0; i < count_max; ++i) {
        if (lanes_[i].idle() && (best == none || lanes_[i].length_ms() == 0)) {
            best = i;
        }
    }
    return best;
}

std::uint32_t time_wait_lanes::next_longer(const waiting& w) const {
    const auto worse = [&](const one& a, const one& b) {  // of two that are long enough
        return a.kind.same_kind(w) != b.kind.same_kind(w) ? b.kind.same_kind(w)
                                                          : a.kind.length > b.kind.length;
    };
    std::uint32_t best = none;
    for (std::uint32_t i = 0; i < count_max; ++i) {
        if (lanes_[i].kind.length >= rounded(w.length) &&
            (best == none || worse(lanes_[best], lanes_[i]))) {
            best = i;
        }
    }
    return best;
}

// Of those not reserved, of which there is one at least.
std::uint32_t time_wait_lanes::longest() const {
    std::uint32_t best = none;
    for (std::uint32_t i = 0; i < count_max; ++i) {
        if (lanes_[i].reserved == 0 &&
            (best == none || lanes_[i].kind.length > lanes_[best].kind.length)) {
            best = i;
        }
    }
    return best;
}

void time_wait_lanes::become(std::uint32_t lane, const waiting& w) {
    one& l = lanes_[lane];
    l.kind = w;
    l.unused = 0;
    set_length(lane, w.length);
    l.first_length_ms = l.length_ms();
}

void time_wait_lanes::set_length(std::uint32_t lane, milliseconds length) {
    lanes_[lane].kind.length = rounded(length);
    recent_ = {milliseconds{-1}};
    count_all();
}

void time_wait_lanes::count_all() {
    shortest_ms_ = expected_ms_;
    for (const one& l : lanes_) {
        if (l.counts()) {
            shortest_ms_ = std::min(shortest_ms_, l.length_ms());
        }
    }
}

void time_wait_lanes::expect(milliseconds length) {
    expected_ms_ = std::min(expected_ms_, static_cast<std::uint32_t>(rounded(length).count()));
    count_all();
}

void time_wait_lanes::forget_unused() {
    for (one& l : lanes_) {
        l.unused = l.idle() ? std::min(l.unused + 1, 2u) : 0;
    }
    count_all();
}

std::uint32_t time_wait_lanes::look_for(const waiting& w) {
    std::uint32_t found = find(w);
    if (found == none && (found = idle()) != none) {
        become(found, w);
    }
    if (found == none && (found = next_longer(w)) == none) {
        found = longest();
        set_length(found, w.length);
    }
    recent_ = w;
    return recent_lane_ = found;
}

bool time_wait_lanes::reserve(const waiting& w) {
    std::uint32_t found = find(w);
    if (found == none || lanes_[found].reserved == 0) {
        const auto reserved =
            std::ranges::count_if(lanes_, [](const one& l) { return l.reserved != 0; });
        if (reserved == count_max - 1) {
            return false;
        }
        if (found == none) {
            if ((found = idle()) == none) {
                return false;
            }
            become(found, w);
        }
    }
    ++lanes_[found].reserved;
    count(lanes_[found]);
    return true;
}

void time_wait_lanes::release(const waiting& w) {
    --lanes_[find(w)].reserved;
}

}  // namespace lastack::flow
