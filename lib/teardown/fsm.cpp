// SPDX-License-Identifier: BSD-3-Clause
// Proofs over the close FSM's table. There is no code here: what does not hold does not compile.
#include "teardown/fsm.hpp"

namespace lastack::teardown {

namespace {

template <typename Predicate>
constexpr bool every_cell(Predicate holds) {
    for (std::size_t s = 0; s < state_count; ++s) {
        for (std::size_t e = 0; e < event_count; ++e) {
            const auto in = static_cast<state>(s);
            const auto on = static_cast<event>(e);
            if (!holds(in, on, lookup(in, on))) {
                return false;
            }
        }
    }
    return true;
}

using state_set = std::array<bool, state_count>;

constexpr state_set every_state{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

constexpr bool& member(state_set& set, state s) {
    return set[static_cast<std::size_t>(s)];
}

// All states that can be reached from CLOSED, by whatever event.
constexpr state_set reachable_from_closed() {
    state_set set{};
    member(set, state::closed) = true;
    for (bool grows = true; grows;) {
        grows = false;
        every_cell([&](state in, event, const cell& c) {
            if (member(set, in) && !member(set, c.next)) {
                member(set, c.next) = grows = true;
            }
            return true;
        });
    }
    return set;
}

// All states that time events alone bring to CLOSED.
constexpr state_set ended_by_time() {
    state_set set{};
    member(set, state::closed) = true;
    for (bool grows = true; grows;) {
        grows = false;
        every_cell([&](state in, event on, const cell& c) {
            if (is_time_event(on) && member(set, c.next) && !member(set, in)) {
                member(set, in) = grows = true;
            }
            return true;
        });
    }
    return set;
}

static_assert(every_cell([](state, event on, const cell& c) {
                  return c.what != kind::unset && c.on == on && c.rule != nullptr;
              }),
              "a cell is left out, or stands in another event's place");

static_assert(every_cell([](state in, event, const cell& c) {
                  switch (c.what) {
                      case kind::transition:
                          return c.next != in;
                      case kind::stays:
                          return c.next == in && c.actions != action::none &&
                                 c.outcome == close_outcome::none;
                      default:
                          return c.next == in && c.actions == action::none &&
                                 c.outcome == close_outcome::none;
                  }
              }),
              "kind contradicts next state, actions or outcome");

static_assert(every_cell([](state, event, const cell& c) {
                  return (c.what == kind::transition && c.next == state::closed) ==
                         has(c.actions, action::finish);
              }),
              "CLOSED is reached by finish, and finish leads nowhere else");

static_assert(every_cell([](state, event, const cell& c) {
                  return (c.what == kind::transition && c.next == state::time_wait) ==
                         has(c.actions, action::enter_time_wait);
              }),
              "TIME_WAIT is entered with a record, and only so");

static_assert(every_cell([](state in, event, const cell& c) {
                  const bool ends = has(c.actions, action::finish | action::enter_time_wait);
                  return (c.outcome != close_outcome::none) == (ends && is_connection(in));
              }),
              "a connection ends with exactly one outcome");

static_assert(every_cell([](state, event, const cell& c) {
                  return !has(c.actions, action::send_reset) ||
                         (has(c.actions, action::finish) && c.outcome != close_outcome::none &&
                          !is_clean(c.outcome));
              }),
              "a RST of our own ends the connection, for a reason");

static_assert(every_cell([](state, event on, const cell& c) {
                  return on < event::rx_rst_outside || on > event::rx_rst_refused ||
                         !has(c.actions, action::send_reset | action::answer_reset);
              }),
              "a RST is never answered by a RST (R27)");

static_assert(every_cell([](state, event on, const cell& c) {
                  return c.outcome == close_outcome::none ||
                         is_timeout(c.outcome) == is_time_event(on);
              }),
              "what ends by time is said to have timed out, and nothing else is");

static_assert(every_cell([](state in, event on, const cell& c) {
                  return (on == event::rx_fin && c.what == kind::transition) ==
                             has(c.actions, action::tell_peer_closed) &&
                         (in != state::time_wait || !has(c.actions, action::tell_peer_closed));
              }),
              "the end of the peer's stream is told when its FIN is taken, once");

static_assert(every_cell([](state in, event, const cell& c) {
                  const bool begins_close =
                      c.what == kind::transition &&
                      (c.next == state::fin_wait_1 || c.next == state::last_ack);
                  return begins_close == has(c.actions, action::queue_fin) &&
                         (!begins_close || in == state::syn_received || in == state::established ||
                          in == state::close_wait);
              }),
              "FIN is queued once, on the way into FIN_WAIT_1 or LAST_ACK");

static_assert(every_cell([](state in, event on, const cell& c) {
                  return on != event::app_close || !is_connection(in) ||
                         has(c.actions, action::finish | action::detach);
              }),
              "close() ends a connection or makes it an orphan");

static_assert(
    [] {
        state_set ended = ended_by_time();
        member(ended, state::listen) = true;
        return ended;
    }() == every_state,
    "time alone ends every state but LISTEN, which the application holds");

static_assert(reachable_from_closed() == every_state, "every state can be reached");

}  // namespace

}  // namespace lastack::teardown
