// SPDX-License-Identifier: BSD-3-Clause
// The pools of other tests have no cache; this one does, as in a program.
#include "tcp/mbuf_source.hpp"

#include <gtest/gtest.h>
#include <rte_lcore.h>

#include <optional>
#include <vector>

#include "support/environment.hpp"

namespace lastack::tcp {
namespace {

constexpr unsigned mbufs = 63;

class mbuf_source_test : public testing::Test {
  protected:
    void SetUp() override {
        test::environment::start();
        others_.emplace();
        pool_ = rte_pktmbuf_pool_create("cached", mbufs, 16, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                        SOCKET_ID_ANY);
        ASSERT_NE(pool_, nullptr);
        rte_mempool_cache* const cache = rte_mempool_default_cache(pool_, rte_lcore_id());
        ASSERT_NE(cache, nullptr);
        source_ = {pool_, cache};
    }
    void TearDown() override {
        EXPECT_EQ(rte_mempool_avail_count(pool_), mbufs);
        rte_mempool_free(pool_);
        EXPECT_EQ(others_->leaks(), "");
    }

    std::optional<test::test_pools> others_;
    rte_mempool* pool_ = nullptr;
    mbuf_source source_;
};

TEST_F(mbuf_source_test, gives_every_mbuf_of_the_pool_and_then_none) {
    std::vector<rte_mbuf*> taken;
    while (rte_mbuf* const m = source_.take()) {
        taken.push_back(m);
    }
    EXPECT_EQ(taken.size(), mbufs);
    EXPECT_EQ(rte_pktmbuf_alloc(pool_), nullptr);
    for (rte_mbuf* m : taken) {
        source_.give(m);
    }
}

TEST_F(mbuf_source_test, shares_the_pool_with_dpdks_own_calls) {
    for (unsigned i = 0; i < 1000; ++i) {
        rte_mbuf* const ours = source_.take();
        rte_mbuf* const theirs = rte_pktmbuf_alloc(pool_);
        ASSERT_NE(ours, nullptr);
        ASSERT_NE(theirs, nullptr);
        ASSERT_NE(ours, theirs);
        rte_pktmbuf_free(ours);
        source_.give(theirs);
    }
}

TEST_F(mbuf_source_test, what_is_taken_is_as_rte_pktmbuf_alloc_leaves_it) {
    rte_mbuf* m = source_.take();
    m->data_off = 7;
    m->data_len = m->pkt_len = 99;
    m->port = 3;
    m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_TX_TCP_CKSUM;
    m->packet_type = RTE_PTYPE_L4_TCP;
    m->vlan_tci = m->vlan_tci_outer = 5;
    source_.give(m);
    ASSERT_EQ(source_.take(), m);  // last freed, first taken
    EXPECT_EQ(m->data_off, RTE_PKTMBUF_HEADROOM);
    EXPECT_EQ(m->data_len, 0);
    EXPECT_EQ(m->pkt_len, 0u);
    EXPECT_EQ(m->port, RTE_MBUF_PORT_INVALID);
    EXPECT_EQ(m->ol_flags, 0u);
    EXPECT_EQ(m->packet_type, 0u);
    EXPECT_EQ(m->vlan_tci, 0);
    EXPECT_EQ(m->vlan_tci_outer, 0);
    EXPECT_EQ(m->nb_segs, 1);
    EXPECT_EQ(m->next, nullptr);
    EXPECT_EQ(rte_mbuf_refcnt_read(m), 1);
    source_.give(m);
}

TEST_F(mbuf_source_test, takes_back_what_others_hold_or_made) {
    rte_mbuf* const held = source_.take();
    rte_mbuf_refcnt_update(held, 1);
    source_.give(held);
    EXPECT_EQ(rte_mbuf_refcnt_read(held), 1);
    EXPECT_EQ(rte_mempool_avail_count(pool_), mbufs - 1);
    rte_mbuf* const quoting = rte_pktmbuf_alloc(others_->get().indirect);
    rte_pktmbuf_attach(quoting, held);
    source_.give(held);
    EXPECT_EQ(rte_mempool_avail_count(pool_), mbufs - 1);
    source_.give(quoting);  // of another pool, and the last that held it
    EXPECT_EQ(rte_mempool_avail_count(pool_), mbufs);
    source_.give(rte_pktmbuf_alloc(others_->get().data));
}

}  // namespace
}  // namespace lastack::tcp
