// SPDX-License-Identifier: BSD-3-Clause
// What an application may ask of a connection: TCP_INFO's numbers, as far as they are kept.
#include <algorithm>

#include "tcp/engine.hpp"

namespace lastack::tcp {

static_assert(static_cast<int>(connection_state::time_wait) ==
              static_cast<int>(teardown::state::time_wait));

namespace {

std::uint32_t sacked_octets(const scoreboard* s) {
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; s != nullptr && i < s->count(); ++i) {
        sum += (*s)[i].right.raw - (*s)[i].left.raw;
    }
    return sum;
}

recovery_phase phase_of(const tcb& c, const scoreboard* sacked) {
    switch (c.recovery) {
        case recovery_state::recovery:
            return recovery_phase::recovery;
        case recovery_state::loss:
            return recovery_phase::loss;
        default:
            return c.dupacks > 0 || sacked != nullptr ? recovery_phase::disorder
                                                      : recovery_phase::open;
    }
}

std::uint32_t ms_since(tick then, tick now) {
    return static_cast<std::uint32_t>(std::max(distance(then, now), 0));
}

}  // namespace

result<connection_info, call_error> engine::info(conn_id id) const {
    if (find(id) == nullptr) {
        return failure{call_error::stale_handle};
    }
    connection_info i;
    const tcb* const p = connection(id);
    if (p == nullptr) {
        return i;
    }
    const tcb& c = *p;
    const scoreboard* const board = sacked(c);
    i.state = static_cast<connection_state>(c.st);
    i.recovery = phase_of(c, board);
    i.timestamps = c.timestamps;
    i.sack = c.sack;
    i.window_scaling = c.wscale;
    i.syn_data = c.syn_text_acked;
    i.snd_wscale = c.snd_wscale;
    i.rcv_wscale = c.rcv_wscale;
    i.retransmits = c.rtx == rtx_kind::rto ? c.retries : std::uint8_t{0};
    i.probes = c.rtx == rtx_kind::persist ? c.retries : c.keepalive_sent;
    i.backoff = c.backoff;
    i.rto_us = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::uint64_t{rto_ms(c)} * 1000, 0xffffffffu));
    i.ato_us = settings_.delayed_ack_ms * 1000;
    i.rtt_us = c.rtt.srtt_us();
    i.rttvar_us = c.rtt.rttvar_us();
    i.snd_mss = c.mss;
    i.advmss = offered_mss(c.key.remote, c.mss_max);
    i.pmtu = config_.around.path_to(config_.around.context, c.key.remote, now_).mtu;
    i.snd_cwnd = c.cc.window();
    i.snd_ssthresh = c.cc.slow_start_threshold();
    i.snd_wnd = c.snd_wnd;
    i.rcv_wnd = static_cast<std::uint32_t>(std::max(distance(c.rcv_nxt, c.rcv_edge), 0));
    i.in_flight = c.snd_nxt.raw - c.snd_una.raw;
    i.sacked = sacked_octets(board);
    const bool fin_unacked =
        c.fin_queued && (c.st == teardown::state::fin_wait_1 || c.st == teardown::state::closing ||
                         c.st == teardown::state::last_ack);
    i.outstanding = c.snd.octets() + (c.syn_unacked ? 1 : 0) + (fin_unacked ? 1 : 0);
    const std::uint32_t syn = c.syn_unacked ? 1 : 0;
    i.not_sent = c.snd.octets() - std::min(i.in_flight - syn, c.snd.octets());
    i.last_data_sent_ms = ms_since(c.last_sent_data, now_tick_);
    i.last_received_ms = ms_since(c.last_received, now_tick_);
    return i;
}

}  // namespace lastack::tcp
