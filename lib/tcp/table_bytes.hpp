// SPDX-License-Identifier: BSD-3-Clause
// What the tables of one stack take, before any of it is taken: octets for each of the capacities
// that are reserved at start (engine::make). mbufs are not among them (dpdk/memory.hpp).
#pragma once

#include <algorithm>
#include <cstdint>

#include "config/settings.hpp"

namespace lastack::tcp {

// Of the connections, how many may have lost or reordered text at a time, and how many may hold the
// ends of records (MSG_EOR); what they need for it is reserved apart.
inline std::uint32_t troubled_connections(const config::settings& s) {
    return std::clamp(s.connections / 4, 64u, 65536u);
}
inline std::uint32_t connections_with_records(const config::settings& s) {
    return std::clamp(s.connections / 64, 64u, 4096u);
}

struct table_bytes {
    std::uint64_t connections;        // lastack.connections: tcb, handle, index, troubles' share
    std::uint64_t syn_records;        // lastack.syn_records
    std::uint64_t time_wait_records;  // lastack.time_wait_records, with connect()'s pages

    std::uint64_t all() const { return connections + syn_records + time_wait_records; }
};

table_bytes bytes_of_tables(const config::settings& of_one_stack);

}  // namespace lastack::tcp
