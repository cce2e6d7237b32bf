// SPDX-License-Identifier: BSD-3-Clause
// Making an engine, its turn, its watch over memory, and stopping it.
#include "tcp/engine.hpp"

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <algorithm>

#include "tcp/table_bytes.hpp"

namespace lastack::tcp {

using teardown::event;
using teardown::state;

namespace {

// Connections looked at in one turn while something has to be done to all of them.
constexpr std::uint32_t sweep_slice = 256;

// A share of the secret for each use, so that what one hash gives away tells nothing of another.
template <class Hash = flow::keyed_hash>
Hash derived_hash(const std::array<std::uint64_t, 2>& secret, std::uint64_t use) {
    const flow::keyed_hash parent{secret[0], secret[1]};
    return {parent(use, 0), parent(use, 1)};
}

}  // namespace

result<std::unique_ptr<engine>, std::string> engine::make(const engine_config& config,
                                                          instant now) {
    std::unique_ptr<engine> e{new engine};
    e->config_ = config;
    e->settings_ = config.settings;
    const config::settings& s = e->settings_;
    const std::uint32_t mbufs = config.data_pool->size;
    std::string error;
    const auto take = [&error](auto& into, auto made) {
        if (error.empty() && !made) {
            error = made.error();
        }
        if (made) {
            into = std::move(*made);
        }
    };
    const page_size pages = config.pages;
    take(e->tcbs_, index_pool<tcb>::make(s.connections, pages));
    take(e->sockets_, index_pool<socket>::make(s.connections, pages));
    take(e->syns_, index_pool<syn_record>::make(s.syn_records, pages));
    take(e->ofo_nodes_, index_pool<ofo_node>::make(std::max(mbufs / 2, 64u), pages));
    const std::uint32_t troubled = troubled_connections(s);
    take(e->reassemblies_, index_pool<reassembly>::make(troubled, pages));
    take(e->losses_, index_pool<loss_record>::make(troubled, pages));
    const std::uint32_t with_records = connections_with_records(s);
    take(e->records_, index_pool<record_ends>::make(with_records, pages));
    take(e->connections_, flow::connection_table::make(s.connections + s.syn_records, pages));
    take(e->fin_wait_2_waiters_, flow::connection_table::make(s.connections, pages));
    take(e->time_wait_,
         flow::time_wait_table<flow::key4>::make(s.time_wait_records, pages, now.to_tick()));
    take(e->ack_limit_, flow::ack_limit::make(pages));
    take(e->ports_,
         flow::port_ledger::make(derived_hash(config.secret, 3),
                                 {s.ip_local_port_range.first, s.ip_local_port_range.last},
                                 s.time_wait_records, pages));
    take(e->port_owners_, flow::port_owners::make(config.addresses, pages));
    take(e->bound_, fixed_array<std::uint16_t>::make(65536, pages));
    take(e->ready_, region::map(std::size_t{s.connections} * sizeof(std::uint32_t), pages));
    take(e->told_, region::map(std::size_t{s.connections} * sizeof(std::uint32_t), pages));
    if (!error.empty()) {
        return failure{error};
    }
    e->reserve_default_time_wait(s.time_wait_ms);
    using teardown::cap_kind;
    e->tw_cap_ = {cap_kind::time_wait, s.tcp_max_tw_buckets, config.caps,
                  e->room_for(cap_kind::time_wait)};
    e->orphan_cap_ = {cap_kind::orphans, s.tcp_max_orphans, config.caps,
                      e->room_for(cap_kind::orphans)};
    e->time_wait_->expect_length(seconds{s.tcp_fin_timeout});
    e->listeners_ = std::make_unique<listener[]>(s.listeners);
    e->hash_ = derived_hash<flow::table_hash>(config.secret, 1);
    e->isn_hash_ = derived_hash<flow::sequence_hash>(config.secret, 2);
    e->wheel_.emplace(e->tcb_timers_, now.to_tick());
    e->syn_wheel_.emplace(e->syn_timers_, now.to_tick());
    e->challenge_second_ = now.to_tick() - 1000;
    e->data_mbufs_ = mbufs;
    e->data_source_ = mbuf_source{config.data_pool, config.data_cache};
    e->control_source_ = mbuf_source{config.control_pool, config.control_cache};
    e->begin(now);
    return e;
}

// The stack's own length keeps its lane too. Where all lanes are taken a new one is rounded up.
void engine::reserve_default_time_wait(std::uint32_t length_ms) {
    if (length_ms == reserved_time_wait_ms_) {
        return;
    }
    if (reserved_time_wait_ms_ != 0) {
        time_wait_->release(milliseconds{reserved_time_wait_ms_});
    }
    const bool reserved = time_wait_->reserve(milliseconds{length_ms});
    reserved_time_wait_ms_ = reserved ? length_ms : 0;
}

void engine::apply_settings(const config::settings& s) {
    const bool ports_differ = s.ip_local_port_range != settings_.ip_local_port_range ||
                              s.tcp_tw_reuse != settings_.tcp_tw_reuse ||
                              s.tcp_timestamps != settings_.tcp_timestamps;
    settings_ = s;
    if ((s.tcp_fastopen & config::tcp_fastopen_bits::client) == 0) {
        cookies_.clear();
    }
    reserve_default_time_wait(s.time_wait_ms);
    tw_cap_.set_cap(s.tcp_max_tw_buckets);
    orphan_cap_.set_cap(s.tcp_max_orphans);
    if (ports_differ) {
        ports_->set_range({s.ip_local_port_range.first, s.ip_local_port_range.last});
    }
}

void engine::hear_of_cap(const teardown::cap_message& m) {
    if (m.of == teardown::cap_kind::time_wait) {
        tw_cap_.hear(m, time_wait_->size());
    } else {
        orphan_cap_.hear(m, orphans_);
    }
}

std::uint32_t engine::room_for(teardown::cap_kind of) const {
    return of == teardown::cap_kind::time_wait ? time_wait_->capacity() : tcbs_.capacity();
}

engine::~engine() {
    for (std::uint32_t i = 0; i < tcbs_.capacity(); ++i) {
        if (tcbs_[i].st != state::closed) {
            tcbs_[i].snd.clear();
            drop_reassembly(tcbs_[i]);
        }
    }
    for (std::uint32_t i = 0; i < sockets_.capacity(); ++i) {
        rte_pktmbuf_free(sockets_[i].rx_head);
    }
    for (std::uint16_t i = 0; i < out_count_; ++i) {
        rte_pktmbuf_free(out_[i]);
    }
}

void engine::begin(instant now) {
    now_ = now;
    now_tick_ = now.to_tick();
    now_s_ = static_cast<std::uint32_t>(now.us / 1'000'000);
}

// Without the per-lcore caches, which rte_mempool_avail_count() would walk, all 128.
std::uint32_t engine::free_data_mbufs() const {
    const rte_mempool* const pool = config_.data_pool;
    return rte_mempool_get_ops(pool->ops_index)->get_count(pool);
}

// Free mbufs fall: first what is out of order goes, then nothing new is let in, and last no text is
// taken, so that what has been promised to the port, and ACK and FIN, still find mbufs.
void engine::watch_memory() {
    if (++turns_ % 16 == 0) {
        const std::uint32_t free = free_data_mbufs();
        pressure now = pressure::none;
        if (free < data_mbufs_ / 16) {
            now = pressure::refuse_text;
        } else if (free < data_mbufs_ / 8) {
            now = pressure::refuse_open;
        } else if (free < data_mbufs_ / 4) {
            now = pressure::drop_reassembly;
        }
        if (now > pressure_ && pressure_ == pressure::none) {
            counters_.add(counter::memory_pressure);
        }
        if (now != pressure_ || (sweep_writable_ && now < pressure::refuse_open)) {
            sweep_left_ = tcbs_.capacity();
            sweep_writable_ = false;
        }
        pressure_ = now;
    }
    sweep();
}

// One pass over all connections after the pressure has changed, a slice a turn: gaps are given up,
// or writers woken and windows opened.
void engine::sweep() {
    const std::uint32_t end = sweep_left_ - std::min(sweep_left_, sweep_slice);
    for (; sweep_left_ > end; --sweep_left_) {
        sweep_at_ = (sweep_at_ == 0 ? tcbs_.capacity() : sweep_at_) - 1;
        tcb& c = tcbs_[sweep_at_];
        if (c.st == state::closed) {
            continue;
        }
        if (pressure_ < pressure::refuse_open) {
            tell_writable(c);
        }
        if (pressure_ != pressure::none) {
            if (c.reassembly != npos) {  // an early FIN in it will come again
                drop_reassembly(c);
                counters_.add(counter::pressure_dropped_ofo);
            }
            continue;
        }
        if (c.st >= state::established) {
            consumed(c, 0);
        }
    }
}

std::uint64_t engine::mbufs_held() const {
    std::uint64_t held = 0;
    const auto count = [&held](const rte_mbuf* m) {
        for (; m != nullptr; m = m->next) {
            ++held;
        }
    };
    for (std::uint32_t i = 0; i < tcbs_.capacity(); ++i) {
        const tcb& c = tcbs_[i];
        if (c.st == state::closed) {
            continue;
        }
        count(c.snd.head());
        for (std::uint32_t n = c.reassembly == npos ? npos : reassemblies_[c.reassembly].head;
             n != npos; n = ofo_nodes_[n].next) {
            count(ofo_nodes_[n].payload);
        }
    }
    for (std::uint32_t i = 0; i < sockets_.capacity(); ++i) {
        count(sockets_[i].rx_head);
    }
    return held;
}

// --- stopping ------------------------------------------------------------------------------------

void engine::stop_listening() {
    stopping_ = true;
    for (std::uint16_t i = 0; i < listener_count_; ++i) {
        if (listeners_[i].open) {
            static_cast<void>(close_listener({i, listeners_[i].generation}));
        }
    }
    for (std::uint32_t i = 0; i < syns_.capacity() && syns_.in_use() > 0; ++i) {
        if (syns_[i].in_use) {
            drop_syn_record(i);
        }
    }
}

// Every connection gets the FIN that close() would send; the application keeps its handle.
void engine::drain() {
    stop_listening();
    for (std::uint32_t i = 0; i < tcbs_.capacity(); ++i) {
        tcb& c = tcbs_[i];
        if (c.st != state::closed) {
            apply(c, event::app_shutdown_wr);
        }
    }
}

void engine::reset_all() {
    stop_listening();
    for (std::uint32_t i = 0; i < tcbs_.capacity(); ++i) {
        tcb& c = tcbs_[i];
        if (c.st != state::closed) {
            apply(c, event::stack_stopped);
        }
    }
    // Who waits for the end of a FIN_WAIT_2 record waits no longer; the record runs its time.
    std::size_t at = 0;
    do {
        at = time_wait_->walk(at, 4096, [this](flow::time_wait_slot slot) {
            const auto entry = time_wait_->read(slot);
            if (entry.waiter) {
                time_wait_->set_waiter(slot, false);
                tell_waiter(entry.key, close_outcome::aborted_shutdown);
            }
        });
    } while (at != 0);
    flush();
}

}  // namespace lastack::tcp
