// SPDX-License-Identifier: BSD-3-Clause
#include "flow/port_owners.hpp"

#include <bit>

namespace lastack::flow {

result<port_owners, std::string> port_owners::make(std::span<const ipv4_address> addresses,
                                                   page_size preference) {
    auto counts =
        fixed_array<std::uint32_t>::make(kinds.size() * addresses.size() * ports, preference);
    if (!counts.ok()) {
        return failure{"counts of local ports: " + counts.error()};
    }
    port_owners made;
    made.address_count_ = addresses.size();
    made.places_.resize(std::bit_ceil(2 * addresses.size()));
    made.places_shift_ = 32 - static_cast<unsigned>(std::countr_zero(made.places_.size()));
    for (std::uint32_t slot = 0; slot < addresses.size(); ++slot) {
        made.places_[made.place_of(addresses[slot])] = {addresses[slot], slot, true};
    }
    made.counts_ = std::move(counts).value();
    return made;
}

std::uint64_t port_owners::count_of_kind(std::size_t kind, ipv4_address local,
                                         std::uint16_t port) const {
    if (in_all_[kind] == 0) {
        return 0;
    }
    const std::uint32_t* const of_port = &counts_[kind * address_count_ * ports + port];
    if (!local.is_any()) {
        return of_port[slot_of(local) * ports];
    }
    std::uint64_t all = 0;
    for (std::size_t slot = 0; slot < address_count_; ++slot) {
        all += of_port[slot * ports];
    }
    return all;
}

std::uint64_t port_owners::count(ipv4_address local, std::uint16_t port) const {
    std::uint64_t all = 0;
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
        all += count_of_kind(kind, local, port);
    }
    return all;
}

bool port_owners::allow(ipv4_address local, std::uint16_t port, port_sharing mine) const {
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
        if (!may_share(mine, kinds[kind], false) && count_of_kind(kind, local, port) != 0) {
            return false;
        }
    }
    return true;
}

}  // namespace lastack::flow
