// SPDX-License-Identifier: BSD-3-Clause
#include "teardown/cap_lender.hpp"

namespace lastack::teardown {

cap_lender::cap_lender(cap_kind of, std::uint32_t cap, std::span<const std::uint32_t> rooms)
    : of_(of), cap_(cap), members_(rooms.size()) {
    for (std::uint32_t i = 0; i < rooms.size(); ++i) {
        members_[i].room = rooms[i];
        members_[i].granted =
            first_allowance(cap, {i, static_cast<std::uint32_t>(rooms.size())}, rooms[i]);
    }
}

void cap_lender::hear(std::uint32_t index, const cap_message& m) {
    member& from = members_[index];
    switch (m.what) {
        case cap_message::word::ask:
            from.wanted = m.n;
            break;
        case cap_message::word::returned:
            from.granted -= m.n;
            from.claimed = 0;
            from.answering = false;
            break;
        case cap_message::word::report:
            from.used = m.n;
            from.reported = true;
            break;
        default:
            break;
    }
}

std::uint64_t cap_lender::lent() const {
    std::uint64_t sum = 0;
    for (const member& m : members_) {
        sum += m.granted;
    }
    return sum;
}

std::uint64_t cap_lender::total() const {
    std::uint64_t sum = 0;
    for (const member& m : members_) {
        sum += m.used;
    }
    return sum;
}

}  // namespace lastack::teardown
