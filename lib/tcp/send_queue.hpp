// SPDX-License-Identifier: BSD-3-Clause
// Octets from SND.UNA on, as a chain of mbuf segments, with a cursor where new data is sent from.
//
// Segments are the application's own mbufs (by reference) or ours (copied). The queue holds one
// reference to each; what goes out is attached to, so a PMD may still be reading when the queue
// lets go. The queue never changes a segment's data, and appends only to the tail it alone holds.
// Offsets are in octets from SND.UNA. Memory counts whole buffers, not payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct rte_mbuf;

namespace lastack::tcp {

class mbuf_source;

class send_queue {
  public:
    // A place in the queue.
    struct position {
        rte_mbuf* segment = nullptr;
        std::uint32_t offset = 0;  // within the segment's data
    };

    std::uint32_t octets() const { return octets_; }
    std::uint32_t memory() const { return memory_; }
    const rte_mbuf* head() const { return head_; }

    // Takes over the chain.
    void append(rte_mbuf* chain);
    // Copies up to `data`, into mbufs from there, while memory() stays below `memory_max`; returns
    // how many octets. Short also when there are none.
    std::size_t append_copy(std::span<const std::byte> data, std::uint32_t memory_max,
                            const mbuf_source& mbufs);
    // Lets go of the first n octets. Precondition: n <= octets().
    void drop(std::uint32_t n, const mbuf_source& mbufs);
    void clear();

    // Where octet `offset` lies. Remembers the last place asked for, so that walking forward over
    // new data is constant time. Precondition: offset < octets().
    position find(std::uint32_t offset);

  private:
    rte_mbuf* head_ = nullptr;
    rte_mbuf* tail_ = nullptr;
    std::uint32_t head_offset_ = 0;  // octets of the head segment already let go
    std::uint32_t octets_ = 0;
    std::uint32_t memory_ = 0;
    std::uint32_t cursor_at_ = 0;  // offset from SND.UNA of cursor_'s first octet in the queue
    rte_mbuf* cursor_ = nullptr;
};

// Buffer memory that one segment, and that a whole chain pins, in octets.
std::uint32_t buffer_memory_of(const rte_mbuf* segment);
std::uint32_t buffer_memory(const rte_mbuf* chain);

}  // namespace lastack::tcp
