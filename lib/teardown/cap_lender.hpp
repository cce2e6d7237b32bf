// SPDX-License-Identifier: BSD-3-Clause
// The other side of cap_share.hpp: lends the counts of one cap to the stacks of a process.
//
// Used by one thread, which brings it what the stacks say (hear) and takes what they are to be told
// (round). `granted` is never less than what a stack holds: it grows when something is given and
// shrinks when it is returned, so what is under way counts as lent. Therefore, whatever the order
// of messages between different stacks, the allowances add up to the cap at most; after it was
// lowered, as soon as all have answered.
//
// A stack has at most one spare or claim to answer. One that does not answer (its application holds
// it up) keeps what it has and keeps nobody else waiting.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "teardown/cap_share.hpp"

namespace lastack::teardown {

class cap_lender {
  public:
    // `rooms`: what the table of each stack holds.
    cap_lender(cap_kind of, std::uint32_t cap, std::span<const std::uint32_t> rooms);

    void set_cap(std::uint32_t cap) {
        raised_ = raised_ || cap > cap_;
        cap_ = cap;
    }
    void hear(std::uint32_t index, const cap_message& m);
    // Says what is due, with say(index, message): false when it does not fit and is to come again.
    template <class F>
    void round(F&& say) {
        if (members_.size() == 1) {
            return;  // a core alone is its own lender
        }
        claim_excess(say);
        give(say);
        spread(say);
        seek(say);
        tell_total(say);
    }

    // In use, by the latest reports.
    std::uint64_t total() const;

  private:
    struct member {
        std::uint32_t room = 0;
        std::uint32_t granted = 0;
        std::uint32_t wanted = 0;   // of an ask; 0: none
        std::uint32_t claimed = 0;  // of `granted`, and not yet returned
        bool answering = false;     // a spare or claim
        bool reported = false;      // and is to hear the total
        std::uint32_t used = 0;
        std::uint32_t told = 0;
    };

    std::uint64_t lent() const;
    std::uint64_t pool() const { return cap_ - std::min<std::uint64_t>(cap_, lent()); }
    template <class F>
    void claim_excess(F& say);
    template <class F>
    void give(F& say);
    template <class F>
    void spread(F& say);
    template <class F>
    void seek(F& say);
    template <class F>
    void tell_total(F& say);

    cap_kind of_;
    std::uint32_t cap_;
    bool raised_ = false;      // and what is new not yet handed out
    std::uint32_t first_ = 0;  // who is served first; moves on with each round
    std::vector<member> members_;
};

// The cap was lowered: each gives back in proportion to what it holds.
template <class F>
void cap_lender::claim_excess(F& say) {
    std::uint64_t held = 0;
    for (const member& m : members_) {
        held += m.granted - m.claimed;
    }
    if (held <= cap_) {
        return;
    }
    const std::uint64_t excess = held - cap_;
    std::uint64_t left = excess;
    for (std::uint32_t i = 0; i < members_.size() && left > 0; ++i) {
        member& m = members_[i];
        const std::uint64_t part = (excess * m.granted + held - 1) / held;
        const auto n = static_cast<std::uint32_t>(std::min<std::uint64_t>({part, left, m.granted}));
        if (!m.answering && n > 0 && say(i, cap_message{cap_message::word::claim, of_, n})) {
            m.claimed = n;
            m.answering = true;
            left -= n;
        }
    }
}

template <class F>
void cap_lender::give(F& say) {
    std::uint64_t left = pool();
    const auto count = static_cast<std::uint32_t>(members_.size());
    for (std::uint32_t k = 0; k < count && left > 0; ++k) {
        const std::uint32_t i = (first_ + k) % count;
        member& m = members_[i];
        const auto n = static_cast<std::uint32_t>(
            std::min<std::uint64_t>({left, m.wanted, m.room - m.granted}));
        if (n > 0 && say(i, cap_message{cap_message::word::give, of_, n})) {
            m.granted += n;
            m.wanted = 0;
            left -= n;
        }
    }
    first_ = (first_ + 1) % count;
}

// The cap was raised: equal parts of what is left for everybody, asked for or not.
template <class F>
void cap_lender::spread(F& say) {
    if (!raised_) {
        return;
    }
    raised_ = false;
    const std::uint64_t part = (pool() + members_.size() - 1) / members_.size();
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
        member& m = members_[i];
        const auto n =
            static_cast<std::uint32_t>(std::min<std::uint64_t>({pool(), part, m.room - m.granted}));
        if (n > 0 && say(i, cap_message{cap_message::word::give, of_, n})) {
            m.granted += n;
            m.wanted = 0;
        }
    }
}

// Somebody goes short: all others are asked to spare as much. Also those who wait for something
// themselves, since they may have more by now than when they asked.
template <class F>
void cap_lender::seek(F& say) {
    std::uint64_t wanted = 0;
    for (const member& m : members_) {
        wanted += m.wanted;
    }
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
        member& m = members_[i];
        const auto n = static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted - m.wanted, cap_));
        if (n > 0 && !m.answering && m.granted > 0) {
            m.answering = say(i, cap_message{cap_message::word::spare, of_, n});
        }
    }
}

template <class F>
void cap_lender::tell_total(F& say) {
    const auto sum = static_cast<std::uint32_t>(std::min<std::uint64_t>(total(), 0xffffffffu));
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
        member& m = members_[i];
        if ((m.reported || m.told != sum) &&
            say(i, cap_message{cap_message::word::total, of_, sum})) {
            m.reported = false;
            m.told = sum;
        }
    }
}

}  // namespace lastack::teardown
