// SPDX-License-Identifier: BSD-3-Clause
// When mbufs run out: what is given up first, what always goes out, and how service comes back.
#include "support/scenario_test.hpp"

namespace lastack::test {
namespace {

scenario_options tight() {
    scenario_options o;
    o.pools.data = 512;
    o.pools.control = 128;
    o.pools.indirect = 128;
    return o;
}

std::vector<rte_mbuf*> take_all(rte_mempool* pool, std::uint32_t leave) {
    std::vector<rte_mbuf*> taken;
    while (rte_mempool_avail_count(pool) > leave) {
        taken.push_back(rte_pktmbuf_alloc(pool));
    }
    return taken;
}
void give_back(std::vector<rte_mbuf*>& taken) {
    for (rte_mbuf* m : taken) {
        rte_pktmbuf_free(m);
    }
    taken.clear();
}
// Enough turns for the memory watch to look.
void look_around(scenario& s) {
    for (int i = 0; i < 40; ++i) {
        s.turn();
    }
}

TEST(memory, one_octet_segments_in_order_share_buffers) {
    checked_scenario s{tight()};
    remote& r = s.make_established();
    for (int i = 0; i < 5000; ++i) {
        r.send(seg("P.").text("x"));
    }
    EXPECT_EQ(s.calls().unread(r.id).value(), 5000u);
    EXPECT_LT(s.core().states().mbufs_held, 10u);
}

TEST(memory, one_octet_segments_out_of_order_cannot_take_the_pool) {
    checked_scenario s{tight()};
    remote& r = s.make_established();
    for (int i = 0; i < 2000; ++i) {
        r.send(seg("P.").seq(3 + 2 * i).text("x"));
    }
    EXPECT_LE(s.core().states().mbufs_held, 2u * 131072 / 2048);
    remote& q = s.make_established();
    EXPECT_EQ(s.state_of(q.id), state::established);
}

TEST(memory, out_of_order_text_of_many_is_dropped_first) {
    checked_scenario s{tight()};
    std::vector<remote*> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(&s.make_established());
    }
    auto others = take_all(s.pools().data, 300);
    for (int i = 0; i < 40; ++i) {
        for (remote* r : all) {
            r->send(seg("P.").seq(3 + 2 * i).text("x"));
        }
    }
    EXPECT_GT(s.count(counter::pressure_dropped_ofo), 0u);
    give_back(others);
    EXPECT_GT(rte_mempool_avail_count(s.pools().data), 512u / 16);
    // The peers send again, and nothing is lost.
    s.advance(1s);
    for (remote* r : all) {
        r->send(seg("P.").seq(1).text(octets(100)));
        EXPECT_EQ(s.receive(r->id), octets(100));
    }
}

TEST(memory, slow_readers_leave_room_and_are_served_again) {
    checked_scenario s{tight()};
    std::vector<remote*> all;
    for (int i = 0; i < 16; ++i) {
        all.push_back(&s.make_established());
    }
    for (int i = 0; i < 60; ++i) {
        for (remote* r : all) {
            const auto room =
                r->last().tcp.ack.raw - r->iss + (std::uint32_t{r->last().tcp.window} << 7);
            if (r->next_seq + 1000 <= room) {
                r->send(seg(".").text(octets(1000, r->next_seq - 1)));
            }
        }
    }
    EXPECT_GE(rte_mempool_avail_count(s.pools().data), 512u / 32);
    EXPECT_GT(s.count(counter::memory_pressure), 0u);
    // A new connection is refused, but a FIN still gets its answer.
    look_around(s);
    remote& late = s.new_remote();
    late.send(seg("S"));
    EXPECT_EQ(late.heard(), "");
    EXPECT_GT(s.count(counter::pressure_refused_open), 0u);
    // The readers wake up: within a second all is as before.
    for (remote* r : all) {
        s.receive(r->id);
    }
    s.advance(1s);
    look_around(s);
    remote& next = s.make_established();
    EXPECT_EQ(s.state_of(next.id), state::established);
    next.send(seg("P.").text("hello"));
    EXPECT_EQ(s.receive(next.id), "hello");
}

TEST(memory, ack_fin_rst_and_arp_go_out_with_the_data_pool_empty) {
    checked_scenario s{tight()};
    remote& closing = s.make_established();
    remote& aborting = s.make_established();
    remote& resetting = s.make_established();
    // Frames that arrive need mbufs of their own: keep a few aside for the wire.
    const auto fin = make_frame(s.pools().data, closing.packet(seg("F.")));
    const auto old = make_frame(s.pools().data, resetting.packet(seg("P.").seq(-9).text("old")));
    wire::arp_packet ask{wire::arp_operation::request, peer_mac, peer_address, {}, stack_address};
    std::vector<std::uint8_t> frame(14 + wire::arp_bytes);
    frame[12] = 8;
    frame[13] = 6;
    std::fill_n(frame.begin(), 6, std::uint8_t{0xff});
    wire::write_arp(frame.data() + 14, ask);
    const auto arp = make_frame(s.pools().data, frame);
    auto hoard = take_all(s.pools().data, 0);
    look_around(s);
    s.inject(fin);
    EXPECT_EQ(closing.heard(), ". 1:1(0) ack 2");
    s.close(closing.id);
    EXPECT_EQ(closing.heard(), "F. 1:2(0) ack 2");
    s.inject(old);
    EXPECT_EQ(resetting.heard(), ". 1:1(0) ack 1");
    s.abort(aborting.id);
    EXPECT_EQ(aborting.heard(), "R. 1:1(0) ack 1");
    s.inject(arp);
    const auto said = s.heard_arp();
    EXPECT_EQ(std::count_if(said.begin(), said.end(),
                            [](const wire::arp_packet& a) {
                                return a.operation == wire::arp_operation::reply;
                            }),
              1);
    give_back(hoard);
}

TEST(memory, a_segment_without_text_is_answered_in_its_own_mbuf) {
    checked_scenario s{tight()};
    remote& closing = s.make_fin_wait_2();  // where a FIN is answered at once, not at the turn's end
    const auto fin = make_frame(s.pools().data, closing.packet(seg("F.")));
    auto data = take_all(s.pools().data, 0);
    auto control = take_all(s.pools().control, 0);
    look_around(s);
    s.inject(fin);
    EXPECT_EQ(closing.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(s.count(counter::no_mbuf), 0u);
    give_back(data);
    give_back(control);
}

TEST(memory, an_mbuf_that_somebody_else_holds_is_not_written_over) {
    checked_scenario s{tight()};
    remote& closing = s.make_fin_wait_2();
    rte_mbuf* const fin = make_frame(s.pools().data, closing.packet(seg("F.")));
    const std::uint16_t octets = fin->data_len;
    const std::vector<std::uint8_t> before(rte_pktmbuf_mtod(fin, std::uint8_t*),
                                           rte_pktmbuf_mtod(fin, std::uint8_t*) + octets);
    rte_mbuf_refcnt_update(fin, 1);
    s.inject(fin);
    EXPECT_EQ(closing.heard(), ". 2:2(0) ack 2");
    EXPECT_EQ(rte_mbuf_refcnt_read(fin), 1);
    ASSERT_EQ(fin->data_len, octets);
    EXPECT_TRUE(std::equal(before.begin(), before.end(), rte_pktmbuf_mtod(fin, std::uint8_t*)));
    rte_pktmbuf_free(fin);
}

TEST(memory, half_open_connections_hold_no_mbufs) {
    checked_scenario s{tight()};
    for (int i = 0; i < 200; ++i) {
        s.new_remote().send(seg("S"));
    }
    EXPECT_EQ(rte_mempool_avail_count(s.pools().data), 512u);
    EXPECT_EQ(rte_mempool_avail_count(s.pools().control), 128u);
}

TEST(memory, a_writer_that_found_none_is_woken_when_there_is_some) {
    checked_scenario s{tight()};
    remote& r = s.make_established();
    auto hoard = take_all(s.pools().data, 0);
    look_around(s);
    EXPECT_EQ(s.send(r.id, "abc"), 0u);
    EXPECT_FALSE(s.calls().allocate(100));
    give_back(hoard);
    look_around(s);
    EXPECT_EQ(s.events(r.id), "writable");
    EXPECT_EQ(s.send(r.id, "abc"), 3u);
    EXPECT_EQ(r.heard(), "P. 1:4(3) ack 1");
}

TEST(memory, text_already_queued_goes_out_when_mbufs_come_back) {
    checked_scenario s{tight()};
    remote& r = s.make_established();
    ASSERT_TRUE(s.calls().send(r.id, std::as_bytes(std::span{"abc", 3})));
    auto hoard = take_all(s.pools().data, 0);
    s.core().run_timers(s.now());
    s.core().output(s.now());
    EXPECT_EQ(r.heard(), "");
    give_back(hoard);
    s.turn();
    EXPECT_EQ(r.heard(), "P. 1:4(3) ack 1");
}

TEST(memory, a_writer_is_held_back_and_told_when_it_may_go_on) {
    checked_scenario s;
    remote& r = s.make_established();
    std::size_t sent = 0;
    for (;;) {
        const std::string text = octets(4096, sent);
        const auto n = s.calls().send(r.id, std::as_bytes(std::span{text}));
        ASSERT_TRUE(n);
        sent += *n;
        if (*n < 4096) {
            break;
        }
    }
    EXPECT_LE(sent, 200000u);
    s.turn();
    EXPECT_EQ(s.events(r.id), "");
    std::string all;
    while (all.size() < sent) {
        for (const auto& h : r.heard_segments()) {
            all += h.text;
        }
        r.send(seg("."));
    }
    EXPECT_EQ(all, octets(sent));
    EXPECT_EQ(s.events(r.id), "writable");
}

// Nothing would be in flight and no timer run, so nothing would ever end it.
TEST(memory, writers_of_one_turn_leave_mbufs_for_the_headers_of_what_they_wrote) {
    checked_scenario s{tight()};
    std::vector<remote*> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(&s.make_established());
    }
    std::vector<bool> taken;
    for (remote* r : all) {
        taken.push_back(s.send(r->id, octets(60000)) > 0);
    }
    EXPECT_TRUE(taken.front());
    EXPECT_FALSE(taken.back());
    s.turn();
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i]->heard() != "", taken[i]) << i;
        s.abort(all[i]->id);
    }
}

TEST(memory, buffers_of_one_turn_leave_mbufs_for_the_headers_of_what_they_hold) {
    checked_scenario s{tight()};
    std::vector<remote*> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(&s.make_established());
    }
    for (remote* r : all) {
        for (int k = 0; k < 28; ++k) {
            if (buffer b = s.calls().allocate(1400)) {
                EXPECT_TRUE(s.calls().send(r->id, b));
            }
        }
    }
    s.turn();
    EXPECT_NE(all.front()->heard(), "");
    for (remote* r : all) {
        s.abort(r->id);
    }
}

TEST(memory, a_writer_is_woken_as_soon_as_a_write_would_be_taken) {
    checked_scenario s{tight()};
    remote& r = s.make_established();
    auto hoard = take_all(s.pools().data, 40);  // less than an eighth is free
    for (int i = 0; i < 40; ++i) {
        s.turn();
    }
    EXPECT_EQ(s.send(r.id, "hello"), 0u);
    s.events(r.id);
    while (rte_mempool_avail_count(s.pools().data) < 100) {  // less than a quarter
        rte_pktmbuf_free(hoard.back());
        hoard.pop_back();
    }
    for (int i = 0; i < 100; ++i) {
        s.turn();
    }
    EXPECT_EQ(s.events(r.id), "writable");
    EXPECT_EQ(s.send(r.id, "hello"), 5u);
    for (rte_mbuf* m : hoard) {
        rte_pktmbuf_free(m);
    }
}

// Refused writes begin the pass over all connections anew, which must not keep it from the first.
TEST(memory, a_writer_is_woken_whatever_others_are_refused_meanwhile) {
    scenario_options o = tight();
    o.settings.connections = 8192;
    checked_scenario s{o};
    remote& r = s.make_established();
    remote& q = s.make_established();
    auto hoard = take_all(s.pools().data, 512 / 8);  // none to spare, and no refusal by pressure
    for (int i = 0; i < 40; ++i) {
        s.turn();
    }
    s.events(r.id);
    EXPECT_EQ(s.send(r.id, "hello"), 0u);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(s.send(q.id, "hello"), 0u);
        s.turn();
    }
    EXPECT_EQ(s.events(r.id), "writable");
    for (rte_mbuf* m : hoard) {
        rte_pktmbuf_free(m);
    }
}

}  // namespace
}  // namespace lastack::test
