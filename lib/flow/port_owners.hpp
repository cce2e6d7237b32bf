// SPDX-License-Identifier: BSD-3-Clause
// Who holds a local port besides its listeners: how many connections and TIME_WAIT records, and
// what they said of sharing it. bind() asks (R56), and with tens of millions of records it cannot
// go and look.
//
// Model. There are four kinds of holder: with SO_REUSEADDR or not, with SO_REUSEPORT or not. For
// each kind and local address of the stack there is an array of 65536 counts; and for each kind how
// many there are in all, so that who asks reads no array of a kind that nobody is of. A connection
// is counted from its tcb to its end, a record from entering to leaving, so the counts are exact.
// What listens or is only bound is not counted here: there are few of those, and the asker has them
// in a list.
//
// Cost: two additions when a connection or record comes or goes, one of them on a cache line that
// 16 ports share. Memory: 1 MiB for each local address.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "base/region.hpp"
#include "lastack/address.hpp"
#include "lastack/result.hpp"

namespace lastack::flow {

// What a holder of a port allows others, and asks of them: SO_REUSEADDR, SO_REUSEPORT.
struct port_sharing {
    bool addr = false;
    bool port = false;
    friend constexpr bool operator==(port_sharing, port_sharing) = default;
};

// R56, as Linux: both sides must have the option, and SO_REUSEADDR does not count beside one that
// listens.
constexpr bool may_share(port_sharing mine, port_sharing theirs, bool they_listen) {
    return (mine.addr && theirs.addr && !they_listen) || (mine.port && theirs.port);
}

class port_owners {
  public:
    // `addresses`: all that a connection may have at this end. The error says what to do.
    static result<port_owners, std::string> make(std::span<const ipv4_address> addresses,
                                                 page_size preference);

    // Precondition: the address is one of those. Each enter() has its leave().
    void enter(ipv4_address local, std::uint16_t port, port_sharing s) {
        ++count_of(index_of(s), slot_of(local), port);
        ++in_all_[index_of(s)];
    }
    void leave(ipv4_address local, std::uint16_t port, port_sharing s) {
        --count_of(index_of(s), slot_of(local), port);
        --in_all_[index_of(s)];
    }
    // How many hold the port at this address; the any-address: at all of them.
    std::uint64_t count(ipv4_address local, std::uint16_t port) const;
    // Whether all of them allow someone with `mine` beside them.
    bool allow(ipv4_address local, std::uint16_t port, port_sharing mine) const;

  private:
    // Of an array: a line more than there are ports, or one port's counts at many addresses would
    // all share a few sets of the cache.
    static constexpr std::size_t ports = 65536 + 16;
    static constexpr std::array<port_sharing, 4> kinds{
        port_sharing{false, false}, {true, false}, {false, true}, {true, true}};

    static constexpr std::size_t index_of(port_sharing s) {
        return (s.addr ? 1u : 0u) + (s.port ? 2u : 0u);
    }
    std::uint32_t& count_of(std::size_t kind, std::size_t slot, std::uint16_t port) {
        return counts_[(kind * address_count_ + slot) * ports + port];
    }
    std::uint64_t count_of_kind(std::size_t kind, ipv4_address local, std::uint16_t port) const;

    // Which array an address has, in a hash table at most half full: a stack may have hundreds.
    struct place {
        ipv4_address address{};
        std::uint32_t slot = 0;
        bool taken = false;
    };
    std::size_t place_of(ipv4_address local) const {
        std::size_t at = (local.bits * 0x9e3779b1u) >> places_shift_;
        while (places_[at].taken && places_[at].address != local) {
            at = at + 1 < places_.size() ? at + 1 : 0;
        }
        return at;
    }
    std::size_t slot_of(ipv4_address local) const {
        const place& p = places_[place_of(local)];
        LASTACK_ASSERT(p.taken);
        return p.slot;
    }

    std::vector<place> places_;
    unsigned places_shift_ = 0;
    std::size_t address_count_ = 0;
    fixed_array<std::uint32_t> counts_;
    std::array<std::uint64_t, kinds.size()> in_all_{};
};

}  // namespace lastack::flow
