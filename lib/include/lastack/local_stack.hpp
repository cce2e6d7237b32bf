// SPDX-License-Identifier: BSD-3-Clause
// The calls an application makes on the stack of the lcore it runs on.
//
// Life of a handle: it is valid from `opened` (or connect()) until the application has called
// close() or abort() AND, if it asked for the completion, has been given `ended`. A connection that
// ends by itself (reset, timed out) keeps its handle and its unread data until close(); one that
// has moved to TIME_WAIT keeps only these two, the rest of it is gone.
//
// No call blocks, allocates from the heap or makes a system call. None may be made from another
// thread. Calls take effect on the wire at the end of the current poll, so an ACK, the data and the
// FIN of one event handler ride on one segment.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lastack/address.hpp"
#include "lastack/buffer.hpp"
#include "lastack/connection_info.hpp"
#include "lastack/connection_options.hpp"
#include "lastack/event.hpp"
#include "lastack/outcome.hpp"
#include "lastack/result.hpp"

namespace lastack {

namespace stack {
class core;
}

// SHUT_WR sends FIN behind the queued data; SHUT_RD sends nothing (R08 to R11).
enum class shutdown_how : std::uint8_t { read, write, both };

// What send() is told beside the octets. `more`: the next call continues, so a rest shorter than a
// segment waits for it, for the next ACK or for an RTO (MSG_MORE). `end_of_record`: no segment ever
// holds octets of this call together with later ones (MSG_EOR).
struct send_options {
    bool more = false;
    bool end_of_record = false;
};

// What close() owes the caller: nothing, after which the handle is dead at once, or one `ended`.
enum class completion : std::uint8_t { none, event };

// Takes a frame that is not the stack's own: other protocols, UDP, other addresses. Returns true if
// it has taken the mbuf over; otherwise the frame is counted and dropped. Called on the packet
// path.
struct foreign_frame_hook {
    bool (*take)(void* context, rte_mbuf* frame) = nullptr;
    void* context = nullptr;
};

class local_stack {
  public:
    explicit local_stack(stack::core& core) : core_(&core) {}

    // Takes a local port: for listen() or connect() later, or for close_listener(). The any-address
    // means every address of the stack; port 0 chooses a port. As on Linux a port that anybody
    // else has, connections and TIME_WAIT included, is refused unless both said reuse_addr and the
    // other does not listen, or both said reuse_port (R56).
    // Errors: address_in_use, address_not_available, no_memory (lastack.listeners).
    result<listener_id, call_error> bind(const endpoint& local, const port_options& = {});
    // Listens on a port that bind() has given, whose own options hold; on one that listens, changes
    // the backlog and what its next connections begin with. address_in_use: somebody listens there
    // by now. no_memory: 15 lengths of TIME_WAIT are in use, the stack's own included (R42).
    result<bool, call_error> listen(listener_id, const listen_options&);
    // Both at once. Several listeners with reuse_port on one port get their connections by a hash
    // of the peer; an exact address goes before the any-address.
    result<listener_id, call_error> listen(const endpoint& local, const listen_options& = {});
    // Gives the port back. Forgets SYN_RECEIVED children silently, resets established ones not yet
    // taken (R05).
    result<bool, call_error> close_listener(listener_id);
    // What others may do from now on; who has the port already keeps it.
    result<bool, call_error> set_port_options(listener_id, const port_options&);
    result<bool, call_error> set_port_options(conn_id, const port_options&);
    result<endpoint, call_error> local_endpoint(listener_id) const;

    // With listen_options::hold_until_accepted: the application takes the connection now.
    result<bool, call_error> accepted(conn_id);
    // One that waits for that goes from a listener that has closed to another on the port, and to
    // which, where tcp_migrate_req says so (R05). Else invalid_argument: it stays the caller's.
    result<listener_id, call_error> migrate(conn_id);

    // Starts an active open; `opened` or `ended` follows.
    // Errors: host_unreachable, no_memory; address_in_use: bind() would have refused the port;
    // address_not_available: not our address, no port is left, or the 4-tuple is in use (in
    // TIME_WAIT too, unless R55 lets it go).
    result<conn_id, call_error> connect(const endpoint& remote, const connect_options& = {});

    // Octets that a SYN which waits for the first send() takes (connect_options::fast_open); 0:
    // none waits. Error: stale_handle.
    result<std::size_t, call_error> syn_room(conn_id) const;

    // Copies as much of `data` as the send queue takes; returns that count in octets. When it is
    // short, `writable` follows. Nothing to copy lets a SYN go that waits for the first send().
    // Errors: stale_handle, closed_for_sending, not_connected,
    // and what the connection ended with.
    result<std::size_t, call_error> send(conn_id, std::span<const std::byte> data,
                                         send_options = {});
    // Queues the chain without copying it: all or nothing. On an error (would_block: `writable`
    // follows) the caller keeps the buffer.
    result<bool, call_error> send(conn_id, buffer& data);

    // The oldest payload that lies unread, as one chain, without a copy. An empty buffer is the end
    // of the stream. Errors: would_block, stale_handle, and, behind the data, how it ended.
    result<buffer, call_error> receive(conn_id);
    // The same, copied; returns octets, 0 at the end of the stream.
    result<std::size_t, call_error> receive(conn_id, std::span<std::byte> into);

    // Copies from what lies unread, `offset` octets behind its beginning, and leaves it there;
    // returns octets, 0 when there are none so far on. Error: stale_handle.
    result<std::size_t, call_error> peek(conn_id, std::size_t offset,
                                         std::span<std::byte> into) const;

    result<bool, call_error> shutdown(conn_id, shutdown_how);
    // Sends what is queued and then FIN (R01, R02), or aborts where R06 or R12 say so.
    result<bool, call_error> close(conn_id, completion = completion::none);
    // RST,ACK at once; nothing is sent from SYN_SENT (R12).
    result<bool, call_error> abort(conn_id, completion = completion::none);

    result<bool, call_error> set_user(conn_id, std::uint64_t user);
    // All options of a connection, to read, change and give back; those below change one.
    // Errors: invalid_argument (a value out of range), not_connected, stale_handle.
    result<connection_options, call_error> options(conn_id) const;
    result<bool, call_error> set_options(conn_id, const connection_options&);
    result<bool, call_error> set_linger(conn_id, linger_option);
    result<bool, call_error> set_no_delay(conn_id, bool on);  // TCP_NODELAY
    result<bool, call_error> set_cork(conn_id, bool on);      // TCP_CORK
    result<bool, call_error> set_keepalive(conn_id, keepalive_option);
    result<bool, call_error> set_user_timeout(conn_id, std::chrono::milliseconds);  // 0: off
    // TCP_LINGER2 in seconds: 0 the setting, negative no FIN_WAIT_2 for an orphan (R61).
    result<bool, call_error> set_linger2(conn_id, int seconds);

    // Octets of payload that lie unread, and that are queued and not yet acknowledged.
    result<std::size_t, call_error> unread(conn_id) const;
    result<std::size_t, call_error> unsent(conn_id) const;
    result<endpoint, call_error> remote_endpoint(conn_id) const;
    result<endpoint, call_error> local_endpoint(conn_id) const;
    // For whoever looks at it; works out rather than looks up, so not for each packet.
    result<connection_info, call_error> info(conn_id) const;

    // A buffer with room for `octets` in one segment or a chain, to fill and send. Empty when
    // memory is short. The first segment has the headroom the stack needs.
    buffer allocate(std::size_t octets);

    void set_foreign_frames(foreign_frame_hook hook);

    // Sends every connection's FIN behind what is queued; no new connection comes. What a process
    // does that stops; walks all connections, so it is not for the packet path.
    void drain();

    // How many connections this stack can hold at once.
    std::uint32_t capacity() const;
    // Counts a connection refused because no coroutine frame was free (LastackCoroutinePoolEmpty).
    void count_coroutine_pool_empty();

    stack::core& core() { return *core_; }

  private:
    stack::core* core_;
};

// Calls the handler's functions for one event. A handler defines those it cares for:
//   on_opened(local_stack&, conn_id, const event&)
//   on_readable(local_stack&, conn_id, const event&)
//   on_writable(local_stack&, conn_id, const event&)
//   on_peer_closed(local_stack&, conn_id, const event&)
//   on_ended(local_stack&, conn_id, const event&)      // event.outcome
template <class Handler>
void dispatch(local_stack& s, Handler& handler, const event& e) {
    if ((e.what & event_bits::opened) != 0) {
        if constexpr (requires { handler.on_opened(s, e.conn, e); }) {
            handler.on_opened(s, e.conn, e);
        }
    }
    if ((e.what & event_bits::readable) != 0) {
        if constexpr (requires { handler.on_readable(s, e.conn, e); }) {
            handler.on_readable(s, e.conn, e);
        }
    }
    if ((e.what & event_bits::writable) != 0) {
        if constexpr (requires { handler.on_writable(s, e.conn, e); }) {
            handler.on_writable(s, e.conn, e);
        }
    }
    if ((e.what & event_bits::peer_closed) != 0) {
        if constexpr (requires { handler.on_peer_closed(s, e.conn, e); }) {
            handler.on_peer_closed(s, e.conn, e);
        }
    }
    if ((e.what & event_bits::ended) != 0) {
        if constexpr (requires { handler.on_ended(s, e.conn, e); }) {
            handler.on_ended(s, e.conn, e);
        }
    }
}

}  // namespace lastack
