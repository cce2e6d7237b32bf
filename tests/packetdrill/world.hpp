// SPDX-License-Identifier: BSD-3-Clause
// The stack under packetdrill: one core with a socket layer on it, on a clock of its own.
//
// packetdrill plays the wire and the clock's owner. Its main thread makes the calls and lets time
// pass; what a script marks as blocking it calls on a second thread, which must really sleep. One
// mutex, here and not in the library, is held by whoever is inside; the layer's `wait` lets go of
// it. Time moves only while somebody asks for it (usleep, the wait for a packet, a call of the main
// thread that waits), from deadline to deadline, and never while the other thread is awake: so what
// that one sees, and when its call returned, do not depend on the machine's scheduling.
//
// Packets are bare IP. The Ethernet header is put on and taken off here, and every ARP request of
// the stack is answered at once: there is one neighbour, packetdrill.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lastack/socket_layer.hpp"
#include "packetdrill/flags.hpp"
#include "stack/core.hpp"
#include "support/environment.hpp"
#include "wire/arp.hpp"

namespace lastack::packetdrill {

using namespace std::chrono_literals;

struct sent_packet {
    instant at{};
    std::string octets;
};

class world {
  public:
    static result<std::unique_ptr<world>, std::string> make(const flags&);
    ~world();
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    // One call from outside: holds the lock and lends this thread the layer's calls. At its end the
    // stack takes a turn, so that what the call made due is on the wire. Keeps errno.
    class call {
      public:
        explicit call(world&);
        ~call();
        call(const call&) = delete;
        call& operator=(const call&) = delete;

      private:
        world& world_;
        std::unique_lock<std::mutex> lock_;
        socket_layer::scope scope_;
    };

    // Whether the number is one of the layer's descriptors.
    bool holds(int fd);

    void inject(std::span<const std::uint8_t> packet);
    // The next packet, letting at most `limit` pass.
    std::optional<sent_packet> next_packet(duration limit);
    void sleep(duration);
    // Creeps: each reading is later than the one before. To the second thread it is the moment at
    // which its last call returned.
    instant clock();

    // What the shims ask. change_setting() returns what is wrong, or nothing.
    std::string change_setting(std::string_view key, std::string_view value);
    result<std::string, std::string> read_setting(std::string_view key);
    std::string counter_lines();

  private:
    explicit world(const flags&);
    std::string start(const flags&);

    static std::uint16_t transmit(void* self, rte_mbuf** frames, std::uint16_t n);
    static int wait(void* self, std::int64_t timeout_us);
    static int take_descriptor(void* self);
    static void give_descriptor(void* self, int fd);

    bool on_main_thread() const { return std::this_thread::get_id() == main_; }
    void hear(const std::string& frame);
    void put_on_wire(std::span<const std::uint8_t> packet, std::uint16_t ethertype);
    void one_turn(std::span<rte_mbuf* const> frames);
    void turn();
    void wake_others();
    void let_others_settle();
    // To the next instant at which something is due, at most `limit`.
    void step(instant limit);
    int wait_on_main(std::int64_t timeout_us);
    int wait_asleep(std::int64_t timeout_us);

    static constexpr int descriptors_max = 1024;

    const std::thread::id main_ = std::this_thread::get_id();
    const ipv4_address local_;
    test::test_pools pools_;
    std::unique_ptr<stack::core> core_;
    std::unique_ptr<socket_layer> layer_;
    std::vector<bool> descriptors_ = std::vector<bool>(descriptors_max);

    std::mutex mutex_;
    std::unique_lock<std::mutex>* inside_ = nullptr;  // of the call that holds mutex_
    std::condition_variable woken_;
    std::condition_variable settled_;
    std::uint64_t wakes_ = 0;
    // Second threads inside a call: those in `wait`, and those that are not. One whose call has
    // returned counts as awake until it has read the clock.
    unsigned asleep_ = 0;
    unsigned awake_ = 0;
    unsigned returned_ = 0;
    instant returned_at_{};
    instant wake_at_ = never;  // when the earliest of those asleep has waited long enough

    static constexpr instant never{INT64_MAX};
    instant now_{std::int64_t{1000} * 1000000};
    int standstill_ = 0;  // turns without time passing
    std::deque<sent_packet> sent_;
    std::vector<wire::arp_packet> asked_;
};

}  // namespace lastack::packetdrill
