// SPDX-License-Identifier: BSD-3-Clause
// `throughput`: the client sends without end, copying as send() does; the server takes and drops.
// `connections`: the same ends with nothing to send, so that connections lie idle.
#pragma once

#include "ends.hpp"

namespace bench {

class sink_server : public server_base {
  public:
    sink_server(load& l, unsigned worker) : server_base(l, worker) {}
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event&) {
        if (const auto got = s.receive(id)) {
            tally_->octets.add(got->size());
        }
    }
    void on_opened(lastack::local_stack&, lastack::conn_id, const lastack::event&) {
        tally_->open.add(1);
    }
};

class source_client : public client_base {
  public:
    source_client(load& l, unsigned worker)
        : client_base(l, worker), text_(text_of("", l.request_octets)) {}
    void on_opened(lastack::local_stack& s, lastack::conn_id id, const lastack::event&) {
        tally_->open.add(1);
        fill(s, id);
    }
    void on_writable(lastack::local_stack& s, lastack::conn_id id, const lastack::event&) {
        fill(s, id);
    }
    void on_readable(lastack::local_stack& s, lastack::conn_id id, const lastack::event&) {
        (void)s.receive(id);
    }
    void on_peer_closed(lastack::local_stack& s, lastack::conn_id id, const lastack::event&) {
        (void)s.close(id, lastack::completion::event);
    }
    void on_turn(lastack::local_stack& s, std::chrono::microseconds now) {
        publish(s, now);
        if (!draining_) {
            open_missing(s, opens_per_turn);
        }
    }
    void on_drain(lastack::local_stack& s) {
        draining_ = true;
        for (slot& at : slots_) {
            if (at.open && !load_->idle) {
                (void)s.close(at.id, lastack::completion::event);
            }
        }
    }

  private:
    static constexpr std::uint32_t opens_per_turn = 32;

    void fill(lastack::local_stack& s, lastack::conn_id id) {
        while (!text_.empty() && !draining_) {
            const auto sent = s.send(id, text_);
            if (!sent || *sent < text_.size()) {
                return;
            }
        }
    }

    std::vector<std::byte> text_;
};

}  // namespace bench
