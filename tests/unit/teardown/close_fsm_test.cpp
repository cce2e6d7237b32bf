// SPDX-License-Identifier: BSD-3-Clause
// Every cell of the close FSM against a second, slow oracle.
//
// The oracle goes the other way about than the table: event by event, as RFC 9293 3.10 tells the
// story ("if in one of these states ..."), with the requirements' additions. It shares the enums
// with the table and nothing else.
#include <gtest/gtest.h>

#include <initializer_list>

#include "teardown/fsm.hpp"
#include "teardown/names.hpp"

namespace lastack::teardown {
namespace {

struct answer {
    kind what = kind::impossible;
    state next{};
    action actions = action::none;
    close_outcome outcome = close_outcome::none;
};

class oracle {
  public:
    explicit oracle(state in) : in_(in) {}

    answer of(event on) const {
        if (on <= event::app_abort_unsent) {
            return call(on);
        }
        if (on <= event::rx_old_duplicate) {
            if (in_ == state::closed) {
                return segment_in_closed(on);
            }
            if (in_ == state::listen) {
                return segment_in_listen(on);
            }
            if (in_ == state::syn_sent) {
                return segment_in_syn_sent(on);
            }
            return in_ == state::time_wait ? segment_in_time_wait(on) : segment_otherwise(on);
        }
        return on <= event::time_wait_expired ? timeout(on) : outside_fact(on);
    }

  private:
    bool in(std::initializer_list<state> states) const {
        for (const state s : states) {
            if (s == in_) {
                return true;
            }
        }
        return false;
    }
    bool synchronized() const {
        return in({state::established, state::fin_wait_1, state::fin_wait_2, state::close_wait,
                   state::closing, state::last_ack});
    }
    bool our_fin_outstanding() const {
        return in({state::fin_wait_1, state::closing, state::last_ack});
    }

    answer never() const { return {kind::impossible, in_, action::none, close_outcome::none}; }
    answer nothing() const { return {kind::ignored, in_, action::none, close_outcome::none}; }
    answer stay(action a) const { return {kind::stays, in_, a, close_outcome::none}; }
    answer go(state next, action a = action::none) const {
        return {kind::transition, next, a, close_outcome::none};
    }
    answer delete_tcb(close_outcome why, action before = action::none) const {
        return {kind::transition, state::closed, before | action::finish, why};
    }

    // RFC 9293 3.10.1 to 3.10.5, R01 to R12.
    answer call(event on) const {
        switch (on) {
            case event::app_listen:
                return in_ == state::closed ? go(state::listen) : never();
            case event::app_connect:
                return in_ == state::closed ? go(state::syn_sent, action::send_syn) : never();
            case event::app_shutdown_wr:
                if (in_ == state::syn_sent) {
                    return delete_tcb(close_outcome::closed_before_open);
                }
                return has_sending_side() ? close_sending_side(action::none) : nothing();
            case event::app_close:
                return close();
            case event::app_close_unread:
                if (in({state::closed, state::time_wait})) {
                    return nothing();  // only what the application still held is let go
                }
                // RFC 2525 2.17. Nothing is received before ESTABLISHED.
                return synchronized()
                           ? delete_tcb(close_outcome::aborted_unread_data, action::send_reset)
                           : never();
            case event::app_abort:
                return abort(false);
            default:
                return in({state::closed, state::listen, state::time_wait}) ? never() : abort(true);
        }
    }
    bool has_sending_side() const {
        return in({state::syn_received, state::established, state::close_wait});
    }
    answer close_sending_side(action more) const {
        const state next = in_ == state::close_wait ? state::last_ack : state::fin_wait_1;
        return go(next, action::queue_fin | more);
    }
    answer close() const {
        if (in_ == state::listen) {
            return delete_tcb(close_outcome::none);
        }
        if (in_ == state::syn_sent) {
            return delete_tcb(close_outcome::closed_before_open);
        }
        if (has_sending_side()) {
            return close_sending_side(action::detach);
        }
        if (in_ == state::fin_wait_2) {
            return stay(action::detach | action::enter_fin_wait_2);
        }
        return our_fin_outstanding() ? stay(action::detach) : nothing();
    }
    // RFC 9293 3.10.5: RST from SYN_RECEIVED, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, CLOSE_WAIT; R12:
    // from CLOSING and LAST_ACK as well while something is unsent.
    answer abort(bool unsent) const {
        if (in({state::closed, state::time_wait})) {
            return nothing();
        }
        if (in_ == state::listen) {
            return delete_tcb(close_outcome::none);
        }
        const bool silent =
            in_ == state::syn_sent || (in({state::closing, state::last_ack}) && !unsent);
        return delete_tcb(close_outcome::aborted_by_application,
                          silent ? action::none : action::send_reset);
    }

    // RFC 9293 3.10.7.1: a RST is dropped, all else is answered by RST (R27).
    answer segment_in_closed(event on) const {
        switch (on) {
            case event::rx_rst_outside:
                return nothing();
            case event::rx_syn:
            case event::rx_syn_ack:
            case event::rx_syn_fin:
            case event::rx_ack_missing:
            case event::rx_ack_unacceptable:
                return stay(action::answer_reset);
            default:
                return never();
        }
    }

    // RFC 9293 3.10.7.2, R40: RST ignored, any ACK answered by RST, SYN opens, the rest dropped.
    answer segment_in_listen(event on) const {
        switch (on) {
            case event::rx_rst_outside:
            case event::rx_syn_fin:
            case event::rx_ack_missing:
                return nothing();
            case event::rx_ack_unacceptable:
                return stay(action::answer_reset);
            case event::rx_syn:
                return go(state::syn_received, action::send_syn_ack);
            default:
                return never();
        }
    }

    // RFC 9293 3.10.7.3, R28, R41.
    answer segment_in_syn_sent(event on) const {
        switch (on) {
            case event::rx_ack_unacceptable:
                return stay(action::answer_reset);
            case event::rx_rst_refused:
                return delete_tcb(close_outcome::refused);
            case event::rx_syn:
                return go(state::syn_received, action::send_syn_ack);
            case event::rx_syn_ack:
                return go(state::established, action::send_ack | action::tell_opened);
            case event::rx_rst_outside:
            case event::rx_syn_fin:
            case event::rx_ack_missing:
            case event::rx_ack_of_syn:
                return nothing();
            default:
                return never();
        }
    }

    // RFC 9293 3.10.7.4 with RFC 5961, SYN_RECEIVED to LAST_ACK.
    answer segment_otherwise(event on) const {
        switch (on) {
            // First, check sequence number; RFC 7323 5.3.
            case event::rx_out_of_window:
            case event::rx_paws_reject:
                return stay(action::send_duplicate_ack);
            case event::rx_ts_missing:
                return nothing();
            // Second, check the RST bit.
            case event::rx_rst_outside:
                return nothing();
            case event::rx_rst_in_window:
                return stay(action::send_challenge_ack);
            case event::rx_rst_exact:
                return delete_tcb(in_ == state::syn_received ? close_outcome::refused
                                                             : close_outcome::reset_by_peer);
            // Fourth, check the SYN bit.
            case event::rx_syn:
                return stay(in_ == state::syn_received ? action::send_syn_ack
                                                       : action::send_challenge_ack);
            case event::rx_syn_ack:
            case event::rx_syn_fin:
                return stay(action::send_challenge_ack);
            case event::rx_syn_newer:
                return in_ == state::syn_received ? stay(action::send_challenge_ack) : never();
            case event::rx_rst_refused:
                return in_ == state::syn_received ? delete_tcb(close_outcome::refused) : never();
            case event::rx_old_duplicate:
                return never();
            default:
                return acknowledgment_text_and_fin(on);
        }
    }
    answer acknowledgment_text_and_fin(event on) const {
        switch (on) {
            // Fifth, check the ACK field.
            case event::rx_ack_missing:
                return nothing();
            case event::rx_ack_unacceptable:
                return in_ == state::syn_received ? stay(action::answer_reset) : never();
            case event::rx_ack_too_old:
            case event::rx_ack_unsent:
                return in_ == state::syn_received ? never() : stay(action::send_challenge_ack);
            case event::rx_acceptable:
                return stay(action::process);
            case event::rx_ack_of_syn:
                if (in_ == state::syn_received) {
                    return go(state::established, action::tell_opened);
                }
                return in_ == state::fin_wait_1 ? stay(action::tell_opened) : never();
            case event::rx_ack_of_fin:
                return fin_acknowledged();
            // Seventh, process the segment text.
            case event::rx_data_unreadable:
                return in({state::fin_wait_1, state::fin_wait_2})
                           ? delete_tcb(close_outcome::aborted_data_after_close,
                                        action::answer_reset)
                           : never();
            // Eighth, check the FIN bit.
            default:
                return fin();
        }
    }
    answer fin_acknowledged() const {
        switch (in_) {
            case state::fin_wait_1:
                return go(state::fin_wait_2, action::enter_fin_wait_2);
            case state::closing:
                return {kind::transition, state::time_wait, action::enter_time_wait,
                        close_outcome::clean_simultaneous};
            case state::last_ack:
                return delete_tcb(close_outcome::clean_passive);
            default:
                return never();
        }
    }
    answer fin() const {
        const action told = action::send_ack | action::tell_peer_closed;
        switch (in_) {
            case state::syn_received:
            case state::established:
                return go(state::close_wait, told);
            case state::fin_wait_1:
                return go(state::closing, told);
            case state::fin_wait_2:
                return {kind::transition, state::time_wait, told | action::enter_time_wait,
                        close_outcome::clean_active};
            default:
                return never();  // "remain": the repeated FIN is out of the window
        }
    }

    // R43 to R53.
    answer segment_in_time_wait(event on) const {
        const action again = action::send_duplicate_ack | action::restart_time_wait;
        switch (on) {
            case event::rx_fin:
                return stay(action::send_ack | action::restart_time_wait);
            case event::rx_acceptable:
                return stay(action::restart_time_wait);
            case event::rx_paws_reject:
            case event::rx_syn_ack:
            case event::rx_old_duplicate:
                return stay(again);
            case event::rx_syn:
            case event::rx_ack_missing:
                return stay(action::send_duplicate_ack);
            case event::rx_syn_newer:
                return go(state::syn_received, action::send_syn_ack);
            case event::rx_rst_exact:
                return delete_tcb(close_outcome::none);
            case event::rx_rst_outside:
            case event::rx_rst_in_window:
            case event::rx_syn_fin:
                return nothing();
            default:
                return never();
        }
    }

    // R42, R59, R62, R65 to R67. Silent, but for keepalive.
    answer timeout(event on) const {
        const bool opening = in({state::syn_sent, state::syn_received});
        switch (on) {
            case event::connect_timeout:
                return opening ? delete_tcb(close_outcome::timed_out_connecting) : never();
            case event::retransmit_timeout:
            case event::probe_timeout:
                if (!synchronized() || in_ == state::fin_wait_2) {
                    return never();
                }
                return delete_tcb(on == event::probe_timeout ? close_outcome::timed_out_probe
                                                             : close_outcome::timed_out_retransmit);
            case event::orphan_timeout:
                return our_fin_outstanding() ? delete_tcb(close_outcome::timed_out_orphan)
                                             : never();
            case event::user_timeout:
                return opening || synchronized() ? delete_tcb(close_outcome::timed_out_user)
                                                 : never();
            case event::keepalive_timeout:
                return synchronized()
                           ? delete_tcb(close_outcome::timed_out_keepalive, action::send_reset)
                           : never();
            case event::fin_wait_2_expired:
                return in_ == state::fin_wait_2 ? delete_tcb(close_outcome::timed_out_fin_wait_2)
                                                : never();
            default:
                return in_ == state::time_wait ? delete_tcb(close_outcome::none) : never();
        }
    }

    answer outside_fact(event on) const {
        const bool record = in({state::fin_wait_2, state::time_wait});
        switch (on) {
            case event::orphan_limit:
                return our_fin_outstanding()
                           ? delete_tcb(close_outcome::aborted_orphan_limit, action::send_reset)
                           : never();
            case event::orphan_dropped:
                return our_fin_outstanding() ? delete_tcb(close_outcome::aborted_orphan_limit)
                                             : never();
            case event::time_wait_refused:
            case event::evicted:
                if (!record) {
                    return never();
                }
                return delete_tcb(in_ == state::fin_wait_2 ? close_outcome::aborted_no_memory
                                                           : close_outcome::none);
            case event::listener_closed:  // R05
                if (in_ == state::syn_received) {
                    return delete_tcb(close_outcome::aborted_listener_closed);
                }
                return synchronized()
                           ? delete_tcb(close_outcome::aborted_listener_closed, action::send_reset)
                           : never();
            case event::linger2_negative:
                return in_ == state::fin_wait_2
                           ? delete_tcb(close_outcome::aborted_linger2, action::send_reset)
                           : never();
            case event::unreachable:
                if (in({state::syn_sent, state::syn_received})) {
                    return delete_tcb(close_outcome::host_unreachable);
                }
                return in_ == state::listen ? never() : nothing();
            default:  // stack_stopped
                if (in_ == state::closed) {
                    return nothing();
                }
                if (in({state::listen, state::time_wait})) {
                    return delete_tcb(close_outcome::none);
                }
                return delete_tcb(close_outcome::aborted_shutdown,
                                  in_ == state::syn_sent ? action::none : action::send_reset);
        }
    }

    state in_;
};

TEST(close_fsm, every_cell_is_what_the_rfc_says) {
    for (std::size_t s = 0; s < state_count; ++s) {
        for (std::size_t e = 0; e < event_count; ++e) {
            const auto in = static_cast<state>(s);
            const auto on = static_cast<event>(e);
            const cell& got = lookup(in, on);
            const answer want = oracle{in}.of(on);
            SCOPED_TRACE(::testing::Message() << name(in) << " + " << name(on));
            EXPECT_EQ(got.on, on);
            EXPECT_EQ(got.what, want.what);
            EXPECT_EQ(got.next, want.next);
            EXPECT_EQ(static_cast<std::uint32_t>(got.actions),
                      static_cast<std::uint32_t>(want.actions));
            EXPECT_EQ(got.outcome, want.outcome) << name(got.outcome);
        }
    }
}

// Walks a connection through events and returns where it is and how it ended.
struct walk {
    state at = state::closed;
    close_outcome outcome = close_outcome::none;

    walk& on(event e) {
        const cell& c = lookup(at, e);
        EXPECT_NE(c.what, kind::impossible) << name(at) << " + " << name(e);
        at = c.next;
        if (c.outcome != close_outcome::none) {
            EXPECT_EQ(outcome, close_outcome::none) << "ended twice";
            outcome = c.outcome;
        }
        return *this;
    }
};

walk make_established() {
    return walk{}.on(event::app_connect).on(event::rx_syn_ack);
}

// R01, R19, R21
TEST(close_fsm, active_close_goes_through_fin_wait_to_time_wait) {
    walk w = make_established().on(event::app_close).on(event::rx_ack_of_fin).on(event::rx_fin);
    EXPECT_EQ(w.at, state::time_wait);
    EXPECT_EQ(w.outcome, close_outcome::clean_active);
    EXPECT_EQ(w.on(event::time_wait_expired).at, state::closed);
}

// R19
TEST(close_fsm, fin_that_acknowledges_ours_goes_straight_to_time_wait) {
    // One segment: the ACK of our FIN is applied before the FIN it carries.
    const walk w = make_established()
                       .on(event::app_close)
                       .on(event::rx_acceptable)
                       .on(event::rx_ack_of_fin)
                       .on(event::rx_fin);
    EXPECT_EQ(w.at, state::time_wait);
    EXPECT_EQ(w.outcome, close_outcome::clean_active);
}

// R02, R17, R20
TEST(close_fsm, passive_close_ends_in_closed_without_time_wait) {
    const walk w =
        make_established().on(event::rx_fin).on(event::app_close).on(event::rx_ack_of_fin);
    EXPECT_EQ(w.at, state::closed);
    EXPECT_EQ(w.outcome, close_outcome::clean_passive);
}

// R19, R20
TEST(close_fsm, crossing_fins_go_through_closing) {
    const walk w =
        make_established().on(event::app_close).on(event::rx_fin).on(event::rx_ack_of_fin);
    EXPECT_EQ(w.at, state::time_wait);
    EXPECT_EQ(w.outcome, close_outcome::clean_simultaneous);
}

// R04
TEST(close_fsm, close_in_syn_received_sends_fin_and_still_opens) {
    walk w = walk{}.on(event::app_connect).on(event::rx_syn).on(event::app_shutdown_wr);
    EXPECT_EQ(w.at, state::fin_wait_1);
    w.on(event::rx_ack_of_syn);
    EXPECT_EQ(w.at, state::fin_wait_1);
    EXPECT_EQ(w.on(event::rx_ack_of_fin).on(event::rx_fin).at, state::time_wait);
}

// R07
TEST(close_fsm, text_after_close_resets_before_and_after_the_fin_is_acknowledged) {
    EXPECT_EQ(make_established().on(event::app_close).on(event::rx_data_unreadable).outcome,
              close_outcome::aborted_data_after_close);
    EXPECT_EQ(make_established()
                  .on(event::app_close)
                  .on(event::rx_ack_of_fin)
                  .on(event::rx_data_unreadable)
                  .outcome,
              close_outcome::aborted_data_after_close);
}

// R23
TEST(close_fsm, repeated_fin_is_acked_and_changes_nothing) {
    for (const state s : {state::close_wait, state::closing, state::last_ack}) {
        const cell& c = lookup(s, event::rx_out_of_window);
        EXPECT_EQ(c.next, s);
        EXPECT_TRUE(has(c.actions, action::send_duplicate_ack));
    }
}

TEST(close_fsm, refused_time_wait_record_ends_the_clean_connection_at_once) {
    walk w = make_established().on(event::app_close).on(event::rx_ack_of_fin).on(event::rx_fin);
    w.on(event::time_wait_refused);
    EXPECT_EQ(w.at, state::closed);
    EXPECT_EQ(w.outcome, close_outcome::clean_active);
}

}  // namespace
}  // namespace lastack::teardown
