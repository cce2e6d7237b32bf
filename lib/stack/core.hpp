// SPDX-License-Identifier: BSD-3-Clause
// One lcore's stack: frames in, frames out, events for the application.
//
//   input(frames, now)   parse -> hash, prefetch -> look up -> tcp, ARP, ICMP
//   run_timers(now)      wheel, TIME_WAIT lanes, neighbours; budgeted, says when more is left
//   take_events()        what happened to the application's connections; it answers with calls
//   output(now)          what the calls and the segments of this turn made due: data, ACK, FIN
//
// A turn is these four in this order with one reading of the clock, so that an answer, the ACK and
// the FIN share a segment. Nothing here reads a clock, and nothing outside this lcore touches it.
// A virtual clock drives it in tests: next_deadline() says how far it may be turned.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/counters.hpp"
#include "base/region.hpp"
#include "base/time.hpp"
#include "config/settings.hpp"
#include "flow/flow_owner.hpp"
#include "ip/neighbours.hpp"
#include "ip/path_mtu.hpp"
#include "ip/routes.hpp"
#include "lastack/address.hpp"
#include "lastack/event.hpp"
#include "lastack/local_stack.hpp"
#include "lastack/result.hpp"
#include "tcp/engine.hpp"
#include "teardown/state.hpp"
#include "wire/arp.hpp"

struct rte_mbuf;
struct rte_mempool;
struct rte_mempool_cache;

namespace lastack::stack {

// Where mbufs come from. `data`: received frames and payload (RTE_PKTMBUF_HEADROOM + 2 KiB).
// `control`: a small pool of its own for headers of ACK, FIN, RST, SYN, ARP, so that a connection
// can always end. `indirect`: no data room; payload sent by reference.
struct pools {
    rte_mempool* data = nullptr;
    rte_mempool* control = nullptr;
    rte_mempool* indirect = nullptr;
    // Of the lcore that runs the stack; none: any thread may, by the pools themselves.
    rte_mempool_cache* data_cache = nullptr;
    rte_mempool_cache* control_cache = nullptr;
};

// What the port can do.
struct link {
    mac_address mac{};
    std::uint16_t mtu = 1500;       // octets of IP packet
    bool multi_segment_tx = false;  // else frames are sent in one mbuf
    bool checksum_tx = false;       // port computes TCP checksums
    bool checksum_rx = false;       // port verifies them (ol_flags say so per mbuf)
};

struct core_config {
    link port;
    std::vector<ipv4_prefix> addresses;  // the stack's own, at least one
    std::optional<ipv4_address> gateway;
    config::settings settings;
    pools memory;
    page_size pages = page_size::huge;
    teardown::cap_place caps{};             // among the stacks that share the process's caps
    std::array<std::uint64_t, 2> secret{};  // keys the hashes, ISNs and timestamp offsets
    // Where a port is shared by workers: who gets which connection, and which worker this is.
    const flow::flow_owner* owners = nullptr;
    unsigned worker = 0;
};

// Gives up to n frames to the port; returns how many it took (those are no longer the caller's).
struct transmit_hook {
    std::uint16_t (*send)(void* context, rte_mbuf** frames, std::uint16_t n) = nullptr;
    void* context = nullptr;
};

struct state_counts {
    // Connections by state; SYN_RECEIVED counts the compact records too, TIME_WAIT and FIN_WAIT_2
    // the compact records of closed connections too.
    std::array<std::uint64_t, teardown::state_count> by_state{};
    std::uint64_t orphans = 0;           // closed by the application, not yet ended, not records
    std::uint64_t time_wait_parked = 0;  // included in TIME_WAIT
    std::uint64_t sockets = 0;           // handles the application holds
    std::uint64_t mbufs_held = 0;        // in send, receive and reassembly queues
};

class core {
  public:
    // Reserves everything the stack will ever use. Error: what was asked for, and what to lower.
    // The clock starts at `now`.
    static result<std::unique_ptr<core>, std::string> make(const core_config&, instant now);
    ~core();
    core(const core&) = delete;
    core& operator=(const core&) = delete;

    void set_transmit(transmit_hook hook) { transmit_ = hook; }
    void set_foreign(foreign_frame_hook hook) { foreign_ = hook; }

    // Takes over the frames.
    void input(std::span<rte_mbuf* const> frames, instant now);
    // Returns true when the budget ended before the due work did.
    bool run_timers(instant now);
    // The events of this turn; valid until the next call. Taking `opened` accepts a connection.
    std::span<const event> take_events();
    // Sends what is due and hands it to the transmit hook. Returns true when more is left.
    bool output(instant now);

    // output() or take_events() has something to do.
    bool has_work() const { return tcp_->has_work() || tx_count_ > 0; }
    // The earliest instant at which a turn may have something to do without a frame or a call.
    instant next_deadline() const;
    local_stack calls() { return local_stack{*this}; }

    // No listener, no connect() from now on. Then every connection gets the FIN that close() would
    // send behind what is queued (drain), or is reset. Not for the packet path.
    void stop_listening() { tcp_->stop_listening(); }
    void drain() { tcp_->drain(); }
    void reset_all() { tcp_->reset_all(); }
    // No connection, no SYN_RECEIVED record and no frame to send is left (TIME_WAIT may be).
    bool idle() const;

    const counter_set& counters() const { return tcp_->counters(); }
    // Everything but mbufs_held, at no cost.
    state_counts counts() const;
    // Walks the queues to count mbufs: not for the packet path.
    state_counts states() const;
    const std::array<std::uint64_t, close_outcome_count>& outcomes() const {
        return tcp_->outcomes();
    }
    const config::settings& settings() const { return tcp_->settings(); }
    // Between turns (tcp/engine.hpp).
    void apply_settings(const config::settings& s) { tcp_->apply_settings(s); }
    tcp::engine& tcp() { return *tcp_; }
    const tcp::engine& tcp() const { return *tcp_; }

  private:
    static constexpr std::size_t burst_max = 64;
    static constexpr std::size_t tx_max = 512;
    static constexpr std::uint32_t timer_budget = 512;     // expiries a turn
    static constexpr std::uint32_t neighbour_budget = 64;  // entries a turn
    static constexpr std::size_t events_max = 256;         // a turn

    explicit core(const core_config&);

    // ingress.cpp
    void input_burst(std::span<rte_mbuf* const> frames);
    bool parse_frame(rte_mbuf* frame, tcp::arrival& into);
    bool parse_packet(rte_mbuf* frame, std::span<const std::uint8_t> front, tcp::arrival& into);
    [[gnu::cold]] void arp_input(rte_mbuf* frame);
    [[gnu::cold]] void icmp_input(rte_mbuf* frame, std::uint16_t at, std::uint32_t octets);
    [[gnu::cold]] void drop(rte_mbuf* frame, counter why);
    [[gnu::cold]] void not_ours(rte_mbuf* frame, counter why);

    // egress.cpp
    void send_packets(std::span<rte_mbuf* const> packets);
    void send_packet(rte_mbuf* packet);
    void send_frame(rte_mbuf* packet, const mac_address& to);
    [[gnu::cold]] void send_arp(const wire::arp_packet& packet);
    [[gnu::cold]] void announce();
    [[gnu::cold]] void neighbour_due(const ip::neighbour_event& e);
    void queue_frame(rte_mbuf* frame);
    void flush_frames();

    core_config config_;
    transmit_hook transmit_{};
    foreign_frame_hook foreign_{};
    std::unique_ptr<tcp::engine> tcp_;
    ip::route_table routes_;
    ip::neighbour_table neighbours_;
    ip::path_mtu_cache path_mtus_;
    instant now_{};
    bool announced_ = false;
    // Where packets went lately: an entry is good for the millisecond in which it was made, so that
    // a neighbour is seen in use and one that has moved is followed, and not after `forget_hops()`.
    // A loaded server answers some hundred hosts in a millisecond.
    static constexpr unsigned hop_bits = 8;
    struct hop {
        ipv4_address destination{};
        tick made{};
        mac_address mac{};
        std::uint16_t epoch = 0;
    };
    hop& hop_of(ipv4_address destination) {
        return hops_[(destination.bits * 0x9e3779b1u) >> (32 - hop_bits)];
    }
    void forget_hops() { ++hop_epoch_; }
    std::uint16_t hop_epoch_ = 1;
    std::array<hop, 1u << hop_bits> hops_{};

    std::array<tcp::arrival, burst_max> arrivals_{};
    std::array<event, events_max> events_{};
    std::array<rte_mbuf*, tx_max> tx_{};
    std::size_t tx_count_ = 0;
};

}  // namespace lastack::stack
