// SPDX-License-Identifier: BSD-3-Clause
// Mbufs of one piece, from a pool and back to it, by the cache of the lcore that the stack runs on.
//
// rte_pktmbuf_alloc() and rte_pktmbuf_free() ask each time which lcore calls them, and touch an
// mbuf's second line. Here the lcore's cache is known from the start, and that line is left alone:
// in a free mbuf and in a frame of one piece `next` is null, and tx_offload is read only where
// ol_flags say so. The first line of the mbuf that comes next is asked for ahead.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "base/prefetch.hpp"

namespace lastack::tcp {

class mbuf_source {
  public:
    mbuf_source() = default;
    // No cache: the pool itself, from any thread. With one: from that lcore only.
    mbuf_source(rte_mempool* pool, rte_mempool_cache* cache) : pool_(pool), cache_(cache) {}

    // Empty, as from rte_pktmbuf_alloc(); null when the pool is.
    rte_mbuf* take() const {
        void* taken = nullptr;
        if (rte_mempool_generic_get(pool_, &taken, 1, cache_) != 0) [[unlikely]] {
            return nullptr;
        }
        if (cache_ != nullptr && cache_->len != 0) {
            prefetch_to_write(cache_->objs[cache_->len - 1]);
        }
        return emptied(static_cast<rte_mbuf*>(taken));
    }
    // As rte_pktmbuf_free_seg(), of any pool's mbuf that has no `next`.
    void give(rte_mbuf* m) const {
        if (!is_sole(m)) [[unlikely]] {
            rte_pktmbuf_free_seg(m);
        } else if (m->pool == pool_) [[likely]] {
            void* const given = m;
            rte_mempool_generic_put(pool_, &given, 1, cache_);
        } else {
            rte_mbuf_raw_free(m);
        }
    }

    // One piece with a buffer of its own, that nobody else holds.
    static bool is_sole(const rte_mbuf* m) {
        return m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m);
    }
    // Precondition: is_sole(m).
    static rte_mbuf* emptied(rte_mbuf* m) {
        rte_pktmbuf_reset_headroom(m);
        m->port = RTE_MBUF_PORT_INVALID;
        m->ol_flags = 0;
        m->packet_type = 0;
        m->pkt_len = 0;
        m->data_len = 0;
        m->vlan_tci = 0;
        m->vlan_tci_outer = 0;
        return m;
    }

  private:
    rte_mempool* pool_ = nullptr;
    rte_mempool_cache* cache_ = nullptr;
};

}  // namespace lastack::tcp
