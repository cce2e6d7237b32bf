// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/frame_exchange.hpp"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <utility>

#include "stack/frame_owner.hpp"

namespace lastack::dpdk {
namespace {

// Octets of an ARP frame, the only kind that everybody must see.
constexpr std::uint32_t arp_frame_octets = 42;

void prefetch_data(std::span<rte_mbuf* const> frames) {
    for (const rte_mbuf* m : frames) {
        rte_prefetch0(rte_pktmbuf_mtod(m, const void*));
    }
}

}  // namespace

frame_exchange::frame_exchange(std::uint16_t port, unsigned queues, unsigned workers,
                               flow::flow_owner owners, bool spreads)
    : port_(port),
      queues_(queues),
      workers_(workers),
      owners_(std::move(owners)),
      spreads_(spreads),
      own_(workers) {
    for (unsigned from = 0; from < queues; ++from) {
        for (unsigned to = 0; to < workers; ++to) {
            received_.push_back(from == to ? nullptr : std::make_unique<ring>(ring_frames));
        }
    }
    for (unsigned w = 0; w < workers; ++w) {
        sent_.push_back(w < queues ? nullptr : std::make_unique<ring>(ring_frames));
        own_[w].staged.resize(workers);
        own_[w].relayed.resize(workers);
    }
}

frame_exchange::~frame_exchange() {
    const auto discard = [](rte_mbuf* m) { rte_pktmbuf_free(m); };
    for (const auto* rings : {&received_, &sent_}) {
        for (const auto& r : *rings) {
            if (r) {
                r->consume_all(discard);
            }
        }
    }
    for (auto& o : own_) {
        for (auto& l : o.relayed) {
            std::for_each_n(l.frames.begin(), l.count, discard);
        }
    }
}

std::size_t frame_exchange::receive(unsigned w, std::span<rte_mbuf*, receive_max> into,
                                    counter_set& count, rte_mempool* control) {
    std::size_t n = take_handed_over(w, into.first<burst>());
    if (w >= queues_) {
        return n;
    }
    relay(w);
    std::array<rte_mbuf*, burst> got;
    const std::size_t received =
        rte_eth_rx_burst(port_, static_cast<std::uint16_t>(w), got.data(), burst);
    const auto frames = std::span(got).first(received);
    prefetch_data(frames);
    for (rte_mbuf* m : frames) {
        using kind = stack::placement::kind;
        const stack::placement p = stack::place_frame(m, owners_, spreads_);
        if (p.who == kind::one && p.worker != w) {
            stage(w, p.worker, m);
            continue;
        }
        if (p.who == kind::all) {
            stage_copies(w, m, count, control);
        }
        into[n++] = m;
    }
    hand_over(w, count);
    return n;
}

std::uint16_t frame_exchange::send(unsigned w, rte_mbuf** frames, std::uint16_t n) {
    if (w < queues_) {
        return rte_eth_tx_burst(port_, static_cast<std::uint16_t>(w), frames, n);
    }
    return static_cast<std::uint16_t>(sent_[w]->push(frames, n));
}

std::size_t frame_exchange::take_handed_over(unsigned w, std::span<rte_mbuf*, burst> into) {
    std::size_t n = 0;
    unsigned& next = own_[w].next_source;
    for (unsigned i = 0; i < queues_ && n < burst; ++i) {
        const unsigned from = (next + i) % queues_;
        if (from != w) {
            n += received(from, w).pop(into.data() + n, burst - n);
        }
    }
    next = next + 1 < queues_ ? next + 1 : 0;
    const auto frames = into.first(n);
    for (const rte_mbuf* m : frames) {
        rte_prefetch0(m);
    }
    prefetch_data(frames);
    return n;
}

// A burst is at most what a lot holds, and each of its frames goes to a worker once.
void frame_exchange::stage(unsigned w, unsigned to, rte_mbuf* frame) {
    lot& l = own_[w].staged[to];
    l.frames[l.count++] = frame;
}

void frame_exchange::stage_copies(unsigned w, rte_mbuf* frame, counter_set& count,
                                  rte_mempool* control) {
    for (unsigned to = 0; to < workers_; ++to) {
        if (to == w) {
            continue;
        }
        if (rte_mbuf* copy = rte_pktmbuf_copy(frame, control, 0, arp_frame_octets)) {
            stage(w, to, copy);
        } else {
            count.add(counter::no_mbuf);
        }
    }
}

void frame_exchange::hand_over(unsigned w, counter_set& count) {
    for (unsigned to = 0; to < workers_; ++to) {
        lot& l = own_[w].staged[to];
        if (l.count == 0) {
            continue;
        }
        const std::size_t taken = received(w, to).push(l.frames.data(), l.count);
        count.add(counter::steered, taken);
        if (taken < l.count) {
            count.add(counter::steer_drop, l.count - taken);
            rte_pktmbuf_free_bulk(l.frames.data() + taken, static_cast<unsigned>(l.count - taken));
        }
        l.count = 0;
    }
}

// A burst from each worker that sends through this one's queue; what the queue refuses waits.
void frame_exchange::relay(unsigned w) {
    for (unsigned from = w + queues_; from < workers_; from += queues_) {
        lot& l = own_[w].relayed[from];
        if (l.count == 0) {
            l.count = sent_[from]->pop(l.frames.data(), burst);
        }
        if (l.count > 0) {
            const std::size_t taken =
                rte_eth_tx_burst(port_, static_cast<std::uint16_t>(w), l.frames.data(),
                                 static_cast<std::uint16_t>(l.count));
            std::copy(l.frames.begin() + static_cast<std::ptrdiff_t>(taken),
                      l.frames.begin() + static_cast<std::ptrdiff_t>(l.count), l.frames.begin());
            l.count -= taken;
        }
    }
}

}  // namespace lastack::dpdk
