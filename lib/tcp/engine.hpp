// SPDX-License-Identifier: BSD-3-Clause
// One core's TCP: its connections, its TIME_WAIT records, its timers, and what segments, calls and
// deadlines do to them.
//
// One class because all of it works on the same pools; one file for each idea:
//   engine.cpp     making one, its turn, its watch over memory, stopping it
//   listen.cpp     bound ports, listeners
//   open.cpp       SYN_RECEIVED records, ISN
//   connect.cpp    active open
//   fast_open.cpp  text in our SYN (RFC 7413)
//   path_error.cpp ICMP errors
//   demux.cpp      which of connection, SYN record, TIME_WAIT record or listener a segment is for
//   input.cpp      RFC 9293 3.10.7.4 for connections; the fast path
//   ack.cpp        what an ACK does: send queue, RTT, window, duplicate ACKs
//   recovery.cpp   what is lost and what to send next (RFC 6582, RFC 6675)
//   receive.cpp    text: queueing, reassembly, windows
//   output.cpp     what is due: data, FIN, ACK
//   emit.cpp       one segment into one mbuf
//   deadlines.cpp  wheels: RTO, loss probe, persist, delayed ACK, keepalive
//   close.cpp      apply(): the only writer of a connection's state; TIME_WAIT; freeing
//   calls.cpp      the application's calls and events
//   send.cpp       its send(), and the memory that what is sent may take
//   socket_options.cpp  what it says of a connection, and asks about it
//   info.cpp       what it may ask of a connection
//
// A packet leaves as an mbuf that begins with its IPv4 header, checksums done; Ethernet and
// neighbours are the stack's. The core copies new settings in between turns.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/counters.hpp"
#include "base/index_pool.hpp"
#include "base/time.hpp"
#include "config/settings.hpp"
#include "flow/ack_limit.hpp"
#include "flow/connection_table.hpp"
#include "flow/flow_owner.hpp"
#include "flow/key.hpp"
#include "flow/port_ledger.hpp"
#include "flow/port_owners.hpp"
#include "flow/table_hash.hpp"
#include "flow/time_wait_table.hpp"
#include "lastack/buffer.hpp"
#include "lastack/local_stack.hpp"
#include "lastack/result.hpp"
#include "tcp/close_log.hpp"
#include "tcp/cookie_cache.hpp"
#include "tcp/engine_config.hpp"
#include "tcp/mbuf_source.hpp"
#include "tcp/record_ends.hpp"
#include "tcp/tcb.hpp"
#include "teardown/cap_share.hpp"
#include "teardown/classify.hpp"
#include "teardown/fsm.hpp"
#include "timer/wheel.hpp"
#include "wire/tcp.hpp"

struct rte_mbuf;

namespace lastack::tcp {

// A received segment on its way through the engine.
struct arrival {
    flow::key4 key;
    std::uint64_t hash = 0;
    wire::tcp_segment segment;
    rte_mbuf* mbuf = nullptr;   // the frame; consumed by engine::input, an answer may overwrite it
    std::uint16_t text_at = 0;  // offset of the payload from the start of the mbuf's data
    std::uint8_t tos = 0;
};

// An ICMP error that quotes a segment of ours (R68, RFC 1191).
struct path_error {
    enum class kind : std::uint8_t { soft, refused, packet_too_big };
    kind what = kind::soft;
    std::uint16_t mtu = 0;            // of packet_too_big, as reported
    std::uint16_t quoted_length = 0;  // octets of the IP packet that did not fit
};

// Whether every value is in its range.
bool is_valid(const connection_options& o);

class engine {
  public:
    // The clock starts at `now`.
    static result<std::unique_ptr<engine>, std::string> make(const engine_config&, instant now);
    ~engine();
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;

    std::uint64_t hash(const flow::key4& key) const { return hash_(key); }
    // What input() will look at first. A SYN without ACK finds no connection, and FIN may bring one
    // to TIME_WAIT.
    void prefetch(const arrival& a) const {
        namespace flags = wire::tcp_flags;
        connections_.prefetch(a.hash);
        if (a.segment.has(flags::fin) ||
            (a.segment.flags & (flags::syn | flags::ack)) == flags::syn) {
            time_wait_->prefetch(a.hash);
        }
    }
    // Once that has come: the ways into TIME_WAIT of these segments' FINs.
    void prefetch_records(std::span<const arrival> burst) const;
    // One turn: begin(), segments, deadlines, calls, output().
    void begin(instant now);
    void input(arrival& a);
    bool run_deadlines(std::uint32_t budget);
    bool output(std::uint32_t segments);
    void flush();
    tick next_deadline() const;
    // Something waits for this turn's output() or take_events().
    bool has_work() const { return ready_count_ > 0 || told_count_ > 0 || out_count_ > 0; }

    // `quoted` from our point of view.
    void path_failed(const flow::key4& quoted, seq32 quoted_seq, const path_error& error);
    // The next hop of this packet of ours did not answer.
    void neighbour_failed(const flow::key4& key);

    // Events: at most `into.size()`; returns how many.
    std::size_t take_events(std::span<event> into);

    // Calls: as in lastack/local_stack.hpp.
    result<listener_id, call_error> bind(const endpoint& local, const port_options&);
    result<bool, call_error> listen(listener_id, const listen_options&);
    result<listener_id, call_error> listen(const endpoint& local, const listen_options&);
    result<bool, call_error> close_listener(listener_id);
    result<bool, call_error> set_port_options(listener_id, const port_options&);
    result<bool, call_error> set_port_options(conn_id, const port_options&);
    result<endpoint, call_error> local_endpoint(listener_id) const;
    result<conn_id, call_error> connect(const endpoint& remote, const connect_options&);
    result<std::size_t, call_error> syn_room(conn_id) const;
    result<std::size_t, call_error> send(conn_id, std::span<const std::byte>, send_options);
    result<bool, call_error> send(conn_id, buffer&);
    result<buffer, call_error> receive(conn_id);
    result<std::size_t, call_error> receive(conn_id, std::span<std::byte>);
    result<std::size_t, call_error> peek(conn_id, std::size_t offset, std::span<std::byte>) const;
    result<bool, call_error> accepted(conn_id);
    result<listener_id, call_error> migrate(conn_id);
    result<connection_info, call_error> info(conn_id) const;
    result<bool, call_error> shutdown(conn_id, shutdown_how);
    result<bool, call_error> close(conn_id, completion);
    result<bool, call_error> abort(conn_id, completion);
    result<connection_options, call_error> options(conn_id) const;
    result<bool, call_error> set_options(conn_id, const connection_options&);
    result<bool, call_error> set_user(conn_id, std::uint64_t);
    result<bool, call_error> set_linger(conn_id, linger_option);
    result<bool, call_error> set_no_delay(conn_id, bool);
    result<bool, call_error> set_cork(conn_id, bool);
    result<bool, call_error> set_keepalive(conn_id, keepalive_option);
    result<bool, call_error> set_user_timeout(conn_id, milliseconds);
    result<bool, call_error> set_linger2(conn_id, int seconds);
    result<std::size_t, call_error> unread(conn_id) const;
    result<std::size_t, call_error> unsent(conn_id) const;
    result<endpoint, call_error> remote_endpoint(conn_id) const;
    result<endpoint, call_error> local_endpoint(conn_id) const;
    buffer allocate(std::size_t octets);

    // Stops listening and sends every connection's FIN, or resets them all. Not for the packet
    // path.
    void stop_listening();
    void drain();
    void reset_all();

    counter_set& counters() { return counters_; }
    const counter_set& counters() const { return counters_; }
    const config::settings& settings() const { return settings_; }
    const std::array<std::uint64_t, teardown::state_count>& connections_by_state() const {
        return by_state_;
    }
    std::uint32_t connections() const { return tcbs_.in_use(); }
    std::uint32_t listeners() const;
    std::uint32_t syn_records() const { return syns_.in_use(); }
    std::uint32_t sockets() const { return sockets_.in_use(); }
    std::uint32_t orphans() const { return orphans_; }
    const std::array<std::uint64_t, close_outcome_count>& outcomes() const { return outcomes_; }
    const flow::time_wait_table<flow::key4>& time_wait() const { return *time_wait_; }
    const flow::port_owners& port_owners() const { return *port_owners_; }
    // Who gets what arrives for a tuple, and which worker this is; nullptr: this one gets all.
    const flow::flow_owner* owners() const { return config_.owners; }
    unsigned worker() const { return config_.worker; }
    // Whether the port brings what arrives for this tuple to this lcore.
    bool answers_come_here(const flow::key4& key) const {
        return config_.owners == nullptr || config_.owners->owner_of(key) == config_.worker;
    }
    std::uint64_t mbufs_held() const;

    // Between turns. Capacities stay as they were reserved; what a listener or a connection has
    // taken over from the settings when it was made stays with it, as on Linux.
    void apply_settings(const config::settings&);

    // Between turns: messages about the caps that this core shares with others.
    template <class F>
    void speak_of_caps(F&& say) {
        tw_cap_.speak(time_wait_->size(), say);
        orphan_cap_.speak(orphans_, say);
    }
    void hear_of_cap(const teardown::cap_message& m);
    // How many TIME_WAIT records, or connections and so orphans, this core has memory for.
    std::uint32_t room_for(teardown::cap_kind of) const;

    // For those who look at the tables from this lcore (stack/inspect.hpp).
    instant now() const { return now_; }
    const index_pool<tcb>& tcbs() const { return tcbs_; }
    const index_pool<syn_record>& syn_table() const { return syns_; }
    bool syn_record_in_use(std::uint32_t i) const { return syns_[i].in_use; }
    const socket* socket_of(const tcb& c) const {
        return c.socket == npos ? nullptr : &sockets_[c.socket];
    }
    std::span<const listener> listener_table() const { return {listeners_.get(), listener_count_}; }
    // A tcb's index, or a SYN record's with the top bit set; npos when there is neither.
    std::uint32_t find_connection(const flow::key4& key) const {
        return find_live(key, hash_(key));
    }
    flow::time_wait_slot find_record(const flow::key4& key) const {
        return time_wait_->find(hash_(key), key);
    }
    std::uint32_t rto_ms(const tcb& c) const;
    const close_log& closes() const { return closes_; }
    // RSTs sent, by the decided fact that asked for each.
    const std::array<std::uint64_t, teardown::event_count>& resets() const { return resets_; }

    // Segments that went no further, by what was found. Those that are answered count too; what a
    // queue or a pool has no room for has counters of its own.
    const std::array<std::uint64_t, teardown::event_count>& drops() const { return drops_; }

    // For tests: the connection behind a handle, or nullptr.
    const tcb* connection(conn_id id) const;

  private:
    engine() = default;

    // What a connection that lives and ends well never calls is `cold`: the compiler lays it, and
    // the branches that lead to it, apart from what every segment runs, which is more code than the
    // first cache of instructions holds.

    // A tcb's index in the connection table; SYN records have the top bit set.
    static constexpr std::uint32_t syn_bit = 0x80000000u;

    // demux.cpp
    std::uint32_t find_live(const flow::key4& key, std::uint64_t hash) const;
    void time_wait_input(arrival& a, flow::time_wait_slot slot);
    void listen_input(arrival& a, listener_id id);
    [[gnu::cold]] void answer_from_record(const arrival& a, flow::time_wait_slot slot,
                                          teardown::time_wait_answer answer, teardown::event what);
    [[gnu::cold]] void no_connection(const arrival& a);
    void note_drop(teardown::event what) { ++drops_[static_cast<std::size_t>(what)]; }

    // listen.cpp
    listener* alive(listener_id id);
    const listener* alive(listener_id id) const;
    listener_id find_listener(const flow::key4& key, std::uint64_t hash) const;
    bool may_bind(ipv4_address local, std::uint16_t port, flow::port_sharing wanted,
                  const listener* but) const;
    std::uint16_t choose_port(ipv4_address local, flow::port_sharing sharing);
    [[gnu::cold]] listener_id heir_of(const flow::key4& key, std::uint64_t hash) const;
    [[gnu::cold]] bool migrate(socket& s);
    listener* listener_of(syn_record& r);
    bool reserve_time_wait(listener& l, std::uint32_t time_wait_ms);
    void release_port(listener_id id);
    bool is_bound(std::uint16_t port) const { return bound_[port] != 0; }
    template <class F>
    void each_bound(std::uint16_t port, F&& f) const {
        for (std::uint16_t i = bound_[port]; i != 0; i = listeners_[i - 1].next) {
            f(listeners_[i - 1], static_cast<std::uint16_t>(i - 1));
        }
    }

    // open.cpp
    void open_passively(const arrival& a, listener_id id, seq32 iss, bool reopened, bool ts_strict);
    void syn_record_input(arrival& a, std::uint32_t index);
    void establish(arrival& a, std::uint32_t index, const teardown::verdict& v);
    // Of a record that `reopened` says stands before a parked one.
    [[gnu::cold]] void settle_parked(const syn_record& r, bool completed);
    void retire_syn_record(std::uint32_t index);
    [[gnu::cold]] void drop_syn_record(std::uint32_t index);
    [[gnu::cold]] void answer_from_syn_record(const arrival& a, syn_record& r, bool syn_ack);
    static std::uint16_t syn_window(std::uint32_t memory);
    std::uint32_t receive_memory(const connection_options& o) const;
    void send_syn_ack(const syn_record& r);
    seq32 initial_sequence(const flow::key4& key) const;
    std::uint32_t timestamp_offset(const flow::key4& key) const;
    std::uint32_t host_pair_offset(const flow::key4& key) const;
    std::uint16_t offered_mss(ipv4_address remote, std::uint16_t mss_max) const;
    std::uint8_t offered_wscale() const;
    void apply_mss(tcb& c);
    std::uint32_t new_connection(const flow::key4& key, std::uint64_t hash,
                                 flow::port_sharing sharing);
    bool refuse_open_under_pressure();

    // connect.cpp
    void syn_sent_input(arrival& a, std::uint32_t index);
    void take_syn_options(tcb& c, const wire::tcp_segment& s);
    // `bound`: the port was asked for, so neither sysctl nor age is (R55).
    flow::port_state port_state_of(const flow::key4& key, bool bound = false) const;
    std::optional<call_error> choose_tuple(const endpoint& remote, const connect_options& o,
                                           flow::key4& key);
    // Something has let go of the tuple, or it has entered TIME_WAIT: connect() may want it.
    void port_changed(const flow::key4& key);
    void inherit_from_time_wait(tcb& c);
    void send_syn(tcb& c);
    [[gnu::cold]] void resend_syn(tcb& c);

    // fast_open.cpp
    [[gnu::cold]] void begin_fast_open(tcb& c);
    [[gnu::cold]] void send_fast_open_syn(tcb& c);
    void send_held_syn(tcb& c);
    bool fast_open_tried(const tcb& c) const;
    [[gnu::cold]] void fast_open_answered(tcb& c, const arrival& a);
    [[gnu::cold]] void take_back_syn_text(tcb& c);
    bool may_open_without_cookie() const;
    std::uint32_t syn_text_max(const tcb& c) const;
    std::uint64_t hash_of_server(const tcb& c) const { return hash_({c.key.remote, {}, 0, 0}); }
    const cookie_cache::entry* server_of(const tcb& c) const {
        return cookies_.find(hash_of_server(c), c.key.remote);
    }

    // input.cpp
    void connection_input(arrival& a, std::uint32_t index);
    bool predicted(const tcb& c, const wire::tcp_segment& s) const;
    teardown::connection_view view_of(const tcb& c) const;
    [[gnu::cold]] void disqualified(tcb& c, const arrival& a, const teardown::verdict& v);
    void accept_segment(arrival& a, std::uint32_t index, const teardown::verdict& v);
    void note_timestamp(tcb& c, const wire::tcp_segment& s);
    bool ts_recent_valid(const tcb& c) const;

    // ack.cpp
    void acknowledge(tcb& c, const wire::tcp_segment& s, const teardown::verdict& v);
    void progress(tcb& c, const wire::tcp_segment& s, std::uint32_t octets);
    void take_rtt(tcb& c, const wire::tcp_segment& s);
    void update_window(tcb& c, const wire::tcp_segment& s);
    void tell_writable(tcb& c);

    // recovery.cpp
    bool take_sack(tcb& c, const wire::tcp_segment& s);
    void duplicate_ack(tcb& c);
    [[gnu::cold]] void enter_recovery(tcb& c);
    [[gnu::cold]] void reorder_window_expired(tcb& c);
    [[gnu::cold]] void leave_recovery(tcb& c);
    [[gnu::cold]] void enter_loss(tcb& c);
    seq32 lost_below(const tcb& c) const;
    std::uint32_t pipe(const tcb& c) const;
    std::uint32_t reno_sacked(const tcb& c) const;
    // The next octets to retransmit: [left, right), empty if none is lost.
    scoreboard::range next_lost(const tcb& c) const;
    void forget_losses(tcb& c);
    const scoreboard* sacked(const tcb& c) const;

    // receive.cpp
    void accept_text(tcb& c, arrival& a, const teardown::verdict& v);
    bool queue_text(tcb& c, rte_mbuf* payload, std::uint32_t octets);
    void queue_out_of_order(tcb& c, rte_mbuf* payload, seq32 left, std::uint32_t octets);
    void note_block(reassembly& r, seq32 left, seq32 right);
    void pull_in_order(tcb& c);
    void drop_reassembly(tcb& c);
    void note_early_fin(tcb& c, seq32 fin_seq);
    bool fin_is_next(const tcb& c) const;
    reassembly* reassembly_of(tcb& c);
    std::uint32_t window_room(const tcb& c) const;
    std::uint32_t receive_window(tcb& c);
    void consumed(tcb& c, std::uint32_t octets);
    void grow_receive_limit(tcb& c);

    // output.cpp
    void make_ready(tcb& c);
    void transmit(tcb& c, std::uint32_t& room);
    bool send_next(tcb& c);
    bool retransmit_next(tcb& c, bool ask_pipe);
    std::uint32_t sendable(const tcb& c, std::uint32_t unsent) const;
    bool hold_back(const tcb& c, std::uint32_t octets, std::uint32_t unsent, bool fin) const;
    seq32 record_bound(const tcb& c, seq32 left, seq32 right) const;
    bool pushes(const tcb& c, seq32 seq, std::uint32_t octets) const;
    bool ends_group(const tcb& c, std::uint32_t octets, std::uint32_t unsent);
    bool may_send(const tcb& c) const;
    void ack_soon(tcb& c);
    void arm_after_send(tcb& c);
    void arm_persist_if_stuck(tcb& c);

    // emit.cpp
    // `counted`: tcp_retrans_segs for what was sent before, which tcpOutSegs is without (RFC 4022;
    // as on Linux SYN-ACKs of SYN records are in both).
    bool send_segment(tcb& c, seq32 seq, std::uint32_t octets, std::uint8_t flags,
                      counter counted = counter::tcp_out_segs);
    bool send_control(tcb& c, seq32 seq, std::uint8_t flags,
                      counter counted = counter::tcp_out_segs);
    bool send_ack(tcb& c);
    [[gnu::cold]] void send_duplicate_ack(tcb& c, const wire::tcp_segment& s, counter skipped);
    [[gnu::cold]] void send_challenge_ack(tcb& c);
    [[gnu::cold]] void send_reset(tcb& c, teardown::event why);
    [[gnu::cold]] void answer_reset(const flow::key4& key, const wire::tcp_segment& s,
                                    std::uint8_t tos, teardown::event why);
    void write_tcp_header(std::uint8_t* at, const flow::key4& key, const wire::tcp_segment& s,
                          std::size_t length, rte_mbuf* m) const;
    bool emit(const flow::key4& key, wire::tcp_segment& s, rte_mbuf* m, std::uint8_t ttl,
              std::uint8_t tos, bool dont_fragment = true, counter counted = counter::tcp_out_segs);
    std::uint8_t sack_blocks(const tcb& c) const;
    std::uint32_t text_max(const tcb& c) const;
    rte_mbuf* control_mbuf();
    rte_mbuf* text_mbuf(tcb& c, std::uint32_t offset, std::uint32_t octets);
    void fill_header(tcb& c, wire::tcp_segment& s, seq32 seq, std::uint8_t flags);
    void fill_syn(tcb& c, wire::tcp_segment& s);
    void note_ack_sent(tcb& c);
    std::uint32_t timestamp_now(std::uint32_t offset) const;
    [[gnu::cold]] bool challenge_allowed();

    // deadlines.cpp
    void arm(tcb& c, std::uint8_t which, tick when);
    void disarm(tcb& c, std::uint8_t which);
    void settle(tcb& c, std::uint32_t index);
    void connection_deadline(std::uint32_t index);
    void syn_record_deadline(std::uint32_t index);
    [[gnu::cold]] void rto_expired(tcb& c);
    [[gnu::cold]] void syn_timeout(tcb& c);
    std::uint32_t syn_limit_ms(const tcb& c) const;
    [[gnu::cold]] void loss_probe_expired(tcb& c);
    [[gnu::cold]] void persist_expired(tcb& c);
    [[gnu::cold]] void keepalive_expired(tcb& c);
    [[gnu::cold]] void doubt_path_if_late(const tcb& c);
    std::uint32_t orphan_retries(const tcb& c) const;
    bool retries_exhausted(const tcb& c, teardown::event& why) const;
    bool probes_exhausted(const tcb& c, teardown::event& why) const;
    std::uint32_t within_user_timeout(const tcb& c, std::uint32_t wait_ms) const;
    [[gnu::cold]] bool orphan_gives_way(tcb& c, bool hopeless);
    void arm_rto(tcb& c);
    void arm_rto_or_probe(tcb& c);
    void arm_keepalive(tcb& c);

    // close.cpp
    // Applies a decided fact. Returns false when the connection is gone.
    bool apply(tcb& c, teardown::event e, const arrival* a = nullptr);
    void set_state(tcb& c, teardown::state next);
    [[gnu::cold]] void answer(tcb& c, teardown::event e, const arrival* a, teardown::action todo);
    void enter_fin_wait_2(tcb& c);
    void enter_time_wait(tcb& c);
    void erase_record(flow::time_wait_slot slot, const flow::key4& key);
    bool evict_record();
    void lose_time_wait(milliseconds left);
    bool enter_record(std::uint64_t hash, const flow::time_wait_entry<flow::key4>& e,
                      const flow::waiting& w);
    flow::time_wait_entry<flow::key4> record_of(tcb& c);
    void release_connection(tcb& c);
    void free_connection(tcb& c, close_outcome outcome);
    void record_ended(const flow::time_wait_entry<flow::key4>& entry, close_outcome outcome);
    [[gnu::cold]] void tell_waiter(const flow::key4& key, close_outcome outcome);

    // calls.cpp
    socket* find(conn_id id);
    const socket* find(conn_id id) const;
    conn_id id_of(const socket& s) const;
    tcb* tcb_of(conn_id id);
    template <class F>
    result<bool, call_error> with_tcb(conn_id id, F&& f) {
        if (find(id) == nullptr) {
            return failure{call_error::stale_handle};
        }
        tcb* const c = tcb_of(id);
        if (c == nullptr) {
            return failure{call_error::not_connected};
        }
        f(*c);
        return true;
    }
    // socket_options.cpp
    connection_options options_of(const tcb& c) const;
    void take_options(tcb& c, const connection_options& o);
    template <class F>
    result<bool, call_error> change_options(conn_id id, F&& change);
    result<bool, call_error> send_held_back(conn_id id, result<bool, call_error> changed);

    std::uint32_t new_socket(const flow::key4& key);
    void leave_accept_queue(tcb& c);
    void release_socket(std::uint32_t index);
    void tell(socket& s, std::uint8_t what);
    void end_socket(socket& s, close_outcome outcome);
    void complete_close(tcb& c);
    call_error ended_error(const socket& s) const;
    result<bool, call_error> close_or_abort(conn_id id, completion c, bool abort);

    // send.cpp
    std::uint32_t send_memory_max(const tcb& c) const;
    std::uint32_t mbufs_to_spare() const;
    std::uint32_t affordable_memory(const tcb& c) const;
    result<bool, call_error> check_sendable(const socket& s) const;
    bool room_for_record(tcb& c);
    void forget_records_acknowledged(tcb& c);
    void forget_records(tcb& c);
    void note_written(tcb& c, send_options o);

    socket* socket_of(const tcb& c) { return c.socket == npos ? nullptr : &sockets_[c.socket]; }
    void reserve_default_time_wait(std::uint32_t length_ms);
    std::uint32_t free_data_mbufs() const;
    void watch_memory();
    void sweep();

    config::settings settings_;
    engine_config config_;
    counter_set counters_;
    instant now_{};
    tick now_tick_{};
    std::uint32_t now_s_ = 0;  // seconds, which outlast a tick

    index_pool<tcb> tcbs_;
    index_pool<socket> sockets_;
    index_pool<syn_record> syns_;
    index_pool<ofo_node> ofo_nodes_;
    index_pool<reassembly> reassemblies_;
    index_pool<loss_record> losses_;
    index_pool<record_ends> records_;
    flow::table_hash hash_{0, 0};         // of what never leaves the process
    flow::sequence_hash isn_hash_{0, 0};  // of what does
    cookie_cache cookies_;
    flow::connection_table connections_;
    flow::connection_table fin_wait_2_waiters_;  // sockets that await the end of a record
    std::optional<flow::time_wait_table<flow::key4>> time_wait_;
    flow::ack_limit ack_limit_;
    std::uint32_t reserved_time_wait_ms_ = 0;
    std::optional<flow::port_ledger> ports_;
    std::optional<flow::port_owners> port_owners_;
    fixed_array<std::uint16_t> bound_;  // by port: one of its listeners, index + 1
    std::unique_ptr<listener[]> listeners_;
    std::uint16_t listener_count_ = 0;  // one past the last that was ever open

    // Reached by the wheels.
    struct tcb_timers {
        index_pool<tcb>& pool;
        timer::timer_link& link(std::uint32_t i) { return pool[i].link; }
        tick& deadline(std::uint32_t i) { return pool[i].deadline; }
    };
    struct syn_timers {
        index_pool<syn_record>& pool;
        timer::timer_link& link(std::uint32_t i) { return pool[i].link; }
        tick& deadline(std::uint32_t i) { return pool[i].deadline; }
    };
    tcb_timers tcb_timers_{tcbs_};
    syn_timers syn_timers_{syns_};
    std::optional<timer::timer_wheel<tcb_timers>> wheel_;
    std::optional<timer::timer_wheel<syn_timers>> syn_wheel_;

    // Rings that hold each index at most once, so that they cannot overflow.
    region ready_;
    std::uint32_t ready_head_ = 0;
    std::uint32_t ready_count_ = 0;
    region told_;
    std::uint32_t told_head_ = 0;
    std::uint32_t told_count_ = 0;

    mbuf_source data_source_;
    mbuf_source control_source_;
    // Of the segment in hand, which has no text; whoever answers first writes over it.
    rte_mbuf* spent_ = nullptr;
    std::array<rte_mbuf*, 64> out_{};
    std::uint16_t out_count_ = 0;
    std::uint32_t group_ = 0;  // full segments in a row since PSH, of the connection being served

    std::array<std::uint64_t, teardown::state_count> by_state_{};
    std::array<std::uint64_t, close_outcome_count> outcomes_{};
    std::array<std::uint64_t, teardown::event_count> resets_{};
    std::array<std::uint64_t, teardown::event_count> drops_{};
    close_log closes_;
    std::uint32_t orphans_ = 0;
    teardown::cap_share tw_cap_;      // tcp_max_tw_buckets
    teardown::cap_share orphan_cap_;  // tcp_max_orphans
    std::uint32_t challenge_budget_ = 0;
    tick challenge_second_{};

    // Memory watch: free mbufs of the data pool, in steps.
    enum class pressure : std::uint8_t { none, drop_reassembly, refuse_open, refuse_text };
    pressure pressure_ = pressure::none;
    std::uint32_t data_mbufs_ = 0;
    std::uint32_t turns_ = 0;
    std::uint32_t sweep_left_ = 0;  // connections that the running pass has still to look at
    std::uint32_t sweep_at_ = 0;    // above the next; a pass begun anew goes on from there
    bool sweep_writable_ = false;   // a writer waits for memory, not for an ACK
    bool stopping_ = false;
};

}  // namespace lastack::tcp
