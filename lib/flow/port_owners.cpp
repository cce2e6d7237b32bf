// SPDX-License-Identifier: BSD-3-Clause
#include "flow/port_owners.hpp"

#include <bit>

namespace lastack::flow {

result<port_owners, std::string> port_owners::make(std::span<const ipv4_address> addresses,
                                                   page_size preference) {
    auto rows = fixed_array<row>::make(addresses.size() * ports, preference);
    if (!rows.ok()) {
        return failure{"counts of local ports: " + rows.error()};
    }
    port_owners made;
    made.address_count_ = addresses.size();
    made.places_.resize(std::bit_ceil(2 * addresses.size()));
    made.places_shift_ = 32 - static_cast<unsigned>(std::countr_zero(made.places_.size()));
    for (std::uint32_t slot = 0; slot < addresses.size(); ++slot) {
        made.places_[made.place_of(addresses[slot])] = {addresses[slot], slot, true};
    }
    made.rows_ = std::move(rows).value();
    return made;
}

port_owners::row port_owners::sum(ipv4_address local, std::uint16_t port) const {
    if (!local.is_any()) {
        return row_of(slot_of(local), port);
    }
    row all{};
    for (std::size_t slot = 0; slot < address_count_; ++slot) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i] += row_of(slot, port)[i];
        }
    }
    return all;
}

std::uint64_t port_owners::count(ipv4_address local, std::uint16_t port) const {
    const row all = sum(local, port);
    return std::uint64_t{all[0]} + all[1] + all[2] + all[3];
}

bool port_owners::allow(ipv4_address local, std::uint16_t port, port_sharing mine) const {
    const row all = sum(local, port);
    for (const port_sharing theirs : {port_sharing{false, false}, port_sharing{true, false},
                                      port_sharing{false, true}, port_sharing{true, true}}) {
        if (all[index_of(theirs)] != 0 && !may_share(mine, theirs, false)) {
            return false;
        }
    }
    return true;
}

}  // namespace lastack::flow
