// SPDX-License-Identifier: BSD-3-Clause
// The close FSM, rows of the states in which the application may send: ESTABLISHED, CLOSE_WAIT.
// Columns and meaning: fsm_cell.hpp; proofs over all rows: fsm.cpp.
#pragma once

#include "teardown/fsm_cell.hpp"

namespace lastack::teardown::table {

// clang-format off
// ESTABLISHED: both directions are open. A connection that its listener has not yet handed over is
// here or in CLOSE_WAIT; when the stack drains, also in a state behind them.
inline constexpr state_row established_row{{
    // event              kind        next          outcome                        actions                                         rule
    {app_listen,          impossible, established,  end::none,                     none,                                           "the connection exists already"},
    {app_connect,         impossible, established,  end::none,                     none,                                           "the connection exists already"},
    {app_shutdown_wr,     transition, fin_wait_1,   end::none,                     queue_fin,                                      "R01, R08"},
    {app_close,           transition, fin_wait_1,   end::none,                     queue_fin | detach,                             "R01"},
    {app_close_unread,    transition, closed,       end::aborted_unread_data,      send_reset | finish,                            "R06"},
    {app_abort,           transition, closed,       end::aborted_by_application,   send_reset | finish,                            "R12"},
    {app_abort_unsent,    transition, closed,       end::aborted_by_application,   send_reset | finish,                            "R12"},
    {rx_out_of_window,    stays,      established,  end::none,                     send_duplicate_ack,                             "R37"},
    {rx_paws_reject,      stays,      established,  end::none,                     send_duplicate_ack,                             "R37, R71"},
    {rx_rst_outside,      ignored,    established,  end::none,                     none,                                           "R29"},
    {rx_rst_exact,        transition, closed,       end::reset_by_peer,            finish,                                         "R28, R30"},
    {rx_rst_in_window,    stays,      established,  end::none,                     send_challenge_ack,                             "R31"},
    {rx_rst_refused,      impossible, established,  end::none,                     none,                                           "only while opening"},
    {rx_syn,              stays,      established,  end::none,                     send_challenge_ack,                             "R34"},
    {rx_syn_ack,          stays,      established,  end::none,                     send_challenge_ack,                             "R34"},
    {rx_syn_fin,          stays,      established,  end::none,                     send_challenge_ack,                             "R34"},
    {rx_ack_missing,      ignored,    established,  end::none,                     none,                                           "R26"},
    {rx_ack_unacceptable, impossible, established,  end::none,                     none,                                           "only while opening"},
    {rx_ack_too_old,      stays,      established,  end::none,                     send_challenge_ack,                             "R35"},
    {rx_ack_unsent,       stays,      established,  end::none,                     send_challenge_ack,                             "R35"},
    {rx_ts_missing,       ignored,    established,  end::none,                     none,                                           "R69"},
    {rx_acceptable,       stays,      established,  end::none,                     process,                                        "9293 3.10.7.4"},
    {rx_ack_of_syn,       impossible, established,  end::none,                     none,                                           "it is acknowledged already"},
    {rx_ack_of_fin,       impossible, established,  end::none,                     none,                                           "our FIN is not sent"},
    {rx_data_unreadable,  impossible, established,  end::none,                     none,                                           "it can be read"},
    {rx_fin,              transition, close_wait,   end::none,                     send_ack | tell_peer_closed,                    "R17"},
    {rx_syn_newer,        impossible, established,  end::none,                     none,                                           "rx_syn says it"},
    {rx_old_duplicate,    impossible, established,  end::none,                     none,                                           "only in TIME_WAIT"},
    {connect_timeout,     impossible, established,  end::none,                     none,                                           "it is open"},
    {retransmit_timeout,  transition, closed,       end::timed_out_retransmit,     finish,                                         "R65"},
    {probe_timeout,       transition, closed,       end::timed_out_probe,          finish,                                         "R65"},
    {orphan_timeout,      impossible, established,  end::none,                     none,                                           "not an orphan"},
    {user_timeout,        transition, closed,       end::timed_out_user,           finish,                                         "R66"},
    {keepalive_timeout,   transition, closed,       end::timed_out_keepalive,      send_reset | finish,                            "R67"},
    {fin_wait_2_expired,  impossible, established,  end::none,                     none,                                           "only in FIN_WAIT_2"},
    {time_wait_expired,   impossible, established,  end::none,                     none,                                           "only in TIME_WAIT"},
    {orphan_limit,        impossible, established,  end::none,                     none,                                           "not an orphan"},
    {orphan_dropped,      impossible, established,  end::none,                     none,                                           "not an orphan"},
    {time_wait_refused,   impossible, established,  end::none,                     none,                                           "no record"},
    {evicted,             impossible, established,  end::none,                     none,                                           "no record"},
    {listener_closed,     transition, closed,       end::aborted_listener_closed,  send_reset | finish,                            "R05"},
    {linger2_negative,    impossible, established,  end::none,                     none,                                           "our FIN is not sent"},
    {unreachable,         ignored,    established,  end::none,                     none,                                           "R68"},
    {stack_stopped,       transition, closed,       end::aborted_shutdown,         send_reset | finish,                            "as R12"},
}};

// CLOSE_WAIT: the peer has closed; the application may still send.
inline constexpr state_row close_wait_row{{
    // event              kind        next          outcome                        actions                                         rule
    {app_listen,          impossible, close_wait,   end::none,                     none,                                           "the connection exists already"},
    {app_connect,         impossible, close_wait,   end::none,                     none,                                           "the connection exists already"},
    {app_shutdown_wr,     transition, last_ack,     end::none,                     queue_fin,                                      "R02"},
    {app_close,           transition, last_ack,     end::none,                     queue_fin | detach,                             "R02"},
    {app_close_unread,    transition, closed,       end::aborted_unread_data,      send_reset | finish,                            "R06"},
    {app_abort,           transition, closed,       end::aborted_by_application,   send_reset | finish,                            "R12"},
    {app_abort_unsent,    transition, closed,       end::aborted_by_application,   send_reset | finish,                            "R12"},
    {rx_out_of_window,    stays,      close_wait,   end::none,                     send_duplicate_ack,                             "R37"},
    {rx_paws_reject,      stays,      close_wait,   end::none,                     send_duplicate_ack,                             "R37, R71"},
    {rx_rst_outside,      ignored,    close_wait,   end::none,                     none,                                           "R29"},
    {rx_rst_exact,        transition, closed,       end::reset_by_peer,            finish,                                         "R28, R30"},
    {rx_rst_in_window,    stays,      close_wait,   end::none,                     send_challenge_ack,                             "R31"},
    {rx_rst_refused,      impossible, close_wait,   end::none,                     none,                                           "only while opening"},
    {rx_syn,              stays,      close_wait,   end::none,                     send_challenge_ack,                             "R34"},
    {rx_syn_ack,          stays,      close_wait,   end::none,                     send_challenge_ack,                             "R34"},
    {rx_syn_fin,          stays,      close_wait,   end::none,                     send_challenge_ack,                             "R34"},
    {rx_ack_missing,      ignored,    close_wait,   end::none,                     none,                                           "R26"},
    {rx_ack_unacceptable, impossible, close_wait,   end::none,                     none,                                           "only while opening"},
    {rx_ack_too_old,      stays,      close_wait,   end::none,                     send_challenge_ack,                             "R35"},
    {rx_ack_unsent,       stays,      close_wait,   end::none,                     send_challenge_ack,                             "R35"},
    {rx_ts_missing,       ignored,    close_wait,   end::none,                     none,                                           "R69"},
    {rx_acceptable,       stays,      close_wait,   end::none,                     process,                                        "9293 3.10.7.4"},
    {rx_ack_of_syn,       impossible, close_wait,   end::none,                     none,                                           "it is acknowledged already"},
    {rx_ack_of_fin,       impossible, close_wait,   end::none,                     none,                                           "our FIN is not sent"},
    {rx_data_unreadable,  impossible, close_wait,   end::none,                     none,                                           "text behind a FIN is cut off (R25)"},
    {rx_fin,              impossible, close_wait,   end::none,                     none,                                           "a repeated FIN is rx_out_of_window (R23)"},
    {rx_syn_newer,        impossible, close_wait,   end::none,                     none,                                           "rx_syn says it"},
    {rx_old_duplicate,    impossible, close_wait,   end::none,                     none,                                           "only in TIME_WAIT"},
    {connect_timeout,     impossible, close_wait,   end::none,                     none,                                           "it is open"},
    {retransmit_timeout,  transition, closed,       end::timed_out_retransmit,     finish,                                         "R65"},
    {probe_timeout,       transition, closed,       end::timed_out_probe,          finish,                                         "R65"},
    {orphan_timeout,      impossible, close_wait,   end::none,                     none,                                           "not an orphan"},
    {user_timeout,        transition, closed,       end::timed_out_user,           finish,                                         "R66"},
    {keepalive_timeout,   transition, closed,       end::timed_out_keepalive,      send_reset | finish,                            "R67"},
    {fin_wait_2_expired,  impossible, close_wait,   end::none,                     none,                                           "only in FIN_WAIT_2"},
    {time_wait_expired,   impossible, close_wait,   end::none,                     none,                                           "only in TIME_WAIT"},
    {orphan_limit,        impossible, close_wait,   end::none,                     none,                                           "not an orphan"},
    {orphan_dropped,      impossible, close_wait,   end::none,                     none,                                           "not an orphan"},
    {time_wait_refused,   impossible, close_wait,   end::none,                     none,                                           "no record"},
    {evicted,             impossible, close_wait,   end::none,                     none,                                           "no record"},
    {listener_closed,     transition, closed,       end::aborted_listener_closed,  send_reset | finish,                            "R05"},
    {linger2_negative,    impossible, close_wait,   end::none,                     none,                                           "our FIN is not sent"},
    {unreachable,         ignored,    close_wait,   end::none,                     none,                                           "R68"},
    {stack_stopped,       transition, closed,       end::aborted_shutdown,         send_reset | finish,                            "as R12"},
}};
// clang-format on

}  // namespace lastack::teardown::table
