// SPDX-License-Identifier: BSD-3-Clause
// The application's calls on a connection, and the events it is told. lastack/local_stack.hpp has
// the contract. Effects on the wire come at the end of the turn (output.cpp), but for what must go
// before the connection does.
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "tcp/engine.hpp"

namespace lastack::tcp {

using teardown::event;
using teardown::state;

// --- handles -------------------------------------------------------------------------------------

socket* engine::find(conn_id id) {
    if (id.index >= sockets_.capacity()) {
        return nullptr;
    }
    socket& s = sockets_[id.index];
    return s.held && s.generation == id.generation && !s.app_closed ? &s : nullptr;
}
const socket* engine::find(conn_id id) const {
    return const_cast<engine*>(this)->find(id);
}

tcb* engine::tcb_of(conn_id id) {
    socket* const s = find(id);
    return s == nullptr || s->connection == npos ? nullptr : &tcbs_[s->connection];
}
const tcb* engine::connection(conn_id id) const {
    return const_cast<engine*>(this)->tcb_of(id);
}

conn_id engine::id_of(const socket& s) const {
    return {sockets_.index_of(s), s.generation};
}

std::uint32_t engine::new_socket(const flow::key4& key) {
    const std::uint32_t index = sockets_.take();
    if (index == npos) {
        counters_.add(counter::no_socket);
        return npos;
    }
    socket& s = sockets_[index];
    const std::uint32_t generation = s.generation + 1;
    const bool in_ring = s.in_event_ring;
    // In place: g++ would make what is assigned elsewhere, in narrow stores, and copy it in wide
    // loads, which wait for them. It does not with a tcb or a SYN record.
    std::construct_at(&s);
    s.generation = generation;
    s.in_event_ring = in_ring;
    s.key = key;
    s.held = true;
    return index;
}

void engine::release_socket(std::uint32_t index) {
    socket& s = sockets_[index];
    rte_pktmbuf_free(s.rx_head);
    s.rx_head = s.rx_tail = nullptr;
    s.rx_octets = s.rx_memory = 0;
    s.held = false;
    s.pending = 0;
    sockets_.give_back(index);
}

// --- events --------------------------------------------------------------------------------------

void engine::tell(socket& s, std::uint8_t what) {
    if (s.app_closed && (what & event_bits::ended) == 0) {
        return;
    }
    s.pending |= what;
    if (s.in_event_ring) {
        return;
    }
    s.in_event_ring = true;
    auto* ring = reinterpret_cast<std::uint32_t*>(told_.data());
    std::uint32_t at = told_head_ + told_count_;
    at = at >= sockets_.capacity() ? at - sockets_.capacity() : at;
    ring[at] = sockets_.index_of(s);
    ++told_count_;
}

std::size_t engine::take_events(std::span<lastack::event> into) {
    const auto* ring = reinterpret_cast<const std::uint32_t*>(told_.data());
    std::size_t taken = 0;
    while (told_count_ > 0 && taken < into.size()) {
        const std::uint32_t index = ring[told_head_];
        told_head_ = told_head_ + 1 == sockets_.capacity() ? 0 : told_head_ + 1;
        --told_count_;
        socket& s = sockets_[index];
        s.in_event_ring = false;
        const std::uint8_t what = std::exchange(s.pending, std::uint8_t{0});
        if (what == 0) {
            continue;  // the handle was given up meanwhile
        }
        lastack::event& e = into[taken++];
        e.conn = id_of(s);  // field by field: a copy of what was just made would wait for it
        e.user = s.user;
        e.listener = s.listener;
        e.what = what;
        e.outcome = close_outcome::none;
        if ((what & event_bits::opened) != 0 && s.connection != npos) {
            const listener* const l = alive(s.listener);
            if (l == nullptr || !l->hold_until_accepted) {
                leave_accept_queue(tcbs_[s.connection]);
            }
        }
        if ((what & event_bits::ended) != 0) {
            e.outcome = s.outcome;
            s.told_ended = true;
            if (s.app_closed) {
                release_socket(index);
            }
        }
    }
    return taken;
}

result<bool, call_error> engine::accepted(conn_id id) {
    return with_tcb(id, [&](tcb& c) { leave_accept_queue(c); });
}

void engine::leave_accept_queue(tcb& c) {
    if (c.accepted_waiting) {
        c.accepted_waiting = false;
        if (listener* l = alive(c.listener)) {
            --l->waiting;
        }
    }
}

// The connection behind the handle is gone. What the application still has: the handle, unread
// data.
void engine::end_socket(socket& s, close_outcome outcome) {
    s.connection = npos;
    s.outcome = outcome;
    if (s.app_closed && !s.wants_completion) {
        release_socket(sockets_.index_of(s));
        return;
    }
    tell(s, event_bits::ended);
}

// R13: who lingers has waited long enough, or our FIN is acknowledged. The connection goes on
// without its handle, so `ended` has no outcome to tell.
void engine::complete_close(tcb& c) {
    if (c.socket != npos) {
        socket& s = sockets_[std::exchange(c.socket, npos)];
        end_socket(s, close_outcome::none);
    }
}

call_error engine::ended_error(const socket& s) const {
    if (s.unreachable) {
        return call_error::host_unreachable;  // R65: as Linux, the soft error instead of ETIMEDOUT
    }
    switch (s.outcome) {
        case close_outcome::refused:
            return call_error::connection_refused;
        case close_outcome::host_unreachable:
            return call_error::host_unreachable;
        case close_outcome::clean_active:
        case close_outcome::clean_passive:
        case close_outcome::clean_simultaneous:
        case close_outcome::closed_before_open:
            return call_error::closed_for_sending;
        default:
            return is_timeout(s.outcome) ? call_error::timed_out : call_error::connection_reset;
    }
}

// --- receiving -----------------------------------------------------------------------------------

result<buffer, call_error> engine::receive(conn_id id) {
    socket* const s = find(id);
    if (s == nullptr) {
        return failure{call_error::stale_handle};
    }
    if (s->rx_head != nullptr) {
        buffer out{std::exchange(s->rx_head, nullptr)};
        s->rx_tail = nullptr;
        const std::uint32_t octets = std::exchange(s->rx_octets, 0u);
        s->rx_memory = 0;
        if (s->connection != npos) {
            consumed(tcbs_[s->connection], octets);
        }
        return out;
    }
    if (s->end_of_stream || s->read_shut) {
        return buffer{};
    }
    if (s->connection == npos) {
        return failure{ended_error(*s)};
    }
    return failure{call_error::would_block};
}

result<std::size_t, call_error> engine::receive(conn_id id, std::span<std::byte> into) {
    socket* const s = find(id);
    if (s == nullptr) {
        return failure{call_error::stale_handle};
    }
    std::size_t copied = 0;
    while (s->rx_head != nullptr && copied < into.size()) {
        rte_mbuf* const m = s->rx_head;
        const auto n =
            static_cast<std::uint16_t>(std::min<std::size_t>(into.size() - copied, m->data_len));
        std::memcpy(into.data() + copied, rte_pktmbuf_mtod(m, const std::byte*), n);
        copied += n;
        if (n < m->data_len) {
            rte_pktmbuf_adj(m, n);
            break;
        }
        s->rx_memory -= buffer_memory_of(m);
        s->rx_head = m->next;
        if (s->rx_head != nullptr) {
            s->rx_head->pkt_len = m->pkt_len - n;
            s->rx_head->nb_segs = static_cast<std::uint16_t>(m->nb_segs - 1);
        } else {
            s->rx_tail = nullptr;
        }
        m->next = nullptr;
        m->nb_segs = 1;
        rte_pktmbuf_free_seg(m);
    }
    if (copied > 0) {
        s->rx_octets -= static_cast<std::uint32_t>(copied);
        if (s->connection != npos) {
            consumed(tcbs_[s->connection], static_cast<std::uint32_t>(copied));
        }
        return copied;
    }
    if (s->rx_head != nullptr || into.empty() || s->end_of_stream || s->read_shut) {
        return std::size_t{0};
    }
    return failure{s->connection == npos ? ended_error(*s) : call_error::would_block};
}

result<std::size_t, call_error> engine::peek(conn_id id, std::size_t offset,
                                             std::span<std::byte> into) const {
    const socket* const s = find(id);
    if (s == nullptr) {
        return failure{call_error::stale_handle};
    }
    std::size_t copied = 0;
    for (const rte_mbuf* m = s->rx_head; m != nullptr && copied < into.size(); m = m->next) {
        if (offset >= m->data_len) {
            offset -= m->data_len;
            continue;
        }
        const std::size_t n = std::min<std::size_t>(into.size() - copied, m->data_len - offset);
        std::memcpy(into.data() + copied, rte_pktmbuf_mtod(m, const std::byte*) + offset, n);
        copied += n;
        offset = 0;
    }
    return copied;
}

// --- ending --------------------------------------------------------------------------------------

result<bool, call_error> engine::shutdown(conn_id id, shutdown_how how) {
    socket* const s = find(id);
    if (s == nullptr) {
        return failure{call_error::stale_handle};
    }
    if (s->connection == npos) {
        return failure{call_error::not_connected};
    }
    if (how != shutdown_how::write) {
        s->read_shut = true;  // R09: no segment
    }
    if (how != shutdown_how::read) {
        tcb& c = tcbs_[s->connection];
        send_held_syn(c);
        apply(c, event::app_shutdown_wr);
    }
    return true;
}

result<bool, call_error> engine::close(conn_id id, completion c) {
    return close_or_abort(id, c, false);
}
result<bool, call_error> engine::abort(conn_id id, completion c) {
    return close_or_abort(id, c, true);
}

result<bool, call_error> engine::close_or_abort(conn_id id, completion wanted, bool abort) {
    socket* const s = find(id);
    if (s == nullptr) {
        return failure{call_error::stale_handle};
    }
    s->app_closed = true;
    s->wants_completion = wanted == completion::event;
    s->pending &= event_bits::ended;
    const bool unread = s->rx_octets > 0;
    if (s->connection == npos) {
        if (!s->wants_completion || s->told_ended) {
            release_socket(id.index);
        }
        return true;
    }
    tcb& c = tcbs_[s->connection];
    leave_accept_queue(c);
    send_held_syn(c);
    const bool unsent = c.snd_nxt < c.snd_una + c.snd.octets() + (c.fin_queued ? 1 : 0);
    // R06: unread data is looked at before SO_LINGER.
    event what = event::app_close;
    if (!abort && unread) {
        what = event::app_close_unread;
    } else if (abort || c.linger_s == 0) {
        what = unsent ? event::app_abort_unsent : event::app_abort;
    }
    if (!s->wants_completion) {
        c.socket = npos;
        release_socket(id.index);
    }
    if (!apply(c, what)) {
        return true;
    }
    if (c.st == state::fin_wait_2) {
        enter_fin_wait_2(c);
        return true;
    }
    if (c.linger_s > 0 && c.socket != npos) {
        arm(c, deadline_bits::linger, now_tick_ + static_cast<std::uint32_t>(c.linger_s) * 1000);
    }
    if (c.detached && c.st != state::closed && orphans_ > orphan_cap_.allowance()) {
        orphan_cap_.missed();
        counters_.add(counter::orphan_limit);
        apply(c, event::orphan_limit);
    }
    return true;
}

}  // namespace lastack::tcp
