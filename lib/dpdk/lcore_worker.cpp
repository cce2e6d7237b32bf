// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/lcore_worker.hpp"

#include <rte_ethdev.h>

#include <algorithm>
#include <utility>

namespace lastack::dpdk {
void snapshot::add(const stack::core& core, mbufs held) {
    snapshot one;
    one.states = held == mbufs::counted ? core.states() : core.counts();
    one.outcomes = core.outcomes();
    one.resets = core.tcp().resets();
    one.drops = core.tcp().drops();
    add(one);
}

void snapshot::add(const snapshot& other) {
    for (std::size_t i = 0; i < states.by_state.size(); ++i) {
        states.by_state[i] += other.states.by_state[i];
    }
    states.orphans += other.states.orphans;
    states.time_wait_parked += other.states.time_wait_parked;
    states.sockets += other.states.sockets;
    states.mbufs_held += other.states.mbufs_held;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        outcomes[i] += other.outcomes[i];
    }
    for (std::size_t i = 0; i < resets.size(); ++i) {
        resets[i] += other.resets[i];
        drops[i] += other.drops[i];
    }
}

lcore_worker::lcore_worker(unsigned index, steering& shared, std::int64_t clock_base_us)
    : index_(index), shared_(shared), clock_(clock_base_us), now_(clock_.now()) {}

lcore_worker::attached::attached(lcore_worker& w, const dpdk::port& p,
                                 std::unique_ptr<stack::core> c, rte_mempool* control_pool)
    : owner(w),
      port(p.id),
      prepare(p.link.checksum_tx),
      exchange(p.exchange),
      control(control_pool),
      core(std::move(c)),
      calls(core->calls()) {}

std::size_t lcore_worker::attached::receive(
    std::span<rte_mbuf*, frame_exchange::receive_max> into) {
    return exchange ? exchange->receive(owner.index_, into, core->tcp().counters(), control)
                    : rte_eth_rx_burst(port, 0, into.data(), frame_exchange::burst);
}

std::uint16_t lcore_worker::attached::send(rte_mbuf** frames, std::uint16_t n) {
    return exchange ? exchange->send(owner.index_, frames, n)
                    : rte_eth_tx_burst(port, 0, frames, n);
}

result<bool, std::string> lcore_worker::attach(const port& p, stack::core_config config) {
    config.memory.data_cache = rte_mempool_default_cache(config.memory.data, rte_lcore_id());
    config.memory.control_cache = rte_mempool_default_cache(config.memory.control, rte_lcore_id());
    auto core = stack::core::make(config, clock_.now());
    if (!core) {
        return failure{core.error()};
    }
    attached_.push_back(
        std::make_unique<attached>(*this, p, std::move(*core), config.memory.control));
    attached_.back()->core->set_transmit({transmit, attached_.back().get()});
    cores_.push_back(attached_.back()->core.get());
    return true;
}

std::uint16_t lcore_worker::transmit(void* context, rte_mbuf** frames, std::uint16_t n) {
    auto& a = *static_cast<attached*>(context);
    if (a.prepare) {
        const std::uint16_t queue = a.exchange ? a.exchange->queue_of(a.owner.index_) : 0;
        const auto good = rte_eth_tx_prepare(a.port, queue, frames, n);
        if (good == 0) {
            // The port will never take this frame; were it kept, nothing behind it would go out.
            rte_pktmbuf_free(frames[0]);
            return 1;
        }
        n = good;
    }
    if (!a.owner.rings_.capturing) {
        return a.send(frames, n);
    }
    // A frame that the port has taken may be gone, so it is copied before; one that a full queue
    // refuses is offered again, and then captured twice.
    a.owner.rings_.capture->add(std::span(frames, n), a.port, pcapng::direction::outbound,
                                a.owner.now_);
    return a.send(frames, n);
}

// The one reading of a turn, which also ends the turn before.
void lcore_worker::read_clock() {
    const auto before = clock_.cycles();
    now_ = clock_.now();
    if (std::exchange(worked_, false)) {
        busy_cycles_.store(busy_cycles_.load(std::memory_order_relaxed) + clock_.cycles() - before,
                           std::memory_order_relaxed);
    }
}

std::chrono::nanoseconds lcore_worker::busy() const {
    const auto cycles = static_cast<double>(busy_cycles_.load(std::memory_order_relaxed));
    return std::chrono::nanoseconds(
        static_cast<std::int64_t>(cycles * 1e9 / static_cast<double>(rte_get_tsc_hz())));
}

bool lcore_worker::turn() {
    read_clock();
    drain_begins_ = false;
    follow(shared_.wanted.load(std::memory_order_relaxed));
    bool idle = true;
    for (const auto& a : attached_) {
        worked_ = a->core->has_work() || worked_;
        a->core->output(now_);
        std::array<rte_mbuf*, frame_exchange::receive_max> frames;
        const std::size_t n = a->receive(frames);
        if (n > 0) {
            worked_ = true;
            if (rings_.capturing) {
                rings_.capture->add(std::span(frames.data(), n), a->port,
                                    pcapng::direction::inbound, now_);
            }
            a->core->input(std::span(frames.data(), n), now_);
        }
        worked_ = a->core->run_timers(now_) || worked_;
        a->events = a->core->take_events();
        worked_ = worked_ || !a->events.empty();
        idle = idle && a->events.empty() && (phase_ == phase::running || a->core->idle());
    }
    if (phase_ != phase::running) {
        idle_.store(idle, std::memory_order_release);
    }
    run_task();
    talk_of_caps();
    return phase_ != phase::ended;
}

void lcore_worker::follow(phase wanted) {
    if (wanted == phase_) {
        return;
    }
    const auto before = phase_;
    phase_ = wanted;
    if (before == phase::running && wanted != phase::ended) {
        drain_begins_ = true;
        for (const auto& a : attached_) {
            a->core->stop_listening();
        }
    }
    if (wanted == phase::resetting) {
        for (const auto& a : attached_) {
            a->core->reset_all();
        }
    }
}

void lcore_worker::fail(std::string reason) {
    const std::lock_guard hold(shared_.reason_lock);
    if (!shared_.failed.exchange(true)) {
        shared_.reason = std::move(reason);
    }
}

std::uint64_t lcore_worker::counter_sum(counter c) const {
    std::uint64_t sum = 0;
    for (const auto& a : attached_) {
        sum += a->core->counters().get(c);
    }
    return sum;
}

// A slice of what another thread asked for, after the turn's own work.
void lcore_worker::run_task() {
    if (task_ == nullptr && !tasks_.pop(task_)) {
        return;
    }
    if (task_->run(cores_)) {
        std::exchange(task_, nullptr)->finish();
    }
}

void lcore_worker::talk_of_caps() {
    caps_.from_lender.consume_all(
        [this](const cap_line::entry& e) { cores_[e.stack]->tcp().hear_of_cap(e.message); });
    for (std::uint32_t i = 0; i < cores_.size(); ++i) {
        cores_[i]->tcp().speak_of_caps([this, i](const teardown::cap_message& m) {
            return caps_.to_lender.push({i, m});
        });
    }
}

snapshot lcore_worker::last_snapshot() const {
    snapshot sum;
    for (const auto* c : cores_) {
        sum.add(*c, snapshot::mbufs::counted);
    }
    return sum;
}

}  // namespace lastack::dpdk
