// SPDX-License-Identifier: BSD-3-Clause
// TCP_INFO in Linux's layout. What the stack does not keep is 0, never a guess.
#include <linux/tcp.h>

#include <array>

#include "socket/option_value.hpp"
#include "socket/table.hpp"

namespace lastack::socket {

namespace {

// Linux's TCP_ESTABLISHED and so on, which are not in the RFC's order.
constexpr std::array<std::uint8_t, 11> linux_states{7, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6};

}  // namespace

int table::get_tcp_info(description& d, void* value, socklen_t* length) {
    tcp_info t{};
    const auto got = calls_.info(d.conn);
    connection_info i = got ? *got : connection_info{};
    if (d.tcp == tcp_phase::listening) {
        i.state = connection_state::listen;
    }
    t.tcpi_state = linux_states[static_cast<std::size_t>(i.state)];
    const std::uint32_t mss = std::max(i.snd_mss, 1u);
    const auto in_segments = [mss](std::uint32_t octets) { return (octets + mss - 1) / mss; };
    t.tcpi_ca_state = static_cast<std::uint8_t>(i.recovery);
    t.tcpi_retransmits = i.retransmits;
    t.tcpi_probes = i.probes;
    t.tcpi_backoff = i.backoff;
    t.tcpi_options = static_cast<std::uint8_t>(
        (i.timestamps ? TCPI_OPT_TIMESTAMPS : 0) | (i.sack ? TCPI_OPT_SACK : 0) |
        (i.window_scaling ? TCPI_OPT_WSCALE : 0) | (d.syn_data ? TCPI_OPT_SYN_DATA : 0));
    t.tcpi_snd_wscale = i.snd_wscale & 0xf;
    t.tcpi_rcv_wscale = i.rcv_wscale & 0xf;
    t.tcpi_rto = i.rto_us;
    t.tcpi_ato = i.ato_us;
    t.tcpi_snd_mss = i.snd_mss;
    t.tcpi_unacked = in_segments(i.in_flight);
    t.tcpi_sacked = in_segments(i.sacked);
    t.tcpi_last_data_sent = i.last_data_sent_ms;
    t.tcpi_last_data_recv = i.last_received_ms;
    t.tcpi_last_ack_recv = i.last_received_ms;
    t.tcpi_pmtu = i.pmtu;
    t.tcpi_rtt = i.rtt_us;
    t.tcpi_rttvar = i.rttvar_us;
    t.tcpi_snd_ssthresh = i.snd_ssthresh == ~0u ? 0x7fffffff : i.snd_ssthresh / mss;
    t.tcpi_snd_cwnd = i.snd_cwnd / mss;
    t.tcpi_advmss = i.advmss;
    t.tcpi_notsent_bytes = i.not_sent;
    t.tcpi_snd_wnd = i.snd_wnd;
    return write_value(t, value, length);
}

}  // namespace lastack::socket
