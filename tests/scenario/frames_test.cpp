// SPDX-License-Identifier: BSD-3-Clause
// Frames that are not what they should be: each is dropped under its own counter.
#include "support/scenario_test.hpp"
#include "wire/checksum.hpp"

namespace lastack::test {
namespace {

struct fixture {
    checked_scenario s;
    remote& r = s.new_remote();
    std::vector<std::uint8_t> syn = r.packet(seg("S"));

    // Changes the frame, and its IP checksum to match.
    void send_with_ip(std::size_t at, std::uint8_t value) {
        auto f = syn;
        f[14 + at] = value;
        f[14 + 10] = f[14 + 11] = 0;
        const auto sum = wire::checksum_of({f.data() + 14, 20});
        store_be16(f.data() + 24, sum);
        s.inject(f);
    }
    void expect(counter c) {
        EXPECT_EQ(s.count(c), 1u);
        EXPECT_EQ(r.heard(), "");
        EXPECT_EQ(s.tcp().syn_records(), 0u);
    }
};

TEST(frames, the_unchanged_frame_is_good) {
    fixture f;
    f.s.inject(f.syn);
    EXPECT_EQ(f.r.heard(), "S. 0:1(0) ack 1");
}

TEST(frames, short_ones) {
    fixture f;
    f.s.inject(std::span{f.syn}.first(13));
    f.expect(counter::drop_frame_short);
}

TEST(frames, other_destinations) {
    fixture f;
    f.syn[5] = 9;
    f.s.inject(f.syn);
    f.expect(counter::drop_not_for_us);
}

TEST(frames, ip_to_a_broadcast_address) {
    fixture f;
    std::fill_n(f.syn.begin(), 6, std::uint8_t{0xff});
    f.s.inject(f.syn);
    f.expect(counter::drop_not_for_us);
}

TEST(frames, vlan_tags) {
    fixture f;
    f.syn[12] = 0x81;
    f.syn[13] = 0;
    f.s.inject(f.syn);
    f.expect(counter::drop_vlan);
}

TEST(frames, other_ethertypes) {
    fixture f;
    f.syn[12] = 0x86;
    f.syn[13] = 0xdd;
    f.s.inject(f.syn);
    f.expect(counter::drop_ethertype);
}

TEST(frames, malformed_arp) {
    fixture f;
    f.syn[13] = 0x06;
    f.s.inject(f.syn);
    f.expect(counter::arp_malformed);
}

TEST(frames, other_addresses) {
    fixture f;
    f.send_with_ip(19, 77);
    f.expect(counter::ip_in_addr_errors);
}

TEST(frames, impossible_sources) {
    fixture f;
    f.send_with_ip(12, 127);
    f.expect(counter::ip_source_invalid);
}

TEST(frames, our_own_address_as_the_source) {
    fixture f;
    f.send_with_ip(15, 2);
    f.expect(counter::ip_source_invalid);
}

TEST(frames, fragments) {
    fixture f;
    f.send_with_ip(6, 0x20);
    f.expect(counter::ip_fragment);
}

TEST(frames, fragments_behind_the_first) {
    fixture f;
    f.send_with_ip(7, 5);
    f.expect(counter::ip_fragment);
}

TEST(frames, a_ttl_of_zero) {
    fixture f;
    f.send_with_ip(8, 0);
    f.expect(counter::ip_ttl_zero);
}

TEST(frames, other_protocols) {
    fixture f;
    f.send_with_ip(9, 17);
    f.expect(counter::ip_protocol_unknown);
}

TEST(frames, a_wrong_ip_checksum) {
    fixture f;
    f.syn[14 + 8] ^= 1;
    f.s.inject(f.syn);
    f.expect(counter::ip_in_checksum);
}

TEST(frames, a_wrong_version) {
    fixture f;
    f.send_with_ip(0, 0x55);
    f.expect(counter::ip_in_hdr_errors);
}

TEST(frames, a_total_length_beyond_the_frame) {
    fixture f;
    f.send_with_ip(2, 2);
    f.expect(counter::ip_in_hdr_errors);
}

TEST(frames, a_wrong_tcp_checksum) {
    fixture f;
    f.syn[14 + 20 + 15] ^= 1;
    f.s.inject(f.syn);
    f.expect(counter::tcp_in_csum_errors);
}

TEST(frames, an_impossible_data_offset) {
    fixture f;
    auto* tcp = f.syn.data() + 34;
    const std::size_t octets = f.syn.size() - 34;
    tcp[12] = 0x10;
    store_be16(tcp + 16, 0);
    auto sum =
        wire::tcp_pseudo_header(peer_address, stack_address, static_cast<std::uint32_t>(octets));
    sum.add({tcp, octets});
    store_be16(tcp + 16, sum.value());
    f.s.inject(f.syn);
    f.expect(counter::tcp_in_errs);
}

TEST(frames, ethernet_padding_is_not_text) {
    checked_scenario s;
    remote& r = s.make_established();
    auto f = r.packet(seg("P.").text("abc"));
    f.resize(60, 0xee);
    s.inject(f);
    EXPECT_EQ(s.receive(r.id), "abc");
}

TEST(frames, payload_may_be_chained_and_headers_may_not) {
    checked_scenario s;
    remote& r = s.make_established();
    const auto f = r.packet(seg("P.").text(octets(900)));
    const auto chained = [&](std::size_t first) {
        rte_mbuf* head = make_frame(s.pools().data, std::span{f}.first(first));
        rte_mbuf* next = make_frame(s.pools().data, std::span{f}.subspan(first, 300));
        rte_mbuf* last = make_frame(s.pools().data, std::span{f}.subspan(first + 300));
        rte_pktmbuf_chain(next, last);
        rte_pktmbuf_chain(head, next);
        return head;
    };
    s.inject(chained(40));
    EXPECT_EQ(s.count(counter::tcp_header_chained), 1u);
    EXPECT_EQ(s.calls().unread(r.id).value(), 0u);
    s.inject(chained(54));
    s.inject(chained(100));  // the same again: a duplicate
    EXPECT_EQ(s.receive(r.id), octets(900));
    // Chained text out of order, overlapping at both ends.
    const auto g = r.packet(seg("P.").seq(1101).text(octets(1200, 1100)));
    rte_mbuf* head = make_frame(s.pools().data, std::span{g}.first(60));
    rte_pktmbuf_chain(head, make_frame(s.pools().data, std::span{g}.subspan(60)));
    s.inject(head);
    r.send(seg("P.").seq(901).text(octets(300, 900)));
    EXPECT_EQ(s.receive(r.id), octets(1400, 900));
}

TEST(frames, a_hook_may_take_what_is_not_ours) {
    fixture f;
    int taken = 0;
    f.s.core().set_foreign({[](void* n, rte_mbuf* m) {
                                ++*static_cast<int*>(n);
                                rte_pktmbuf_free(m);
                                return true;
                            },
                            &taken});
    f.send_with_ip(9, 17);
    f.send_with_ip(19, 77);
    EXPECT_EQ(taken, 2);
    EXPECT_EQ(f.s.count(counter::ip_protocol_unknown), 0u);
}

TEST(frames, what_the_port_does_not_take_goes_out_later) {
    checked_scenario s;
    remote& r = s.make_established();
    s.port_takes = 3;
    s.send(r.id, octets(14600));
    std::string all;
    for (const auto& h : r.heard_segments()) {
        all += h.text;
    }
    EXPECT_EQ(all, octets(14600));
}

// The scenario's port completes as a port does, and complains where that comes out wrong.
TEST(frames, a_port_that_completes_checksums_finds_what_it_needs) {
    for (const bool chained : {false, true}) {
        scenario_options o;
        o.link.checksum_tx = true;
        o.link.multi_segment_tx = chained;
        o.settings.tcp_fastopen = 1;
        checked_scenario s{o};
        remote& r = s.make_established();
        s.send(r.id, "abc");
        EXPECT_EQ(r.heard(), "P. 1:4(3) ack 1");
        r.send(seg("."));
        s.send(r.id, octets(1001));
        EXPECT_EQ(r.heard(), "P. 4:1005(1001) ack 1");
        r.send(seg(".").seq(11).text("gap"));
        EXPECT_EQ(r.heard(), ". 1005:1005(0) ack 1 sack 11:14");
        s.shutdown(r.id, shutdown_how::write);
        EXPECT_EQ(r.heard(), "F. 1005:1006(0) ack 1 sack 11:14");
        connect_options fast;
        fast.fast_open = true;
        EXPECT_EQ(s.make_syn_sent({}, fast).heard(), "S 0:1(0) FO");
    }
}

}  // namespace
}  // namespace lastack::test
