// SPDX-License-Identifier: BSD-3-Clause
// One direction of a wire on a virtual clock, that loses, duplicates, delays, reorders and
// corrupts.
//
// A frame's fate is decided by chance when it is sent; it then lies here until its time has come.
// Frames are copied into the receiver's pool on arrival, as a port does, and lost when that is
// empty; or, as net_ring does, the mbuf itself passes to the receiver. Corruption changes one octet
// of an IP packet, which the checksums of IPv4 and TCP always see; ARP has none, so that it, as on
// an Ethernet with its frame check, arrives whole or not at all.
#pragma once

#include <rte_mbuf.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "sim/random.hpp"

namespace lastack::sim {

// Probabilities are of one frame.
struct link_faults {
    double loss = 0;
    double duplicate = 0;
    double corrupt = 0;
    double reorder = 0;
    double port_full = 0;             // the port takes only some of a burst
    duration delay{500};              // of every frame
    duration jitter{0};               // up to so much more, in order
    duration held_back{0};            // up to so much more for a reordered or duplicated frame
    std::uint64_t octets_per_ms = 0;  // 0: no limit
    duration queue{100000};           // with a limit: what would wait longer than this is lost
    bool pass_mbufs = false;
};

class lossy_link {
  public:
    using trace_hook = std::function<void(instant, std::string_view fate, const std::string&)>;

    lossy_link(const link_faults& faults, std::uint64_t seed, rte_mempool* receiver)
        : faults_(faults), chance_(seed), receiver_(receiver) {}
    ~lossy_link();
    lossy_link(const lossy_link&) = delete;
    lossy_link& operator=(const lossy_link&) = delete;

    void set_trace(trace_hook hook) { trace_ = std::move(hook); }
    void set_faults(const link_faults& faults) { faults_ = faults; }

    // As a port's transmit burst: takes over the first n frames and returns n.
    std::uint16_t send(rte_mbuf** frames, std::uint16_t n, instant now);
    bool empty() const { return in_flight_.empty(); }
    std::optional<instant> next_arrival() const;
    // Appends what has arrived.
    void deliver(instant now, std::vector<rte_mbuf*>& into);
    // Corrupted frames that have been delivered.
    std::uint64_t corrupted() const { return corrupted_; }
    std::uint64_t sent() const { return sent_; }

  private:
    struct in_flight {
        std::string octets;
        rte_mbuf* mbuf = nullptr;  // instead, when mbufs pass
        bool spoilt = false;
    };
    void send_one(rte_mbuf* frame, instant now);
    instant arrival(std::size_t octets, instant now);
    bool corrupt(std::string& octets);
    void tell(instant now, std::string_view fate, const std::string& octets) const;

    link_faults faults_;
    random chance_;
    rte_mempool* receiver_;
    trace_hook trace_;
    std::multimap<instant, in_flight> in_flight_;
    instant last_arrival_{};
    instant wire_free_{};
    std::uint64_t corrupted_ = 0;
    std::uint64_t sent_ = 0;
};

}  // namespace lastack::sim
