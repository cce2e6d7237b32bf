// SPDX-License-Identifier: BSD-3-Clause
// What the path reports: ICMP errors that quote a segment of ours, a next hop that does not answer.
#include "tcp/engine.hpp"

namespace lastack::tcp {

using teardown::event;
using teardown::state;

// R52, R68: an ICMP error counts only if it quotes what is outstanding; it never ends an open
// connection. RFC 1191: the MSS towards that peer goes down and what was too big is sent again.
void engine::path_failed(const flow::key4& quoted, seq32 quoted_seq, const path_error& error) {
    const std::uint32_t live = find_live(quoted, hash_(quoted));
    if (live == npos || (live & syn_bit) != 0) {
        counters_.add(counter::icmp_quote_unknown);
        return;
    }
    tcb& c = tcbs_[live];
    if (quoted_seq < c.snd_una || quoted_seq >= c.snd_nxt) {
        counters_.add(counter::icmp_quote_out_of_window);
        return;
    }
    const host& h = config_.around;
    if (error.what == path_error::kind::packet_too_big) {
        const bool narrower =
            h.narrow_path(h.context, quoted.remote, error.mtu, error.quoted_length, now_);
        apply_mss(c);
        if (narrower && may_send(c) && c.recovery == recovery_state::open) {
            c.recovery = recovery_state::loss;  // everything in flight was too big
            c.recover = c.snd_nxt;
            c.high_rxt = c.snd_una;
            make_ready(c);
        } else if (narrower && c.st == state::syn_sent && !c.syn_held && fast_open_tried(c)) {
            resend_syn(c);
        }
        return;
    }
    c.soft_error = 1;
    if (c.st == state::syn_sent || c.st == state::syn_received) {
        // DEVIATES RFC 1122 4.2.3.9: a soft error ends an attempt to connect, as on Linux, because
        // the application has other addresses to try and no data is at stake (RFC 5461).
        apply(c,
              error.what == path_error::kind::refused ? event::rx_rst_refused : event::unreachable);
    }
}

void engine::neighbour_failed(const flow::key4& key) {
    const std::uint32_t live = find_live(key, hash_(key));
    if (live == npos || (live & syn_bit) != 0) {
        return;
    }
    tcb& c = tcbs_[live];
    if (c.snd_una == c.snd_nxt) {
        return;  // a probe or an ACK: on Linux the error would be outside the window
    }
    c.soft_error = 1;
    if (c.st == state::syn_sent) {
        apply(c, event::unreachable);
    }
}

}  // namespace lastack::tcp
