// SPDX-License-Identifier: BSD-3-Clause
// classify() against a slow oracle that follows RFC 9293 3.10.7.4, RFC 5961 and RFC 7323 literally,
// over a grid of every boundary; and single cases for what the grid's states do not cover.
//
// The oracle works on plain 64-bit offsets from RCV.NXT and SND.UNA, octet by octet, so that it
// shares no arithmetic with the code under test; the real numbers lie across the wrap at 2^32.
#include "teardown/classify.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "teardown/names.hpp"

namespace lastack::teardown {
namespace {

namespace flags = wire::tcp_flags;
using wire::tcp_segment;

constexpr seq32 rcv_base{0xfffffffdu};  // RCV.NXT; the window wraps
constexpr seq32 snd_base{0xfffffffeu};  // SND.UNA
constexpr std::uint32_t recent = 5;     // TS.Recent; older ones lie before the wrap
constexpr std::uint32_t wnd_max = 10;   // MAX.SND.WND

enum class stamp { absent, older, equal, newer };

// A segment by its distances, and the connection it meets.
struct situation {
    state st = state::established;
    std::int64_t rcv_wnd = 8;
    std::int64_t in_flight = 3;  // SND.NXT - SND.UNA, a sent FIN included
    std::int64_t last_ack_sent = 0;
    bool fin_sent = false;
    bool unreadable = false;
    bool timestamps = true;
    bool ts_recent_valid = true;
    bool ts_strict = false;
    std::int64_t seq = 0;  // from RCV.NXT
    std::int64_t ack = 0;  // from SND.UNA
    std::int64_t payload = 0;
    std::uint8_t control = flags::ack;
    stamp ts = stamp::absent;
};

connection_view view_of(const situation& c) {
    connection_view v;
    v.st = c.st;
    v.iss = snd_base;
    v.snd_una = snd_base;
    v.snd_nxt = snd_base + static_cast<std::uint32_t>(c.in_flight);
    v.snd_wnd_max = wnd_max;
    v.rcv_nxt = rcv_base;
    v.rcv_wnd = static_cast<std::uint32_t>(c.rcv_wnd);
    v.ts_recent = recent;
    v.last_ack_sent = rcv_base + static_cast<std::uint32_t>(c.last_ack_sent);
    v.sack_right_edge = rcv_base;
    v.timestamps = c.timestamps;
    v.ts_recent_valid = c.ts_recent_valid;
    v.ts_strict = c.ts_strict;
    v.fin_sent = c.fin_sent;
    v.fin_received = c.st == state::close_wait || c.st == state::closing || c.st == state::last_ack;
    v.unreadable = c.unreadable;
    return v;
}

tcp_segment segment_of(const situation& c) {
    tcp_segment s;
    s.seq = rcv_base + static_cast<std::uint32_t>(c.seq);
    s.ack = snd_base + static_cast<std::uint32_t>(c.ack);
    s.flags = c.control;
    s.payload_length = static_cast<std::uint32_t>(c.payload);
    s.options.has_timestamps = c.ts != stamp::absent;
    s.options.tsval = c.ts == stamp::older   ? recent - 10
                      : c.ts == stamp::newer ? recent + 1
                                             : recent;
    return s;
}

class oracle {
  public:
    explicit oracle(const situation& c) : c_(c) {}

    verdict judge() const {
        if (on(flags::rst)) {
            return fact(rst());
        }
        if (on(flags::syn) && !syn_ack_of_simultaneous_open()) {
            return fact(syn());
        }
        // RFC 7323 5.3 R1.
        if (c_.timestamps && c_.ts_recent_valid && c_.ts == stamp::older) {
            return fact(event::rx_paws_reject);
        }
        if (c_.timestamps && c_.ts_strict && c_.ts == stamp::absent) {
            return fact(event::rx_ts_missing);
        }
        if (on(flags::syn)) {
            verdict v;
            v.acks_syn = true;
            v.update_ts_recent = renews();
            return v;
        }
        if (!sequence_acceptable()) {
            return fact(event::rx_out_of_window);
        }
        if (!on(flags::ack)) {
            return fact(event::rx_ack_missing);
        }
        if (c_.st == state::syn_received) {
            if (c_.ack <= 0 || c_.ack > c_.in_flight) {
                return fact(event::rx_ack_unacceptable);
            }
        } else if (c_.ack > c_.in_flight) {
            return fact(event::rx_ack_unsent);
        } else if (c_.ack < -std::int64_t{wnd_max}) {
            return fact(event::rx_ack_too_old);
        }
        return text_and_fin();
    }

  private:
    bool on(std::uint8_t flag) const { return (c_.control & flag) != 0; }
    static verdict fact(event e) {
        verdict v;
        v.what = e;
        return v;
    }
    bool peer_closed() const {
        return c_.st == state::close_wait || c_.st == state::closing || c_.st == state::last_ack;
    }
    bool octet_in_window(std::int64_t at) const { return at >= 0 && at < c_.rcv_wnd; }
    bool renews() const {
        return c_.timestamps && c_.ts != stamp::absent && c_.seq <= c_.last_ack_sent;
    }

    event rst() const {
        if (c_.seq == 0 || (c_.seq == -1 && peer_closed())) {
            return event::rx_rst_exact;
        }
        return octet_in_window(c_.seq) ? event::rx_rst_in_window : event::rx_rst_outside;
    }
    bool syn_ack_of_simultaneous_open() const {
        return c_.st == state::syn_received && c_.control == (flags::syn | flags::ack) &&
               c_.payload == 0 && c_.seq == -1 && c_.ack > 0 && c_.ack <= c_.in_flight;
    }
    event syn() const {
        if (on(flags::fin)) {
            return event::rx_syn_fin;
        }
        if (on(flags::ack)) {
            return event::rx_syn_ack;
        }
        return c_.st == state::syn_received && c_.seq != -1 ? event::rx_syn_newer : event::rx_syn;
    }

    // The table of RFC 9293 3.4, and the one addition: what begins at the right edge.
    bool sequence_acceptable() const {
        const std::int64_t length = c_.payload + (on(flags::fin) ? 1 : 0);
        if (c_.seq == c_.rcv_wnd) {
            return true;
        }
        if (length == 0 && c_.rcv_wnd == 0) {
            return c_.seq == 0;
        }
        if (length == 0) {
            return octet_in_window(c_.seq);
        }
        if (c_.rcv_wnd == 0) {
            // The addition again: what straddles RCV.NXT carries the octet at the right edge.
            return c_.seq < 0 && c_.seq + length - 1 >= 0;
        }
        return octet_in_window(c_.seq) || octet_in_window(c_.seq + length - 1) ||
               (c_.seq < 0 && c_.seq + length - 1 >= c_.rcv_wnd);
    }

    verdict text_and_fin() const {
        verdict v;
        v.update_ts_recent = renews();
        v.acks_syn = c_.st == state::syn_received;
        v.acks_fin = c_.fin_sent && c_.ack == c_.in_flight && c_.in_flight > 0;
        if (peer_closed()) {
            v.trim_back = static_cast<std::uint32_t>(c_.payload);
            return v;
        }
        bool new_text = false;
        for (std::int64_t at = c_.seq; at < c_.seq + c_.payload; ++at) {
            v.trim_front += at < 0 ? 1 : 0;
            v.trim_back += at >= c_.rcv_wnd ? 1 : 0;
            new_text = new_text || at >= 0;
        }
        const bool fin = on(flags::fin);
        const std::int64_t fin_at = c_.seq + c_.payload;
        v.fin = fin && octet_in_window(fin_at);
        v.ack_now = v.trim_front + v.trim_back != 0 || (fin && !v.fin);
        v.unreadable_text = c_.unreadable && (new_text || (fin && fin_at > 0));
        return v;
    }

    const situation& c_;
};

bool same(const verdict& a, const verdict& b) {
    return a.what == b.what && a.acks_syn == b.acks_syn && a.acks_fin == b.acks_fin &&
           a.unreadable_text == b.unreadable_text && a.fin == b.fin &&
           a.update_ts_recent == b.update_ts_recent && a.ack_now == b.ack_now &&
           a.trim_front == b.trim_front && a.trim_back == b.trim_back;
}

::testing::Message describe(const situation& c, const verdict& got, const verdict& want) {
    const auto print = [](::testing::Message& m, const verdict& v) {
        m << name(v.what) << " syn " << v.acks_syn << " fin-acked " << v.acks_fin << " unreadable "
          << v.unreadable_text << " fin " << v.fin << " ts " << v.update_ts_recent << " ack "
          << v.ack_now << " trim " << v.trim_front << "/" << v.trim_back;
    };
    ::testing::Message m;
    m << name(c.st) << " wnd " << c.rcv_wnd << " seq " << c.seq << " len " << c.payload << " flags "
      << int{c.control} << " ack " << c.ack << " of " << c.in_flight << " ts "
      << static_cast<int>(c.ts) << " strict " << c.ts_strict << " valid " << c.ts_recent_valid
      << "\n  got:  ";
    print(m, got);
    m << "\n  want: ";
    print(m, want);
    return m;
}

// Counts what was compared and stops at the first few differences.
struct comparison {
    std::uint64_t compared = 0;
    int differences = 0;

    void check(const situation& c) {
        const verdict got = classify(view_of(c), segment_of(c));
        const verdict want = oracle{c}.judge();
        ++compared;
        if (!same(got, want) && ++differences <= 5) {
            ADD_FAILURE() << describe(c, got, want);
        }
    }
};

constexpr std::array states{state::syn_received, state::established, state::fin_wait_1,
                            state::fin_wait_2,   state::close_wait,  state::closing,
                            state::last_ack};
constexpr std::int64_t far = (std::int64_t{1} << 31) - 20;

std::vector<std::uint8_t> all_controls() {
    std::vector<std::uint8_t> all;
    for (unsigned bits = 0; bits < 16; ++bits) {
        all.push_back(static_cast<std::uint8_t>(
            ((bits & 1) != 0 ? flags::fin : 0) | ((bits & 2) != 0 ? flags::syn : 0) |
            ((bits & 4) != 0 ? flags::rst : 0) | ((bits & 8) != 0 ? flags::ack : 0)));
    }
    return all;
}

// R26, R29, R30, R31, R34, R35
TEST(classify, agrees_with_the_rfc_at_every_boundary_of_sequence_and_ack) {
    comparison all;
    for (const state st : states) {
        for (const std::int64_t wnd : {0, 1, 8}) {
            std::vector<std::int64_t> positions{-far, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, far};
            for (std::int64_t edge = wnd - 7; edge <= wnd + 2; ++edge) {
                positions.push_back(edge);
            }
            for (const std::int64_t seq : positions) {
                for (const std::int64_t payload : {0, 1, 3, 6, 12}) {
                    for (const std::uint8_t control : all_controls()) {
                        for (const std::int64_t ack :
                             {-far, std::int64_t{-11}, std::int64_t{-10}, std::int64_t{-1},
                              std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, std::int64_t{3},
                              std::int64_t{4}, far}) {
                            situation c;
                            c.st = st;
                            c.rcv_wnd = wnd;
                            c.fin_sent = st != state::established && st != state::close_wait &&
                                         st != state::syn_received;
                            c.in_flight = st == state::fin_wait_2 ? 0 : 3;
                            c.unreadable = st == state::fin_wait_1 && wnd != 1;
                            c.seq = seq;
                            c.ack = ack;
                            c.payload = payload;
                            c.control = control;
                            all.check(c);
                        }
                    }
                }
            }
        }
    }
    EXPECT_EQ(all.differences, 0);
    EXPECT_GT(all.compared, 300000u);
}

// R33, R70, R71, R72
TEST(classify, agrees_with_rfc_7323_about_timestamps) {
    comparison all;
    for (const state st : states) {
        for (const std::int64_t seq : {-3, -2, -1, 0, 1, 2, 8, 9}) {
            for (const std::int64_t payload : {0, 1, 4}) {
                for (const std::uint8_t control : all_controls()) {
                    for (const stamp ts :
                         {stamp::absent, stamp::older, stamp::equal, stamp::newer}) {
                        for (unsigned bits = 0; bits < 16; ++bits) {
                            situation c;
                            c.st = st;
                            c.seq = seq;
                            c.ack = 1;
                            c.in_flight = 1;
                            c.payload = payload;
                            c.control = control;
                            c.ts = ts;
                            c.timestamps = (bits & 1) != 0;
                            c.ts_recent_valid = (bits & 2) != 0;
                            c.ts_strict = (bits & 4) != 0;
                            // A delayed ACK: what came before RCV.NXT is not acknowledged yet.
                            c.last_ack_sent = (bits & 8) != 0 ? -2 : 0;
                            all.check(c);
                        }
                    }
                }
            }
        }
    }
    EXPECT_EQ(all.differences, 0);
    EXPECT_GT(all.compared, 100000u);
}

situation segment(state st, std::int64_t seq, std::uint8_t control, std::int64_t payload = 0) {
    situation c;
    c.st = st;
    c.seq = seq;
    c.control = control;
    c.payload = payload;
    return c;
}
verdict of(const situation& c) {
    return classify(view_of(c), segment_of(c));
}

// R22
TEST(classify, fin_with_an_old_ack_number_is_processed) {
    situation c = segment(state::fin_wait_1, 0, flags::fin | flags::ack);
    c.ack = -5;
    const verdict v = of(c);
    EXPECT_EQ(v.what, event::rx_acceptable);
    EXPECT_TRUE(v.fin);
    EXPECT_FALSE(v.acks_fin);
}

// R18
TEST(classify, fin_out_of_order_is_kept_for_a_reader_and_resets_an_orphan) {
    situation c = segment(state::fin_wait_1, 4, flags::fin | flags::ack);
    EXPECT_TRUE(of(c).fin);
    EXPECT_FALSE(of(c).unreadable_text);
    c.unreadable = true;
    EXPECT_TRUE(of(c).unreadable_text);
}

// R07, R10
TEST(classify, only_new_text_is_unreadable) {
    situation c = segment(state::fin_wait_2, 0, flags::ack, 1);
    c.in_flight = 0;
    c.unreadable = true;
    EXPECT_TRUE(of(c).unreadable_text);
    c.rcv_wnd = 0;
    EXPECT_TRUE(of(c).unreadable_text) << "a full window does not hide it";
    c.seq = -1;
    c.control |= flags::fin;
    c.rcv_wnd = 8;
    EXPECT_FALSE(of(c).unreadable_text) << "a repeated octet before the FIN";
    EXPECT_TRUE(of(c).fin);
}

// R23
TEST(classify, repeated_fin_lies_outside_the_window) {
    for (const state st : {state::close_wait, state::closing, state::last_ack}) {
        EXPECT_EQ(of(segment(st, -1, flags::fin | flags::ack)).what, event::rx_out_of_window);
    }
}

// R25
TEST(classify, text_behind_the_fin_is_cut_off_and_its_ack_counts) {
    situation c = segment(state::last_ack, 0, flags::ack | flags::fin, 4);
    c.fin_sent = true;
    c.ack = 3;
    const verdict v = of(c);
    EXPECT_EQ(v.what, event::rx_acceptable);
    EXPECT_TRUE(v.acks_fin);
    EXPECT_EQ(v.trim_back, 4u);
    EXPECT_FALSE(v.fin);
}

// R32
TEST(classify, rst_at_the_fin_itself_resets_where_the_peer_has_closed) {
    for (const state st : {state::close_wait, state::closing, state::last_ack}) {
        EXPECT_EQ(of(segment(st, -1, flags::rst)).what, event::rx_rst_exact);
    }
    EXPECT_EQ(of(segment(state::established, -1, flags::rst)).what, event::rx_rst_outside);
}

// R32
TEST(classify, rst_at_the_right_edge_of_the_highest_sack_block_resets) {
    connection_view view = view_of(situation{});
    view.sack_right_edge = view.rcv_nxt + 5;
    EXPECT_EQ(classify(view, segment_of(segment(state::established, 5, flags::rst))).what,
              event::rx_rst_exact);
    EXPECT_EQ(classify(view, segment_of(segment(state::established, 4, flags::rst))).what,
              event::rx_rst_in_window);
}

// R33
TEST(classify, paws_does_not_look_at_a_rst) {
    situation c = segment(state::established, 0, flags::rst | flags::ack);
    c.ts = stamp::older;
    EXPECT_EQ(of(c).what, event::rx_rst_exact);
}

// R35, R70
TEST(classify, segment_with_an_invalid_ack_does_not_renew_ts_recent) {
    situation c = segment(state::established, 0, flags::ack);
    c.ts = stamp::newer;
    c.ack = 4;
    EXPECT_EQ(of(c).what, event::rx_ack_unsent);
    EXPECT_FALSE(of(c).update_ts_recent);
    c.ack = -11;
    EXPECT_EQ(of(c).what, event::rx_ack_too_old);
    EXPECT_FALSE(of(c).update_ts_recent);
    c.ack = 3;
    EXPECT_TRUE(of(c).update_ts_recent);
}

TEST(classify, zero_window_takes_the_ack_of_a_probe_and_answers_it) {
    situation c = segment(state::established, 0, flags::ack | flags::psh, 1);
    c.rcv_wnd = 0;
    const verdict v = of(c);
    EXPECT_EQ(v.what, event::rx_acceptable);
    EXPECT_EQ(v.trim_back, 1u);
    EXPECT_TRUE(v.ack_now);
}

// R04
TEST(classify, syn_left_unacknowledged_by_an_early_close_is_acknowledged_in_fin_wait_1) {
    connection_view view = view_of(segment(state::fin_wait_1, 0, flags::ack));
    view.syn_unacked = true;
    situation c = segment(state::fin_wait_1, 0, flags::ack);
    c.ack = 1;
    EXPECT_TRUE(classify(view, segment_of(c)).acks_syn);
    c.ack = 0;
    EXPECT_FALSE(classify(view, segment_of(c)).acks_syn);
}

// A repeated SYN in SYN_RECEIVED asks for the SYN-ACK again; another SYN is challenged.
TEST(classify, repeated_syn_is_told_from_a_new_one_in_syn_received) {
    EXPECT_EQ(of(segment(state::syn_received, -1, flags::syn)).what, event::rx_syn);
    EXPECT_EQ(of(segment(state::syn_received, 3, flags::syn)).what, event::rx_syn_newer);
    EXPECT_EQ(of(segment(state::syn_received, -9, flags::syn)).what, event::rx_syn_newer);
}

// R39
TEST(classify, ack_in_syn_received_must_be_of_our_syn) {
    situation c = segment(state::syn_received, 0, flags::ack);
    c.in_flight = 1;
    EXPECT_EQ(of(c).what, event::rx_ack_unacceptable);
    c.ack = 2;
    EXPECT_EQ(of(c).what, event::rx_ack_unacceptable);
    c.ack = 1;
    EXPECT_EQ(of(c).what, event::rx_acceptable);
    EXPECT_TRUE(of(c).acks_syn);
}

// R40
TEST(classify, listen_follows_the_flags_in_the_rfcs_order) {
    const auto heard = [](std::uint8_t control) {
        return of(segment(state::listen, 0, control)).what;
    };
    for (const std::uint8_t control : all_controls()) {
        const bool rst = (control & flags::rst) != 0;
        const bool ack = (control & flags::ack) != 0;
        const bool syn = (control & flags::syn) != 0;
        const bool fin = (control & flags::fin) != 0;
        const event want = rst          ? event::rx_rst_outside
                           : ack        ? event::rx_ack_unacceptable
                           : syn && fin ? event::rx_syn_fin
                           : syn        ? event::rx_syn
                                        : event::rx_ack_missing;
        EXPECT_EQ(heard(control), want) << int{control};
    }
}

// R27
TEST(classify, closed_answers_everything_but_rst) {
    for (const std::uint8_t control : all_controls()) {
        const event what = of(segment(state::closed, 0, control)).what;
        EXPECT_EQ(what == event::rx_rst_outside, (control & flags::rst) != 0) << int{control};
    }
}

// R41
TEST(classify, syn_sent_judges_ack_then_rst_then_syn) {
    for (const std::uint8_t control : all_controls()) {
        for (const std::int64_t acked : {-1, 0, 1, 2}) {
            situation c = segment(state::syn_sent, 0, control);
            c.in_flight = 1;
            c.ack = acked;
            const bool rst = (control & flags::rst) != 0;
            const bool ack = (control & flags::ack) != 0;
            const bool syn = (control & flags::syn) != 0;
            const bool fin = (control & flags::fin) != 0;
            event want{};
            if (ack && acked != 1) {
                want = rst ? event::rx_rst_outside : event::rx_ack_unacceptable;
            } else if (rst) {
                want = ack ? event::rx_rst_refused : event::rx_rst_outside;
            } else if (syn && fin) {
                want = event::rx_syn_fin;
            } else if (syn) {
                want = ack ? event::rx_syn_ack : event::rx_syn;
            } else {
                want = ack ? event::rx_ack_of_syn : event::rx_ack_missing;
            }
            EXPECT_EQ(of(c).what, want) << int{control} << " ack " << acked;
        }
    }
}

TEST(classify, syn_renews_ts_recent_and_its_text_is_left_for_retransmission) {
    situation c = segment(state::syn_sent, 0, flags::syn | flags::ack, 7);
    c.in_flight = 1;
    c.ack = 1;
    c.ts = stamp::older;  // nothing to compare with yet
    const verdict v = of(c);
    EXPECT_TRUE(v.update_ts_recent);
    EXPECT_EQ(v.trim_back, 7u);
    c.st = state::listen;
    c.control = flags::syn;
    EXPECT_TRUE(of(c).update_ts_recent);
}

}  // namespace
}  // namespace lastack::teardown
