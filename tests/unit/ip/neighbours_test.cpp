// SPDX-License-Identifier: BSD-3-Clause
// Neighbours on a virtual clock: asking, waiting, failing, ageing, and what strangers may not do.
#include "ip/neighbours.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <vector>

using namespace lastack;
using namespace lastack::ip;

namespace {

constexpr ipv4_address peer{0x0a000001};
constexpr ipv4_address other{0x0a000003};
constexpr mac_address mac_a{{2, 0, 0, 0, 0, 1}};
constexpr mac_address mac_b{{2, 0, 0, 0, 0, 9}};
constexpr auto reply = arp_evidence::reply_to_us;
constexpr auto request = arp_evidence::request_for_us;
constexpr auto overheard = arp_evidence::overheard;
using kind = neighbour_event::kind;

// The table never looks into a packet, so a number will do for its address.
rte_mbuf* packet(std::uintptr_t n) {
    return reinterpret_cast<rte_mbuf*>(n);
}

std::vector<rte_mbuf*> list(const held_packets& h) {
    return {h.view().begin(), h.view().end()};
}

struct fixture {
    explicit fixture(neighbour_limits limits = {}) : table(limits, 0x1234567890abcdef) {}

    std::vector<neighbour_event> poll() {
        std::vector<neighbour_event> events;
        const bool more =
            table.poll(now, 1u << 20, [&](const neighbour_event& e) { events.push_back(e); });
        EXPECT_FALSE(more);
        return events;
    }
    // Polls every 10 ms for this long; all events.
    std::vector<neighbour_event> run(duration d) {
        std::vector<neighbour_event> events;
        for (const instant end = now + d; now < end;) {
            now = now + milliseconds{10};
            for (const neighbour_event& e : poll()) {
                events.push_back(e);
            }
        }
        return events;
    }
    const mac_address* lookup(ipv4_address a = peer) { return table.lookup(a, now); }
    void make_reachable(ipv4_address a = peer) {
        ASSERT_EQ(lookup(a), nullptr);
        table.hold(a, packet(99), now);
        table.learned(a, mac_a, reply, now);
    }

    neighbour_table table;
    instant now{1'000'000'000};
};

}  // namespace

TEST(neighbours, an_unknown_neighbour_is_asked_for_at_once_and_the_packet_waits) {
    fixture f;
    EXPECT_EQ(f.lookup(), nullptr);
    const hold_result first = f.table.hold(peer, packet(1), f.now);
    EXPECT_TRUE(first.send_request);
    EXPECT_EQ(first.dropped, nullptr);
    EXPECT_FALSE(f.table.hold(peer, packet(2), f.now).send_request);
    EXPECT_EQ(f.lookup(), nullptr);
    EXPECT_EQ(list(f.table.learned(peer, mac_a, reply, f.now)),
              (std::vector{packet(1), packet(2)}));
    ASSERT_NE(f.lookup(), nullptr);
    EXPECT_EQ(*f.lookup(), mac_a);
    EXPECT_EQ(f.table.packets_held(), 0u);
}

TEST(neighbours, the_oldest_of_more_than_four_packets_is_dropped) {
    fixture f;
    for (std::uintptr_t n = 1; n <= 4; ++n) {
        EXPECT_EQ(f.table.hold(peer, packet(n), f.now).dropped, nullptr);
    }
    EXPECT_EQ(f.table.hold(peer, packet(5), f.now).dropped, packet(1));
    EXPECT_EQ(f.table.hold(peer, packet(6), f.now).dropped, packet(2));
    EXPECT_EQ(f.table.packets_held(), 4u);
    EXPECT_EQ(list(f.table.learned(peer, mac_a, reply, f.now)),
              (std::vector{packet(3), packet(4), packet(5), packet(6)}));
}

TEST(neighbours, a_request_is_sent_three_times_a_second_apart_and_then_the_packets_come_back) {
    fixture f;
    f.table.hold(peer, packet(1), f.now);
    f.table.hold(peer, packet(2), f.now);
    EXPECT_EQ(f.table.next_deadline(), f.now + seconds{1});
    EXPECT_TRUE(f.run(milliseconds{990}).empty());
    for (int i = 0; i < 2; ++i) {
        const auto events = f.run(seconds{1});
        ASSERT_EQ(events.size(), 1u);
        EXPECT_EQ(events[0].what, kind::broadcast_request);
        EXPECT_EQ(events[0].address, peer);
    }
    const auto events = f.run(seconds{1});
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].what, kind::failed);
    EXPECT_EQ(events[0].address, peer);
    EXPECT_EQ(list(events[0].packets), (std::vector{packet(1), packet(2)}));
    EXPECT_EQ(f.table.size(), 0u);
    EXPECT_EQ(f.table.packets_held(), 0u);
    EXPECT_TRUE(f.run(seconds{10}).empty());
    EXPECT_TRUE(f.table.hold(peer, packet(3), f.now).send_request);  // it starts anew
}

TEST(neighbours, an_answer_to_the_last_request_still_counts) {
    fixture f;
    f.table.hold(peer, packet(1), f.now);
    f.run(milliseconds{2950});
    EXPECT_EQ(f.table.learned(peer, mac_a, reply, f.now).count, 1);
    EXPECT_TRUE(f.run(seconds{5}).empty());
    EXPECT_NE(f.lookup(), nullptr);
}

TEST(neighbours, a_reachable_neighbour_is_asked_again_by_unicast_when_used_after_30_to_60_s) {
    for (std::uint32_t i = 0; i < 50; ++i) {
        fixture f;
        const ipv4_address a{peer.bits + i};
        f.make_reachable(a);
        const instant start = f.now;
        std::vector<neighbour_event> events;
        while (events.empty() && f.now - start < seconds{70}) {
            f.now = f.now + milliseconds{100};
            ASSERT_NE(f.lookup(a), nullptr);
            events = f.poll();
        }
        EXPECT_GE(f.now - start, seconds{30});
        EXPECT_LE(f.now - start, seconds{61});
        ASSERT_EQ(events.size(), 1u);
        EXPECT_EQ(events[0].what, kind::unicast_request);
        EXPECT_EQ(events[0].address, a);
        EXPECT_EQ(events[0].mac, mac_a);
        f.table.learned(a, mac_a, reply, f.now);
        const instant again = f.now;
        while (f.now - again < seconds{29}) {
            f.now = f.now + milliseconds{500};
            ASSERT_NE(f.lookup(a), nullptr);
            EXPECT_TRUE(f.poll().empty());
        }
    }
}

TEST(neighbours, the_times_to_the_next_question_are_spread) {
    std::set<std::int64_t> times;
    for (std::uint32_t i = 0; i < 50; ++i) {
        fixture f;
        f.make_reachable({peer.bits + i});
        // The request's own deadline is swept first.
        f.run(seconds{2});
        times.insert(f.table.next_deadline().us);
    }
    EXPECT_GT(times.size(), 40u);
}

TEST(neighbours, an_unused_neighbour_is_not_asked_and_dropped_after_ten_minutes) {
    fixture f;
    f.make_reachable();
    f.now = f.now + seconds{590};
    EXPECT_TRUE(f.poll().empty());
    EXPECT_EQ(f.table.size(), 1u);
    EXPECT_TRUE(f.run(seconds{11}).empty());
    EXPECT_EQ(f.table.size(), 0u);
    EXPECT_EQ(f.lookup(), nullptr);
}

TEST(neighbours, use_keeps_a_stale_neighbour) {
    fixture f;
    f.make_reachable();
    for (int i = 0; i < 4; ++i) {
        for (int s = 0; s < 590; ++s) {
            if (s == 10) {
                ASSERT_NE(f.lookup(), nullptr);  // ten minutes from here, not from the answer
            }
            f.now = f.now + seconds{1};
            EXPECT_TRUE(f.poll().empty());
        }
        f.now = f.now + seconds{15};
        f.poll();
        ASSERT_NE(f.lookup(), nullptr);
        f.now = f.now + milliseconds{20};
        const auto events = f.poll();
        ASSERT_EQ(events.size(), 1u);
        EXPECT_EQ(events[0].what, kind::unicast_request);
        f.table.learned(peer, mac_a, reply, f.now);
    }
}

TEST(neighbours, one_that_answers_no_unicast_probe_is_forgotten_and_asked_by_broadcast) {
    fixture f;
    f.make_reachable();
    f.now = f.now + seconds{61};
    f.poll();
    ASSERT_NE(f.lookup(), nullptr);
    const auto events = f.run(milliseconds{2900});
    ASSERT_EQ(events.size(), 3u);
    for (const auto& e : events) {
        EXPECT_EQ(e.what, kind::unicast_request);
    }
    ASSERT_NE(f.lookup(), nullptr);  // used meanwhile
    EXPECT_TRUE(f.run(milliseconds{200}).empty());
    EXPECT_EQ(f.lookup(), nullptr);
    EXPECT_TRUE(f.table.hold(peer, packet(1), f.now).send_request);
}

TEST(neighbours, a_reply_that_we_did_not_ask_for_makes_no_entry_and_changes_none) {
    fixture f;
    f.table.learned(peer, mac_b, reply, f.now);
    EXPECT_EQ(f.table.size(), 0u);
    f.make_reachable();
    f.table.learned(peer, mac_b, reply, f.now);
    EXPECT_EQ(*f.lookup(), mac_a);
    f.now = f.now + seconds{61};
    f.poll();
    f.table.learned(peer, mac_b, reply, f.now);  // stale
    EXPECT_EQ(*f.lookup(), mac_a);
}

TEST(neighbours, a_unicast_probe_is_answered_by_the_probed_only) {
    fixture f;
    f.make_reachable();
    f.now = f.now + seconds{61};
    f.poll();
    ASSERT_NE(f.lookup(), nullptr);  // probing
    f.table.learned(peer, mac_b, reply, f.now);
    EXPECT_EQ(*f.lookup(), mac_a);
    EXPECT_EQ(f.run(milliseconds{100}).size(), 1u);  // the question still stands
    f.table.learned(peer, mac_a, reply, f.now);
    EXPECT_TRUE(f.run(seconds{5}).empty());
}

TEST(neighbours, something_overheard_makes_no_entry) {
    fixture f;
    f.table.learned(peer, mac_a, overheard, f.now);
    EXPECT_EQ(f.table.size(), 0u);
}

TEST(neighbours, an_announcement_moves_an_entry_and_its_next_use_asks_the_new_holder) {
    fixture f;
    f.make_reachable();
    f.table.learned(peer, mac_b, overheard, f.now);
    EXPECT_TRUE(f.run(seconds{1}).empty());  // unused: nobody is asked
    EXPECT_EQ(*f.lookup(), mac_b);
    const auto events = f.run(milliseconds{20});
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].what, kind::unicast_request);
    EXPECT_EQ(events[0].mac, mac_b);
}

TEST(neighbours, an_announcement_of_what_we_know_changes_nothing) {
    fixture f;
    f.make_reachable();
    f.run(seconds{1});
    const instant before = f.table.next_deadline();
    f.table.learned(peer, mac_a, overheard, f.now);
    f.table.learned(peer, mac_a, request, f.now);
    EXPECT_EQ(f.table.next_deadline(), before);
    ASSERT_NE(f.lookup(), nullptr);
    EXPECT_TRUE(f.run(milliseconds{100}).empty());
}

TEST(neighbours, a_request_for_us_makes_an_entry_that_is_confirmed_when_used) {
    fixture f;
    EXPECT_EQ(f.table.learned(peer, mac_a, request, f.now).count, 0);
    ASSERT_NE(f.lookup(), nullptr);
    EXPECT_EQ(*f.lookup(), mac_a);
    const auto events = f.run(milliseconds{20});
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].what, kind::unicast_request);
}

TEST(neighbours, a_request_or_announcement_releases_the_packets_that_wait_for_its_sender) {
    for (const arp_evidence evidence : {request, overheard}) {
        fixture f;
        f.table.hold(peer, packet(1), f.now);
        EXPECT_EQ(list(f.table.learned(peer, mac_a, evidence, f.now)), (std::vector{packet(1)}));
        EXPECT_EQ(*f.lookup(), mac_a);
        const auto events = f.run(milliseconds{20});
        ASSERT_EQ(events.size(), 1u);
        EXPECT_EQ(events[0].what, kind::unicast_request);
    }
}

TEST(neighbours, no_more_than_half_of_the_entries_are_incomplete) {
    fixture f{{.entries = 8, .packets_held = 100}};
    for (std::uint32_t i = 0; i < 4; ++i) {
        EXPECT_TRUE(f.table.hold({peer.bits + i}, packet(i + 1), f.now).send_request);
    }
    const hold_result refused = f.table.hold({peer.bits + 4}, packet(5), f.now);
    EXPECT_EQ(refused.dropped, packet(5));
    EXPECT_FALSE(refused.send_request);
    // What asks us is still learned, and what has been answered makes room.
    f.table.learned({peer.bits + 100}, mac_a, request, f.now);
    EXPECT_NE(f.lookup({peer.bits + 100}), nullptr);
    f.table.learned(peer, mac_a, reply, f.now);
    EXPECT_TRUE(f.table.hold({peer.bits + 4}, packet(5), f.now).send_request);
    // As have those that failed.
    f.run(seconds{4});
    for (std::uint32_t i = 10; i < 14; ++i) {
        EXPECT_TRUE(f.table.hold({peer.bits + i}, packet(i + 1), f.now).send_request);
    }
}

TEST(neighbours, packets_held_are_bounded_over_all_neighbours) {
    fixture f{{.entries = 8, .packets_held = 3}};
    EXPECT_EQ(f.table.hold(peer, packet(1), f.now).dropped, nullptr);
    EXPECT_EQ(f.table.hold(peer, packet(2), f.now).dropped, nullptr);
    EXPECT_EQ(f.table.hold(other, packet(3), f.now).dropped, nullptr);
    EXPECT_EQ(f.table.hold(other, packet(4), f.now).dropped, packet(4));
    const hold_result refused = f.table.hold({1234}, packet(5), f.now);
    EXPECT_EQ(refused.dropped, packet(5));
    EXPECT_FALSE(refused.send_request);
    f.table.learned(peer, mac_a, reply, f.now);
    EXPECT_EQ(f.table.hold(other, packet(4), f.now).dropped, nullptr);
}

TEST(neighbours, a_full_table_gives_up_stale_entries_but_no_others) {
    fixture f{{.entries = 8, .packets_held = 100}};
    for (std::uint32_t i = 0; i < 8; ++i) {
        f.make_reachable({peer.bits + i});
    }
    EXPECT_EQ(f.table.hold({0x0b000001}, packet(1), f.now).dropped, packet(1));
    f.table.learned({peer.bits + 5}, mac_b, overheard, f.now);  // stale now
    EXPECT_TRUE(f.table.hold({0x0b000001}, packet(1), f.now).send_request);
    EXPECT_EQ(f.table.size(), 8u);
    EXPECT_EQ(f.lookup({peer.bits + 5}), nullptr);
    EXPECT_NE(f.lookup({peer.bits + 4}), nullptr);
}

TEST(neighbours, poll_keeps_to_its_budget_and_says_when_more_is_left) {
    fixture f{{.entries = 200, .packets_held = 200}};
    for (std::uint32_t i = 0; i < 100; ++i) {
        f.table.hold({peer.bits + i}, packet(i + 1), f.now);
    }
    f.now = f.now + seconds{1};
    std::set<std::uint32_t> asked;
    int polls = 0;
    for (bool more = true; more; ++polls) {
        ASSERT_LT(polls, 100);
        int events = 0;
        more = f.table.poll(f.now, 7, [&](const neighbour_event& e) {
            EXPECT_EQ(e.what, kind::broadcast_request);
            EXPECT_TRUE(asked.insert(e.address.bits).second);
            ++events;
        });
        EXPECT_LE(events, 7);
        EXPECT_EQ(more, f.table.next_deadline() <= f.now);
    }
    EXPECT_EQ(asked.size(), 100u);
    EXPECT_GE(polls, 200 / 7);
}

TEST(neighbours, nothing_is_due_in_an_empty_table) {
    fixture f;
    EXPECT_EQ(f.table.next_deadline(), neighbour_table::instant_never);
    EXPECT_TRUE(f.run(seconds{1}).empty());
}

TEST(neighbours, clear_gives_every_waiting_packet_back) {
    fixture f;
    f.table.hold(peer, packet(1), f.now);
    f.table.hold(peer, packet(2), f.now);
    f.table.hold(other, packet(3), f.now);
    f.make_reachable({77});
    std::set<rte_mbuf*> released;
    f.table.clear([&](rte_mbuf* p) { released.insert(p); });
    EXPECT_EQ(released, (std::set{packet(1), packet(2), packet(3)}));
    EXPECT_EQ(f.table.size(), 0u);
    EXPECT_EQ(f.table.packets_held(), 0u);
}

// A slow model of one thing: packets. Whatever happens, each comes back once or still waits, and
// what the table says of an address is what was last validly learned.
RC_GTEST_PROP(neighbours, no_packet_is_lost_or_given_back_twice, ()) {
    fixture f{{.entries = 16, .packets_held = 20}};
    std::map<std::uint32_t, std::deque<rte_mbuf*>> waiting;
    std::uintptr_t next = 1;
    const auto take = [&](ipv4_address a, const held_packets& got) {
        const std::deque<rte_mbuf*>& all = waiting[a.bits];
        const bool same = std::ranges::equal(got.view(), all);
        RC_ASSERT(same);
        waiting.erase(a.bits);
    };
    const int steps = *rc::gen::inRange(1, 400);
    for (int i = 0; i < steps; ++i) {
        const ipv4_address a{*rc::gen::inRange<std::uint32_t>(1, 40)};
        switch (*rc::gen::inRange(0, 5)) {
            case 0:
            case 1:
                if (f.lookup(a) == nullptr) {
                    rte_mbuf* p = packet(next++);
                    const auto r = f.table.hold(a, p, f.now);
                    if (r.dropped != p) {
                        waiting[a.bits].push_back(p);
                        if (r.dropped != nullptr) {
                            const bool oldest = r.dropped == waiting[a.bits].front();
                            RC_ASSERT(oldest);
                            waiting[a.bits].pop_front();
                        }
                    }
                } else {
                    RC_ASSERT(waiting.count(a.bits) == 0u);
                }
                break;
            case 2:
                take(a, f.table.learned(a, mac_a, *rc::gen::element(reply, request, overheard),
                                        f.now));
                break;
            case 3: {
                f.now = f.now + milliseconds{*rc::gen::inRange(0, 2000)};
                const auto budget = *rc::gen::inRange<std::uint32_t>(0, 30);
                static_cast<void>(f.table.poll(f.now, budget, [&](const neighbour_event& e) {
                    if (e.what == kind::failed) {
                        take(e.address, e.packets);
                    }
                }));
                break;
            }
            default:
                f.now = f.now + seconds{*rc::gen::inRange(0, 700)};
                break;
        }
        std::size_t held = 0;
        for (const auto& [address, packets] : waiting) {
            held += packets.size();
        }
        RC_ASSERT(f.table.packets_held() == held);
        RC_ASSERT(f.table.size() <= 16u);
    }
    std::size_t released = 0;
    std::size_t held = f.table.packets_held();
    f.table.clear([&](rte_mbuf*) { ++released; });
    RC_ASSERT(released == held);
    RC_ASSERT(f.table.size() == 0u);
}
