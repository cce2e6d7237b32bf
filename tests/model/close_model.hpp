// SPDX-License-Identifier: BSD-3-Clause
// Two ends of one connection and the wire between them, small enough to try everything.
//
// Each end is the real close FSM and the real classify functions (lib/teardown), over as little of
// a connection as they need: sequence numbers that begin at the ISN, a handful of octets of text,
// one bit an octet for reassembly, a window. What lib/tcp does around the FSM (which event follows
// which, what an action sends) is repeated here in few lines; where it leaves something to chance
// or time, the model tries every way:
//
//   application  writes one octet, reads, shuts down either direction, closes, aborts
//   turn         what is due goes out: text and FIN in one segment with the ACK, or the ACK alone
//   timers       retransmission of the first octet or of everything; window probe; giving up;
//                FIN_WAIT_2 and TIME_WAIT running out
//   wire         delivers any segment that is under way (or only the oldest), loses one, or
//                delivers one and keeps it
//
// A state of the whole is 32 octets. A step is one of the above; explore() walks
// all of them breadth first. Timestamps are off: what they protect is shown by
// the simulation of old duplicates (old_duplicates.hpp), since a clock makes states endless.
//
// Timers keep to the real proportions: a retransmission may come at any time, also too early, but
// giving up, FIN_WAIT_2 and TIME_WAIT take so much longer than a segment can be under way that they
// happen only when nothing is under way or due (`hasty` lifts this).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "teardown/classify.hpp"
#include "teardown/fsm.hpp"

namespace lastack::model {

// What is judged. The default is the real code; a test may put something broken in its place.
struct rules {
    const teardown::cell& (*lookup)(teardown::state, teardown::event);
    teardown::verdict (*classify)(const teardown::connection_view&, const wire::tcp_segment&);
    teardown::time_wait_verdict (*classify_time_wait)(const teardown::time_wait_view&,
                                                      const wire::tcp_segment&,
                                                      const teardown::time_wait_policy&);
};
extern const rules real_rules;

enum class beginning : std::uint8_t {
    established,        // both ends open, nothing under way
    open,               // a SYN_SENT, b LISTEN
    simultaneous_open,  // both SYN_SENT
};

inline constexpr unsigned text_max = 3;       // octets each side may write
inline constexpr unsigned under_way_max = 4;  // segments in one direction, the last for an answer

struct bounds {
    const char* name = "";
    beginning from = beginning::established;
    unsigned text = 1;       // octets each side may write
    unsigned window = 0;     // octets of receive window; 0: more than is ever written
    unsigned under_way = 3;  // segments in one direction; one place is kept for immediate answers
    unsigned early = 1;      // retransmissions without progress that come before their time
    unsigned losses = 0;     // over the whole run
    unsigned duplicates = 0;
    bool reorder = true;       // the wire delivers in any order
    bool may_abort = true;     // abort() at any point
    bool may_shut_rd = false;  // shutdown(SHUT_RD)
    bool resources = false;    // orphan limit, records evicted at any time, TCP_LINGER2 < 0
    bool throttle = false;     // an ACK that may be throttled is either sent or not
    bool hasty = false;        // long timers keep to no proportion
    bool rfc1337 = true;
    std::uint32_t states_max = 60'000'000;

    // Retransmissions without progress before a side gives up: one more round than the wire can
    // spoil. A narrow window spoils one too, since it makes ACKs too old that are merely late
    // (RFC 5961 5.2).
    unsigned retries() const { return early + losses + (window != 0 ? 1 : 0); }
};

enum class breach : std::uint8_t {
    none,
    impossible_cell,    // the FSM calls this impossible, and it has happened
    record_and_table,   // a record's verdict is not what the FSM's cell says
    text_lost,          // a side saw the end of the stream without having everything before it
    reset_of_proper,    // a RST, though both closed properly (or have not closed yet)
    gave_up_on_living,  // a side gave up though the wire lost less than it repeats
    fin_not_acked,      // a repeated FIN had no answer
    unclean_end,        // both closed properly and one of them says otherwise
    false_clean,        // a clean end, but the other has not received our FIN
    no_exit,            // CLOSED, CLOSED cannot be reached any more, whatever happens
    may_stay_for_ever,  // some endless or stuck course keeps a connection nobody holds
    out_of_bounds,      // states_max was reached: nothing is proven
};
const char* name(breach);

struct report {
    breach found = breach::none;
    std::string what;                // the offending step, in words
    std::vector<std::string> trace;  // how to get there from the beginning
    std::uint64_t states = 0;
    std::uint64_t steps = 0;      // transitions between them
    std::uint32_t depth = 0;      // longest shortest way from the beginning
    std::uint64_t endings = 0;    // states with both ends CLOSED
    std::uint64_t cells_hit = 0;  // of the FSM, by any end
    double seconds = 0;
};

report explore(const bounds& b, const rules& r = real_rules);

// --- one state, for the parts of the model -------------------------------------------------------

enum class ending : std::uint8_t { none, clean, reset, timed_out, aborted, other };

struct side {
    teardown::state st = teardown::state::closed;
    ending end = ending::none;
    std::uint8_t written = 0;  // octets the application has sent
    std::uint8_t unread = 0;
    // Relative: the SYN is 0, text 1 to `written`, then the FIN.
    std::uint8_t snd_una = 0;
    std::uint8_t snd_nxt = 0;
    std::uint8_t snd_edge = 0;
    std::uint8_t rcv_nxt = 0;
    std::uint8_t rcv_edge = 0;
    std::uint8_t early = 0;  // bit n: octet n is held for reassembly
    std::uint8_t retries = 0;
    bool early_fin = false;
    bool fin_queued = false;
    bool fin_sent = false;
    bool fin_received = false;
    bool detached = false;  // the application has let go
    bool read_shut = false;
    bool syn_unacked = false;
    bool ack_due = false;
    bool child = false;  // SYN_RECEIVED as a listener's compact record
};

// seq 3, ack 3, edge 3, length 2, flags 4 bits; 0 is no segment.
using packet_bits = std::uint16_t;

struct world {
    std::array<side, 2> ends;
    std::array<std::array<packet_bits, under_way_max>, 2> wire{};  // wire[x]: sent by x; packed
    std::uint8_t losses = 0;
    std::uint8_t duplicates = 0;
    bool excused = false;  // something happened that a RST may rightly follow
};

using packed = std::array<std::uint64_t, 4>;
packed pack(const world& w, const bounds& b);
world unpack(const packed& p);
world initial(const bounds& b);

enum class step_class : std::uint8_t { protocol, application, mishap };

// Receives every step out of a state.
class step_sink {
  public:
    virtual void step(const world& next, step_class what, std::uint16_t label) = 0;
    virtual void broken(breach kind, const std::string& what, std::uint16_t label) = 0;

  protected:
    ~step_sink() = default;
};
using cell_set = std::array<bool, teardown::state_count * teardown::event_count>;

void all_steps(const world& w, const bounds& b, const rules& r, step_sink& into, cell_set& hit);
std::string describe(std::uint16_t label);
std::string describe(const world& w);

}  // namespace lastack::model
