// SPDX-License-Identifier: BSD-3-Clause
// The close FSM: eleven states by every event, each cell written out.
//
// RFC 9293 3.3.2 (states), 3.10 (event processing), RFC 5961, RFC 7323, RFC 6191. The rows stand in
// fsm_opening.hpp, fsm_open.hpp and fsm_closing.hpp; fsm.cpp proves what must hold over all of
// them; docs/close-fsm.md is printed from them.
//
// How a transition is applied: take `lookup(state, event)`; set the state to `next`, count the
// transition, take the actions in the order of their bits, report the outcome if there is one. For
// a segment: the one disqualifying fact, or rx_acceptable and then, in this order, rx_ack_of_syn,
// rx_ack_of_fin, rx_data_unreadable and rx_fin, each in the state the one before has left. A FIN
// that acknowledges ours therefore goes FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT (R19), so that the record
// which enter_fin_wait_2 asks for is made only when the whole segment is through.
#pragma once

#include "teardown/fsm_cell.hpp"
#include "teardown/fsm_closing.hpp"
#include "teardown/fsm_open.hpp"
#include "teardown/fsm_opening.hpp"

namespace lastack::teardown {

// In the order of the enumeration.
inline constexpr std::array<state_row, state_count> close_fsm{
    table::closed_row,      table::listen_row,     table::syn_sent_row,   table::syn_received_row,
    table::established_row, table::fin_wait_1_row, table::fin_wait_2_row, table::close_wait_row,
    table::closing_row,     table::last_ack_row,   table::time_wait_row,
};

constexpr const cell& lookup(state in, event what) {
    return close_fsm[static_cast<std::size_t>(in)][static_cast<std::size_t>(what)];
}

// A time event: it comes from a deadline, without the application or the peer.
constexpr bool is_time_event(event e) {
    return e >= event::connect_timeout && e <= event::time_wait_expired;
}
// A connection that an application has been given, or will be: it ends with an outcome.
constexpr bool is_connection(state s) {
    return s >= state::syn_sent && s <= state::last_ack;
}

}  // namespace lastack::teardown
