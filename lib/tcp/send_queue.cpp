// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/send_queue.hpp"

#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "base/prefetch.hpp"
#include "tcp/mbuf_source.hpp"

namespace lastack::tcp {
namespace {

// Of fewer the copy itself has all lines under way at once.
constexpr std::uint16_t prefetched_octets_min = 512;

}  // namespace

std::uint32_t buffer_memory_of(const rte_mbuf* m) {
    return static_cast<std::uint32_t>(sizeof(rte_mbuf)) + m->buf_len;
}

std::uint32_t buffer_memory(const rte_mbuf* chain) {
    std::uint32_t sum = 0;
    for (; chain != nullptr; chain = chain->next) {
        sum += buffer_memory_of(chain);
    }
    return sum;
}

void send_queue::append(rte_mbuf* chain) {
    if (head_ == nullptr) {
        head_ = chain;
        head_offset_ = 0;
        cursor_ = nullptr;
    } else {
        tail_->next = chain;
    }
    for (rte_mbuf* m = chain; m != nullptr; m = m->next) {
        octets_ += m->data_len;
        memory_ += buffer_memory_of(m);
        tail_ = m;
    }
}

std::size_t send_queue::append_copy(std::span<const std::byte> data, std::uint32_t memory_max,
                                    const mbuf_source& mbufs) {
    std::size_t copied = 0;
    while (copied < data.size()) {
        if (tail_ == nullptr || !mbuf_source::is_sole(tail_) || rte_pktmbuf_tailroom(tail_) == 0) {
            if (memory_ >= memory_max) {
                break;
            }
            rte_mbuf* fresh = mbufs.take();
            if (fresh == nullptr) {
                break;
            }
            append(fresh);
        }
        const auto n = static_cast<std::uint16_t>(
            std::min<std::size_t>(data.size() - copied, rte_pktmbuf_tailroom(tail_)));
        auto* const to = rte_pktmbuf_mtod_offset(tail_, std::byte*, tail_->data_len);
        if (n >= prefetched_octets_min) {
            prefetch_text_to_write(to, n);
        }
        std::memcpy(to, data.data() + copied, n);
        tail_->data_len = static_cast<std::uint16_t>(tail_->data_len + n);
        octets_ += n;
        copied += n;
    }
    return copied;
}

void send_queue::drop(std::uint32_t n, const mbuf_source& mbufs) {
    LASTACK_ASSERT(n <= octets_);
    octets_ -= n;
    if (cursor_at_ < n) {
        cursor_ = nullptr;
    } else {
        cursor_at_ -= n;
    }
    while (n > 0) {
        const std::uint32_t left = head_->data_len - head_offset_;
        if (n < left) {
            head_offset_ += n;
            return;
        }
        n -= left;
        memory_ -= buffer_memory_of(head_);
        head_offset_ = 0;
        if (head_ == tail_) {
            mbufs.give(head_);
            head_ = tail_ = cursor_ = nullptr;
            return;
        }
        rte_mbuf* const next = head_->next;
        rte_pktmbuf_free_seg(head_);
        head_ = next;
    }
}

void send_queue::clear() {
    rte_pktmbuf_free(head_);
    *this = send_queue{};
}

send_queue::position send_queue::find(std::uint32_t offset) {
    LASTACK_ASSERT(offset < octets_);
    if (cursor_ == nullptr || offset < cursor_at_) {
        cursor_ = head_;
        cursor_at_ = 0;
    }
    for (;;) {
        const std::uint32_t skipped = cursor_ == head_ ? head_offset_ : 0;
        const std::uint32_t here = cursor_->data_len - skipped;
        if (offset - cursor_at_ < here) {
            return {cursor_, skipped + (offset - cursor_at_)};
        }
        cursor_at_ += here;
        cursor_ = cursor_->next;
    }
}

}  // namespace lastack::tcp
