// SPDX-License-Identifier: BSD-3-Clause
// Text on its way in: the receive queue, reassembly, and the window we offer.
//
// Both limits count buffer memory, since a segment of one octet pins a whole mbuf: what arrives
// small is copied into the tail room of the queue's last mbuf while nobody else holds that. The
// window promises half of the free memory (an mbuf is used to a little more than half by a full
// segment), is never taken back, and moves only in steps worth a segment (RFC 9293 3.8.6.2.2).
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "tcp/engine.hpp"

namespace lastack::tcp {
namespace {

// Text up to this is copied together in the receive queue.
constexpr std::uint32_t coalesce_octets_max = 640;
// Segments looked at to find an out-of-order one's place; what lies deeper is dropped, so that no
// peer can make each of its segments cost a walk over thousands.
constexpr std::uint32_t ofo_steps_max = 256;

bool coalesce(rte_mbuf* tail, const rte_mbuf* text, std::uint32_t octets) {
    if (tail == nullptr || octets > coalesce_octets_max || text->next != nullptr ||
        !RTE_MBUF_DIRECT(tail) || rte_mbuf_refcnt_read(tail) != 1 ||
        rte_pktmbuf_tailroom(tail) < octets) {
        return false;
    }
    std::memcpy(rte_pktmbuf_mtod_offset(tail, std::byte*, tail->data_len),
                rte_pktmbuf_mtod(text, const std::byte*), octets);
    tail->data_len = static_cast<std::uint16_t>(tail->data_len + octets);
    return true;
}

// Takes octets off the end of a chain, segments and all.
void trim_end(rte_mbuf* m, std::uint32_t keep) {
    m->pkt_len = keep;
    std::uint16_t segments = 1;
    rte_mbuf* last = m;
    while (keep > last->data_len) {
        keep -= last->data_len;
        last = last->next;
        ++segments;
    }
    last->data_len = static_cast<std::uint16_t>(keep);
    rte_pktmbuf_free(last->next);
    last->next = nullptr;
    m->nb_segs = segments;
}

// Takes octets off the front, freeing segments that become empty. Returns the new head.
rte_mbuf* trim_front(rte_mbuf* m, std::uint32_t octets) {
    std::uint32_t total = m->pkt_len;
    std::uint16_t segments = m->nb_segs;
    while (m->next != nullptr && octets >= m->data_len) {
        octets -= m->data_len;
        total -= m->data_len;
        rte_mbuf* const next = m->next;
        m->next = nullptr;
        m->nb_segs = 1;
        rte_pktmbuf_free_seg(m);
        m = next;
        --segments;
    }
    m->data_off = static_cast<std::uint16_t>(m->data_off + octets);
    m->data_len = static_cast<std::uint16_t>(m->data_len - octets);
    m->pkt_len = total - octets;
    m->nb_segs = segments;
    return m;
}

}  // namespace

reassembly* engine::reassembly_of(tcb& c) {
    if (c.reassembly == npos) {
        c.reassembly = reassemblies_.take();
        if (c.reassembly == npos) {
            return nullptr;
        }
        reassemblies_[c.reassembly] = reassembly{};
    }
    return &reassemblies_[c.reassembly];
}

// The segment's text, trimmed to the window. Consumes a.mbuf.
void engine::accept_text(tcb& c, arrival& a, const teardown::verdict& v) {
    rte_mbuf* m = std::exchange(a.mbuf, nullptr);
    const std::uint32_t octets = a.segment.payload_length - v.trim_front - v.trim_back;
    m = trim_front(m, a.text_at + v.trim_front);
    trim_end(m, octets);  // Ethernet padding lies behind the text
    const seq32 left = a.segment.seq + (a.segment.has(wire::tcp_flags::syn) ? 1 : 0) + v.trim_front;
    ++c.unacked_segments;
    if (left != c.rcv_nxt) {
        queue_out_of_order(c, m, left, octets);
        c.ack_now = true;  // RFC 5681 4.2: a duplicate ACK at once
        make_ready(c);
        return;
    }
    if (!queue_text(c, m, octets)) {
        c.ack_now = true;
        make_ready(c);
        return;
    }
    if (c.reassembly != npos) {
        pull_in_order(c);
        c.ack_now = true;  // RFC 5681 4.2: it fills (part of) a gap
    }
    ack_soon(c);
}

// Appends text that begins at RCV.NXT. Returns false, and drops it, when memory forbids.
bool engine::queue_text(tcb& c, rte_mbuf* text, std::uint32_t octets) {
    socket* const s = socket_of(c);
    if (s == nullptr || pressure_ == pressure::refuse_text) {
        rte_pktmbuf_free(text);
        counters_.add(counter::rcv_q_drop);
        return false;
    }
    if (coalesce(s->rx_tail, text, octets)) {
        s->rx_head->pkt_len += octets;
        rte_pktmbuf_free(text);
        counters_.add(counter::backlog_coalesce);
    } else {
        const std::uint32_t memory = buffer_memory(text);
        if (s->rx_memory + memory > 2 * c.rcv_limit) {
            rte_pktmbuf_free(text);
            counters_.add(counter::rcv_q_drop);
            return false;
        }
        rte_mbuf* const last = rte_pktmbuf_lastseg(text);
        if (s->rx_head == nullptr) {
            s->rx_head = text;
        } else {
            s->rx_tail->next = text;
            s->rx_head->pkt_len += octets;
            s->rx_head->nb_segs = static_cast<std::uint16_t>(s->rx_head->nb_segs + text->nb_segs);
        }
        s->rx_tail = last;
        s->rx_memory += memory;
    }
    s->rx_octets += octets;
    c.rcv_nxt += octets;
    tell(*s, event_bits::readable);
    return true;
}

// Keeps the segment in order of sequence; what overlaps is cut off or dropped.
void engine::queue_out_of_order(tcb& c, rte_mbuf* text, seq32 left, std::uint32_t octets) {
    const std::uint32_t memory = buffer_memory(text);
    reassembly* const r = pressure_ == pressure::none ? reassembly_of(c) : nullptr;
    const socket* const s = socket_of(c);
    if (r == nullptr || s == nullptr || ofo_nodes_.available() == 0 ||
        s->rx_memory + r->memory + memory > 2 * c.rcv_limit) {
        rte_pktmbuf_free(text);
        counters_.add(counter::ofo_drop);
        return;
    }
    const seq32 full_left = left;
    seq32 right = left + octets;
    std::uint32_t before = npos;  // last node that begins at or below `left`
    if (r->tail != npos && ofo_nodes_[r->tail].left <= left) {
        before = r->tail;
    } else {
        std::uint32_t steps = 0;
        for (std::uint32_t i = r->head; i != npos && ofo_nodes_[i].left <= left;
             i = ofo_nodes_[i].next) {
            if (++steps > ofo_steps_max) {
                rte_pktmbuf_free(text);
                counters_.add(counter::ofo_drop);
                return;
            }
            before = i;
        }
    }
    if (before != npos) {
        const seq32 covered = ofo_nodes_[before].left + ofo_nodes_[before].octets;
        if (right <= covered) {
            rte_pktmbuf_free(text);
            counters_.add(counter::ofo_merge);
            note_block(*r, full_left, right);
            return;
        }
        if (left < covered) {
            const auto cut = static_cast<std::uint32_t>(distance(left, covered));
            text = trim_front(text, cut);
            left = covered;
            counters_.add(counter::ofo_merge);
        }
    }
    std::uint32_t after = before == npos ? r->head : ofo_nodes_[before].next;
    while (after != npos && ofo_nodes_[after].left + ofo_nodes_[after].octets <= right) {
        ofo_node& gone = ofo_nodes_[after];
        const std::uint32_t next = gone.next;
        r->memory -= buffer_memory(gone.payload);
        rte_pktmbuf_free(gone.payload);
        ofo_nodes_.give_back(after);
        after = next;
        counters_.add(counter::ofo_merge);
    }
    if (after != npos && ofo_nodes_[after].left < right) {
        right = ofo_nodes_[after].left;
        counters_.add(counter::ofo_merge);
    }
    const auto kept = static_cast<std::uint32_t>(distance(left, right));
    trim_end(text, kept);
    const std::uint32_t node = ofo_nodes_.take();
    ofo_nodes_[node] = ofo_node{text, left, kept, after};
    (before == npos ? r->head : ofo_nodes_[before].next) = node;
    if (after == npos) {
        r->tail = node;
    }
    r->memory += buffer_memory(text);
    counters_.add(counter::ofo_queue);
    note_block(*r, full_left, full_left + octets);
}

// RFC 2018 4: the block with the segment just received comes first.
void engine::note_block(reassembly& r, seq32 left, seq32 right) {
    std::uint8_t kept = 0;
    std::array<wire::sack_block, 4> old = r.blocks;
    for (std::uint8_t i = 0; i < r.block_count; ++i) {
        if (old[i].left <= right && left <= old[i].right) {
            left = min(left, old[i].left);
            right = max(right, old[i].right);
        } else if (kept < 3) {
            r.blocks[++kept] = old[i];
        }
    }
    r.blocks[0] = {left, right};
    r.block_count = static_cast<std::uint8_t>(kept + 1);
}

// Moves to the receive queue what RCV.NXT has reached.
void engine::pull_in_order(tcb& c) {
    reassembly& r = reassemblies_[c.reassembly];
    while (r.head != npos && ofo_nodes_[r.head].left <= c.rcv_nxt) {
        const std::uint32_t index = r.head;
        ofo_node& node = ofo_nodes_[index];
        const auto duplicate = static_cast<std::uint32_t>(distance(node.left, c.rcv_nxt));
        r.memory -= buffer_memory(node.payload);
        r.head = node.next;
        if (duplicate >= node.octets) {
            rte_pktmbuf_free(node.payload);
        } else if (!queue_text(c, trim_front(node.payload, duplicate), node.octets - duplicate)) {
            // Dropped: the rest waits behind a gap that the peer will fill again, if it is not told
            // that we hold it.
            r.block_count = 0;
            ofo_nodes_.give_back(index);
            break;
        }
        ofo_nodes_.give_back(index);
    }
    if (r.head == npos) {
        r.tail = npos;
    }
    std::uint8_t kept = 0;
    for (std::uint8_t i = 0; i < r.block_count; ++i) {
        if (r.blocks[i].right > c.rcv_nxt) {
            r.blocks[kept++] = {max(r.blocks[i].left, c.rcv_nxt), r.blocks[i].right};
        }
    }
    r.block_count = kept;
    if (r.head == npos && !r.fin_seen) {
        drop_reassembly(c);
    }
}

void engine::drop_reassembly(tcb& c) {
    if (c.reassembly == npos) {
        return;
    }
    for (std::uint32_t i = reassemblies_[c.reassembly].head; i != npos;) {
        const std::uint32_t next = ofo_nodes_[i].next;
        rte_pktmbuf_free(ofo_nodes_[i].payload);
        ofo_nodes_.give_back(i);
        i = next;
    }
    reassemblies_.give_back(c.reassembly);
    c.reassembly = npos;
}

// R18: a FIN behind a gap waits for it. If there is no memory to remember it the peer repeats it.
void engine::note_early_fin(tcb& c, seq32 fin_seq) {
    if (reassembly* r = reassembly_of(c)) {
        r->fin_seen = true;
        r->fin_seq = fin_seq;
    }
}

bool engine::fin_is_next(const tcb& c) const {
    return c.reassembly != npos && reassemblies_[c.reassembly].fin_seen &&
           reassemblies_[c.reassembly].fin_seq == c.rcv_nxt;
}

// What is free of the receive limit, as far as a window can say it. Half of the buffer memory is
// taken to be overhead.
std::uint32_t engine::window_room(const tcb& c) const {
    const socket* const s = socket_of(c);
    const std::uint32_t held = (s == nullptr ? 0 : s->rx_memory) +
                               (c.reassembly == npos ? 0 : reassemblies_[c.reassembly].memory);
    const std::uint32_t room = held < c.rcv_limit ? (c.rcv_limit - held) / 2 : 0;
    return std::min(room, c.wscale ? 65535u << c.rcv_wscale : 65535u);
}

// RCV.WND to advertise now, in octets; notes the new right edge.
std::uint32_t engine::receive_window(tcb& c) {
    std::uint32_t window = pressure_ == pressure::refuse_text ? 0 : window_room(c);
    const std::int32_t promised = distance(c.rcv_nxt, c.rcv_edge);
    const std::uint32_t open = promised > 0 ? static_cast<std::uint32_t>(promised) : 0;
    // RFC 9293 3.8.6.2.2: the edge moves by at least min(a segment, half the buffer), and never
    // back.
    const std::uint32_t step = std::min<std::uint32_t>(c.mss_base, c.rcv_limit / 4);
    if (window < open + step) {
        return open;
    }
    window &= ~((1u << c.rcv_wscale) - 1);
    c.rcv_edge = max(c.rcv_edge, c.rcv_nxt + window);
    return window;
}

// The application took octets: a window that had been small may be worth announcing.
void engine::consumed(tcb& c, std::uint32_t octets) {
    c.rcv_read += octets;
    grow_receive_limit(c);
    const std::int32_t promised = distance(c.rcv_nxt, c.rcv_edge);
    const std::uint32_t open = promised > 0 ? static_cast<std::uint32_t>(promised) : 0;
    const std::uint32_t could = window_room(c);
    // RFC 9293 3.8.6.2.2: half of what the window can be, where that is less than two segments.
    const std::uint32_t worth = std::min(2 * std::uint32_t{c.mss_base}, c.rcv_limit / 4);
    if (could >= open + worth && could >= 2 * open) {
        c.ack_now = true;
        make_ready(c);
    }
}

// Doubles the limit when the application has kept up with a whole window (dynamic right-sizing).
void engine::grow_receive_limit(tcb& c) {
    if (c.rcv_nxt < c.rcv_tune) {
        return;
    }
    const std::uint32_t window = c.rcv_limit / 2;
    if (c.rcv_read >= window / 2 && !c.rcv_fixed && c.rcv_limit < settings_.tcp_rmem.max &&
        c.wscale && pressure_ == pressure::none) {
        c.rcv_limit = std::min(2 * c.rcv_limit, settings_.tcp_rmem.max);
    }
    c.rcv_read = 0;
    c.rcv_tune = c.rcv_nxt + c.rcv_limit / 2;
}

}  // namespace lastack::tcp
