// SPDX-License-Identifier: BSD-3-Clause
// What the application gives to be sent, and the buffers it fills for that. Calls only queue; what
// leaves, and when, is decided at the end of the turn (output.cpp).
#include <rte_mbuf.h>

#include <algorithm>
#include <utility>

#include "tcp/engine.hpp"

namespace lastack::tcp {

// tcp_wmem, grown with the congestion window as Linux does: twice what may be in flight.
std::uint32_t engine::send_memory_max(const tcb& c) const {
    if (c.snd_limit != 0) {
        return c.snd_limit;
    }
    const std::uint64_t wanted = 2ull * 2 * c.cc.window();
    const std::uint64_t at_least = std::max(settings_.tcp_wmem.initial, 65536u);
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::max(wanted, at_least), settings_.tcp_wmem.max));
}

// How many mbufs of text writers may still take: an eighth of the pool stays for what arrives and
// for the headers of what is queued. Asked at each write, since those of one turn could take all.
std::uint32_t engine::mbufs_to_spare() const {
    const std::uint32_t free = free_data_mbufs();
    return free - std::min(free, data_mbufs_ / 8);
}

// What the send queue may come to.
std::uint32_t engine::affordable_memory(const tcb& c) const {
    const std::uint64_t an_mbuf = sizeof(rte_mbuf) + rte_pktmbuf_data_room_size(config_.data_pool);
    const std::uint64_t affordable = c.snd.memory() + mbufs_to_spare() * an_mbuf;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(send_memory_max(c), affordable));
}

result<bool, call_error> engine::check_sendable(const socket& s) const {
    if (s.connection == npos) {
        return failure{ended_error(s)};
    }
    const tcb& c = tcbs_[s.connection];
    if (c.fin_queued) {
        return failure{call_error::closed_for_sending};
    }
    return true;
}

// False when too many ends of records are unacknowledged.
bool engine::room_for_record(tcb& c) {
    if (c.records == npos) {
        c.records = records_.take();
        if (c.records == npos) {
            return false;
        }
        records_[c.records].clear();
    }
    return !records_[c.records].full();
}

void engine::forget_records_acknowledged(tcb& c) {
    if (c.records != npos) {
        records_[c.records].acknowledge(c.snd_una);
        if (records_[c.records].empty()) {
            forget_records(c);
        }
    }
}

void engine::forget_records(tcb& c) {
    if (c.records != npos) {
        records_.give_back(std::exchange(c.records, npos));
    }
}

// What Linux calls pushing: a segment that holds the end of a write without MSG_MORE has PSH.
void engine::note_written(tcb& c, send_options o) {
    const seq32 end = c.snd_una + c.snd.octets() + (c.syn_unacked ? 1 : 0);
    if (o.end_of_record) {
        records_[c.records].add(end);
    }
    if (!o.more) {
        c.snd_push = end;
    }
    c.more_follows = o.more;
    make_ready(c);
}

result<std::size_t, call_error> engine::send(conn_id id, std::span<const std::byte> data,
                                             send_options o) {
    socket* const s = find(id);
    if (s == nullptr) {
        return failure{call_error::stale_handle};
    }
    if (const auto checked = check_sendable(*s); !checked) {
        return failure{checked.error()};
    }
    tcb& c = tcbs_[s->connection];
    const bool refused = pressure_ >= pressure::refuse_open ||
                         (o.end_of_record && !data.empty() && !room_for_record(c));
    const std::size_t taken =
        refused ? 0 : c.snd.append_copy(data, affordable_memory(c), data_source_);
    if (taken < data.size()) {
        s->wants_writable = true;
        if (c.snd.octets() == 0) {
            sweep_writable_ = true;  // no ACK will come to wake the writer
        }
    }
    if (taken > 0) {
        // Of a short write neither the end of the record nor the promise of more has come yet.
        note_written(c, taken == data.size() ? o : send_options{});
    } else if (c.syn_held) {
        send_fast_open_syn(c);
    }
    return taken;
}

result<bool, call_error> engine::send(conn_id id, buffer& data) {
    socket* const s = find(id);
    if (s == nullptr) {
        return failure{call_error::stale_handle};
    }
    if (const auto checked = check_sendable(*s); !checked) {
        return checked;
    }
    tcb& c = tcbs_[s->connection];
    if (data.size() == 0) {
        data = buffer{};
        return true;
    }
    const std::uint32_t limit = send_memory_max(c);
    if (c.snd.octets() > 0 && c.snd.memory() + buffer_memory(data.get()) > limit) {
        s->wants_writable = true;
        return failure{call_error::would_block};
    }
    c.snd.append(data.release());
    note_written(c, {});
    return true;
}

buffer engine::allocate(std::size_t octets) {
    const std::size_t a_segment =
        rte_pktmbuf_data_room_size(config_.data_pool) - RTE_PKTMBUF_HEADROOM;
    const bool affordable = octets / a_segment < mbufs_to_spare();
    rte_mbuf* const head = affordable ? rte_pktmbuf_alloc(config_.data_pool) : nullptr;
    rte_mbuf* last = head;
    std::size_t left = octets;
    while (last != nullptr) {
        const auto n =
            static_cast<std::uint16_t>(std::min<std::size_t>(left, rte_pktmbuf_tailroom(last)));
        last->data_len = n;
        left -= n;
        if (left == 0) {
            head->pkt_len = static_cast<std::uint32_t>(octets);
            return buffer{head};
        }
        last->next = rte_pktmbuf_alloc(config_.data_pool);
        last = last->next;
        ++head->nb_segs;
    }
    if (head != nullptr) {
        rte_mbuf* m = head;
        head->nb_segs = 1;
        while (m != nullptr) {
            rte_mbuf* const next = m->next;
            m->next = nullptr;
            rte_pktmbuf_free_seg(m);
            m = next;
        }
    }
    counters_.add(counter::no_mbuf);
    return {};
}

}  // namespace lastack::tcp
