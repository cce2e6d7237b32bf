// SPDX-License-Identifier: BSD-3-Clause
#include "sim/lossy_link.hpp"

#include <algorithm>

#include "base/byte_order.hpp"
#include "support/environment.hpp"
#include "wire/ethernet.hpp"

namespace lastack::sim {

lossy_link::~lossy_link() {
    for (auto& [at, frame] : in_flight_) {
        rte_pktmbuf_free(frame.mbuf);
    }
}

void lossy_link::tell(instant now, std::string_view fate, const std::string& octets) const {
    if (trace_) {
        trace_(now, fate, octets);
    }
}

std::uint16_t lossy_link::send(rte_mbuf** frames, std::uint16_t n, instant now) {
    if (chance_.chance(faults_.port_full)) {
        n = static_cast<std::uint16_t>(chance_.between(0, n));
    }
    for (std::uint16_t i = 0; i < n; ++i) {
        send_one(frames[i], now);
    }
    return n;
}

void lossy_link::send_one(rte_mbuf* frame, instant now) {
    in_flight f;
    f.octets = test::frame_bytes(frame);
    const instant at = arrival(f.octets.size(), now);
    const bool lost = chance_.chance(faults_.loss);
    const bool overtaken = chance_.chance(faults_.reorder);
    const bool twice = chance_.chance(faults_.duplicate);
    const bool spoil = chance_.chance(faults_.corrupt);
    ++sent_;
    if (lost || at - now > faults_.delay + faults_.jitter + faults_.queue) {
        tell(now, lost ? "lost" : "queue full", f.octets);
        rte_pktmbuf_free(frame);
        return;
    }
    const auto late = [&] { return at + duration{chance_.between(0, faults_.held_back.count())}; };
    if (twice) {
        tell(now, "twice", f.octets);
        in_flight_.emplace(late(), in_flight{f.octets, nullptr, false});
    }
    f.spoilt = spoil && corrupt(f.octets);
    tell(now, f.spoilt ? "corrupt" : overtaken ? "late" : "sent", f.octets);
    if (faults_.pass_mbufs && !f.spoilt) {
        f.octets.clear();
        f.mbuf = frame;
    } else {
        rte_pktmbuf_free(frame);
    }
    if (overtaken) {
        in_flight_.emplace(late(), std::move(f));
        return;
    }
    last_arrival_ = at;
    in_flight_.emplace(at, std::move(f));
}

// When a frame sent now arrives if nothing holds it back.
instant lossy_link::arrival(std::size_t octets, instant now) {
    instant leaves = now;
    if (faults_.octets_per_ms > 0) {
        const duration on_wire{static_cast<std::int64_t>(octets * 1000 / faults_.octets_per_ms)};
        leaves = std::max(now, wire_free_) + on_wire;
        if (leaves - now <= faults_.queue) {
            wire_free_ = leaves;
        }
    }
    const instant at =
        leaves + faults_.delay + duration{chance_.between(0, faults_.jitter.count())};
    return std::max(at, last_arrival_);
}

bool lossy_link::corrupt(std::string& octets) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(octets.data());
    if (load_be16(bytes + 12) == wire::ethertype::arp) {
        return false;
    }
    const auto at = static_cast<std::size_t>(
        chance_.between(wire::ethernet_header_bytes, static_cast<std::int64_t>(octets.size()) - 1));
    octets[at] = static_cast<char>(octets[at] ^ static_cast<char>(chance_.between(1, 255)));
    return true;
}

std::optional<instant> lossy_link::next_arrival() const {
    if (in_flight_.empty()) {
        return std::nullopt;
    }
    return in_flight_.begin()->first;
}

void lossy_link::deliver(instant now, std::vector<rte_mbuf*>& into) {
    while (!in_flight_.empty() && in_flight_.begin()->first <= now) {
        in_flight& f = in_flight_.begin()->second;
        rte_mbuf* frame = f.mbuf;
        if (frame == nullptr) {
            frame = test::make_frame(
                receiver_,
                {reinterpret_cast<const std::uint8_t*>(f.octets.data()), f.octets.size()});
        }
        if (frame != nullptr) {
            corrupted_ += f.spoilt ? 1 : 0;
            into.push_back(frame);
        } else {
            tell(now, "no mbuf", f.octets);
        }
        in_flight_.erase(in_flight_.begin());
    }
}

}  // namespace lastack::sim
