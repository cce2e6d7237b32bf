// SPDX-License-Identifier: BSD-3-Clause
// One real stack on a virtual clock, and a scripted peer on the other end of its wire.
//
// A test reads like a dialogue. The peer says a segment and the stack takes a turn at once; what
// the stack answered is read back as text, in packetdrill's form and relative to both ISNs:
//
//   scenario s;
//   remote& r = s.make_established();
//   r.send(seg("F."));
//   EXPECT_EQ(r.heard(), ". 1:1(0) ack 2");
//
// "F. 1:6(4) ack 1" is FIN,ACK over octets 1 to 4 and the FIN; "S 0:6(5) FO cook" a SYN with text
// and Fast Open's cookie "cook". heard() gives all segments since it
// was last asked, joined by "; ", and "" for silence. Time moves in advance() only, from deadline
// to deadline, so that nothing due is late. The peer answers ARP, and acknowledges nothing unless
// told to. Checksums of all that the stack sends are verified. finish() says what is wrong at the
// end: mbufs that leaked, counts that do not add up.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lastack/local_stack.hpp"
#include "stack/core.hpp"
#include "support/environment.hpp"
#include "wire/arp.hpp"
#include "wire/ipv4.hpp"
#include "wire/tcp.hpp"

namespace lastack::test {

using namespace std::chrono_literals;

inline constexpr ipv4_address stack_address{0x0a000002};  // 10.0.0.2/24
inline constexpr ipv4_address stack_address_2{0x0a000003};
inline constexpr ipv4_address peer_address{0x0a000001};  // 10.0.0.1
inline constexpr ipv4_address gateway_address{0x0a0000fe};
inline constexpr mac_address stack_mac{{0x02, 0, 0, 0, 0, 2}};
inline constexpr mac_address peer_mac{{0x02, 0, 0, 0, 0, 1}};
inline constexpr std::uint16_t listen_port = 80;

// What the peer says. Sequence numbers are relative to the peer's ISN, ACK numbers to the stack's;
// those that are not given are the next in order.
struct seg {
    explicit seg(std::string_view letters) : flags(letters) {}
    seg& seq(std::int64_t relative) {
        seq_ = relative;
        return *this;
    }
    seg& ack(std::int64_t relative) {
        ack_ = relative;
        return *this;
    }
    seg& text(std::string octets) {
        text_ = std::move(octets);
        return *this;
    }
    seg& window(std::uint16_t unscaled) {
        window_ = unscaled;
        return *this;
    }
    seg& ts(std::uint32_t tsval, std::uint32_t tsecr = 0) {
        ts_ = {tsval, tsecr};
        return *this;
    }
    seg& no_ts() {
        no_ts_ = true;
        return *this;
    }
    seg& sack(std::int64_t left, std::int64_t right) {
        sack_.push_back({left, right});
        return *this;
    }
    // RFC 7413: a SYN-ACK's cookie.
    seg& fast_open(std::string cookie) {
        fast_open_ = std::move(cookie);
        return *this;
    }

    std::string flags;  // of "SFRP." ('.' is ACK)
    std::optional<std::int64_t> seq_;
    std::optional<std::int64_t> ack_;
    std::string text_;
    std::optional<std::uint16_t> window_;
    std::optional<std::pair<std::uint32_t, std::uint32_t>> ts_;
    bool no_ts_ = false;
    std::vector<std::pair<std::int64_t, std::int64_t>> sack_;
    std::optional<std::string> fast_open_;
};

// What the stack said.
struct heard_segment {
    instant at{};
    wire::ipv4_header ip{};
    wire::tcp_segment tcp{};
    std::string text;
    std::optional<std::string> fast_open{};  // the option's value; "" asks for a cookie
};

struct peer_options {
    bool timestamps = false;
    bool sack = true;
    int wscale = 7;  // -1: none
    std::uint16_t mss = 1460;
    std::uint16_t window = 65535;  // of every segment that does not say another
};

class scenario;

// One connection from the peer's side.
class remote {
  public:
    remote(scenario& s, std::uint16_t port, std::uint16_t stack_port, const peer_options& o);
    remote(const remote&) = delete;
    remote& operator=(const remote&) = delete;

    // Says it, and the stack takes a turn. A segment whose sequence number is not given moves
    // `next_seq` on.
    void send(const seg& s);
    // As an mbuf that the caller puts on the wire.
    std::vector<std::uint8_t> packet(const seg& s);
    // All that was heard since the last call, as text.
    std::string heard();
    std::vector<heard_segment> heard_segments();
    const heard_segment& last() const { return last_; }
    std::string describe(const heard_segment& h) const;

    conn_id id{};                // the stack's handle, once `opened` was told
    std::uint32_t iss;           // the peer's
    std::uint32_t irs = 0;       // the stack's, once heard
    std::uint32_t next_seq = 0;  // relative; octets the peer has sent, SYN and FIN included
    std::uint32_t next_ack = 0;  // relative; octets it has received in order
    std::uint32_t ts_recent = 0;
    std::uint32_t ts_clock = 0;  // the peer's TSval is its milliseconds plus this
    peer_options options;
    std::uint16_t port;
    std::uint16_t stack_port;

  private:
    friend class scenario;
    void hear(heard_segment h);
    scenario& scenario_;
    bool irs_known_ = false;
    std::deque<heard_segment> heard_;
    heard_segment last_{};
};

struct scenario_options {
    config::settings settings = small_settings();
    pool_sizes pools{};
    stack::link link = plain_link();
    bool use_gateway = false;
    bool answer_arp = true;
    bool introduce = true;        // the peer's address is known from the start
    listen_options listening{};   // of the listener on port 80
    bool second_address = false;  // the stack has stack_address_2 too
    teardown::cap_place caps{};
    instant start{std::int64_t{1000} * 1000000};
    std::array<std::uint64_t, 2> secret{0x0123456789abcdef, 0xfedcba9876543210};
    const flow::flow_owner* owners = nullptr;
    unsigned worker = 0;

    static config::settings small_settings();
    static stack::link plain_link();
};

class scenario {
  public:
    explicit scenario(const scenario_options& o = {});
    virtual ~scenario();
    scenario(const scenario&) = delete;
    scenario& operator=(const scenario&) = delete;

    stack::core& core() { return *core_; }
    local_stack calls() { return core_->calls(); }
    tcp::engine& tcp() { return core_->tcp(); }
    instant now() const { return now_; }
    std::uint64_t count(counter c) const { return core_->counters().get(c); }
    std::uint64_t in_state(teardown::state s) const;
    std::uint64_t ended(close_outcome o) const;
    // The connection's state; `closed` when there is none behind the handle.
    teardown::state state_of(conn_id id) const;
    const stack::pools& pools() const { return pools_.get(); }

    void turn();
    void advance(duration d);
    // Puts a frame on the wire and takes a turn. Takes the mbuf over.
    void inject(rte_mbuf* frame);
    void inject(std::span<const std::uint8_t> frame);
    void inject_icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest,
                     std::span<const std::uint8_t> body, ipv4_address from = gateway_address);
    void inject_arp(const wire::arp_packet& packet);

    // Connections in each state, opened by the peer towards the stack's listener on port 80.
    remote& new_remote(const peer_options& o = {}, std::uint16_t stack_port = listen_port);
    remote& make_syn_received(const peer_options& o = {});
    remote& make_established(const peer_options& o = {});
    remote& make_fin_wait_1(const peer_options& o = {});
    remote& make_fin_wait_2(const peer_options& o = {});  // by shutdown: the application stays
    remote& make_orphan_fin_wait_2(const peer_options& o = {});
    remote& make_closing(const peer_options& o = {});
    remote& make_close_wait(const peer_options& o = {});
    remote& make_last_ack(const peer_options& o = {});
    remote& make_time_wait(const peer_options& o = {});
    // Opened by the stack.
    remote& make_syn_sent(const peer_options& o = {}, const connect_options& c = {});
    remote& make_connected(const peer_options& o = {});

    // Calls that take effect at once.
    std::size_t send(conn_id id, std::string_view text);
    std::string receive(conn_id id);  // all there is
    void close(conn_id id, completion c = completion::event);
    void abort(conn_id id, completion c = completion::event);
    void shutdown(conn_id id, shutdown_how how);
    // What was told of the connection since the last call: "opened readable peer_closed
    // ended:clean_active"; each word as often as it was told.
    std::string events(conn_id id);
    // Called for each event as the application would be, before output.
    std::function<void(const event&)> on_event;

    std::vector<wire::arp_packet> heard_arp();
    std::vector<std::string> heard_other();  // frames neither ARP nor TCP for a known remote
    // "": all is well. Ends the stack.
    std::string finish();
    listener_id listener() const { return listener_; }

    scenario_options options;
    std::uint16_t port_takes = 0xffff;  // frames the port takes a turn

  private:
    friend class remote;
    static std::uint16_t transmit(void* self, rte_mbuf** frames, std::uint16_t n);
    std::string as_sent(const rte_mbuf& m);
    void hear(const std::string& frame);
    void take_events();
    void one_turn(std::span<rte_mbuf* const> frames);
    void complain(const std::string& what) { problems_ += what + "; "; }

    test_pools pools_;
    std::unique_ptr<stack::core> core_;
    instant now_;
    listener_id listener_{};
    std::deque<std::unique_ptr<remote>> remotes_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::string> events_;
    std::vector<wire::arp_packet> arps_;
    std::vector<wire::arp_packet> arps_to_answer_;
    std::vector<std::string> others_;
    std::string problems_;
    std::uint16_t next_port_ = 40000;
    std::uint16_t port_room_ = 0;
};

// Ethernet and IPv4 around a payload.
std::vector<std::uint8_t> ip_frame(const wire::ipv4_header& ip,
                                   std::span<const std::uint8_t> payload,
                                   const mac_address& to = stack_mac,
                                   const mac_address& from = peer_mac);

}  // namespace lastack::test
