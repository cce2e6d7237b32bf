// SPDX-License-Identifier: BSD-3-Clause
// What a load is, and what its two ends have done so far: shared between lcores and the reporter.
//
//   load      what is asked: which end runs here, how many connections at once, how large a
//   request.
//             The reporter may change `demand` while the ends run; everything else is fixed.
//   tally     what one end on one lcore has done: written by that lcore alone, read by the reporter
//             (single-writer relaxed, as the stack's own counters). Nothing is added up on the way.
//
// An end is a handler of lastack/runtime.hpp. Each load has one class for both roles, or two.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "histogram.hpp"
#include "lastack/address.hpp"
#include "lastack/local_stack.hpp"
#include "lastack/runtime.hpp"

namespace bench {

enum class role : std::uint8_t { both, server, client };
enum class end : std::uint8_t { server, client };

// A counter that one lcore writes.
class gauge {
  public:
    void add(std::uint64_t n) { set(get() + n); }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

struct alignas(64) tally {
    end which = end::server;
    unsigned worker = 0;
    const lastack::stack::core* core = nullptr;  // for its counters
    gauge begun;                                 // connections (clients only)
    gauge connections;                           // ended well
    gauge failed;                                // ended otherwise, or a wrong answer
    gauge requests;
    gauge octets;     // of payload received
    gauge open;       // ever opened
    gauge time_wait;  // records held
    gauge leaked;     // once the lcore has left: connections, sockets and mbufs still held
    histogram latency;
};

// What the clients of all lcores are to do together; the reporter changes it between phases.
struct demand {
    std::atomic<std::uint64_t> connections{0};  // to begin in all, per lcore
    std::atomic<std::uint32_t> at_once{0};      // open at a time, per lcore
    std::atomic<std::uint64_t> rate{0};         // operations a second, per lcore; 0: as they come
};

struct load {
    role here = role::both;
    std::string wire = "ring";
    std::uint64_t connections = 0;  // a run is so many; 0: a run is so many seconds
    std::uint32_t seconds = 5;
    std::uint32_t runs = 3;
    std::uint32_t at_once = 256;  // connections open at a time, per lcore
    std::uint32_t request_octets = 64;
    std::uint32_t reply_octets = 64;
    std::uint32_t workers = 1;
    bool closes = true;     // connections end by themselves; cps: the server closes after its reply
    bool steered = false;   // server ends on every lcore, where both are here
    bool apart = false;     // clients on one lcore, the server's ends on the other
    bool idle = false;      // connections are opened, and then nothing
    std::uint32_t mtu = 0;  // 0: the wire's own
    std::uint32_t load_percent = 0;  // of what is possible; 0: one request at a time
    std::uint64_t rate = 0;          // connections a second; 0: as they come
    std::uint32_t mbufs = 0;         // 0: as the runtime computes
    bool json = false;
    bool huge = true;
    lastack::endpoint server{};
    std::uint32_t server_ports = 16;  // from server.port on
    std::vector<lastack::ip_address> client_addresses;

    std::string server_text;
    std::string interface;
    std::uint32_t client_address_count = 64;
    std::uint64_t time_wait = 16'000'000;

    demand wanted;
    std::atomic<bool> stopped{false};
    std::mutex lock;  // ends are made on their own lcores
    std::deque<tally> tallies;

    tally& new_tally(end which, unsigned worker) {
        const std::lock_guard hold(lock);
        tally& made = tallies.emplace_back();
        made.which = which;
        made.worker = worker;
        return made;
    }
    // How many lcores open connections.
    unsigned client_lcores() const { return apart ? 1 : workers; }
    // The server's stack on an lcore; nullptr where there is none, or none yet.
    const lastack::stack::core* server_on(unsigned worker) {
        const std::lock_guard hold(lock);
        for (const tally& t : tallies) {
            if (t.which == end::server && t.worker == worker) {
                return t.core;
            }
        }
        return nullptr;
    }
};

}  // namespace bench
