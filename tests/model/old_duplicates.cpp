// SPDX-License-Identifier: BSD-3-Clause
// The run of incarnations: the wire with its copies, the peer, and the application that looks.
#include "model/old_duplicates.hpp"

#include <rte_mbuf.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "model/old_duplicates_peer.hpp"
#include "sim/random.hpp"
#include "stack/core.hpp"
#include "support/environment.hpp"
#include "support/peer.hpp"

namespace lastack::model {

using test::stack_address;

namespace {

constexpr duration msl{30'000'000};
constexpr duration gap_max{700'000};     // between two segments, and between two incarnations
constexpr duration patience{5'000'000};  // an incarnation that has not ended by then is broken

class run_of_incarnations {
  public:
    run_of_incarnations(const duplicates_profile& p, std::uint64_t seed)
        : profile_(p), chance_(seed), peer_(static_cast<std::uint32_t>(chance_.next())) {
        stack::core_config c;
        c.port = test::scenario_options::plain_link();
        c.port.checksum_rx = c.port.checksum_tx = true;
        c.addresses = {{stack_address, 24}};
        c.settings = test::scenario_options::small_settings();
        c.settings.tcp_timestamps = p.timestamps == ts_choice::never ? 0 : 1;
        c.settings.tcp_tw_reuse = 1;
        c.settings.ip_local_port_range = {test::listen_port, test::listen_port};
        if (!p.time_wait) {
            c.settings.tcp_max_tw_buckets = 0;
        }
        c.memory = pools_.get();
        c.pages = page_size::normal;
        c.secret = {chance_.next(), chance_.next()};
        auto made = stack::core::make(c, now_);
        if (!made || (p.opens == opener::peer &&
                      !(*made)->calls().listen({stack_address, test::listen_port}))) {
            std::fprintf(stderr, "old_duplicates: no stack\n");
            std::exit(2);
        }
        core_ = std::move(*made);
        core_->set_transmit({&run_of_incarnations::transmit, this});
    }
    duplicates_report run(std::uint64_t incarnations) {
        while (result_.incarnations < incarnations) {
            one_incarnation();
        }
        return result_;
    }

  private:
    struct copy {
        std::uint64_t incarnation;
        wire::tcp_segment segment;
        std::uint32_t first_octet;  // of its text, in its incarnation's stream
    };

    void one_incarnation() {
        const std::uint64_t n = ++result_.incarnations;
        const bool second = n % 2 == 0;
        const bool ts = profile_.timestamps == ts_choice::always ||
                        (profile_.timestamps == ts_choice::begins && second) ||
                        (profile_.timestamps == ts_choice::now_and_then && chance_.chance(0.7));
        if (profile_.timestamps == ts_choice::begins && !second) {
            pass(2 * msl + gap_max);
        }
        peer_.begin(n, next_isn(), ts);
        received_ = 0;
        bad_ = false;
        id_ = {};
        ended_ = false;
        if (!(profile_.opens == opener::peer ? open() : connect())) {
            ++result_.broken;
            give_up();
            return;
        }
        total_ = static_cast<std::uint32_t>(chance_.between(1, 6)) * segment_octets;
        while (peer_.sent_octets() < total_ && !peer_.was_reset()) {
            send(peer_.text(segment_octets));
            pass(some_time());
        }
        close_from_stack();
        const instant latest = now_ + patience;
        while (!(ended_ && peer_.closed()) && !peer_.was_reset() && now_ < latest) {
            pass(duration{20'000});
        }
        if (bad_) {
            ++result_.corrupted;
        }
        if (!ended_ || !clean_ || received_ != total_ || peer_.was_reset()) {
            ++result_.broken;
            give_up();
        }
        pass(some_time());
    }

    // A SYN that is refused comes again, for longer than TIME_WAIT can last: what arrives meanwhile
    // restarts it, up to one MSL after its beginning.
    bool open() {
        const std::uint64_t reopened = core_->counters().get(counter::tw_reopened);
        send(peer_.syn());
        result_.waited += peer_.connected() ? 0 : 1;
        for (duration wait{1'000'000}; !peer_.connected() && wait < 3 * msl; wait *= 2) {
            pass(wait);
            if (!peer_.connected()) {
                send(peer_.syn());
            }
        }
        result_.reopened += core_->counters().get(counter::tw_reopened) - reopened;
        return peer_.connected();
    }

    // connect() fails until the record is old enough, or has ended.
    bool connect() {
        const std::uint64_t reused = core_->counters().get(counter::tw_recycled);
        peer_.listen();
        connect_options from;
        if (profile_.opens == opener::stack_bound) {
            from.local = endpoint{stack_address, test::listen_port};
            from.port.reuse_addr = true;
        }
        const endpoint to{test::peer_address, duplicate_peer::port};
        bool first = true;
        for (const instant latest = now_ + 6 * msl; !peer_.connected() && now_ < latest;) {
            if (const auto made = core_->calls().connect(to, from)) {
                id_ = *made;
                pass(duration{10'000});
                if (peer_.connected()) {
                    break;
                }
                // It opens no more where the peer has left timestamps off.
                static_cast<void>(core_->calls().abort(id_, completion::none));
            }
            result_.waited += std::exchange(first, false) ? 1 : 0;
            pass(duration{500'000});
        }
        result_.reopened += core_->counters().get(counter::tw_recycled) - reused;
        return peer_.connected();
    }

    seq32 next_isn() {
        const auto step = static_cast<std::uint32_t>(chance_.between(1, profile_.isn_range));
        switch (profile_.isn) {
            case isn_choice::random:
                return {0xffff0000u + step};  // about the wrap
            case isn_choice::beyond:
                return peer_.end() + step;
            default:
                return peer_.end() - step;
        }
    }

    duration some_time() { return duration{chance_.between(1'000, gap_max.count())}; }

    // --- the wire --------------------------------------------------------------------------------

    void send(const wire::tcp_segment& s) {
        const std::uint32_t first = peer_.octet_of(s);
        // A half of all segments leaves one copy, some leave more. A RST leaves none: one that the
        // peer says while it waits (RFC 9293 3.10.7.3) outlives TIME_WAIT, and hits a new
        // incarnation exactly, once in `isn_range`; that ends it, but delivers nothing.
        while (!s.has(wire::tcp_flags::rst) && chance_.chance(0.5)) {
            const instant at = now_ + duration{chance_.between(1, msl.count())};
            copies_.emplace(at, copy{peer_.incarnation(), s, first});
        }
        deliver(peer_.incarnation(), s, first);
    }
    void deliver(std::uint64_t incarnation, const wire::tcp_segment& s, std::uint32_t first) {
        deliver_frame(peer_.frame(incarnation, s, first));
    }
    void deliver_frame(std::span<const std::uint8_t> octets) {
        rte_mbuf* frame = test::make_frame(pools_.get().data, octets);
        frame->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
        turn({&frame, 1});
    }

    void turn(std::span<rte_mbuf* const> frames) {
        core_->input(frames, now_);
        core_->run_timers(now_);
        application();
        core_->output(now_);
        if (std::exchange(asked_, false)) {
            deliver_frame(duplicate_peer::arp_reply());
        }
        // What the stack said is answered at once, each answer a turn of its own.
        while (!heard_.empty()) {
            const wire::tcp_segment s = heard_.front();
            heard_.erase(heard_.begin());
            if (const auto answer = peer_.hear(s)) {
                send(*answer);
            }
        }
    }

    // Time passes: copies arrive and timers run, each at its time.
    void pass(duration d) {
        const instant end = now_ + d;
        for (;;) {
            const instant timer = core_->next_deadline();
            const instant arrival = copies_.empty() ? end : copies_.begin()->first;
            const instant next = std::min(std::max(timer, now_), arrival);
            if (next >= end) {
                break;
            }
            now_ = next;
            peer_.set_time(now_);
            if (arrival > next) {
                turn({});
                continue;
            }
            const copy c = copies_.begin()->second;
            copies_.erase(copies_.begin());
            result_.duplicates += c.incarnation != peer_.incarnation() ? 1 : 0;
            deliver(c.incarnation, c.segment, c.first_octet);
        }
        now_ = end;
        peer_.set_time(now_);
        turn({});
    }

    static std::uint16_t transmit(void* self, rte_mbuf** frames, std::uint16_t n) {
        auto& run = *static_cast<run_of_incarnations*>(self);
        for (std::uint16_t i = 0; i < n; ++i) {
            if (const auto s = duplicate_peer::parse(frames[i])) {
                run.heard_.push_back(*s);
            } else {
                run.asked_ = true;
            }
            rte_pktmbuf_free(frames[i]);
        }
        return n;
    }

    // --- the application -------------------------------------------------------------------------

    void application() {
        for (const event& e : core_->take_events()) {
            if ((e.what & event_bits::opened) != 0) {
                id_ = e.conn;
            }
            if ((e.what & event_bits::readable) != 0) {
                read(e.conn);
            }
            if ((e.what & event_bits::ended) != 0) {
                ended_ = true;
                clean_ = e.outcome == close_outcome::clean_active;
                static_cast<void>(core_->calls().close(e.conn, completion::none));
            }
        }
    }
    void read(conn_id id) {
        std::array<std::byte, 4096> into;
        for (;;) {
            const auto got = core_->calls().receive(id, into);
            if (!got || *got == 0) {
                return;
            }
            for (std::size_t i = 0; i < *got; ++i) {
                const std::uint8_t octet = std::to_integer<std::uint8_t>(into[i]);
                if (received_ + i >= peer_.sent_octets() ||
                    octet != stream_octet(peer_.incarnation(), received_ + i)) {
                    note_corruption(received_ + i);
                }
            }
            received_ += *got;
            result_.octets += *got;
        }
    }
    void note_corruption(std::uint64_t at) {
        if (result_.first.empty()) {
            result_.first = "incarnation " + std::to_string(peer_.incarnation()) + ", octet " +
                            std::to_string(at) + " of " + std::to_string(peer_.sent_octets());
        }
        bad_ = true;
    }

    void close_from_stack() {
        static_cast<void>(core_->calls().shutdown(id_, shutdown_how::write));
        turn({});
    }
    // Both sides forget it, as after a crash: only a broken incarnation.
    void give_up() {
        static_cast<void>(core_->calls().abort(id_, completion::none));
        peer_.forget();
        turn({});
    }

    static constexpr std::uint32_t segment_octets = 8;

    const duplicates_profile& profile_;
    sim::random chance_;
    duplicate_peer peer_;
    test::test_pools pools_;
    instant now_{std::int64_t{1'000'000'000}};
    std::unique_ptr<stack::core> core_;
    std::multimap<instant, copy> copies_;
    std::vector<wire::tcp_segment> heard_;
    conn_id id_{};
    std::uint64_t received_ = 0;
    std::uint32_t total_ = 0;
    bool asked_ = false;  // by ARP
    bool ended_ = false;
    bool clean_ = false;
    bool bad_ = false;
    duplicates_report result_;
};

}  // namespace

duplicates_report run_duplicates(const duplicates_profile& p, std::uint64_t seed,
                                 std::uint64_t incarnations) {
    return run_of_incarnations(p, seed).run(incarnations);
}

}  // namespace lastack::model
