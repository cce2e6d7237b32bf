// SPDX-License-Identifier: BSD-3-Clause
// Ethernet II headers: 14 octets, no tags.
//
// A frame with a VLAN tag parses with ethertype::vlan or ethertype::qinq; the stack drops it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "base/byte_order.hpp"
#include "lastack/address.hpp"

namespace lastack::wire {

namespace ethertype {
inline constexpr std::uint16_t ipv4 = 0x0800;
inline constexpr std::uint16_t arp = 0x0806;
inline constexpr std::uint16_t vlan = 0x8100;
inline constexpr std::uint16_t ipv6 = 0x86dd;
inline constexpr std::uint16_t qinq = 0x88a8;
}  // namespace ethertype

inline constexpr std::size_t ethernet_header_bytes = 14;
inline constexpr mac_address mac_broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

struct ethernet_header {
    mac_address destination{};
    mac_address source{};
    std::uint16_t type = 0;  // below 0x0600 it is a length (IEEE 802.3), which nothing here speaks
    friend constexpr bool operator==(const ethernet_header&, const ethernet_header&) = default;
};

// What a received header says, read where it lies: that of a frame of at least 14 octets.
class ethernet_view {
  public:
    explicit ethernet_view(const std::uint8_t* frame) : at_(frame) {}
    bool is_to(const mac_address& m) const { return std::memcmp(at_, m.bytes.data(), 6) == 0; }
    bool is_to_group() const { return (at_[0] & 1) != 0; }  // broadcast among them
    std::uint16_t type() const { return load_be16(at_ + 12); }

  private:
    const std::uint8_t* at_;
};

// nullopt when the frame is shorter than a header.
inline std::optional<ethernet_header> parse_ethernet(std::span<const std::uint8_t> frame) {
    if (frame.size() < ethernet_header_bytes) {
        return std::nullopt;
    }
    ethernet_header h;
    std::copy_n(frame.data(), 6, h.destination.bytes.begin());
    std::copy_n(frame.data() + 6, 6, h.source.bytes.begin());
    h.type = ethernet_view{frame.data()}.type();
    return h;
}

// Writes 14 octets and returns that.
inline std::size_t write_ethernet(std::uint8_t* out, const ethernet_header& h) {
    std::copy_n(h.destination.bytes.begin(), 6, out);
    std::copy_n(h.source.bytes.begin(), 6, out + 6);
    store_be16(out + 12, h.type);
    return ethernet_header_bytes;
}

}  // namespace lastack::wire
