// SPDX-License-Identifier: BSD-3-Clause
// What is lost, and what to send next.
//
// RFC 6675 with SACK, and a reordering window in time (RFC 8985); without it duplicate ACKs stand
// for sacked segments (as in RFC 6582, but counted instead of inflating the window). In both,
// `pipe` estimates what is in the network and is compared with cwnd. Everything below lost_below()
// that is not sacked and lies at or above high_rxt is to be sent again. After a timeout all that
// was in flight counts as lost.
#include <algorithm>

#include "tcp/engine.hpp"

namespace lastack::tcp {
namespace {

std::uint32_t flight(const tcb& c) {
    return static_cast<std::uint32_t>(distance(c.snd_una, c.snd_nxt));
}
constexpr std::uint8_t duplicate_threshold = 3;

}  // namespace

const scoreboard* engine::sacked(const tcb& c) const {
    return c.loss == npos ? nullptr : &losses_[c.loss].sacked;
}

void engine::forget_losses(tcb& c) {
    if (c.loss != npos) {
        losses_.give_back(c.loss);
        c.loss = npos;
    }
}

// Takes the segment's SACK blocks over. Returns true when they told something new.
bool engine::take_sack(tcb& c, const wire::tcp_segment& s) {
    bool news = false;
    for (std::uint8_t i = 0; i < s.options.sack_count; ++i) {
        const auto [left, right] = s.options.sack[i];
        // RFC 2883: a block below the cumulative ACK reports a duplicate, and is no news here.
        if (!(left < right) || left < c.snd_una || left < s.ack || right > c.snd_nxt) {
            continue;
        }
        if (c.loss == npos) {
            c.loss = losses_.take();
            if (c.loss == npos) {
                return false;  // as if the peer had not said it
            }
            losses_[c.loss].sacked.clear();
            losses_[c.loss].late = c.snd_una;
        }
        news = losses_[c.loss].sacked.add(left, right) || news;
    }
    return news;
}

std::uint32_t engine::reno_sacked(const tcb& c) const {
    return c.sack ? 0 : std::min(std::uint32_t{c.dupacks} * c.mss, flight(c));
}

seq32 engine::lost_below(const tcb& c) const {
    if (c.recovery == recovery_state::loss) {
        return c.recover;
    }
    seq32 below = min(c.snd_una + c.mss, c.snd_nxt);
    if (const scoreboard* board = sacked(c)) {
        below = max(max(board->lost_below(c.snd_una, c.mss), losses_[c.loss].late), below);
    }
    return below;
}

std::uint32_t engine::pipe(const tcb& c) const {
    const scoreboard* board = sacked(c);
    std::uint32_t in_network =
        board != nullptr ? board->unsacked(c.snd_una, c.snd_nxt) : flight(c) - reno_sacked(c);
    if (c.recovery == recovery_state::open) {
        return in_network;
    }
    const seq32 from = max(c.high_rxt, c.snd_una);
    const seq32 to = lost_below(c);
    std::uint32_t lost = 0;
    if (from < to) {
        lost = board != nullptr ? board->unsacked(from, to)
                                : static_cast<std::uint32_t>(distance(from, to));
    }
    return in_network - std::min(in_network, lost);
}

scoreboard::range engine::next_lost(const tcb& c) const {
    const seq32 from = max(c.high_rxt, c.snd_una);
    const seq32 to = min(lost_below(c), c.snd_nxt);
    if (to <= from) {
        return {from, from};
    }
    const scoreboard* board = sacked(c);
    return board != nullptr ? board->hole(from, to) : scoreboard::range{from, to};
}

// RFC 5681 2, RFC 6675 5: an ACK that acknowledges nothing new while something is outstanding.
void engine::duplicate_ack(tcb& c) {
    counters_.add(counter::dup_acks_in);
    if (c.dupacks < 255) {
        ++c.dupacks;
    }
    if (c.recovery != recovery_state::open) {
        make_ready(c);
        return;
    }
    const scoreboard* board = sacked(c);
    const bool enough = c.dupacks >= duplicate_threshold ||
                        (board != nullptr && board->lost_below(c.snd_una, c.mss) > c.snd_una);
    if (enough) {
        enter_recovery(c);
    } else if (board != nullptr && c.rtx != rtx_kind::reorder) {
        arm_rto_or_probe(c);
    }
    make_ready(c);  // the pipe has shrunk: limited transmit (RFC 3042)
}

void engine::enter_recovery(tcb& c) {
    c.recovery = recovery_state::recovery;
    c.recover = c.snd_nxt;
    c.high_rxt = c.snd_una;
    c.probing = false;
    c.cc.on_loss(c.mss, now_);
    counters_.add(c.sack ? counter::sack_recovery : counter::reno_recovery);
    // RFC 6675 5 (4.3): the first retransmission does not ask the pipe.
    if (retransmit_next(c, false)) {
        arm_rto(c);
    }
}

// RFC 8985 6.2 step 5: time shows that what was sent before the latest that is sacked is lost.
void engine::reorder_window_expired(tcb& c) {
    if (c.recovery != recovery_state::open || sacked(c) == nullptr) {
        arm_rto_or_probe(c);
        return;
    }
    losses_[c.loss].late = losses_[c.loss].sacked.highest();
    enter_recovery(c);
    arm_rto(c);
    make_ready(c);
}

void engine::leave_recovery(tcb& c) {
    c.recovery = recovery_state::open;
    c.dupacks = 0;
    if (c.loss != npos && losses_[c.loss].sacked.empty()) {
        forget_losses(c);
    }
}

// RFC 6298 5.4 to 5.6, RFC 5681 3.1: everything in flight is taken for lost.
void engine::enter_loss(tcb& c) {
    if (c.recovery != recovery_state::loss || c.retries == 0) {
        c.cc.on_timeout(flight(c), c.mss, now_);
    }
    if (c.retries > 0) {
        forget_losses(c);  // RFC 6675 5.1: the peer may have reneged
    }
    c.recovery = recovery_state::loss;
    c.recover = c.snd_nxt;
    c.high_rxt = c.snd_una;
    c.dupacks = 0;
    c.probing = false;
    c.rtt_timing = false;
}

}  // namespace lastack::tcp
