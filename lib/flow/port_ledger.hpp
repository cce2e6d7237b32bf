// SPDX-License-Identifier: BSD-3-Clause
// Which local port comes next towards a destination, at the same cost whether its ports are all
// free or all in TIME_WAIT (R55, R57).
//
// Model. Each destination in use has a page, on which every port of the range is in one place:
//     fresh     not looked at since the page began: an interval of the cycle of port_choice.hpp,
//               so a page begins in constant time
//     free      a list, the port that has been free longest first
//     waiting   a list of TIME_WAIT records that may be reused once old enough, oldest first
//     foreign   of no use here: never looked at again
//     nowhere   in use, or a record that is never reused
// next() takes a fresh port, else a free one, else the oldest waiting one; when that is not old
// enough none is, and it fails at once. Where a port is, is a hint: the caller's look() decides,
// and a port found elsewhere is put there, so each is looked at once a turn. The one duty is to
// report every release: changed() when a connection or record of the range ends, when a record
// enters TIME_WAIT or is restarted, and when a port that next() gave is not taken after all.
//
// There are 32 pages, and one more for each time that the range fits into the TIME_WAIT records
// there may be, up to 256: so many destinations can have all their ports in use at once. A page on
// which nothing is in use is given to the next destination. One that finds no page is searched for
// through the cycle, port by port.
//
// Cost: next() one look() but for ports that changed hands unreported; changed() a short hash and
// one or two lines of the index, nothing for a port outside the range, as a server's is. Memory:
// 6 B a port and page, 5.2 MiB for 32 pages of Linux's range, 41 MiB for 256. (A larger range than
// at the start makes do with fewer pages.)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/region.hpp"
#include "flow/port_choice.hpp"
#include "lastack/result.hpp"

namespace lastack::flow {

enum class port_state : std::uint8_t {
    free,      // nothing has the tuple
    reusable,  // a record that may give way
    waiting,   // a record that may give way later
    taken,     // in use, or a record that never gives way
    foreign,   // its answers come to another worker (flow_owner.hpp), whatever becomes of it
};

class port_ledger {
  public:
    static std::size_t bytes_for(port_range range, std::uint32_t time_wait_records);
    // The hash must be under a key of its own. The error says what to do.
    static result<port_ledger, std::string> make(const keyed_hash& hash, port_range range,
                                                 std::uint32_t time_wait_records,
                                                 page_size preference);
    // Forgets all pages: also for a change of what look() would say.
    void set_range(port_range range);

    // A port for which look(port) says free or reusable; nullopt when there is none. The key's
    // local_port does not count.
    template <class Look>
    std::optional<std::uint16_t> next(const key4& destination, Look&& look) {
        const std::uint64_t name = name_of(destination);
        page* p = find(name);
        if (p == nullptr && (p = begin(name)) == nullptr) {
            return cycle_.next(destination, cycle_.size(), [&](std::uint16_t port) {
                const port_state s = look(port);
                return s == port_state::free || s == port_state::reusable;
            });
        }
        while (const std::uint16_t port = candidate(*p)) {
            const port_state s = look(port);
            const bool waits = entry(*p, port).where == place::waiting;
            if (waits && s == port_state::waiting) {
                return std::nullopt;
            }
            put(*p, port,
                s == port_state::waiting   ? place::waiting
                : s == port_state::foreign ? place::foreign
                                           : place::nowhere);
            if (s == port_state::free || s == port_state::reusable) {
                return port;
            }
        }
        return std::nullopt;
    }

    // Some port for which is_usable(port) says yes, whatever the destination; 0 when there is none.
    template <class IsUsable>
    std::uint16_t any(IsUsable&& is_usable) {
        return cycle_.next(key4{}, cycle_.size(), is_usable).value_or(std::uint16_t{0});
    }

    // Whether changed() would do anything: a cheap question before asking what to tell it.
    bool concerns(std::uint16_t port) const {
        return pages_used_ != 0 && port >= cycle_.range().first && port <= cycle_.range().last;
    }
    // What has become of the key's tuple.
    void changed(const key4& key, port_state now) {
        if (concerns(key.local_port)) {
            note(key, now);
        }
    }

    // A port that look() has called taken for every destination no longer is.
    void released(std::uint16_t port);

  private:
    static constexpr std::size_t pages_min = 32;
    static constexpr std::size_t pages_max = 256;
    static constexpr std::size_t index_size = 4 * pages_max;  // a power of two
    static constexpr std::size_t idle_budget = 8;             // pages looked at for an idle one

    enum class place : std::uint8_t { nowhere, free, waiting, foreign };
    // Port 0 ends a list.
    struct port_entry {
        std::uint16_t next;
        std::uint16_t previous;
        place where;
    };
    struct list {
        std::uint16_t head = 0;
        std::uint16_t tail = 0;
        std::uint32_t size = 0;
    };
    struct page {
        std::uint64_t name = 0;  // keyed hash of the destination; 0: the page is not in use
        port_entry* entries = nullptr;
        std::uint32_t fresh_from = 0;  // in the order of the cycle
        std::uint32_t fresh = 0;
        list free;
        list waiting;
        std::uint32_t foreign = 0;  // so many are
    };

    static std::size_t entries_for(port_range range, std::uint32_t time_wait_records);
    port_ledger(const keyed_hash& hash, port_range range) : hash_(hash), cycle_(hash, range) {}

    port_entry& entry(page& p, std::uint16_t port) const {
        return p.entries[port - cycle_.range().first];
    }

    std::uint64_t name_of(key4 key) const {
        key.local_port = 0;
        return hash_(key) | 1;
    }
    // The place in the index where the page of that name stands, or would.
    std::size_t index_of(std::uint64_t name) const;
    page* find(std::uint64_t name);
    page* begin(std::uint64_t name);
    page* idle_page();
    void take_out_of_index(const page& p);
    std::uint16_t port_at(std::uint32_t step) const {
        return static_cast<std::uint16_t>(cycle_.range().first + step % cycle_.size());
    }
    // The next port to look at, taken out of `fresh`; 0 when there is none.
    std::uint16_t candidate(page& p);
    list& list_of(page& p, place where) { return where == place::free ? p.free : p.waiting; }
    void put(page& p, std::uint16_t port, place where);
    bool is_fresh(const page& p, std::uint16_t port) const;
    void note(const key4& key, port_state now);

    keyed_hash hash_;
    port_choice cycle_;
    fixed_array<port_entry> entries_;
    std::array<page, pages_max> pages_{};
    std::array<std::uint16_t, index_size> index_{};  // by name: the page's number plus 1; 0: empty
    std::size_t pages_used_ = 0;
    std::size_t pages_there_are_ = 0;
    std::size_t hand_ = 0;  // the page to be asked next whether it is idle
};

}  // namespace lastack::flow
