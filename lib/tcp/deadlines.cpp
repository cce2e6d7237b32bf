// SPDX-License-Identifier: BSD-3-Clause
// What connections do when time passes.
//
// A tcb has up to five deadlines and one node in the wheel, which hangs no later than the earliest.
// Moving a deadline later, or dropping it, only writes the tcb: the node comes up early, finds what
// is really due and is hung anew. So the common case, an ACK that restarts the RTO, touches no
// list; nor does a connection's end, which leaves the node to whoever gets the tcb next. So of many
// short connections few touch one. SYN_RECEIVED records do the same.
#include <algorithm>
#include <bit>

#include "tcp/engine.hpp"

namespace lastack::tcp {
namespace {

namespace flags = wire::tcp_flags;
using teardown::event;
using teardown::state;

// Linux's "boundary" times (tcp_retries2 in ip-sysctl): how long `retries` timeouts take from an
// RTO of rto_min, doubling up to rto_max. R65 wants 924.6 s for 15.
std::uint32_t model_timeout_ms(std::uint32_t retries, std::uint32_t rto_min_ms,
                               std::uint32_t rto_max_ms) {
    rto_min_ms = std::max(rto_min_ms, 1u);
    const std::uint32_t doublings =
        static_cast<std::uint32_t>(std::bit_width(std::max(rto_max_ms / rto_min_ms, 1u))) - 1;
    std::uint64_t total = 0;
    if (retries <= doublings) {
        total = ((2ull << retries) - 1) * rto_min_ms;
    } else {
        total = ((2ull << doublings) - 1) * rto_min_ms +
                std::uint64_t{retries - doublings} * rto_max_ms;
    }
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(total, 0x3fffffff));
}

}  // namespace

void engine::arm(tcb& c, std::uint8_t which, tick when) {
    switch (which) {
        case deadline_bits::retransmit:
            c.rtx_at = when;
            break;
        case deadline_bits::delayed_ack:
            c.ack_at = when;
            break;
        case deadline_bits::keepalive:
            c.keepalive_at = when;
            break;
        case deadline_bits::linger:
            c.linger_at = when;
            break;
        default:
            c.cork_at = when;
            break;
    }
    c.deadlines |= which;
    const std::uint32_t index = tcbs_.index_of(c);
    if (!wheel_->is_armed(index) || when < c.deadline) {
        wheel_->arm(index, when);
    }
}

void engine::disarm(tcb& c, std::uint8_t which) {
    c.deadlines = static_cast<std::uint8_t>(c.deadlines & ~which);
}

// Hangs the node at the earliest deadline that is left.
void engine::settle(tcb& c, std::uint32_t index) {
    if (c.deadlines == 0) {
        return;
    }
    tick earliest = now_tick_ + 0x7ffffff0;
    const auto consider = [&](std::uint8_t bit, tick at) {
        if ((c.deadlines & bit) != 0) {
            earliest = min(earliest, at);
        }
    };
    consider(deadline_bits::retransmit, c.rtx_at);
    consider(deadline_bits::delayed_ack, c.ack_at);
    consider(deadline_bits::keepalive, c.keepalive_at);
    consider(deadline_bits::cork, c.cork_at);
    consider(deadline_bits::linger, c.linger_at);
    // What came due may have hung it again already, for its own next time only.
    if (!wheel_->is_armed(index) || earliest < c.deadline) {
        wheel_->arm(index, earliest);
    }
}

bool engine::run_deadlines(std::uint32_t budget) {
    const auto connections = wheel_->advance(
        now_tick_, budget, [this](std::uint32_t index) { connection_deadline(index); });
    const auto handshakes = syn_wheel_->advance(
        now_tick_, budget, [this](std::uint32_t index) { syn_record_deadline(index); });
    const auto records = time_wait_->expire(now_tick_, budget, [this](flow::time_wait_slot slot) {
        const auto entry = time_wait_->read(slot);
        counters_.add(entry.fin_wait_2 ? counter::fin_wait_2_expired : counter::tw_expired);
        port_owners_->leave(entry.key.local, entry.key.local_port,
                            {entry.reuse_addr, entry.reuse_port});
        if (!is_bound(entry.key.local_port)) {
            ports_->changed(entry.key, flow::port_state::free);
        }
        record_ended(entry, close_outcome::timed_out_fin_wait_2);
    });
    watch_memory();
    return connections.more || handshakes.more || records.more;
}

tick engine::next_deadline() const {
    tick earliest = now_tick_ + 0x7ffffff0;
    if (const auto at = wheel_->next_expiry()) {
        earliest = min(earliest, *at);
    }
    if (const auto at = syn_wheel_->next_expiry()) {
        earliest = min(earliest, *at);
    }
    if (const auto at = time_wait_->next_expiry()) {
        earliest = min(earliest, *at);
    }
    return earliest;
}

void engine::connection_deadline(std::uint32_t index) {
    tcb& c = tcbs_[index];
    if (c.st == state::closed) {
        return;
    }
    const auto due = [&](std::uint8_t bit, tick at) {
        if ((c.deadlines & bit) == 0 || at > now_tick_) {
            return false;
        }
        disarm(c, bit);
        return true;
    };
    if (due(deadline_bits::delayed_ack, c.ack_at)) {
        if (c.ack_pending) {
            c.ack_now = true;
            counters_.add(counter::delayed_acks);
            make_ready(c);
        }
    }
    if (due(deadline_bits::cork, c.cork_at)) {
        c.push_now = true;
        c.more_follows = false;
        c.snd_push = c.snd_una + c.snd.octets();
        make_ready(c);
    }
    if (due(deadline_bits::linger, c.linger_at)) {
        complete_close(c);
    }
    if (due(deadline_bits::retransmit, c.rtx_at)) {
        if (c.syn_unacked) {
            syn_timeout(c);
        } else if (c.rtx == rtx_kind::loss_probe) {
            loss_probe_expired(c);
        } else if (c.rtx == rtx_kind::reorder) {
            reorder_window_expired(c);
        } else if (c.rtx == rtx_kind::persist) {
            persist_expired(c);
        } else {
            rto_expired(c);
        }
    }
    if (c.st != state::closed && due(deadline_bits::keepalive, c.keepalive_at)) {
        keepalive_expired(c);
    }
    if (c.st != state::closed) {
        settle(c, index);
    }
}

std::uint32_t engine::rto_ms(const tcb& c) const {
    const std::uint64_t rto_max_us = std::uint64_t{settings_.tcp_rto_max_ms} * 1000;
    const std::uint64_t base =
        c.rtt.rto_us(settings_.tcp_rto_min_us, static_cast<std::uint32_t>(rto_max_us));
    const std::uint64_t backed_off =
        std::min(base << std::min<std::uint32_t>(c.backoff, 20), rto_max_us);
    return static_cast<std::uint32_t>(std::max<std::uint64_t>((backed_off + 999) / 1000, 1));
}

// R66: fire on time, not at the next back-off.
std::uint32_t engine::within_user_timeout(const tcb& c, std::uint32_t wait_ms) const {
    if (c.user_timeout_ms == 0) {
        return wait_ms;
    }
    const auto spent = static_cast<std::uint32_t>(std::max(distance(c.first_retry, now_tick_), 0));
    return std::min(wait_ms, std::max(c.user_timeout_ms - std::min(spent, c.user_timeout_ms), 1u));
}

void engine::arm_rto(tcb& c) {
    c.rtx = rtx_kind::rto;
    const std::uint32_t wait = rto_ms(c);
    arm(c, deadline_bits::retransmit,
        now_tick_ + (c.retries > 0 ? within_user_timeout(c, wait) : wait));
}

// RFC 8985 7.2: a probe after two round trips, at the latest when the RTO would be due. Where
// something is sacked above a hole, what is missing has a reordering window left instead.
// RFC 8985 6.2: a quarter of a round trip, counted from the news, as what was sent later has just
// taken a whole one; and Linux's 2 ms of slack.
// DEVIATES RFC 8985 6.2: of SRTT instead of the minimum, which is not kept; it waits a little
// longer.
void engine::arm_rto_or_probe(tcb& c) {
    if (sacked(c) != nullptr && c.recovery == recovery_state::open && c.rtt.valid()) {
        c.rtx = rtx_kind::reorder;
        arm(c, deadline_bits::retransmit,
            now_tick_ + std::min(c.rtt.srtt_us() / 4000 + 2, rto_ms(c)));
        return;
    }
    const bool may_probe = settings_.tcp_early_retrans != 0 && c.rtt.valid() && c.backoff == 0 &&
                           c.recovery == recovery_state::open && !c.probing && c.sack;
    const std::uint32_t rto = rto_ms(c);
    if (may_probe) {
        const auto flight = static_cast<std::uint32_t>(distance(c.snd_una, c.snd_nxt));
        std::uint32_t pto = 2 * c.rtt.srtt_us() / 1000 + 2;
        if (flight <= c.mss) {
            pto += settings_.tcp_rto_min_us / 1000;  // the peer may delay its ACK
        }
        c.rtx = rtx_kind::loss_probe;
        arm(c, deadline_bits::retransmit, now_tick_ + std::min(pto, rto));
        return;
    }
    arm_rto(c);
}

// How many timeouts a closed connection has, as Linux counts: if the setting is 0, 8 while the RTO
// still grows and none once it has reached its maximum. Then an ICMP error takes those that the
// setting gives; before, it may pass (RFC 9293 3.9.2.2).
std::uint32_t engine::orphan_retries(const tcb& c) const {
    const std::uint32_t set = settings_.tcp_orphan_retries;
    if (rto_ms(c) < settings_.tcp_rto_max_ms) {
        return set != 0 ? set : 8;
    }
    return c.soft_error == 0 ? set : 0;
}

// R62, R65, R66: `spent` since the data that is now sent again was new. As on Linux the numbers of
// retries are a measure of time, so that a long RTO does not stretch them.
bool engine::retries_exhausted(const tcb& c, event& why) const {
    const auto spent = static_cast<std::uint32_t>(std::max(distance(c.first_retry, now_tick_), 0));
    if (c.retries == 0) {
        return false;
    }
    if (c.user_timeout_ms != 0) {
        why = event::user_timeout;
        return spent >= c.user_timeout_ms;
    }
    if (c.snd_wnd == 0 && !c.detached) {
        // The peer has shrunk its window over what is under way (which RFC 9293 3.8.6 discourages):
        // what is sent again serves as probe, and a peer that answers keeps the connection.
        why = event::probe_timeout;
        const std::uint32_t limit_ms = 2 * settings_.tcp_rto_max_ms;
        const std::int32_t silent = distance(c.last_received, now_tick_);
        return spent > limit_ms && silent > static_cast<std::int32_t>(limit_ms);
    }
    why = c.detached ? event::orphan_timeout : event::retransmit_timeout;
    const std::uint32_t retries = c.detached ? orphan_retries(c) : settings_.tcp_retries2;
    return spent >=
           model_timeout_ms(retries, settings_.tcp_rto_min_us / 1000, settings_.tcp_rto_max_ms);
}

// Zero-window probes. A peer that answers keeps the connection for ever (RFC 9293 3.8.6.1), unless
// the application has said how long (R66) or has gone (R62).
bool engine::probes_exhausted(const tcb& c, event& why) const {
    if (c.user_timeout_ms != 0 &&
        distance(c.first_retry, now_tick_) >= static_cast<std::int32_t>(c.user_timeout_ms)) {
        why = event::user_timeout;
        return true;
    }
    if (!c.detached) {
        why = event::probe_timeout;
        return c.retries >= settings_.tcp_retries2;
    }
    why = event::orphan_timeout;
    const std::uint32_t limit = orphan_retries(c);
    const bool hopeless = rto_ms(c) >= settings_.tcp_rto_max_ms;
    return c.retries >= limit || (hopeless && c.backoff >= limit);
}

// RFC 9293 3.8.3: after R1 the layer below is told that it may be at fault.
void engine::doubt_path_if_late(const tcb& c) {
    const auto spent = static_cast<std::uint32_t>(std::max(distance(c.first_retry, now_tick_), 0));
    const std::uint32_t limit_ms = model_timeout_ms(
        settings_.tcp_retries1, settings_.tcp_rto_min_us / 1000, settings_.tcp_rto_max_ms);
    if (c.retries > 0 && spent >= limit_ms) {
        config_.around.doubt_path(config_.around.context, c.key.remote);
    }
}

// R63, as Linux's tcp_out_of_resources(), at each timeout of an orphan. At the cap any goes; from
// half of it on one goes that has been idle for two of the longest RTOs, or is hopeless (retried at
// the longest RTO), or has an ICMP error pending; from a quarter, one with both. So the oldest and
// those without hope make room first. A peer that may still be there gets RST.
bool engine::orphan_gives_way(tcb& c, bool hopeless) {
    if (!c.detached) {
        return false;
    }
    const std::int32_t idle_ms = distance(c.last_sent_data, now_tick_);
    const bool idle = idle_ms > static_cast<std::int32_t>(2 * settings_.tcp_rto_max_ms);
    const std::uint32_t shift = (idle || hopeless ? 1 : 0) + (c.soft_error != 0 ? 1 : 0);
    if (!orphan_cap_.too_many(orphans_, shift)) {
        return false;
    }
    counters_.add(orphan_cap_.too_many(orphans_, 0) ? counter::orphan_limit
                                                    : counter::orphan_penalty);
    constexpr std::int32_t recent_ms = 60000;
    const bool shut = c.snd_wnd == 0 && c.snd_una == c.snd_nxt;
    apply(c,
          !hopeless || idle_ms <= recent_ms || shut ? event::orphan_limit : event::orphan_dropped);
    return true;
}

// RFC 6298 5.4 to 5.7. R24 and R65.
void engine::rto_expired(tcb& c) {
    if (c.snd_una == c.snd_nxt) {
        return;
    }
    event why{};
    if (c.retries == 0) {
        c.first_retry = now_tick_ - rto_ms(c);
    }
    if (orphan_gives_way(c, c.retries > 0 && rto_ms(c) >= settings_.tcp_rto_max_ms)) {
        return;
    }
    if (retries_exhausted(c, why)) {
        counters_.add(counter::abort_on_timeout);
        apply(c, why);
        return;
    }
    counters_.add(counter::timeouts);
    doubt_path_if_late(c);
    enter_loss(c);
    if (c.retries < 255) {
        ++c.retries;
    }
    c.backoff = static_cast<std::uint8_t>(std::min(c.backoff + 1, 20));
    if (!retransmit_next(c, false)) {
        make_ready(c);
    }
    arm_rto(c);
}

// How long a SYN is repeated: as Linux, as long as the retries would take if each timeout doubled,
// however many SYNs tcp_syn_linear_timeouts makes of that.
std::uint32_t engine::syn_limit_ms(const tcb& c) const {
    const std::uint32_t retries = c.syn_retries != 0 ? c.syn_retries : settings_.tcp_syn_retries;
    return model_timeout_ms(retries, initial_rto_us / 1000, settings_.tcp_rto_max_ms);
}

// SYN_SENT, and SYN_RECEIVED after a simultaneous open. As Linux: tcp_syn_linear_timeouts first.
void engine::syn_timeout(tcb& c) {
    const bool active = c.st == state::syn_sent;
    if (c.retries == 0) {
        c.first_retry = now_tick_ - rto_ms(c);
    }
    const auto spent = static_cast<std::uint32_t>(std::max(distance(c.first_retry, now_tick_), 0));
    const bool user = c.user_timeout_ms != 0 && c.retries > 0 && spent >= c.user_timeout_ms;
    const bool exhausted =
        active ? spent >= syn_limit_ms(c) : c.retries >= settings_.tcp_synack_retries;
    if (exhausted || user) {
        counters_.add(counter::abort_on_timeout);
        // R04: closed before the handshake was complete.
        const event late = c.detached ? event::orphan_timeout : event::retransmit_timeout;
        const event why = c.st == state::fin_wait_1 ? late : event::connect_timeout;
        apply(c, user ? event::user_timeout : why);
        return;
    }
    ++c.retries;
    if (!active || c.retries > settings_.tcp_syn_linear_timeouts) {
        c.backoff = static_cast<std::uint8_t>(std::min(c.backoff + 1, 20));
    }
    resend_syn(c);
    arm_rto(c);
}

// RFC 8985 7.3: new data if there is any, else the last segment again.
void engine::loss_probe_expired(tcb& c) {
    if (c.snd_una == c.snd_nxt) {
        return;
    }
    counters_.add(counter::loss_probes);
    const seq32 text_end = c.snd_una + c.snd.octets();
    const std::uint32_t unsent =
        c.fin_sent ? 0 : static_cast<std::uint32_t>(distance(min(c.snd_nxt, text_end), text_end));
    const std::uint32_t fresh = unsent > 0 ? sendable(c, unsent) : 0;
    if (fresh > 0) {
        const bool fin = fresh == unsent && c.fin_queued &&
                         distance(c.snd_nxt + fresh, c.snd_una + c.snd_wnd) > 0;
        const auto control = static_cast<std::uint8_t>(
            flags::ack | (pushes(c, c.snd_nxt, fresh) ? flags::psh : 0) | (fin ? flags::fin : 0));
        if (send_segment(c, c.snd_nxt, fresh, control)) {
            c.snd_last = c.snd_nxt;
            c.snd_nxt += fresh + (fin ? 1 : 0);
            c.fin_sent = c.fin_sent || fin;
        }
    } else {
        // The last segment as it was sent; less where the MSS has shrunk or a part is acknowledged.
        const seq32 sent_end = min(c.snd_nxt, text_end);
        const seq32 from = min(max(max(c.snd_last, c.snd_una), sent_end - text_max(c)), sent_end);
        const auto tail = static_cast<std::uint32_t>(distance(from, sent_end));
        const auto control = static_cast<std::uint8_t>(flags::ack | (c.fin_sent ? flags::fin : 0) |
                                                       (pushes(c, from, tail) ? flags::psh : 0));
        if (send_segment(c, from, tail, control, counter::tcp_retrans_segs)) {
            c.probing = true;
            c.probe_end = c.snd_nxt;
            c.rtt_timing = false;
        }
    }
    arm_rto(c);
}

// RFC 9293 3.8.6.1: a closed window is probed for as long as the peer answers.
void engine::persist_expired(tcb& c) {
    event why{};
    if (!c.window_shut) {
        c.window_shut = true;
        c.first_retry = now_tick_;
    }
    if (probes_exhausted(c, why)) {
        counters_.add(counter::abort_on_timeout);
        apply(c, why);
        return;
    }
    if (orphan_gives_way(c, false)) {
        return;
    }
    if (c.retries < 255) {
        ++c.retries;
    }
    c.backoff = static_cast<std::uint8_t>(std::min(c.backoff + 1, 20));
    counters_.add(counter::zero_window_probe);
    const std::int32_t window = distance(c.snd_nxt, c.snd_una + c.snd_wnd);
    if (window > 0 && c.snd.octets() > 0 && c.snd_una == c.snd_nxt) {
        // RFC 9293 3.8.6.2.1: the override timeout; the window is small but not shut.
        const std::uint32_t n =
            std::min({static_cast<std::uint32_t>(window), c.snd.octets(), text_max(c)});
        if (send_segment(c, c.snd_nxt, n, flags::ack | flags::psh)) {
            c.snd_nxt += n;
            c.rtt_timing = false;
            c.window_shut = false;
            arm_rto(c);
            return;
        }
    }
    send_control(c, c.snd_una - 1, flags::ack);
    c.rtx = rtx_kind::persist;
    arm(c, deadline_bits::retransmit, now_tick_ + within_user_timeout(c, rto_ms(c)));
}

void engine::arm_keepalive(tcb& c) {
    if (!c.keepalive) {
        disarm(c, deadline_bits::keepalive);
        return;
    }
    const std::uint32_t idle =
        c.keepalive_idle_ms != 0 ? c.keepalive_idle_ms : settings_.tcp_keepalive_time * 1000;
    const std::uint32_t quiet = now_tick_.raw - c.last_received.raw;
    arm(c, deadline_bits::keepalive, quiet < idle ? c.last_received + idle : now_tick_);
}

// RFC 9293 3.8.4, R67: only while nothing is outstanding; one unanswered probe is no death.
void engine::keepalive_expired(tcb& c) {
    const std::uint32_t idle =
        c.keepalive_idle_ms != 0 ? c.keepalive_idle_ms : settings_.tcp_keepalive_time * 1000;
    const std::uint32_t interval = c.keepalive_interval_ms != 0
                                       ? c.keepalive_interval_ms
                                       : settings_.tcp_keepalive_intvl * 1000;
    const std::uint32_t probes =
        c.keepalive_probes != 0 ? c.keepalive_probes : settings_.tcp_keepalive_probes;
    const std::uint32_t quiet = now_tick_.raw - c.last_received.raw;
    if (!c.keepalive) {
        return;
    }
    if (quiet < idle) {
        c.keepalive_sent = 0;
        arm(c, deadline_bits::keepalive, c.last_received + idle);
        return;
    }
    if (c.snd_una != c.snd_nxt || c.snd.octets() > 0) {
        arm(c, deadline_bits::keepalive, now_tick_ + idle);
        return;
    }
    const bool dead = c.user_timeout_ms != 0 ? quiet >= c.user_timeout_ms && c.keepalive_sent > 0
                                             : c.keepalive_sent >= probes;
    if (dead) {
        counters_.add(counter::abort_on_timeout);
        apply(c, event::keepalive_timeout);
        return;
    }
    ++c.keepalive_sent;
    counters_.add(counter::keepalive_probe);
    send_control(c, c.snd_nxt - 1, flags::ack);
    arm(c, deadline_bits::keepalive, now_tick_ + interval);
}

}  // namespace lastack::tcp
