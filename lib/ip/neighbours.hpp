// SPDX-License-Identifier: BSD-3-Clause
// Neighbours: which Ethernet address an on-link IPv4 address has (RFC 826), and the packets that
// wait until it is known.
//
// Life of an entry:
//   incomplete  asked by broadcast, 3 times 1 s apart; up to 4 packets wait; then it has failed
//   reachable   it answered us within the last 30 to 60 s
//   stale       the address is believed and used, but the next use asks again
//   probing     in use while it is asked by unicast, 3 times 1 s apart; then the entry is dropped
// An entry that was not used for 10 minutes is dropped.
//
// What a stranger may do. An entry is made only because we wanted to send, or because somebody
// asked for an address of ours; anything overheard (an announcement, a request for a third party)
// changes entries that exist, as RFC 826 wants for a host that moved. Only the answer to our own
// question makes an entry reachable: any other change of its Ethernet address leaves it stale, so
// that its next use asks the new holder. An answer that we did not ask for, and one to a unicast
// probe from anybody but the probed, are ignored. ARP has no more to offer against a liar on the
// link.
//
// Bounds. Everything is allocated by the constructor. Half of the entries at most are incomplete,
// so that a flood of SYNs from made-up on-link addresses cannot keep the gateway out; a full table
// gives up stale entries. Packets that wait are bounded each and in all. Packets are opaque here.
//
// Cost: lookup is one hash and about one probe. Deadlines lie in an array of their own, 8 octets an
// entry, swept by poll() only when one is due, 10 ms apart at least, within a budget.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "base/time.hpp"
#include "lastack/address.hpp"

struct rte_mbuf;

namespace lastack::ip {

inline constexpr std::size_t neighbour_packets_max = 4;  // waiting for one neighbour
inline constexpr std::uint8_t neighbour_requests_max = 3;
inline constexpr duration neighbour_retry = seconds{1};
inline constexpr duration neighbour_reachable_min = seconds{30};  // up to twice as long
inline constexpr duration neighbour_idle = seconds{600};

struct neighbour_limits {
    std::uint16_t entries = 1024;       // at most 32768
    std::uint16_t packets_held = 1024;  // for all neighbours together
};

// How we came to know an Ethernet address; see above for what each may do.
enum class arp_evidence : std::uint8_t {
    reply_to_us,     // an ARP reply to an address of ours
    request_for_us,  // an ARP request for an address of ours
    overheard,       // an announcement, or a request for somebody else
};

// Packets given back: the holder owns them again.
struct held_packets {
    std::array<rte_mbuf*, neighbour_packets_max> packets{};
    std::uint8_t count = 0;
    std::span<rte_mbuf* const> view() const { return {packets.data(), count}; }
};

struct hold_result {
    rte_mbuf* dropped = nullptr;  // to be freed and counted (arp_queue_full); may be the new one
    bool send_request = false;    // broadcast an ARP request now
};

struct neighbour_event {
    enum class kind : std::uint8_t {
        broadcast_request,
        unicast_request,  // to `mac`
        failed,           // nobody answered; `packets` are the caller's again
    };
    kind what = kind::failed;
    ipv4_address address{};
    mac_address mac{};
    held_packets packets{};
};

class neighbour_table {
  public:
    neighbour_table(neighbour_limits limits, std::uint64_t hash_key);

    // The Ethernet address to send to, or nullptr when it is not known: then hold(). The pointer is
    // good until the next call that changes the table.
    const mac_address* lookup(ipv4_address next_hop, instant now);

    // Keeps a packet until `next_hop` is known and owns it meanwhile; the oldest gives way.
    // Precondition: lookup(next_hop, now) gave nullptr.
    hold_result hold(ipv4_address next_hop, rte_mbuf* packet, instant now);

    // What went to `next_hop` seems not to have arrived: if it is believed, its next use asks
    // again.
    void doubt(ipv4_address next_hop);

    // Takes in what an ARP packet says of its sender; gives back the packets that can now be sent
    // to `mac`. Preconditions, which judge_arp() ensures: the address is on-link, neither ours nor
    // a broadcast; `mac` is neither multicast nor zero.
    held_packets learned(ipv4_address address, const mac_address& mac, arp_evidence evidence,
                         instant now);

    // Does what is due and calls sink(const neighbour_event&) for each request to send and each
    // neighbour that failed. Looks at up to `budget` entries; true when more is left.
    template <class Sink>
    [[nodiscard]] bool poll(instant now, std::uint32_t budget, Sink&& sink) {
        while (const auto event = next_event(now, budget)) {
            sink(*event);
        }
        return sweeping_;
    }

    // When poll() may have something to do; instant_never when nothing is pending.
    instant next_deadline() const { return sweeping_ ? sweep_started_ : next_sweep_; }

    // Gives every packet that waits to release(rte_mbuf*) and forgets all entries.
    template <class Release>
    void clear(Release&& release) {
        for (std::uint16_t slot = 0; slot < entries_.size(); ++slot) {
            if (entries_[slot].state != phase::free) {
                const held_packets held = take_packets(entries_[slot]);
                for (rte_mbuf* packet : held.view()) {
                    release(packet);
                }
                erase(slot);
            }
        }
    }

    std::size_t size() const { return entries_.size() - free_.size(); }
    std::size_t packets_held() const { return packets_held_; }

    static constexpr instant instant_never{std::numeric_limits<std::int64_t>::max()};

  private:
    enum class phase : std::uint8_t { free, incomplete, reachable, stale, probing };
    struct entry {
        instant last_used{};
        ipv4_address address{};
        mac_address mac{};
        phase state = phase::free;
        std::uint8_t requests_sent = 0;
        held_packets held{};
    };

    std::optional<neighbour_event> next_event(instant now, std::uint32_t& budget);
    std::optional<neighbour_event> expire(std::uint16_t slot, instant now);
    std::optional<neighbour_event> retry(std::uint16_t slot, instant now);
    void start_probing(std::uint16_t slot, instant now);
    void become_reachable(std::uint16_t slot, instant now);
    void become_stale(std::uint16_t slot);
    held_packets take_packets(entry& e);
    void set_deadline(std::uint16_t slot, instant at);

    std::optional<std::uint16_t> find(ipv4_address address) const;
    std::optional<std::uint16_t> insert(ipv4_address address, instant now);
    void erase(std::uint16_t slot);
    bool evict_stale();
    std::size_t home(ipv4_address address) const;

    std::vector<entry> entries_;
    std::vector<instant> deadlines_;    // by slot; instant_never for a free one
    std::vector<std::uint16_t> index_;  // open addressing: slot + 1, or 0
    std::vector<std::uint16_t> free_;   // slots
    std::uint64_t hash_key_;
    std::size_t packets_held_max_;
    std::size_t packets_held_ = 0;
    std::size_t incomplete_ = 0;
    std::size_t evict_hand_ = 0;
    instant next_sweep_ = instant_never;
    instant sweep_started_{};
    instant sweep_earliest_ = instant_never;  // of the deadlines seen or set during this sweep
    std::size_t sweep_at_ = 0;
    bool sweeping_ = false;
};

}  // namespace lastack::ip
