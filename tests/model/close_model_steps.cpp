// SPDX-License-Identifier: BSD-3-Clause
// Everything that can happen next in a state of the model, and how a state is packed.
#include <algorithm>
#include <array>
#include <string>

#include "model/close_model_end.hpp"
#include "teardown/names.hpp"

namespace lastack::model {

using teardown::event;
using teardown::state;

namespace {

// --- packing -------------------------------------------------------------------------------------

// Both directions with one list of fields: `Io` either takes them out of the words or puts them in.
struct packer {
    packed words{};
    unsigned at = 0;
    template <typename T>
    void operator()(T& value, unsigned bits) {
        if (at % 64 + bits > 64) {
            at += 64 - at % 64;
        }
        words[at / 64] |= static_cast<std::uint64_t>(value) << (at % 64);
        at += bits;
    }
};
struct unpacker {
    packed words;
    unsigned at = 0;
    template <typename T>
    void operator()(T& value, unsigned bits) {
        if (at % 64 + bits > 64) {
            at += 64 - at % 64;
        }
        value = static_cast<T>(words[at / 64] >> (at % 64) & ((std::uint64_t{1} << bits) - 1));
        at += bits;
    }
};

template <typename Io>
void fields(Io& io, side& s) {
    io(s.st, 4);
    io(s.end, 3);
    io(s.written, 2);
    io(s.unread, 2);
    io(s.snd_una, 3);
    io(s.snd_nxt, 3);
    io(s.snd_edge, 3);
    io(s.rcv_nxt, 3);
    io(s.rcv_edge, 3);
    io(s.early, 4);
    io(s.retries, 3);
    for (bool* bit : {&s.early_fin, &s.fin_queued, &s.fin_sent, &s.fin_received, &s.detached,
                      &s.read_shut, &s.syn_unacked, &s.ack_due, &s.child}) {
        io(*bit, 1);
    }
}

template <typename Io>
void fields(Io& io, world& w) {
    fields(io, w.ends[0]);
    fields(io, w.ends[1]);
    for (auto& direction : w.wire) {
        for (packet_bits& p : direction) {
            io(p, 16);
        }
    }
    io(w.losses, 2);
    io(w.duplicates, 2);
    io(w.excused, 1);
}

packed pack_as_it_is(world w) {
    packer p;
    fields(p, w);
    return p.words;
}

void take_out(std::array<packet_bits, under_way_max>& wire, unsigned place) {
    std::copy(wire.begin() + place + 1, wire.end(), wire.begin() + place);
    wire.back() = 0;
}

// --- labels --------------------------------------------------------------------------------------

enum class act : std::uint8_t {
    write,
    read,
    shut_rd,
    call,
    turn,
    retransmit_one,
    retransmit_all,
    probe_window,
    give_up,
    time_event,
    lose,
    deliver,
    deliver_unanswered,
    deliver_and_keep,
};

// act 4 bits, end 1 bit, place on the wire or event 6 bits.
std::uint16_t label(act a, unsigned x, unsigned detail = 0) {
    return static_cast<std::uint16_t>(static_cast<unsigned>(a) | x << 4 | detail << 5);
}

// --- steps ---------------------------------------------------------------------------------------

class stepper {
  public:
    stepper(const world& w, const bounds& b, const rules& r, step_sink& into, cell_set& hit)
        : w_(w), b_(b), r_(r), into_(into), hit_(hit) {}

    void all() {
        quiet_ = w_.wire[0][0] == 0 && w_.wire[1][0] == 0 && !machine::has_output(w_.ends[0]) &&
                 !machine::has_output(w_.ends[1]);
        for (unsigned x = 0; x < 2; ++x) {
            application(x);
            timers(x);
            if (machine::has_output(w_.ends[x])) {
                one(step_class::protocol, label(act::turn, x), [&](machine& m) { m.turn(x); });
            }
            wire(x);
        }
    }

  private:
    template <typename Do>
    bool one(step_class what, std::uint16_t name, Do&& act) {
        world next = w_;
        machine m(next, b_, r_, hit_);
        act(m);
        if (m.blocked) {
            return false;
        }
        if (m.found != breach::none) {
            into_.broken(m.found, m.what, name);
        }
        into_.step(next, what, name);
        return m.throttled;
    }

    void application(unsigned x) {
        const side& s = w_.ends[x];
        const auto app = step_class::application;
        if (s.detached || s.child || s.st == state::closed || s.st == state::listen) {
            return;
        }
        const bool open = s.st == state::established || s.st == state::close_wait;
        if (open && s.written < b_.text) {
            world next = w_;
            ++next.ends[x].written;
            into_.step(next, app, label(act::write, x));
        }
        if (s.unread > 0) {
            one(app, label(act::read, x), [&](machine& m) { m.read(x); });
        }
        if (b_.may_shut_rd && !s.read_shut && s.st >= state::established) {
            world next = w_;
            next.ends[x].read_shut = true;
            into_.step(next, app, label(act::shut_rd, x));
        }
        const auto call = [&](event e) {
            one(app, label(act::call, x, static_cast<unsigned>(e)),
                [&](machine& m) { m.call(x, e); });
        };
        if (!s.fin_queued) {
            call(event::app_shutdown_wr);
        }
        call(event::app_close);
        if (b_.may_abort) {
            call(event::app_abort);
        }
    }

    bool repeats_left(unsigned x) const {
        const side& s = w_.ends[x];
        return machine::outstanding(s) && s.retries < b_.retries() && !machine::is_record(s);
    }
    void time(unsigned x, event e) {
        one(step_class::protocol, label(act::time_event, x, static_cast<unsigned>(e)),
            [&](machine& m) { m.time_event(x, e); });
    }

    void timers(unsigned x) {
        const side& s = w_.ends[x];
        const auto protocol = step_class::protocol;
        const bool slow = b_.hasty || (quiet_ && !repeats_left(0) && !repeats_left(1));
        if (machine::is_record(s)) {
            if (slow) {
                time(x, s.st == state::time_wait ? event::time_wait_expired
                                                 : event::fin_wait_2_expired);
            }
            if (b_.resources) {
                time(x, event::evicted);
                if (s.st == state::fin_wait_2) {
                    time(x, event::linger2_negative);
                }
            }
            return;
        }
        if (b_.resources && s.detached && s.st != state::closed) {
            time(x, event::orphan_limit);
            time(x, event::orphan_dropped);
        }
        if (repeats_left(x) && (s.retries < b_.early || quiet_ || b_.hasty)) {
            one(protocol, label(act::retransmit_one, x),
                [&](machine& m) { m.retransmit(x, false); });
            if (s.snd_nxt - s.snd_una > 1) {
                one(protocol, label(act::retransmit_all, x),
                    [&](machine& m) { m.retransmit(x, true); });
            }
        }
        const bool stuck = machine::window_stuck(s);
        const bool patient = !s.detached || s.retries < b_.retries();
        if (stuck && patient && quiet_) {
            one(protocol, label(act::probe_window, x), [&](machine& m) { m.probe_window(x); });
        }
        const bool spent =
            (machine::outstanding(s) && s.retries >= b_.retries()) || (stuck && !patient);
        if (spent && (quiet_ || b_.hasty)) {
            one(protocol, label(act::give_up, x), [&](machine& m) { m.give_up(x); });
        }
    }

    // What `x` has sent.
    void wire(unsigned x) {
        for (unsigned n = 0; n < under_way_max && w_.wire[x][n] != 0; ++n) {
            if (n > 0 && (!b_.reorder || w_.wire[x][n] == w_.wire[x][n - 1])) {
                if (!b_.reorder) {
                    break;
                }
                continue;
            }
            const packet p = from_bits(w_.wire[x][n]);
            const auto arrives = [&](act a, step_class what, bool skip) {
                return one(what, label(a, x, n), [&](machine& m) {
                    m.take(x, n, a == act::deliver_and_keep);
                    m.deliver(1 - x, p, skip);
                });
            };
            const bool throttled = arrives(act::deliver, step_class::protocol, false);
            if (throttled && b_.throttle) {
                arrives(act::deliver_unanswered, step_class::protocol, true);
            }
            if (w_.duplicates < b_.duplicates && w_.wire[x][b_.under_way - 1] == 0) {
                arrives(act::deliver_and_keep, step_class::mishap, false);
            }
            if (w_.losses < b_.losses) {
                world next = w_;
                take_out(next.wire[x], n);
                ++next.losses;
                into_.step(next, step_class::mishap, label(act::lose, x, n));
            }
        }
    }

    const world& w_;
    const bounds& b_;
    const rules& r_;
    step_sink& into_;
    cell_set& hit_;
    bool quiet_ = false;
};

side opened(const bounds& b) {
    side s;
    s.st = state::established;
    s.snd_una = s.snd_nxt = s.rcv_nxt = 1;
    s.snd_edge = s.rcv_edge =
        b.window == 0 ? std::uint8_t{7} : static_cast<std::uint8_t>(1 + b.window);
    return s;
}

side opening(const bounds& b) {
    side s;
    s.st = state::syn_sent;
    s.snd_nxt = 1;
    s.syn_unacked = true;
    s.rcv_edge = b.window == 0 ? std::uint8_t{7} : static_cast<std::uint8_t>(1 + b.window);
    return s;
}

}  // namespace

void machine::take(unsigned x, unsigned place, bool keep) {
    if (keep) {
        ++w_.duplicates;
    } else {
        take_out(w_.wire[x], place);
    }
}

void all_steps(const world& w, const bounds& b, const rules& r, step_sink& into, cell_set& hit) {
    stepper(w, b, r, into, hit).all();
}

world initial(const bounds& b) {
    world w;
    if (b.from == beginning::established) {
        w.ends = {opened(b), opened(b)};
        return w;
    }
    packet syn;
    syn.syn = true;
    syn.edge = opening(b).rcv_edge;
    w.ends[0] = opening(b);
    w.wire[0][0] = to_bits(syn);
    if (b.from == beginning::simultaneous_open) {
        w.ends[1] = opening(b);
        w.wire[1][0] = to_bits(syn);
    } else {
        w.ends[1].st = state::listen;
    }
    return w;
}

// A wire that may reorder is a set; two ends that began alike may change places.
packed pack(const world& w, const bounds& b) {
    world v = w;
    if (b.reorder) {
        for (auto& direction : v.wire) {
            std::sort(direction.begin(), direction.end(), std::greater<>{});
        }
    }
    const packed as_is = pack_as_it_is(v);
    if (b.from == beginning::open) {
        return as_is;
    }
    std::swap(v.ends[0], v.ends[1]);
    std::swap(v.wire[0], v.wire[1]);
    return std::min(as_is, pack_as_it_is(v));
}

world unpack(const packed& words) {
    world w;
    unpacker u{words};
    fields(u, w);
    return w;
}

std::string describe(const world& w) {
    std::string text;
    for (unsigned x = 0; x < 2; ++x) {
        const side& s = w.ends[x];
        text += x == 0 ? "a " : " | b ";
        text += teardown::state_names[static_cast<std::size_t>(s.st)];
        text += " una " + std::to_string(s.snd_una) + " nxt " + std::to_string(s.snd_nxt) + " of " +
                std::to_string(s.written) + " rcv " + std::to_string(s.rcv_nxt) +
                (s.detached ? " orphan" : "") + (s.fin_queued ? " fin_queued" : "") +
                (s.ack_due ? " ack_due" : "") + " retries " + std::to_string(s.retries) + " wire";
        for (const packet_bits bits : w.wire[x]) {
            const packet p = from_bits(bits);
            if (bits != 0) {
                text += std::string(" ") + (p.syn ? "S" : "") + (p.fin ? "F" : "") +
                        (p.rst ? "R" : "") + (p.has_ack ? "." : "") + std::to_string(p.seq) + "(" +
                        std::to_string(p.len) + ")ack" + std::to_string(p.ack);
            }
        }
    }
    return text;
}

std::string describe(std::uint16_t bits) {
    static constexpr std::array<const char*, 14> words{
        "writes an octet",
        "reads",
        "shuts down reading",
        "calls",
        "sends what is due",
        "retransmits the first octet",
        "retransmits everything",
        "probes the window",
        "gives up",
        "sees time",
        "loses, of what it sent, segment",
        "has delivered segment",
        "has delivered, and left unanswered, segment",
        "has delivered, and the wire keeps, segment"};
    const unsigned a = bits & 15u;
    const unsigned detail = bits >> 5;
    std::string text = (bits >> 4 & 1u) == 0 ? "a " : "b ";
    text += words[a];
    if (a == static_cast<unsigned>(act::call) || a == static_cast<unsigned>(act::time_event)) {
        text += " " + std::string(teardown::event_rows[detail].name);
    } else if (a >= static_cast<unsigned>(act::lose)) {
        text += " " + std::to_string(detail);
    }
    return text;
}

}  // namespace lastack::model
