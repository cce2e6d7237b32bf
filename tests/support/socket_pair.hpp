// SPDX-License-Identifier: BSD-3-Clause
// Two stacks on one wire and one virtual clock, each with a layer of sockets: both ends of a
// connection in one thread, and no time is spent on waiting.
//
// A call that waits turns both stacks and moves the clock from deadline to deadline until its own
// side has been told something. advance() does the same for a stated time.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "lastack/socket_layer.hpp"
#include "stack/core.hpp"
#include "support/environment.hpp"

namespace lastack::test {

class socket_pair {
  public:
    enum side : unsigned { client, server };

    explicit socket_pair(const config::settings& = small_settings());
    ~socket_pair();
    socket_pair(const socket_pair&) = delete;
    socket_pair& operator=(const socket_pair&) = delete;

    static config::settings small_settings();
    static ipv4_address address(side s) { return {0x0a000001u + s}; }

    // The lastack_ calls that follow are this side's.
    void at(side s);
    void advance(duration d);
    instant now() const { return now_; }
    stack::core& core(side s) { return *ends_[s].core; }
    socket_layer& layer(side s) { return *ends_[s].layer; }
    // What calls that would wait are refused with; 0: nothing.
    void refuse_waiting(int error) { refusal_ = error; }
    // Called once, when a call begins to wait: another thread of the host may make calls meanwhile.
    std::function<void()> while_waiting;
    // Frames that this side sends are lost.
    void cut(side from, bool lost) { ends_[from].lost = lost; }
    // The latest IP packet that this side sent, from its IP header on.
    const std::string& last_packet(side from) const { return ends_[from].last_packet; }

  private:
    struct end {
        socket_pair* world = nullptr;
        side self = client;
        test_pools pools{{4096, 1024, 2048}};
        std::unique_ptr<stack::core> core;
        std::unique_ptr<socket_layer> layer;
        std::deque<std::string> arriving;
        std::uint64_t events = 0;  // told so far
        std::string last_packet;
        bool lost = false;
    };

    static std::uint16_t transmit(void* context, rte_mbuf** frames, std::uint16_t n);
    static int wait(void* context, std::int64_t timeout_us);
    void turn();
    bool quiet() const;
    // If nothing is under way, goes on to the next deadline, at most to `limit`.
    void skip(instant limit);

    instant now_{std::int64_t{1000} * 1000000};
    int refusal_ = 0;
    std::array<end, 2> ends_;
    std::unique_ptr<socket_layer::scope> scope_;
};

}  // namespace lastack::test
