// SPDX-License-Identifier: BSD-3-Clause
// The local and remote endpoints that a client uses, one after the other, so that as many
// connections as there are combinations can lie in the server's TIME_WAIT.
//
// Every lcore goes through all, and keeps to those that suit it: whose answers come to it, and
// whose other end is on a certain lcore of the server's. Of four, one may do, so the others must
// cost next to nothing: the hash that decides (flow/flow_owner.hpp) is linear, hence what a
// client's address contributes to it is worked out once, what the ports contribute once in a walk
// over the addresses, and a tuple is judged by one exclusive or.
#pragma once

#include <cstdint>
#include <vector>

#include "flow/flow_owner.hpp"
#include "flow/key.hpp"
#include "load.hpp"

namespace bench {

class tuples {
  public:
    explicit tuples(const load& l) : load_(&l) {}

    // Only tuples whose segments `owners` brings to `worker`: those that arrive at the client's
    // end, or at the server's.
    void keep_to(const lastack::flow::flow_owner& owners, unsigned worker, end at) {
        judge j{&owners, worker, at, 0, {}};
        for (const auto& address : load_->client_addresses) {
            j.of_address.push_back(owners.hash(key_at(at, {{}, address.v4(), 0, 0})));
        }
        judges_.push_back(std::move(j));
        take_ports();
    }

    // Addresses change fastest, so that neighbours in time differ in more than a port.
    lastack::flow::key4 next() {
        while (!suits()) {
            step();
        }
        const lastack::flow::key4 made{server(), load_->client_addresses[address_].v4(),
                                       remote_port(), static_cast<std::uint16_t>(port_)};
        step();
        return made;
    }

  private:
    struct judge {
        const lastack::flow::flow_owner* owners;
        unsigned worker;
        end at;
        std::uint32_t of_ports;                 // and of the server's address
        std::vector<std::uint32_t> of_address;  // of the clients'
    };

    // A tuple as the client's end has it, as it is received at `at`.
    static lastack::flow::key4 key_at(end at, const lastack::flow::key4& k) {
        return at == end::client
                   ? k
                   : lastack::flow::key4{k.local, k.remote, k.local_port, k.remote_port};
    }
    lastack::ipv4_address server() const { return load_->server.address.v4(); }
    std::uint16_t remote_port() const {
        return static_cast<std::uint16_t>(load_->server.port + remote_);
    }
    bool suits() const {
        bool yes = true;
        for (const judge& j : judges_) {
            yes = yes && j.owners->owner_of_hash(j.of_ports ^ j.of_address[address_]) == j.worker;
        }
        return yes;
    }
    void step() {
        if (++address_ == load_->client_addresses.size()) {
            address_ = 0;
            if (++port_ > 65535) {
                port_ = first_port;
                remote_ = remote_ + 1 == load_->server_ports ? 0 : remote_ + 1;
            }
            take_ports();
        }
    }
    void take_ports() {
        for (judge& j : judges_) {
            j.of_ports = j.owners->hash(
                key_at(j.at, {server(), {}, remote_port(), static_cast<std::uint16_t>(port_)}));
        }
    }

    static constexpr std::uint32_t first_port = 1024;
    const load* load_;
    std::uint32_t port_ = first_port;
    std::size_t address_ = 0;
    std::uint32_t remote_ = 0;
    std::vector<judge> judges_;
};

}  // namespace bench
