// SPDX-License-Identifier: BSD-3-Clause
// One segment into one mbuf: headers, options, and payload by copy or by reference.
//
// Small payload is copied behind its header, larger payload is attached, so that the queue's buffer
// is not copied; a port that sends only single mbufs gets copies. Control segments come from a pool
// of their own, because a connection must be able to end when payload has taken all mbufs; what is
// answered while a segment without text is in hand goes out in that segment's own.
#include <rte_ether.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/byte_order.hpp"
#include "base/prefetch.hpp"
#include "tcp/engine.hpp"
#include "wire/checksum.hpp"
#include "wire/ipv4.hpp"

namespace lastack::tcp {
namespace {

using teardown::event;
using wire::tcp_segment;
namespace flags = wire::tcp_flags;

// Payload up to this is cheaper copied than referenced.
constexpr std::uint32_t copy_octets_max = 256;
constexpr std::uint16_t ip_header_bytes = 20;
constexpr std::uint8_t ip_protocol_tcp = 6;

// What SACK takes of a header, padding included.
constexpr std::uint32_t sack_octets(std::uint32_t blocks) {
    return blocks == 0 ? 0 : 4 + 8 * blocks;
}

}  // namespace

rte_mbuf* engine::control_mbuf() {
    if (spent_ != nullptr) {
        return mbuf_source::emptied(std::exchange(spent_, nullptr));
    }
    rte_mbuf* m = control_source_.take();
    if (m == nullptr) {
        m = data_source_.take();
    }
    if (m == nullptr) {
        counters_.add(counter::no_mbuf);
    }
    return m;
}

// An mbuf that begins with `octets` of the send queue from `offset` on.
rte_mbuf* engine::text_mbuf(tcb& c, std::uint32_t offset, std::uint32_t octets) {
    rte_mbuf* const head = data_source_.take();
    if (head == nullptr) {
        counters_.add(counter::no_mbuf);
        return nullptr;
    }
    const bool copy = octets <= copy_octets_max || !config_.multi_segment_tx;
    rte_mbuf* last = head;
    auto at = c.snd.find(offset);
    std::uint32_t left = octets;
    for (;;) {
        const std::uint32_t n = std::min<std::uint32_t>(left, at.segment->data_len - at.offset);
        if (copy) {
            std::memcpy(rte_pktmbuf_mtod_offset(head, std::byte*, head->data_len),
                        rte_pktmbuf_mtod_offset(at.segment, const std::byte*, at.offset), n);
            head->data_len = static_cast<std::uint16_t>(head->data_len + n);
        } else if (n > 0) {
            prefetch_text_to_read(rte_pktmbuf_mtod_offset(at.segment, const void*, at.offset), n);
            prefetch_to_write(at.segment->next);  // its count of references is next
            rte_mbuf* const part = rte_pktmbuf_alloc(config_.indirect_pool);
            if (part == nullptr) {
                counters_.add(counter::no_mbuf);
                rte_pktmbuf_free(head);
                return nullptr;
            }
            rte_pktmbuf_attach(part, at.segment);
            part->data_off = static_cast<std::uint16_t>(at.segment->data_off + at.offset);
            part->data_len = static_cast<std::uint16_t>(n);
            part->pkt_len = n;
            part->next = nullptr;
            part->nb_segs = 1;
            last->next = part;
            last = part;
            ++head->nb_segs;
        }
        left -= n;
        if (left == 0) {
            break;
        }
        at = {at.segment->next, 0};
    }
    head->pkt_len = octets;
    return head;
}

std::uint32_t engine::timestamp_now(std::uint32_t offset) const {
    return now_tick_.raw + offset;
}

// Writes the TCP header and its checksum, or what the port wants to find there to compute it.
void engine::write_tcp_header(std::uint8_t* at, const flow::key4& key, const tcp_segment& s,
                              std::size_t length, rte_mbuf* m) const {
    const auto pseudo =
        wire::tcp_pseudo_header(key.local, key.remote, m->pkt_len - ip_header_bytes);
    const auto headers = static_cast<std::uint16_t>(ip_header_bytes + length);
    auto beside = pseudo;
    if (m->pkt_len > headers && !config_.checksum_tx) {
        beside.add({at + length, static_cast<std::size_t>(m->data_len - headers)});
        for (const rte_mbuf* next = m->next; next != nullptr; next = next->next) {
            beside.add({rte_pktmbuf_mtod(next, const std::uint8_t*), next->data_len});
        }
    }
    wire::write_tcp(at, s, length, beside);
    if (config_.checksum_tx) {
        m->tx_offload = rte_mbuf_tx_offload(RTE_ETHER_HDR_LEN, ip_header_bytes,
                                            length + std::size_t{4} * s.options.more_words, 0, 0,
                                            0, 0);
        m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM;
        store_be16(at + wire::tcp_checksum_offset, pseudo.folded());
    }
}

// Prepends the TCP and IPv4 headers and hands the packet on. `ttl` 0: ip_default_ttl.
bool engine::emit(const flow::key4& key, tcp_segment& s, rte_mbuf* m, std::uint8_t ttl,
                  std::uint8_t tos, bool dont_fragment, counter counted) {
    s.source_port = key.local_port;
    s.destination_port = key.remote_port;
    const std::size_t header = wire::tcp_header_length(s.options);
    auto* at = reinterpret_cast<std::uint8_t*>(
        rte_pktmbuf_prepend(m, static_cast<std::uint16_t>(ip_header_bytes + header)));
    if (at == nullptr) {
        rte_pktmbuf_free(m);
        counters_.add(counter::no_mbuf);
        return false;
    }
    wire::ipv4_header ip;
    ip.source = key.local;
    ip.destination = key.remote;
    ip.total_length = static_cast<std::uint16_t>(m->pkt_len);
    ip.ttl = ttl != 0 ? ttl : static_cast<std::uint8_t>(settings_.ip_default_ttl);
    ip.tos = tos;
    ip.protocol = ip_protocol_tcp;
    ip.dont_fragment = dont_fragment;
    wire::write_ipv4(at, ip);
    write_tcp_header(at + ip_header_bytes, key, s, header, m);
    counters_.add(counted);
    out_[out_count_++] = m;
    if (out_count_ == out_.size()) {
        flush();
    }
    return true;
}

void engine::flush() {
    if (out_count_ > 0) {
        const std::uint16_t n = out_count_;
        out_count_ = 0;
        config_.around.transmit(config_.around.context, out_.data(), n);
    }
}

// How many SACK blocks the next segment carries.
std::uint8_t engine::sack_blocks(const tcb& c) const {
    const std::uint8_t room = c.timestamps ? 3 : 4;
    return c.reassembly != npos && c.sack ? std::min(reassemblies_[c.reassembly].block_count, room)
                                          : std::uint8_t{0};
}

// RFC 9293 3.7.1: how much text a segment may hold beside the options that go with it now. Where
// the MSS is so small that SACK would take more than half of it, text goes without.
std::uint32_t engine::text_max(const tcb& c) const {
    const std::uint32_t sack = sack_octets(sack_blocks(c));
    return 2 * sack > c.mss ? c.mss : c.mss - sack;
}

// What every segment of a connection carries: RFC 9293 3.10, RFC 7323 3.2 (R69).
void engine::fill_header(tcb& c, tcp_segment& s, seq32 seq, std::uint8_t control) {
    s.seq = seq;
    s.flags = control;
    if ((control & flags::ack) != 0) {
        s.ack = c.rcv_nxt;
        s.window = static_cast<std::uint16_t>(
            std::min<std::uint32_t>(receive_window(c) >> c.rcv_wscale, 65535));
    }
    if (c.timestamps) {
        s.options.has_timestamps = true;
        s.options.tsval = timestamp_now(c.ts_offset);
        s.options.tsecr = (control & flags::ack) != 0 ? c.ts_recent : 0;
    }
    if ((control & flags::rst) == 0) {
        const std::uint8_t blocks = sack_blocks(c);
        if (blocks > 0 &&
            (s.payload_length == 0 || s.payload_length + sack_octets(blocks) <= c.mss)) {
            s.options.sack_count = blocks;
            std::copy_n(reassemblies_[c.reassembly].blocks.begin(), blocks, s.options.sack.begin());
        }
    }
}

// And what a SYN has besides.
void engine::fill_syn(tcb& c, tcp_segment& s) {
    s.options.mss = offered_mss(c.key.remote, c.mss_max);
    s.options.has_wscale = c.wscale;
    s.options.wscale = c.rcv_wscale;
    s.options.sack_permitted = c.sack;
    s.options.sack_count = 0;
    // RFC 7323 2.2: the window of a SYN is never scaled.
    s.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(receive_window(c), 65535));
}

void engine::note_ack_sent(tcb& c) {
    c.last_ack_sent = c.rcv_nxt;
    c.ack_now = false;
    c.ack_pending = false;
    c.unacked_segments = 0;
    if (c.quick_acks > 0) {
        --c.quick_acks;
    }
    disarm(c, deadline_bits::delayed_ack);
}

// Sends [seq, seq + octets) of the queue, plus FIN if `control` says so.
bool engine::send_segment(tcb& c, seq32 seq, std::uint32_t octets, std::uint8_t control,
                          counter counted) {
    if (octets == 0) {
        return send_control(c, seq, control, counted);
    }
    rte_mbuf* const m = text_mbuf(c, static_cast<std::uint32_t>(distance(c.snd_una, seq)), octets);
    if (m == nullptr) {
        return false;
    }
    tcp_segment s;
    s.payload_length = octets;
    fill_header(c, s, seq, control);
    if (!emit(c.key, s, m, c.ttl, c.tos, !c.fragmentable, counted)) {
        return false;
    }
    note_ack_sent(c);
    return true;
}

bool engine::send_control(tcb& c, seq32 seq, std::uint8_t control, counter counted) {
    rte_mbuf* const m = control_mbuf();
    if (m == nullptr) {
        return false;
    }
    tcp_segment s;
    fill_header(c, s, seq, control);
    if ((control & flags::syn) != 0) {
        fill_syn(c, s);
    }
    if (!emit(c.key, s, m, c.ttl, c.tos, !c.fragmentable, counted)) {
        return false;
    }
    if ((control & flags::ack) != 0) {
        note_ack_sent(c);
    }
    return true;
}

bool engine::send_ack(tcb& c) {
    return send_control(c, c.snd_nxt, flags::ack);
}

// R37: segments with text or FIN are always answered, others at most once in tcp_invalid_ratelimit.
void engine::send_duplicate_ack(tcb& c, const tcp_segment& s, counter skipped) {
    const bool limited = s.payload_length == 0 && !s.has(flags::fin);
    if (limited && settings_.tcp_invalid_ratelimit > 0) {
        const auto since = distance(c.last_oow_ack, now_tick_);
        if (c.oow_acked && since >= 0 &&
            static_cast<std::uint32_t>(since) < settings_.tcp_invalid_ratelimit) {
            counters_.add(skipped);
            return;
        }
        c.oow_acked = true;
        c.last_oow_ack = now_tick_;
    }
    send_ack(c);
}

// RFC 5961 7: a budget a second for all connections, beside the limit a connection has (R36).
bool engine::challenge_allowed() {
    constexpr std::uint32_t unlimited = 0x7fffffff;
    const std::uint32_t limit = settings_.tcp_challenge_ack_limit;
    if (limit == unlimited) {
        return true;
    }
    if (static_cast<std::uint32_t>(distance(challenge_second_, now_tick_)) >= 1000) {
        challenge_second_ = now_tick_;
        // Randomised in [limit/2, 3*limit/2), so that the count cannot serve as a side channel.
        const flow::key4 clock{{now_tick_.raw}, {}, 0, 0};
        const auto half = limit / 2;
        challenge_budget_ =
            half + (limit == 0 ? 0 : static_cast<std::uint32_t>(isn_hash_(clock) % limit));
    }
    if (challenge_budget_ == 0) {
        return false;
    }
    --challenge_budget_;
    return true;
}

void engine::send_challenge_ack(tcb& c) {
    const auto since = distance(c.last_challenge, now_tick_);
    const bool too_soon = c.challenged && since >= 0 &&
                          static_cast<std::uint32_t>(since) < settings_.tcp_invalid_ratelimit;
    if (too_soon || !challenge_allowed()) {
        counters_.add(counter::ack_skipped_challenge);
        return;
    }
    c.challenged = true;
    c.last_challenge = now_tick_;
    if (send_ack(c)) {
        counters_.add(counter::challenge_ack);
    }
}

// RFC 9293 3.10.5, R12, R16: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK> with a fresh timestamp.
void engine::send_reset(tcb& c, event why) {
    if (send_control(c, c.snd_nxt, flags::rst | flags::ack)) {
        counters_.add(counter::tcp_out_rsts);
        ++resets_[static_cast<std::size_t>(why)];
    } else {
        counters_.add(counter::abort_failed);
    }
}

// The no-socket RST (RFC 9293 3.10.7.1): no options, and never in answer to a RST (R27).
void engine::answer_reset(const flow::key4& key, const tcp_segment& in, std::uint8_t tos,
                          event why) {
    if (in.has(flags::rst)) {
        return;
    }
    rte_mbuf* const m = control_mbuf();
    if (m == nullptr) {
        counters_.add(counter::abort_failed);
        return;
    }
    tcp_segment s;
    if (in.has(flags::ack)) {
        s.seq = in.ack;
        s.flags = flags::rst;
    } else {
        s.ack = in.seq + in.length();
        s.flags = flags::rst | flags::ack;
    }
    if (emit(key, s, m, 0, tos)) {
        counters_.add(counter::tcp_out_rsts);
        ++resets_[static_cast<std::size_t>(why)];
    }
}

}  // namespace lastack::tcp
