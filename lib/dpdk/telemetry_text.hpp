// SPDX-License-Identifier: BSD-3-Clause
// The words that telemetry understands and says: names of states as `ss` prints them, rows,
// filters, cursors, and what there is to say about one connection. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "dpdk/tasks.hpp"
#include "lastack/result.hpp"
#include "stack/inspect.hpp"

namespace lastack::dpdk {

// As `ss` prints them.
inline constexpr std::array<std::string_view, teardown::state_count> ss_names{
    "UNCONN",     "LISTEN",     "SYN-SENT", "SYN-RECV", "ESTAB",    "FIN-WAIT-1",
    "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",  "LAST-ACK", "TIME-WAIT"};
constexpr std::string_view ss_name(teardown::state s) {
    return ss_names[static_cast<std::size_t>(s)];
}

// Where a list goes on: WORKER.STACK.TABLE.PLACE, or "" when it has ended.
struct list_cursor {
    std::uint32_t worker = 0;
    list_task::place at;
};
std::string to_text(const list_cursor&);

// What a list is asked for: cursor=C,state=NAME+NAME,sport=N,dport=N; all optional.
struct list_request {
    list_cursor from;
    stack::row_filter filter;
};
result<list_request, std::string> parse_list_request(std::string_view text);

// "STATE RECV-Q SEND-Q LOCAL PEER TIMER MS TRIES LCORE"; a reply's strings hold 127 characters.
inline constexpr std::string_view row_columns =
    "state recv_q send_q local peer timer remaining_ms tries lcore";
std::string row_text(const stack::connection_row&, unsigned lcore);

// LOCAL-PEER, as explain takes it.
std::string row_key_text(const stack::connection_row&);

// ADDR:PORT-ADDR:PORT, the stack's own side first.
std::optional<flow::key4> parse_key(std::string_view text);

// "1 h 5 min", "41.2 s", "200 ms".
std::string duration_text(std::uint64_t ms);

// Why it is in its state, what it waits for, what ends it and when; or how it ended.
std::vector<std::string> explain_lines(const stack::explanation&, const flow::key4& key,
                                       const config::settings&);

// snake_case as a counter's name has it: "ClosedBeforeOpen".
std::string camel(std::string_view snake);

}  // namespace lastack::dpdk
