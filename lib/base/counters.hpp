// SPDX-License-Identifier: BSD-3-Clause
// Every counter of the stack: one list that makes the enumeration, the names and the sentences.
//
// A name is Linux's (as nstat prints it) where the meaning is exactly Linux's; others begin with
// "Lastack". Counters are written by one lcore and may be read by any: single-writer relaxed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lastack {

enum class counter : std::uint8_t {
    // Frames.
    rx_frames,
    tx_frames,
    rx_octets,
    tx_octets,
    drop_frame_short,
    drop_not_for_us,
    drop_vlan,
    drop_ethertype,
    drop_foreign,
    // ARP.
    arp_requests_in,
    arp_replies_out,
    arp_malformed,
    arp_spoof,
    arp_queue_full,
    arp_failed,
    // IP.
    ip_in_hdr_errors,
    ip_in_checksum,
    ip_fragment,
    ip_in_addr_errors,
    ip_in_options,
    ip_ttl_zero,
    ip_no_route,
    ip_source_invalid,
    ip_protocol_unknown,
    // ICMP.
    icmp_echo_in,
    icmp_echo_reply_out,
    icmp_in_errors,
    icmp_in_unreachable,
    icmp_in_time_exceeded,
    icmp_in_frag_needed,
    icmp_quote_unknown,
    icmp_quote_out_of_window,
    // TCP segments.
    tcp_in_segs,
    tcp_out_segs,
    tcp_in_errs,
    tcp_in_csum_errors,
    tcp_retrans_segs,
    tcp_out_rsts,
    tcp_header_chained,
    // Opening.
    active_opens,
    passive_opens,
    attempt_fails,
    estab_resets,
    embryonic_rsts,
    listen_overflows,
    listen_drops,
    syn_record_full,
    no_listener,
    syn_retrans,
    fast_open_active,
    fast_open_active_fail,
    // Validity.
    paws_estab,
    paws_active,
    paws_time_wait,
    challenge_ack,
    syn_challenge,
    ack_skipped_syn_recv,
    ack_skipped_paws,
    ack_skipped_seq,
    ack_skipped_fin_wait_2,
    ack_skipped_time_wait,
    ack_skipped_challenge,
    rst_ignored,
    ack_missing,
    ack_too_old,
    ack_unsent,
    ts_missing,
    syn_fin,
    // Loss recovery.
    timeouts,
    fast_retrans,
    reno_recovery,
    sack_recovery,
    loss_probes,
    loss_probe_recovery,
    zero_window_probe,
    dup_acks_in,
    keepalive_probe,
    delayed_acks,
    ofo_queue,
    ofo_drop,
    ofo_merge,
    rcv_q_drop,
    backlog_coalesce,
    // Ending.
    time_waited,
    tw_killed,
    tw_recycled,
    tw_restarted,
    tw_overflow,
    tw_core_full,
    tw_lost_ms,
    tw_expired,
    tw_reopened,
    tw_unparked,
    tw_reset_ignored,
    tw_evicted,
    fin_wait_2_expired,
    abort_on_data,
    abort_on_close,
    abort_on_memory,
    abort_on_timeout,
    abort_on_linger,
    abort_failed,
    orphan_limit,
    orphan_penalty,
    // Resources.
    no_connection,
    no_socket,
    no_mbuf,
    memory_pressure,
    pressure_refused_open,
    pressure_dropped_ofo,
    tx_drop,
    steered,
    steer_drop,
    coroutine_pool_empty,
    count_
};
inline constexpr std::size_t counter_count = static_cast<std::size_t>(counter::count_);

struct counter_row {
    counter id;
    std::string_view name;
    std::string_view sentence;
};

// In the order of the enumeration (proved in counters.cpp).
extern const std::array<counter_row, counter_count> counter_rows;

// One lcore's counters.
class counter_set {
  public:
    void add(counter c, std::uint64_t n = 1) {
        auto& cell = cells_[static_cast<std::size_t>(c)];
        cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    std::uint64_t get(counter c) const {
        return cells_[static_cast<std::size_t>(c)].load(std::memory_order_relaxed);
    }

  private:
    std::array<std::atomic<std::uint64_t>, counter_count> cells_{};
};

}  // namespace lastack
