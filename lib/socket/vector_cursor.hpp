// SPDX-License-Identifier: BSD-3-Clause
// A place in the caller's scattered memory, which moves on as it is filled or emptied.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <span>

namespace lastack::socket {

class vector_cursor {
  public:
    vector_cursor(const iovec* parts, std::size_t count) : parts_(parts), count_(count) {
        for (std::size_t i = 0; i < count; ++i) {
            left_ += parts[i].iov_len;
        }
    }

    // Octets from here to the end.
    std::size_t left() const { return left_; }
    // The piece that begins here; empty at the end only.
    std::span<std::byte> piece() {
        while (count_ > 0 && offset_ == parts_->iov_len) {
            ++parts_;
            --count_;
            offset_ = 0;
        }
        if (count_ == 0 || left_ == 0) {
            return {};
        }
        return {static_cast<std::byte*>(parts_->iov_base) + offset_,
                std::min(parts_->iov_len - offset_, left_)};
    }
    // Brings the end to `most` octets from here, if that is nearer. Returns by how many octets it
    // has moved, for extend() to move it back.
    std::size_t limit(std::size_t most) {
        const std::size_t cut = left_ - std::min(left_, most);
        left_ -= cut;
        return cut;
    }
    void extend(std::size_t n) { left_ += n; }
    // Precondition: n is no more than the piece has.
    void advance(std::size_t n) {
        offset_ += n;
        left_ -= n;
    }

  private:
    const iovec* parts_;
    std::size_t count_;
    std::size_t offset_ = 0;
    std::size_t left_ = 0;
};

}  // namespace lastack::socket
