// SPDX-License-Identifier: BSD-3-Clause
#include "flow/port_ledger.hpp"

#include <algorithm>

namespace lastack::flow {

// At least one page for the largest range.
std::size_t port_ledger::entries_for(port_range range, std::uint32_t time_wait_records) {
    const std::size_t ports = std::size_t{range.last} - range.first + 1;
    const std::size_t pages = std::min(pages_min + time_wait_records / ports, pages_max);
    return std::max(pages * ports, std::size_t{65536});
}

std::size_t port_ledger::bytes_for(port_range range, std::uint32_t time_wait_records) {
    return entries_for(range, time_wait_records) * sizeof(port_entry);
}

result<port_ledger, std::string> port_ledger::make(const keyed_hash& hash, port_range range,
                                                   std::uint32_t time_wait_records,
                                                   page_size preference) {
    auto entries = fixed_array<port_entry>::make(entries_for(range, time_wait_records), preference);
    if (!entries.ok()) {
        return failure{"local ports of connect(): " + entries.error()};
    }
    port_ledger made(hash, range);
    made.entries_ = std::move(entries).value();
    made.set_range(range);
    return made;
}

void port_ledger::set_range(port_range range) {
    cycle_.set_range(range);
    index_.fill(0);
    pages_used_ = 0;
    pages_there_are_ = std::min(entries_.size() / cycle_.size(), pages_max);
}

std::size_t port_ledger::index_of(std::uint64_t name) const {
    std::size_t at = (name >> 1) % index_size;
    while (index_[at] != 0 && pages_[index_[at] - 1u].name != name) {
        at = (at + 1) % index_size;
    }
    return at;
}

port_ledger::page* port_ledger::find(std::uint64_t name) {
    const std::uint16_t number = index_[index_of(name)];
    return number == 0 ? nullptr : &pages_[number - 1u];
}

// Those behind it move up, so that each is still found from where its name points.
void port_ledger::take_out_of_index(const page& p) {
    std::size_t hole = index_of(p.name);
    for (std::size_t at = (hole + 1) % index_size; index_[at] != 0; at = (at + 1) % index_size) {
        const std::size_t home = (pages_[index_[at] - 1u].name >> 1) % index_size;
        if ((at - home) % index_size >= (at - hole) % index_size) {
            index_[hole] = index_[at];
            hole = at;
        }
    }
    index_[hole] = 0;
}

// One whose destination has no port in use, or nullptr when there is none among the next few.
port_ledger::page* port_ledger::idle_page() {
    for (std::size_t i = 0; i < std::min(idle_budget, pages_used_); ++i) {
        hand_ = (hand_ + 1) % pages_used_;
        page& p = pages_[hand_];
        if (p.fresh + p.free.size + p.foreign == cycle_.size()) {
            take_out_of_index(p);
            return &p;
        }
    }
    return nullptr;
}

// A page never used, or an idle one.
port_ledger::page* port_ledger::begin(std::uint64_t name) {
    page* p = nullptr;
    if (pages_used_ < pages_there_are_) {
        p = &pages_[pages_used_];
        p->entries = entries_.data() + pages_used_ * cycle_.size();
        ++pages_used_;
    } else if ((p = idle_page()) == nullptr) {
        return nullptr;
    }
    index_[index_of(name)] = static_cast<std::uint16_t>(p - pages_.data() + 1);
    p->name = name;
    // RFC 6056 3.3.4: where a destination begins, only the key's owner can tell.
    p->fresh_from = static_cast<std::uint32_t>((name >> 1) % cycle_.size());
    p->fresh = cycle_.size();
    p->free = p->waiting = list{};
    p->foreign = 0;
    return p;
}

std::uint16_t port_ledger::candidate(page& p) {
    if (p.fresh == 0) {
        return p.free.head != 0 ? p.free.head : p.waiting.head;
    }
    const std::uint16_t port = port_at(p.fresh_from);
    p.fresh_from = (p.fresh_from + 1) % cycle_.size();
    --p.fresh;
    entry(p, port) = {};  // what a destination before this one left
    return port;
}

void port_ledger::put(page& p, std::uint16_t port, place where) {
    port_entry& e = entry(p, port);
    if (e.where == place::foreign) {
        return;
    }
    if (e.where != place::nowhere) {
        list& from = list_of(p, e.where);
        (e.previous != 0 ? entry(p, e.previous).next : from.head) = e.next;
        (e.next != 0 ? entry(p, e.next).previous : from.tail) = e.previous;
        --from.size;
    }
    e = {0, 0, where};
    if (where == place::foreign) {
        ++p.foreign;
    } else if (where != place::nowhere) {
        list& to = list_of(p, where);
        e.previous = to.tail;
        (to.tail != 0 ? entry(p, to.tail).next : to.head) = port;
        to.tail = port;
        ++to.size;
    }
}

bool port_ledger::is_fresh(const page& p, std::uint16_t port) const {
    const std::uint32_t count = cycle_.size();
    const std::uint32_t step = port - cycle_.range().first;
    return (step + count - p.fresh_from) % count < p.fresh;
}

void port_ledger::released(std::uint16_t port) {
    if (!concerns(port)) {
        return;
    }
    for (std::size_t i = 0; i < pages_used_; ++i) {
        page& p = pages_[i];
        if (!is_fresh(p, port) && entry(p, port).where == place::nowhere) {
            put(p, port, place::free);  // look() knows better where something still has it
        }
    }
}

void port_ledger::note(const key4& key, port_state now) {
    page* const p = find(name_of(key));
    if (p == nullptr || is_fresh(*p, key.local_port)) {
        return;  // it will be looked at
    }
    put(*p, key.local_port,
        now == port_state::free    ? place::free
        : now == port_state::taken ? place::nowhere
                                   : place::waiting);
}

}  // namespace lastack::flow
