// SPDX-License-Identifier: BSD-3-Clause
// Mbufs of one piece, from a pool and back to it, by the cache of the lcore whose turn it is.
//
// rte_pktmbuf_alloc() and rte_pktmbuf_free() ask each time which lcore calls them, and touch an
// mbuf's second line. Here the lcore is asked for once a turn, and that line is left alone: in a
// free mbuf and in a frame of one piece `next` is null, and tx_offload is read only where ol_flags
// say so.
#pragma once

#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

namespace lastack::tcp {

class mbuf_source {
  public:
    mbuf_source() = default;
    explicit mbuf_source(rte_mempool* pool) : pool_(pool) {}

    // To be called on the lcore that calls the rest.
    void begin_turn() { cache_ = rte_mempool_default_cache(pool_, rte_lcore_id()); }

    // Empty, as from rte_pktmbuf_alloc(); null when the pool is.
    rte_mbuf* take() const {
        void* taken = nullptr;
        if (rte_mempool_generic_get(pool_, &taken, 1, cache_) != 0) [[unlikely]] {
            return nullptr;
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
        m->nb_segs = 1;
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
    rte_mempool_cache* cache_ = nullptr;  // none: the pool itself
};

}  // namespace lastack::tcp
