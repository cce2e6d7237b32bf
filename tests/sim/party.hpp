// SPDX-License-Identifier: BSD-3-Clause
// One end of one simulated connection: what its application means to do, and what has come of it.
//
// Every end writes a stream of its own: eight octets that name it, then octets that follow from
// that name and their place. So an octet that is lost, repeated, out of place, or of another
// connection or an earlier incarnation is seen where it is read. The ledger knows all ends of a
// run, which two belong together, and what each may expect of the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/seq32.hpp"
#include "base/time.hpp"
#include "lastack/event.hpp"
#include "lastack/outcome.hpp"

namespace lastack::sim {

// How an application gets rid of a connection.
enum class ending : std::uint8_t {
    shutdown_then_read,  // FIN when all is sent; reads to the end of the stream; close()
    close_when_sent,     // close() when all is sent, whatever the peer still says
    close_on_eof,        // waits for the peer's FIN first
    abort_midway,
    linger_zero,  // close() with linger {on, 0} when all is sent
    linger_wait,  // close() with linger {on, some seconds}
    shutdown_both,
    shutdown_read_first,
    close_at_once,  // perhaps in SYN_SENT
};
inline constexpr unsigned ending_count = 9;

struct plan {
    ending how = ending::shutdown_then_read;
    std::uint32_t octets = 0;    // to send
    std::uint32_t chunk = 1000;  // at a time, at most
    duration pace{0};            // between chunks, at most; 0: as fast as it goes
    bool buffers = false;        // sends and receives mbufs instead of copying
    bool slow_reader = false;
    duration read_every{0};  // of a slow reader
    std::uint32_t read_at_most = 65536;
    duration hold{0};        // between having sent all and the ending
    bool completion = true;  // close() with completion::event
    bool no_delay = false;
    bool cork = false;
    bool keepalive = false;
    int linger2 = 0;
    duration patience{0};          // after which it gives up
    bool impatient_abort = false;  // by abort(), else by close()
};

struct party {
    std::uint64_t id = 0;
    unsigned side = 0;
    plan todo;
    conn_id handle{};
    bool initiator = false;
    instant born{};
    party* peer = nullptr;

    std::uint32_t sent = 0;       // octets that send() took
    std::uint32_t received = 0;   // octets read and found right
    std::uint64_t peer_name = 0;  // the octets of it that were read so far
    bool opened = false;
    bool eof = false;
    bool fin_wanted = false;  // shutdown(write) or close()
    bool read_shut = false;
    bool ended = false;    // the event was told
    bool held = true;      // the handle is ours
    bool violent = false;  // did what may end in RST
    bool closed_before_eof = false;
    std::optional<instant> closed_at;
    std::optional<instant> fin_at;  // when fin_wanted became true
    close_outcome outcome = close_outcome::none;
    std::optional<instant> send_at;    // the next chunk, if it does not wait for `writable`
    std::optional<instant> read_at;    // a slow reader's next look
    std::optional<instant> finish_at;  // when the hold is over

    bool sent_all() const { return sent >= todo.octets; }
};

// The octets [offset, offset + out.size()) of the stream of end `id`.
void write_stream(std::uint64_t id, std::uint32_t offset, std::span<std::byte> out);

class ledger {
  public:
    party& add(unsigned side, instant now);
    const std::vector<std::unique_ptr<party>>& all() const { return parties_; }

    // An initiator's first SYN, so that the end which accepts it is known by its ISN.
    void note_open(party& p, std::uint16_t local_port, std::uint16_t remote_port, seq32 iss);
    // The end that accepted; its peer's ISN. A failure when nobody opened it, or twice.
    void note_accept(party& p, std::uint16_t local_port, std::uint16_t remote_port, seq32 irs);
    // Text that `p` has read: in order, once, and of its peer.
    void check_text(party& p, std::span<const std::byte> text);
    void check_eof(party& p);
    // What must hold of every pair when all is over. Where TIME_WAIT records may be refused (R54)
    // a lost last ACK ends in RST, so ends are not judged.
    void check_pairs(bool judge_ends);

    void fail(const party* p, const std::string& what);
    const std::string& failure() const { return failure_; }

  private:
    void pair(party& p, party& other);
    void learn_peer(party& p);
    void check_pair(party& a, party& b);

    using opening = std::tuple<unsigned, std::uint16_t, std::uint16_t, std::uint32_t>;
    std::vector<std::unique_ptr<party>> parties_;
    std::map<opening, party*> openings_;
    std::string failure_;
};

std::string describe(const party& p);

}  // namespace lastack::sim
