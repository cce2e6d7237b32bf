// SPDX-License-Identifier: BSD-3-Clause
// The neighbour table. See neighbours.hpp for the model.
#include "ip/neighbours.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.hpp"
#include "ip/address_hash.hpp"

namespace lastack::ip {

namespace {

constexpr duration sweep_gap = milliseconds{10};
constexpr std::size_t evict_looks_max = 16;

}  // namespace

neighbour_table::neighbour_table(neighbour_limits limits, std::uint64_t hash_key)
    : entries_(limits.entries),
      deadlines_(limits.entries, instant_never),
      index_(std::bit_ceil(std::size_t{limits.entries} * 2)),
      hash_key_(hash_key),
      packets_held_max_(limits.packets_held) {
    LASTACK_ASSERT(limits.entries >= 2 && limits.entries <= 32768);
    free_.reserve(limits.entries);
    for (std::size_t slot = limits.entries; slot-- != 0;) {
        free_.push_back(static_cast<std::uint16_t>(slot));
    }
}

const mac_address* neighbour_table::lookup(ipv4_address next_hop, instant now) {
    const auto slot = find(next_hop);
    if (!slot) {
        return nullptr;
    }
    entry& e = entries_[*slot];
    if (e.state == phase::incomplete) {
        return nullptr;
    }
    e.last_used = now;
    if (e.state == phase::stale) {
        start_probing(*slot, now);
    }
    return &e.mac;
}

hold_result neighbour_table::hold(ipv4_address next_hop, rte_mbuf* packet, instant now) {
    hold_result out;
    auto slot = find(next_hop);
    if (!slot) {
        // Without a place to wait in there is no use in asking.
        if (incomplete_ >= entries_.size() / 2 || packets_held_ >= packets_held_max_) {
            return {packet, false};
        }
        slot = insert(next_hop, now);
        if (!slot) {
            return {packet, false};
        }
        entries_[*slot].state = phase::incomplete;
        entries_[*slot].requests_sent = 1;
        ++incomplete_;
        set_deadline(*slot, now + neighbour_retry);
        out.send_request = true;
    }
    entry& e = entries_[*slot];
    LASTACK_ASSERT(e.state == phase::incomplete);
    e.last_used = now;
    held_packets& held = e.held;
    if (held.count == neighbour_packets_max) {
        out.dropped = held.packets[0];
        std::shift_left(held.packets.begin(), held.packets.end(), 1);
        held.packets.back() = packet;
        return out;
    }
    if (packets_held_ >= packets_held_max_) {
        out.dropped = packet;
        return out;
    }
    held.packets[held.count++] = packet;
    ++packets_held_;
    return out;
}

held_packets neighbour_table::learned(ipv4_address address, const mac_address& mac,
                                      arp_evidence evidence, instant now) {
    auto slot = find(address);
    if (!slot) {
        // RFC 826: the table gains an entry only when the packet was for us; a reply that we did
        // not ask for is not worth one.
        if (evidence == arp_evidence::request_for_us && (slot = insert(address, now))) {
            entries_[*slot].mac = mac;
            become_stale(*slot);
        }
        return {};
    }
    entry& e = entries_[*slot];
    const bool same = e.mac == mac;
    switch (e.state) {
        case phase::incomplete:
            e.mac = mac;
            --incomplete_;
            if (evidence == arp_evidence::reply_to_us) {
                become_reachable(*slot, now);
            } else {
                become_stale(*slot);
            }
            return take_packets(e);
        case phase::probing:
            if (evidence == arp_evidence::reply_to_us) {
                if (same) {
                    become_reachable(*slot, now);
                }
                return {};
            }
            break;
        case phase::reachable:
        case phase::stale:
            if (evidence == arp_evidence::reply_to_us) {
                return {};
            }
            break;
        case phase::free:
            LASTACK_ASSERT(false);
    }
    if (!same) {
        e.mac = mac;
        become_stale(*slot);
    }
    return {};
}

void neighbour_table::doubt(ipv4_address next_hop) {
    const auto slot = find(next_hop);
    if (slot && entries_[*slot].state == phase::reachable) {
        become_stale(*slot);
    }
}

std::optional<neighbour_event> neighbour_table::next_event(instant now, std::uint32_t& budget) {
    if (!sweeping_) {
        if (now < next_sweep_) {
            return std::nullopt;
        }
        sweeping_ = true;
        sweep_started_ = now;
        sweep_earliest_ = instant_never;
        sweep_at_ = 0;
    }
    for (; sweep_at_ < deadlines_.size(); ++sweep_at_) {
        if (budget == 0) {
            return std::nullopt;
        }
        --budget;
        const auto slot = static_cast<std::uint16_t>(sweep_at_);
        if (now < deadlines_[slot]) {
            sweep_earliest_ = std::min(sweep_earliest_, deadlines_[slot]);
        } else if (auto event = expire(slot, now)) {
            return event;
        }
    }
    sweeping_ = false;
    next_sweep_ = std::max(sweep_earliest_, sweep_started_ + sweep_gap);
    return std::nullopt;
}

std::optional<neighbour_event> neighbour_table::expire(std::uint16_t slot, instant now) {
    switch (entries_[slot].state) {
        case phase::incomplete:
        case phase::probing:
            return retry(slot, now);
        case phase::reachable:
            become_stale(slot);
            return std::nullopt;
        case phase::stale:
            erase(slot);
            return std::nullopt;
        case phase::free:
            break;
    }
    LASTACK_ASSERT(false);
    return std::nullopt;
}

std::optional<neighbour_event> neighbour_table::retry(std::uint16_t slot, instant now) {
    using kind = neighbour_event::kind;
    entry& e = entries_[slot];
    const bool incomplete = e.state == phase::incomplete;
    if (e.requests_sent < neighbour_requests_max) {
        ++e.requests_sent;
        set_deadline(slot, now + neighbour_retry);
        return neighbour_event{
            incomplete ? kind::broadcast_request : kind::unicast_request, e.address, e.mac, {}};
    }
    if (!incomplete) {
        // It may have moved: nothing has failed until a broadcast goes unanswered, and the next
        // packet sends one.
        erase(slot);
        return std::nullopt;
    }
    neighbour_event event{kind::failed, e.address, {}, take_packets(e)};
    erase(slot);
    return event;
}

// The first probe goes out with the next poll(): whoever only looks an address up sends nothing.
void neighbour_table::start_probing(std::uint16_t slot, instant now) {
    entries_[slot].state = phase::probing;
    entries_[slot].requests_sent = 0;
    set_deadline(slot, now);
}

// Neighbours learned together should not all be asked again together.
void neighbour_table::become_reachable(std::uint16_t slot, instant now) {
    const ipv4_address a = entries_[slot].address;
    const std::uint64_t spread = hash_address(a, hash_key_ ^ static_cast<std::uint64_t>(now.us));
    const auto extra = static_cast<std::int64_t>(
        spread * static_cast<std::uint64_t>(neighbour_reachable_min.count()) >> 32);
    entries_[slot].state = phase::reachable;
    set_deadline(slot, now + neighbour_reachable_min + duration{extra});
}

void neighbour_table::become_stale(std::uint16_t slot) {
    entries_[slot].state = phase::stale;
    set_deadline(slot, entries_[slot].last_used + neighbour_idle);
}

held_packets neighbour_table::take_packets(entry& e) {
    packets_held_ -= e.held.count;
    return std::exchange(e.held, {});
}

void neighbour_table::set_deadline(std::uint16_t slot, instant at) {
    deadlines_[slot] = at;
    if (sweeping_) {
        sweep_earliest_ = std::min(sweep_earliest_, at);
    } else {
        next_sweep_ = std::min(next_sweep_, std::max(at, sweep_started_ + sweep_gap));
    }
}

std::size_t neighbour_table::home(ipv4_address address) const {
    return hash_address(address, hash_key_) & (index_.size() - 1);
}

std::optional<std::uint16_t> neighbour_table::find(ipv4_address address) const {
    // The index is never more than half full, so an empty place ends every search.
    for (std::size_t i = home(address); index_[i] != 0; i = (i + 1) & (index_.size() - 1)) {
        const auto slot = static_cast<std::uint16_t>(index_[i] - 1);
        if (entries_[slot].address == address) {
            return slot;
        }
    }
    return std::nullopt;
}

// The caller sets the state. Precondition: find(address) is empty.
std::optional<std::uint16_t> neighbour_table::insert(ipv4_address address, instant now) {
    if (free_.empty() && !evict_stale()) {
        return std::nullopt;
    }
    const std::uint16_t slot = free_.back();
    free_.pop_back();
    entries_[slot] = {};
    entries_[slot].address = address;
    entries_[slot].last_used = now;
    std::size_t i = home(address);
    while (index_[i] != 0) {
        i = (i + 1) & (index_.size() - 1);
    }
    index_[i] = static_cast<std::uint16_t>(slot + 1);
    return slot;
}

void neighbour_table::erase(std::uint16_t slot) {
    LASTACK_ASSERT(entries_[slot].held.count == 0);
    const std::size_t mask = index_.size() - 1;
    std::size_t hole = home(entries_[slot].address);
    while (index_[hole] != slot + 1) {
        hole = (hole + 1) & mask;
    }
    // Backward shift: whoever would no longer be found across the hole moves into it.
    for (std::size_t i = (hole + 1) & mask; index_[i] != 0; i = (i + 1) & mask) {
        const std::size_t wants = home(entries_[index_[i] - 1u].address);
        if (((i - wants) & mask) >= ((i - hole) & mask)) {
            index_[hole] = index_[i];
            hole = i;
        }
    }
    index_[hole] = 0;
    incomplete_ -= entries_[slot].state == phase::incomplete ? 1 : 0;
    entries_[slot].state = phase::free;
    deadlines_[slot] = instant_never;
    free_.push_back(slot);
}

bool neighbour_table::evict_stale() {
    for (std::size_t looks = 0; looks < std::min(evict_looks_max, entries_.size()); ++looks) {
        const std::size_t slot = evict_hand_;
        evict_hand_ = (evict_hand_ + 1) % entries_.size();
        if (entries_[slot].state == phase::stale) {
            erase(static_cast<std::uint16_t>(slot));
            return true;
        }
    }
    return false;
}

}  // namespace lastack::ip
