// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/table_bytes.hpp"

#include "tcp/engine.hpp"

namespace lastack::tcp {

namespace {

constexpr std::uint64_t index_bytes = sizeof(std::uint32_t);

template <class T>
constexpr std::uint64_t pooled = sizeof(T) + index_bytes;  // base/index_pool.hpp

}  // namespace

table_bytes bytes_of_tables(const config::settings& s) {
    const std::uint64_t both = flow::connection_table::bytes_for(s.connections + s.syn_records);
    const std::uint64_t of_syns = both * s.syn_records / (s.connections + s.syn_records);
    table_bytes t{};
    constexpr std::uint64_t of_one = pooled<tcb> + pooled<socket> + 2 * index_bytes;
    constexpr std::uint64_t of_trouble = pooled<reassembly> + pooled<loss_record>;
    t.connections = s.connections * of_one + troubled_connections(s) * of_trouble;
    t.connections += connections_with_records(s) * pooled<record_ends>;
    t.connections += both - of_syns + flow::connection_table::bytes_for(s.connections);
    t.syn_records = s.syn_records * pooled<syn_record> + of_syns;
    t.time_wait_records =
        flow::time_wait_table<flow::key4>::bytes_for(s.time_wait_records) +
        flow::ack_limit::bytes() +
        flow::port_ledger::bytes_for({s.ip_local_port_range.first, s.ip_local_port_range.last},
                                     s.time_wait_records);
    return t;
}

}  // namespace lastack::tcp
