// SPDX-License-Identifier: BSD-3-Clause
// A cap of the process, as one core sees it: how many TIME_WAIT records or orphans it may hold.
//
// tcp_max_tw_buckets and tcp_max_orphans are for the whole process, and cores share no counter
// (R63). Each core has an allowance, an equal part at first, and enters nothing beyond it. Counts
// are lent in blocks, by message: a core that has less than half a block left asks the lender
// (cap_lender.hpp, on the control thread); one that is asked to spare some gives back what it does
// not use, but for half a block. So the allowances never add up to more than the cap.
//
//   from a core   ask       n more; one at a time
//                 returned  n; the answer to each spare and claim, also with 0
//                 report    n are in use here, when that has moved by half a block
//   to a core     give      n more; the answer to an ask, when there is something to give; or the
//                           cap was raised
//                 spare     give back up to n that are free
//                 claim     give back n, also what is in use: the cap was lowered. Nothing is
//                           evicted; nothing enters until enough has gone
//                 total     n are in use in the process: the answer to each report, and news
//
// A block is a 32nd of an equal part. What stays unused at the cap, because cores keep it for their
// own next closes, is below half a block a core: a 64th of the cap. Half a block must last for the
// two rounds of messages that fetch the next one; a core that finds none left refuses until then,
// and asks for a quarter of an equal part. So the cap is never exceeded and may be met a little
// early. Where it is so small that a block is one, a core asks only when it has had to refuse.
//
// A core alone is its own lender: its allowance is the cap.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace lastack::teardown {

enum class cap_kind : std::uint8_t { time_wait, orphans };
inline constexpr std::size_t cap_kind_count = 2;

struct cap_message {
    enum class word : std::uint8_t { ask, returned, report, give, spare, claim, total };
    word what{};
    cap_kind of{};
    std::uint32_t n = 0;
};

// Which of how many stacks that share a cap.
struct cap_place {
    std::uint32_t index = 0;
    std::uint32_t members = 1;
};

constexpr std::uint32_t cap_block(std::uint32_t cap, std::uint32_t members) {
    return std::clamp(cap / (members * 32), 1u, 65536u);
}
// What each begins with. `room`: what its own table holds.
constexpr std::uint32_t first_allowance(std::uint32_t cap, cap_place p, std::uint32_t room) {
    return std::min(room, cap / p.members + (p.index < cap % p.members ? 1 : 0));
}

class cap_share {
  public:
    cap_share() = default;
    cap_share(cap_kind of, std::uint32_t cap, cap_place place, std::uint32_t room)
        : of_(of),
          cap_(place.members == 1 ? std::min(cap, room) : cap),
          room_(room),
          members_(place.members),
          allowance_(first_allowance(cap, place, room)) {}

    // The setting has changed. With others, the lender's messages bring what follows from it.
    void set_cap(std::uint32_t cap) {
        cap_ = cap;
        if (members_ == 1) {
            allowance_ = cap_ = std::min(cap, room_);
        }
    }

    std::uint32_t allowance() const { return allowance_; }
    std::uint32_t room() const { return room_; }
    // Something would have entered and there was no allowance left: more is asked for.
    void missed() { missed_ = true; }
    // Whether it is the cap that keeps the next one out, and not this core's own table.
    bool at_cap(std::uint32_t used) const { return allowance_ < room_ || in_process(used) >= cap_; }
    // In the whole process; what others have is as old as their last reports.
    std::uint64_t in_process(std::uint32_t used) const { return std::uint64_t{elsewhere_} + used; }
    // As Linux's tcp_too_many_orphans(): a larger shift judges more severely.
    bool too_many(std::uint32_t used, std::uint32_t shift) const {
        return in_process(used) << shift > cap_;
    }

    void hear(const cap_message& m, std::uint32_t used) {
        switch (m.what) {
            case cap_message::word::give:
                allowance_ += m.n;
                asked_ = false;
                break;
            case cap_message::word::spare:
                give_back(std::min(m.n, spare(used)));
                break;
            case cap_message::word::claim:
                give_back(std::min(m.n, allowance_));
                break;
            case cap_message::word::total:
                elsewhere_ = m.n - std::min(m.n, reported_);
                report_out_ = false;
                break;
            default:
                break;
        }
    }

    // Says what is due, with say(message): false when it does not fit and is to come again later.
    template <class F>
    void speak(std::uint32_t used, F&& say) {
        if (members_ == 1) {
            return;
        }
        using enum cap_message::word;
        if (answer_due_ && say(cap_message{returned, of_, giving_back_})) {
            giving_back_ = 0;
            answer_due_ = false;
        }
        const std::uint32_t block = cap_block(cap_, members_);
        const bool low = std::uint64_t{used} + block / 2 > allowance_;
        if (!asked_ && allowance_ < room_ && (missed_ || (low && block > 1))) {
            const std::uint32_t behind = used > allowance_ ? used - allowance_ : 0;
            const std::uint32_t wanted = missed_ ? std::max(block, cap_ / (members_ * 4)) : block;
            const std::uint32_t more = std::min(room_ - allowance_, behind + wanted);
            asked_ = say(cap_message{ask, of_, more});
        }
        missed_ = missed_ && !asked_ && allowance_ < room_;
        const std::uint32_t moved = used > reported_ ? used - reported_ : reported_ - used;
        if (!report_out_ && moved > 0 && moved >= block / 2 &&
            say(cap_message{report, of_, used})) {
            reported_ = used;
            report_out_ = true;
        }
    }

  private:
    std::uint32_t spare(std::uint32_t used) const {
        const std::uint64_t kept = std::uint64_t{used} + cap_block(cap_, members_) / 2;
        return allowance_ > kept ? static_cast<std::uint32_t>(allowance_ - kept) : 0;
    }
    void give_back(std::uint32_t n) {
        allowance_ -= n;
        giving_back_ += n;
        answer_due_ = true;
    }

    cap_kind of_{};
    bool asked_ = false;       // and not yet given
    bool missed_ = false;      // since it last asked
    bool answer_due_ = false;  // `returned`
    bool report_out_ = false;  // and not yet answered
    std::uint32_t cap_ = 0;
    std::uint32_t room_ = 0;
    std::uint32_t members_ = 1;
    std::uint32_t allowance_ = 0;
    std::uint32_t giving_back_ = 0;
    std::uint32_t reported_ = 0;
    std::uint32_t elsewhere_ = 0;
};

}  // namespace lastack::teardown
