// SPDX-License-Identifier: BSD-3-Clause
// The application of one side: listens, opens connections at chosen times, and lives each of its
// ends' plans, in events and at times of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sim/party.hpp"
#include "sim/random.hpp"
#include "stack/core.hpp"

namespace lastack::sim {

struct application_options {
    unsigned side = 0;
    ipv4_address own{};
    ipv4_address peer{};
    std::uint32_t opens = 20;  // connections it opens
    duration opens_within{5000000};
    bool simultaneous = false;  // also opens port to port, as the other side does
    bool relisten = false;      // closes its listeners once and opens them again
    std::uint32_t octets_max = 20000;
    std::uint32_t backlog = 0;
    bool gentle = false;  // only endings that ought to end well
    std::uint32_t bulk_octets =
        0;  // each end sends so many as fast as it goes; 0: as chance has it
};

class application {
  public:
    application(const application_options& options, ledger& book, std::uint64_t seed);

    void start(stack::core& core, instant now);
    void set_trace(std::function<void(const std::string&)> hook) { trace_ = std::move(hook); }
    void on_events(std::span<const event> events, instant now);
    void act(instant now);
    instant next_action() const;
    // Every connection was opened and is given up.
    bool done() const { return to_open_.empty() && live_.empty(); }
    std::size_t handles() const { return live_.size(); }

  private:
    void listen();
    void open_next(instant now);
    void adopt(const event& e, instant now);
    plan make_plan();
    void begin(party& p, instant now);
    void live(party& p, instant now);
    void send(party& p, instant now);
    bool send_chunk(party& p, std::uint32_t octets, instant now);
    void read(party& p, instant now);
    bool read_once(party& p);
    void finish_when_due(party& p, instant now);
    void finish(party& p, instant now);
    void close(party& p, instant now, bool abort);
    bool peer_is_quiet(const party& p) const;
    void on_ended(party& p, const event& e, instant now);
    void forget(party& p);
    void try_stale_handle();
    void say(const party& p, std::string_view what) const;

    struct opening {
        std::uint16_t port = 0;
        std::uint16_t bind_to = 0;
    };
    application_options options_;
    ledger& book_;
    random chance_;
    stack::core* core_ = nullptr;
    std::multimap<instant, opening> to_open_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, party*> live_;  // by handle
    std::deque<conn_id> stale_;
    std::vector<listener_id> listeners_;
    std::optional<instant> unlisten_at_;
    std::optional<instant> relisten_at_;
    std::int64_t last_end_ms_ = 0;
    std::function<void(const std::string&)> trace_;
};

}  // namespace lastack::sim
