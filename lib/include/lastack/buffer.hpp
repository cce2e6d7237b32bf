// SPDX-License-Identifier: BSD-3-Clause
// Payload in the stack's own currency: a move-only owner of an mbuf chain.
//
// A buffer received from the stack is read in place; one given to send() is not copied (but for
// small ones, where copying is cheaper). Nobody writes to an mbuf that others hold (refcnt > 1).
#pragma once

#include <rte_mbuf.h>

#include <cstddef>
#include <span>
#include <utility>

namespace lastack {

class buffer {
  public:
    buffer() = default;
    explicit buffer(rte_mbuf* chain) : chain_(chain) {}  // takes over the caller's reference
    buffer(buffer&& other) noexcept : chain_(std::exchange(other.chain_, nullptr)) {}
    buffer& operator=(buffer&& other) noexcept {
        if (this != &other) {
            reset(std::exchange(other.chain_, nullptr));
        }
        return *this;
    }
    ~buffer() { reset(nullptr); }

    explicit operator bool() const { return chain_ != nullptr; }
    // Octets in all segments.
    std::size_t size() const { return chain_ == nullptr ? 0 : chain_->pkt_len; }
    rte_mbuf* get() const { return chain_; }
    [[nodiscard]] rte_mbuf* release() { return std::exchange(chain_, nullptr); }

    // Calls f(std::span<const std::byte>) for each segment in order.
    template <class F>
    void for_each_segment(F&& f) const {
        for (const rte_mbuf* m = chain_; m != nullptr; m = m->next) {
            f(std::span{rte_pktmbuf_mtod(m, const std::byte*), m->data_len});
        }
    }

  private:
    void reset(rte_mbuf* chain) {
        if (chain_ != nullptr) {
            rte_pktmbuf_free(chain_);
        }
        chain_ = chain;
    }
    rte_mbuf* chain_ = nullptr;
};

}  // namespace lastack
