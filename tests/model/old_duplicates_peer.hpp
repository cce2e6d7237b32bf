// SPDX-License-Identifier: BSD-3-Clause
// The scripted peer of the old-duplicates runs: one port, one connection at a time, no timers.
//
// It follows the protocol as far as it is spoken to: SYN or SYN-ACK, ACK, FIN after the stack's
// FIN; a SYN-ACK that does not answer its SYN gets a RST (RFC 9293 3.10.7.3), which is what makes
// an old SYN harmless. It believes a RST only at exactly the number it expects.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/time.hpp"
#include "support/peer.hpp"
#include "wire/tcp.hpp"

namespace lastack::model {

// Octet `at` of the stream of an incarnation.
constexpr std::uint8_t stream_octet(std::uint64_t incarnation, std::uint64_t at) {
    std::uint64_t z = incarnation * 0x9e3779b97f4a7c15u + at * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 31)) * 0x94d049bb133111ebu;
    return static_cast<std::uint8_t>(z >> 56);
}

class duplicate_peer {
  public:
    static constexpr std::uint16_t port = 40000;

    explicit duplicate_peer(std::uint32_t start) : nxt_{start} {}

    void set_time(instant now) { now_ = now; }
    void begin(std::uint64_t incarnation, seq32 isn, bool timestamps);
    void forget() { connected_ = connecting_ = listening_ = false; }

    wire::tcp_segment syn();
    void listen() { listening_ = true; }
    wire::tcp_segment text(std::uint32_t octets);
    // Its answer to what the stack says, if any.
    std::optional<wire::tcp_segment> hear(const wire::tcp_segment& s);

    // The octets of a segment of some incarnation, with the text that stood there in its stream.
    std::span<const std::uint8_t> frame(std::uint64_t incarnation, const wire::tcp_segment& s,
                                        std::uint32_t first_octet);
    static std::vector<std::uint8_t> arp_reply();
    static std::optional<wire::tcp_segment> parse(rte_mbuf* frame);

    std::uint64_t incarnation() const { return incarnation_; }
    bool connected() const { return connected_; }
    bool closed() const { return closed_; }
    bool was_reset() const { return reset_; }
    std::uint32_t sent_octets() const { return sent_; }
    seq32 end() const { return nxt_; }  // behind the last number it has used
    std::uint32_t octet_of(const wire::tcp_segment& s) const { return s.seq.raw - iss_.raw - 1; }

  private:
    wire::tcp_segment make(std::uint8_t flags, seq32 seq) const;
    wire::tcp_segment opening(std::uint8_t flags);

    instant now_{};
    std::uint64_t incarnation_ = 0;
    seq32 iss_;
    seq32 nxt_;
    seq32 rcv_nxt_;
    std::uint32_t sent_ = 0;
    std::uint32_t ts_recent_ = 0;
    bool timestamps_ = false;
    bool connecting_ = false;
    bool listening_ = false;
    bool connected_ = false;
    bool closed_ = false;
    bool reset_ = false;
    std::vector<std::uint8_t> frame_;
};

}  // namespace lastack::model
