// SPDX-License-Identifier: BSD-3-Clause
// A client that keeps nothing: what it sends follows from the segment it answers.
//
//   SYN-ACK         the ACK, with the request
//   text with FIN   ACK and FIN
//   a bare ACK      (of that FIN) the SYN of a new connection
//   ARP request     the reply: every address is at the client's Ethernet address
//
// As a Linux client of today it offers timestamps, SACK, window scaling and an MSS of 1460.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <vector>

#include "lastack/address.hpp"
#include "load.hpp"
#include "tuples.hpp"
#include "wire/arp.hpp"
#include "wire/tcp.hpp"

namespace bench {

class stateless_peer {
  public:
    stateless_peer(const load& l, rte_mempool* pool, const lastack::mac_address& server);

    // An ARP request, from which the server learns where its gateway is.
    rte_mbuf* greet(lastack::ipv4_address own, lastack::ipv4_address server);
    // The SYN of the next connection.
    rte_mbuf* open(std::uint32_t now_ms);
    // Answers a frame of the server's, which it frees; nullptr when there is nothing to say.
    rte_mbuf* answer(rte_mbuf* frame, std::uint32_t now_ms);

    std::uint64_t ended = 0;   // connections
    std::uint64_t resets = 0;  // received

  private:
    rte_mbuf* arp_reply(rte_mbuf* frame);
    rte_mbuf* arp(const lastack::mac_address& to, const lastack::wire::arp_packet& packet);
    rte_mbuf* segment(const lastack::flow::key4& between, lastack::wire::tcp_segment& s,
                      std::uint32_t payload);

    rte_mempool* pool_;
    lastack::mac_address server_;
    lastack::mac_address own_{{2, 0, 0, 0, 0, 1}};
    tuples tuples_;
    std::vector<std::uint8_t> request_;
};

}  // namespace bench
