// SPDX-License-Identifier: BSD-3-Clause
// One cell of the close FSM: what an event does to a connection in a state.
//
// `kind` keeps apart what a reader must not confuse:
//   transition  the state changes; the actions are taken; `outcome` if this is the end for the
//               application
//   stays       the state stays and the actions are taken
//   ignored     can happen, and nothing is done
//   impossible  cannot happen; whoever applies it has a bug (the rule says why)
// `unset`, the zero value, is no decision: a cell left out of a row is found by the proofs in
// fsm.cpp.
//
// `next` is the state itself unless the cell is a transition, so applying a cell is always
// `state = cell.next`. `rule` names the requirement (R number) or the paragraph of RFC 9293, or for
// what cannot happen the reason. 16 octets a cell, of which the packet path reads the first eight;
// the whole table is 7.5 KiB.
#pragma once

#include <array>

#include "lastack/outcome.hpp"
#include "teardown/state.hpp"

namespace lastack::teardown {

enum class kind : std::uint8_t { unset, transition, stays, ignored, impossible };

struct cell {
    event on{};
    kind what = kind::unset;
    state next = state::closed;
    close_outcome outcome = close_outcome::none;
    action actions = action::none;
    const char* rule = nullptr;
};

static_assert(sizeof(cell) == 16);

using state_row = std::array<cell, event_count>;

namespace table {
// The rows are written with bare names. An outcome keeps a prefix, since `none` is an action too.
using enum event;
using enum kind;
using enum state;
using enum action;
using end = close_outcome;
}  // namespace table

}  // namespace lastack::teardown
