// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open, the client's half: text in our SYN (RFC 7413).
//
// A connection that asks for it either requests a cookie with its SYN, or, where the server has
// given one, holds the SYN back until there is text to go with it. The text stays in the send queue
// as if it had been sent on an open connection: the queue begins behind the SYN, SND.NXT behind the
// text. A SYN that comes again is plain, since what was lost may have been lost for the option or
// the text; and what the SYN-ACK leaves unacknowledged counts as never sent: it goes out with the
// ACK, as far as the window lets it.
//
// RFC 7413 4.1.3.1: the server is also left alone for a while once such SYNs have been lost twice
// running.
#include <rte_mbuf.h>

#include <algorithm>

#include "tcp/engine.hpp"

namespace lastack::tcp {

namespace bits = config::tcp_fastopen_bits;
namespace flags = wire::tcp_flags;

bool engine::may_open_without_cookie() const {
    return (settings_.tcp_fastopen & bits::client_no_cookie) != 0;
}

// Called before the SYN would be sent: whether it has the option, and whether it waits.
void engine::begin_fast_open(tcb& c) {
    const cookie_cache::entry* const server = server_of(c);
    if ((settings_.tcp_fastopen & bits::client) == 0 ||
        (server != nullptr && cookie_cache::rests(*server, now_tick_))) {
        return;
    }
    c.fast_open = true;
    const bool cookie = server != nullptr && server->cookie.octets > 0;
    c.syn_held = (cookie || may_open_without_cookie()) && syn_text_max(c) > 0;
}

// RFC 7413 4.2.2: by the MSS that the server offered last. As on Linux less all the room that
// options can take, so that a middlebox which adds some does not make the SYN too long.
std::uint32_t engine::syn_text_max(const tcb& c) const {
    const cookie_cache::entry* const server = server_of(c);
    const std::uint16_t ours = offered_mss(c.key.remote, c.mss_max);
    std::uint32_t mss = server != nullptr ? std::min(server->mss, ours) : ours;
    if (!config_.multi_segment_tx) {
        const auto room = static_cast<std::uint32_t>(rte_pktmbuf_data_room_size(config_.data_pool) -
                                                     RTE_PKTMBUF_HEADROOM);
        mss = std::min(mss, room);
    }
    return mss - std::min<std::uint32_t>(mss, wire::tcp_options_bytes_max);
}

result<std::size_t, call_error> engine::syn_room(conn_id id) const {
    if (find(id) == nullptr) {
        return failure{call_error::stale_handle};
    }
    const tcb* const c = connection(id);
    return std::size_t{c != nullptr && c->syn_held ? syn_text_max(*c) : 0};
}

// The first SYN. If it cannot be sent, the one that is sent when the RTO comes is plain.
void engine::send_fast_open_syn(tcb& c) {
    c.syn_held = false;
    const cookie_cache::entry* const server = server_of(c);
    const wire::fast_open_cookie cookie =
        server != nullptr ? server->cookie : wire::fast_open_cookie{};
    const bool allowed = (settings_.tcp_fastopen & bits::client) != 0;
    const bool with_option = allowed && !may_open_without_cookie();
    std::uint32_t text = 0;
    if (allowed && (!with_option || cookie.octets > 0)) {
        const seq32 begin = c.snd_una + 1;
        text = std::min(c.snd.octets(), syn_text_max(c));
        text = static_cast<std::uint32_t>(distance(begin, record_bound(c, begin, begin + text)));
    }
    c.rtt_sent_us = static_cast<std::uint32_t>(now_.us);
    arm_rto(c);
    c.fast_open = false;
    rte_mbuf* const m = text > 0 ? text_mbuf(c, 0, text) : control_mbuf();
    if (m == nullptr) {
        return;
    }
    wire::tcp_segment s;
    fill_header(c, s, c.snd_una, flags::syn);
    fill_syn(c, s);
    if (with_option) {
        const auto octets = static_cast<std::uint16_t>(wire::fast_open_length(cookie));
        s.options.more_words = static_cast<std::uint8_t>(octets / 4);
        wire::write_fast_open(reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(m, octets)),
                              cookie);
    }
    if (!emit(c.key, s, m, c.ttl, c.tos, !c.fragmentable)) {
        return;
    }
    c.fast_open = with_option;
    c.snd_last = c.snd_nxt;
    c.snd_nxt += text;
    c.last_sent_data = now_tick_;
}

// A SYN that has text to go with it. R03 is for others: on Linux the write has sent this one, so it
// also leaves before an end that comes in the turn of the write.
void engine::send_held_syn(tcb& c) {
    if (c.syn_held && c.snd.octets() > 0) {
        send_fast_open_syn(c);
    }
}

bool engine::fast_open_tried(const tcb& c) const {
    return c.fast_open || c.snd_nxt != c.snd_una + 1;
}

// The SYN-ACK of a SYN that had the option, or text. RFC 7413 4.2.2: what it acknowledges of the
// text counts, the rest is sent at once; its cookie and its MSS are for the next connection.
void engine::fast_open_answered(tcb& c, const arrival& a) {
    const wire::tcp_segment& s = a.segment;
    const auto sent = static_cast<std::uint32_t>(distance(c.snd_una, c.snd_nxt)) - 1;
    const auto acked = static_cast<std::uint32_t>(distance(c.snd_una, s.ack)) - 1;
    std::optional<wire::fast_open_cookie> given;
    if (c.fast_open) {  // as on Linux a cookie that nobody asked for is none
        const auto octets = static_cast<std::uint16_t>(s.header_length - wire::tcp_header_bytes);
        const auto at = static_cast<std::uint16_t>(a.text_at - octets);
        given = wire::read_fast_open(
            {rte_pktmbuf_mtod_offset(a.mbuf, const std::uint8_t*, at), std::size_t{octets}});
    }
    // A server that has seen the first SYN answers with a cookie, or takes the text.
    const bool lost = c.fast_open && c.retries > 0 && !given && acked < sent;
    const std::uint16_t mss = s.options.mss != 0 ? s.options.mss : std::uint16_t{536};
    cookies_.learn(hash_of_server(c), c.key.remote, mss, given, lost, now_tick_);
    c.snd.drop(acked, data_source_);
    if (acked < sent) {
        counters_.add(counter::fast_open_active_fail);
        counters_.add(counter::tcp_retrans_segs);
    } else if (sent > 0) {
        counters_.add(counter::fast_open_active);
        c.syn_text_acked = true;
    }
    tell_writable(c);
}

// What the SYN-ACK has left unacknowledged counts as never sent: it leaves with this turn's output,
// as far as the window of the SYN-ACK lets it.
void engine::take_back_syn_text(tcb& c) {
    if (c.snd_una != c.snd_nxt) {
        c.snd_nxt = c.snd_una;
        make_ready(c);
    }
}

}  // namespace lastack::tcp
