// SPDX-License-Identifier: BSD-3-Clause
// One step at one end of the model: what lib/tcp does around the FSM and classify, in small.
//
// A machine works on a copy of the world. It says afterwards whether the step is possible at all
// (`blocked`: no place on the wire), and what it broke. Names and order follow lib/tcp: apply() is
// close.cpp's, accept_segment() input.cpp's, record_input() demux.cpp's time_wait_input().
#pragma once

#include "model/close_model.hpp"

namespace lastack::model {

// Where sequence numbers begin: they wrap in the handshake at one end, and cross the sign at the
// other.
inline constexpr std::array<seq32, 2> iss{{{0xfffffffe}, {0x7ffffffd}}};

struct packet {
    std::uint8_t seq = 0;   // relative to the sender's ISN
    std::uint8_t ack = 0;   // relative to the receiver's
    std::uint8_t edge = 0;  // right edge of the sender's window, relative to the receiver's ISN
    std::uint8_t len = 0;
    bool fin = false;
    bool syn = false;
    bool rst = false;
    bool has_ack = false;
};
packet_bits to_bits(const packet& p);
packet from_bits(packet_bits bits);

class machine {
  public:
    machine(world& w, const bounds& b, const rules& r, cell_set& hit)
        : w_(w), b_(b), r_(r), hit_(hit) {}

    // Steps at end x. Each expects to have been asked for (can_...).
    void call(unsigned x, teardown::event what);  // app_shutdown_wr, app_close, app_abort
    void read(unsigned x);
    void turn(unsigned x);
    void retransmit(unsigned x, bool all);
    void probe_window(unsigned x);
    void give_up(unsigned x);
    void time_event(unsigned x, teardown::event what);
    // Takes what x has sent off the wire, or leaves a copy there.
    void take(unsigned x, unsigned place, bool keep);
    void deliver(unsigned x, const packet& p, bool skip_throttled);

    static bool has_output(const side& s);
    static bool may_send(const side& s);
    static bool window_stuck(const side& s);
    static bool is_record(const side& s);
    static bool outstanding(const side& s) { return s.snd_una != s.snd_nxt; }

    bool blocked = false;
    bool throttled = false;  // an answer was one that may be throttled
    breach found = breach::none;
    std::string what;

  private:
    side& me(unsigned x) { return w_.ends[x]; }
    side& other(unsigned x) { return w_.ends[1 - x]; }
    void broke(breach kind, std::string why);
    bool apply(unsigned x, teardown::event e, const packet* p);
    const teardown::cell& cell_for(unsigned x, teardown::event e);

    void emit(unsigned x, packet p);
    void send_ack(unsigned x);
    void send_reset(unsigned x);
    void answer_reset(unsigned x, const packet& p);
    void sending_reset(unsigned x);
    void advertise(side& s);

    teardown::connection_view view_of(unsigned x) const;
    wire::tcp_segment segment_from(unsigned x, const packet& p) const;

    void listen_input(unsigned x, const packet& p);
    void child_input(unsigned x, const packet& p);
    void syn_sent_input(unsigned x, const packet& p);
    void connection_input(unsigned x, const packet& p);
    void record_input(unsigned x, const packet& p);
    void check_record_verdict(unsigned x, const teardown::time_wait_verdict& v);
    void accept_segment(unsigned x, const packet& p, const teardown::verdict& v);
    void acknowledge(side& s, const packet& p, const teardown::verdict& v);
    void accept_text(unsigned x, const packet& p, const teardown::verdict& v);
    void take_fin(unsigned x, const packet& p);

    void told_end_of_stream(unsigned x);
    void ended(unsigned x, close_outcome o);
    void enter_fin_wait_2(unsigned x);
    void become_record(side& s);
    void become_closed(side& s);

    world& w_;
    const bounds& b_;
    const rules& r_;
    cell_set& hit_;
    bool answering_ = false;  // a segment is being dealt with: its answer may take the last place
    bool skip_throttled_ = false;
    bool acked_ = false;  // this step sent something with an ACK, or owes one
};

}  // namespace lastack::model
