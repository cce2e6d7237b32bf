// SPDX-License-Identifier: BSD-3-Clause
// Round-trip time and the retransmission timeout (RFC 6298), with Linux's bounds.
//
// All in microseconds. Linux bounds the variance term from below by the minimum RTO and the sum
// from above by the maximum, which is what R24 and R65 measure against.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lastack::tcp {

inline constexpr std::uint32_t initial_rto_us = 1'000'000;   // RFC 6298 2.1
inline constexpr std::uint32_t fallback_rto_us = 3'000'000;  // RFC 6298 5.7: the SYN was lost

class rtt_estimator {
  public:
    bool valid() const { return srtt_ != 0; }
    std::uint32_t srtt_us() const { return srtt_; }
    std::uint32_t rttvar_us() const { return valid() ? rttvar_ : 0; }

    // RFC 6298 2.2, 2.3. `sample` in microseconds; Karn's rule is the caller's.
    void sample(std::uint32_t us) {
        us = std::max(us, 1u);
        if (srtt_ == 0) {
            srtt_ = us;
            rttvar_ = us / 2;
            return;
        }
        const std::uint32_t error = us > srtt_ ? us - srtt_ : srtt_ - us;
        rttvar_ = rttvar_ - rttvar_ / 4 + error / 4;
        srtt_ = std::max(srtt_ - srtt_ / 8 + us / 8, 1u);
    }

    // RFC 6298 5.7. Called when the handshake is over, whether or not there is a sample yet.
    void syn_was_lost() { rttvar_ = srtt_ == 0 ? fallback_rto_us : rttvar_; }

    // Before back-off.
    std::uint32_t rto_us(std::uint32_t rto_min_us, std::uint32_t rto_max_us) const {
        if (srtt_ == 0) {
            return std::clamp(rttvar_ == 0 ? initial_rto_us : rttvar_, rto_min_us, rto_max_us);
        }
        const std::uint64_t rto =
            std::uint64_t{srtt_} + std::max<std::uint64_t>(rto_min_us, 4ull * rttvar_);
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(rto, rto_max_us));
    }

  private:
    std::uint32_t srtt_ = 0;
    std::uint32_t rttvar_ = 0;  // before the first sample: an RTO other than the initial one, or 0
};

}  // namespace lastack::tcp
