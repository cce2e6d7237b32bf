// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/pcapng.hpp"

#include <cstring>

namespace lastack::dpdk::pcapng {
namespace {

template <class T>
void put(std::string& file, T value) {
    file.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void pad(std::string& file, std::size_t octets) {
    file.append((4 - octets % 4) % 4, '\0');
}

void put_option(std::string& file, std::uint16_t code, std::string_view value) {
    put<std::uint16_t>(file, code);
    put<std::uint16_t>(file, static_cast<std::uint16_t>(value.size()));
    file.append(value);
    pad(file, value.size());
}

// A block is: type, length, body, length again.
template <class Body>
void put_block(std::string& file, std::uint32_t type, Body&& body) {
    const auto start = file.size();
    put(file, type);
    put<std::uint32_t>(file, 0);
    body();
    const auto length = static_cast<std::uint32_t>(file.size() - start + sizeof(std::uint32_t));
    put(file, length);
    std::memcpy(file.data() + start + sizeof type, &length, sizeof length);
}

constexpr std::uint16_t end_of_options = 0;

}  // namespace

void append_section_header(std::string& file, std::string_view application) {
    put_block(file, 0x0a0d0d0a, [&] {
        put<std::uint32_t>(file, 0x1a2b3c4d);
        put<std::uint16_t>(file, 1);  // version 1.0
        put<std::uint16_t>(file, 0);
        put<std::int64_t>(file, -1);       // the section's length is not known
        put_option(file, 4, application);  // shb_userappl
        put_option(file, end_of_options, {});
    });
}

void append_interface(std::string& file, std::string_view name, std::uint32_t snap_length) {
    put_block(file, 1, [&] {
        put<std::uint16_t>(file, 1);  // LINKTYPE_ETHERNET
        put<std::uint16_t>(file, 0);
        put(file, snap_length);
        put_option(file, 2, name);  // if_name
        put_option(file, end_of_options, {});
    });
}

void append_packet(std::string& file, const packet& p) {
    put_block(file, 6, [&] {
        put(file, p.interface);
        put(file, static_cast<std::uint32_t>(p.time_us >> 32));
        put(file, static_cast<std::uint32_t>(p.time_us));
        put(file, static_cast<std::uint32_t>(p.octets.size()));
        put(file, p.original_length);
        file.append(reinterpret_cast<const char*>(p.octets.data()), p.octets.size());
        pad(file, p.octets.size());
        const auto flags = static_cast<std::uint32_t>(p.way);
        put_option(file, 2, {reinterpret_cast<const char*>(&flags), sizeof flags});  // epb_flags
        put_option(file, end_of_options, {});
    });
}

}  // namespace lastack::dpdk::pcapng
