// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/capture.hpp"

#include <rte_mbuf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lastack::dpdk {

capture_ring::capture_ring() : memory_(new slot[slots]) {
    std::memset(static_cast<void*>(memory_.get()), 0, slots * sizeof(slot));  // fault the pages in
    for (std::uint32_t i = 0; i < slots; ++i) {
        free_.push(i);
    }
}

void capture_ring::add(std::span<rte_mbuf* const> frames, std::uint32_t port, pcapng::direction way,
                       instant now) {
    for (const rte_mbuf* frame : frames) {
        std::uint32_t index = 0;
        if (!free_.pop(index)) {
            dropped_.store(dropped() + 1, std::memory_order_relaxed);
            continue;
        }
        slot& s = memory_[index];
        s.time_us = now.us;
        s.port = port;
        s.length = frame->pkt_len;
        s.way = way;
        s.captured = 0;
        for (const rte_mbuf* m = frame; m != nullptr; m = m->next) {
            const auto n = std::min<std::size_t>(m->data_len, slot_octets - s.captured);
            std::memcpy(s.octets + s.captured, rte_pktmbuf_mtod(m, const std::byte*), n);
            s.captured += static_cast<std::uint32_t>(n);
        }
        full_.push(index);
    }
}

result<std::unique_ptr<capture_file>, std::string> capture_file::open(
    const std::string& path, const std::vector<std::string>& port_names) {
    std::FILE* file = std::fopen(path.c_str(), "wbe");
    if (file == nullptr) {
        return failure{"capture file " + path + " cannot be made: " + std::strerror(errno)};
    }
    std::unique_ptr<capture_file> made(new capture_file(file));
    pcapng::append_section_header(made->text_, "lastack");
    for (const auto& name : port_names) {
        pcapng::append_interface(made->text_, name, capture_ring::slot_octets);
    }
    if (std::fwrite(made->text_.data(), 1, made->text_.size(), file) != made->text_.size() ||
        std::fflush(file) != 0) {
        return failure{"capture file " + path + " cannot be written: " + std::strerror(errno)};
    }
    return made;
}

capture_file::~capture_file() {
    std::fclose(file_);
}

bool capture_file::drain(capture_ring& ring) {
    constexpr std::size_t budget = 512;  // slots
    text_.clear();
    std::uint32_t index = 0;
    for (std::size_t n = 0; n < budget && ring.full_.pop(index); ++n) {
        const auto& s = ring.memory_[index];
        pcapng::append_packet(text_, {s.port, static_cast<std::uint64_t>(s.time_us), s.way,
                                      s.length, std::span(s.octets, s.captured)});
        ring.free_.push(index);
        ++frames_;
    }
    const bool written = std::fwrite(text_.data(), 1, text_.size(), file_) == text_.size();
    return std::fflush(file_) == 0 && written;
}

}  // namespace lastack::dpdk
