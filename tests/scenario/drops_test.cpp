// SPDX-License-Identifier: BSD-3-Clause
// Every segment that goes no further is counted by what was found.
#include "support/scenario_test.hpp"
#include "teardown/names.hpp"

namespace lastack::test {
namespace {

class drops : public ::testing::Test {
  protected:
    // What was dropped since the last call, by name; "" for nothing.
    std::string fresh() {
        std::string names;
        const auto& now = s.tcp().drops();
        for (std::size_t i = 0; i < now.size(); ++i) {
            for (; seen_[i] < now[i]; ++seen_[i]) {
                names += std::string(names.empty() ? "" : " ") +
                         std::string(teardown::event_rows[i].name);
            }
        }
        return names;
    }
    checked_scenario s;

  private:
    std::array<std::uint64_t, teardown::event_count> seen_{};
};

TEST_F(drops, of_a_connection) {
    remote& r = s.make_established();
    r.send(seg("P.").text("abc"));
    EXPECT_EQ(fresh(), "");
    r.send(seg("P.").seq(1).text("abc"));
    EXPECT_EQ(fresh(), "rx_out_of_window");
    r.send(seg("R").seq(r.next_seq - 10));
    EXPECT_EQ(fresh(), "rx_rst_outside");
    r.send(seg("R").seq(r.next_seq + 10));
    EXPECT_EQ(fresh(), "rx_rst_in_window");
    r.send(seg("S").seq(r.next_seq));
    EXPECT_EQ(fresh(), "rx_syn");
    r.send(seg("P").seq(r.next_seq).text("x"));
    EXPECT_EQ(fresh(), "rx_ack_missing");
    r.send(seg(".").seq(r.next_seq).ack(1000));
    EXPECT_EQ(fresh(), "rx_ack_unsent");
}

TEST_F(drops, of_nobodys_segments) {
    remote& r = s.new_remote({}, 81);
    r.send(seg("S"));
    EXPECT_EQ(fresh(), "rx_syn");
    r.send(seg("R").seq(5));
    EXPECT_EQ(fresh(), "rx_rst_outside");
    r.send(seg(".").seq(5).ack(7));
    EXPECT_EQ(fresh(), "rx_ack_unacceptable");
}

TEST_F(drops, of_a_listener_and_a_handshake) {
    remote& r = s.new_remote();
    r.send(seg("SF").seq(0));
    EXPECT_EQ(fresh(), "rx_syn_fin");
    r.send(seg("S").seq(0));
    EXPECT_EQ(fresh(), "");
    r.send(seg(".").seq(1).ack(1000));
    EXPECT_EQ(fresh(), "rx_ack_unacceptable");
    r.send(seg("S").seq(0));
    EXPECT_EQ(fresh(), "rx_syn");
}

TEST_F(drops, of_time_wait) {
    remote& r = s.make_time_wait();
    r.send(seg("F.").seq(1));
    r.send(seg(".").seq(2));
    EXPECT_EQ(fresh(), "");  // the peer's FIN again, and a pure ACK: understood
    r.send(seg("S").seq(-50));
    EXPECT_EQ(fresh(), "rx_syn");
    r.send(seg("P.").seq(-50).text("old"));
    EXPECT_EQ(fresh(), "rx_old_duplicate");
    r.send(seg("R").seq(99));
    EXPECT_EQ(fresh(), "rx_rst_outside");
    r.send(seg("R").seq(2));
    EXPECT_EQ(fresh(), "rx_rst_in_window");
}

TEST_F(drops, of_syn_sent) {
    remote& r = s.make_syn_sent();
    r.send(seg("R").seq(0));
    EXPECT_EQ(fresh(), "rx_rst_outside");
    r.send(seg("S.").seq(0).ack(1000));
    EXPECT_EQ(fresh(), "rx_ack_unacceptable");
    r.send(seg("S.").seq(0));
    EXPECT_EQ(fresh(), "");
}

}  // namespace
}  // namespace lastack::test
