# SPDX-License-Identifier: BSD-3-Clause
"""Each lever of closing, pulled on a running stack and seen from the kernel at the other end of the wire: half-closed
connections, FIN_WAIT_1, FIN_WAIT_2, CLOSING, LAST_ACK, RST, and peers that vanish or sit. lab_time_wait.py goes on from
there.

The stack's application is lab_levers (levers.cpp), which does with a connection what its first line says. Small settings
make what takes minutes take seconds.
"""
import signal
import socket

import lab
from levers import (Wire, change, counted, deaf_kernel, expect_reset, expect_reset_when_written_to, gaps, kernel_counted,
                    kernel_state, open_connection, own_port, rows, start, tell, wait_for, wait_for_kernel, wait_for_outcome,
                    wait_for_state)

# --- shutdown -----------------------------------------------------------------------------------------------------------


def test_a_side_that_has_shut_down_still_receives():  # R08, R09
    application = start("tcp_fin_timeout=1")
    with Wire(application) as wire, tell("shutdown-write") as s, tell("close") as other, tell("shutdown-read") as third:
        assert s.recv(10) == b"" and other.recv(10) == b""
        wait_for(application, "LastackFinWait2Expired")  # of the one that was closed
        s.sendall(b"still read")
        third.sendall(b"still read")
        wait_for_state(application, "fin-wait-2")  # no limit without close()
        wait_for_state(application, "established")
        assert wire.from_stack(own_port(third), "F") == []
        assert wire.from_stack(own_port(s), "R") == wire.from_stack(own_port(third), "R") == []
        s.close()
        wait_for_outcome(application, "clean_active")


def test_text_that_nobody_can_read_any_more_is_reset():  # R07, R10
    application = start()
    with tell("close") as s, tell("shutdown-both") as t:
        for one in (s, t):
            assert one.recv(10) == b""
            one.sendall(b"too late")
            expect_reset_when_written_to(one)
    wait_for_outcome(application, "aborted_data_after_close", 2)
    assert counted(application, "TcpExtTCPAbortOnData") == 2


def test_a_kernel_that_has_shut_down_gets_all_that_is_still_sent():  # R02, R08
    application = start("tcp_wmem=4096 1048576 4194304")
    with tell("on-fin send 200000 close") as s:
        s.shutdown(socket.SHUT_WR)
        assert len(lab.read_to_end(s)) == 200000
        wait_for_outcome(application, "clean_passive")
        assert rows(application, "time-wait") == []
        wait_for_kernel(own_port(s), "TIME-WAIT")


def test_the_fin_waits_behind_the_data_and_a_shut_window():  # R01
    application = start()
    with Wire(application) as wire, tell("send 8000 close", receive_buffer=2304) as s:
        wait_for_state(application, "fin-wait-1")
        wait_for(application, "TcpExtTCPWinProbe")
        assert wire.from_stack(own_port(s), "F") == []
        assert kernel_state(own_port(s)) == "ESTAB"
        assert len(lab.read_to_end(s)) == 8000
        assert wire.from_stack(own_port(s), "F")
    wait_for_outcome(application, "clean_active")


# --- FIN_WAIT_2 ---------------------------------------------------------------------------------------------------------


def test_a_peer_that_never_closes_is_let_go_after_tcp_fin_timeout():  # R59, R60
    application = start("tcp_fin_timeout=60")
    change(application, "tcp_fin_timeout=4")
    with Wire(application) as wire, tell("close") as s:
        assert s.recv(10) == b""
        wait_for_state(application, "fin-wait-2")
        wait_for_kernel(own_port(s), "CLOSE-WAIT")
        wait_for_outcome(application, "timed_out_fin_wait_2")
        assert rows(application, "fin-wait-2") == []
        assert kernel_state(own_port(s)) == "CLOSE-WAIT" and wire.from_stack(own_port(s), "R") == []  # it was silent
        expect_reset_when_written_to(s)


def test_linger2_shortens_fin_wait_2_or_leaves_it_out():  # R61
    application = start()
    with Wire(application) as wire, tell("linger2 1 close") as s, tell("linger2 -1 close") as without:
        assert s.recv(10) == b"" and without.recv(10) == b""
        # First the FIN; the RST when the kernel has acknowledged it.
        wait_for_outcome(application, "aborted_linger2")
        assert counted(application, "TcpExtTCPAbortOnLinger") == 1
        wire.wait(own_port(without), "R")
        wait_for_outcome(application, "timed_out_fin_wait_2")
        expect_reset_when_written_to(without)


# --- RST ----------------------------------------------------------------------------------------------------------------


def test_close_with_data_unread_resets():  # R06
    application = start()
    resets = kernel_counted("TcpEstabResets")
    with tell("on-text close") as s:
        wait_for_state(application, "established")
        s.sendall(b"more")
        expect_reset(s)
    wait_for_outcome(application, "aborted_unread_data")
    assert counted(application, "TcpExtTCPAbortOnClose") == 1
    assert counted(application, "LastackRstAppCloseUnread") == 1
    assert kernel_counted("TcpEstabResets") == resets + 1


def test_linger_0_and_abort_reset_and_leave_no_time_wait():  # R12
    application = start()
    for line in ("linger 0 close", "abort", "send 100 abort"):
        with Wire(application) as wire, tell(line) as s:
            expect_reset(s)
            [reset] = wire.from_stack(own_port(s), "R")
            assert reset.flags == "R.", reset
    wait_for_outcome(application, "aborted_by_application", 3)
    assert rows(application, "time-wait") == []
    with tell("shutdown-write") as s:  # and the kernel's, towards us
        assert s.recv(10) == b""
        lab.abort(s)
    wait_for_outcome(application, "reset_by_peer")


def test_linger_tells_when_the_fin_is_acknowledged_or_the_time_is_over():  # R13
    application = start("tcp_orphan_retries=20")
    with tell("linger 10 close") as s:
        assert s.recv(10) == b""
        s.close()
        # Long before the 10 s: at the end, or before the kernel's FIN where its ACK came alone.
        lab.wait_until(lambda: "ended " in application.text(), 8, "the end of lingering")
    assert "ended clean_active\n" in application.text() or "ended none\n" in application.text()
    before = application.text().count("ended none\n")
    with open_connection() as s, deaf_kernel(application):
        s.sendall(b"linger 1 close\n")
        wait_for_outcome(application, "none", before + 1)  # it goes on without the application
        wait_for_state(application, "fin-wait-1")


def test_a_stopping_process_closes_and_at_a_second_signal_resets():
    application = start("lastack.drain_ms=60000")
    with Wire(application) as wire, tell("shutdown-write") as s, tell("send 1") as other:
        assert s.recv(10) == b""
        application.process.send_signal(signal.SIGTERM)
        assert lab.read_to_end(other) == b"x"
        assert application.process.poll() is None
        application.process.send_signal(signal.SIGTERM)
        assert application.process.wait(20) == 0
        assert wire.from_stack(own_port(s), "R") and wire.from_stack(own_port(other), "R")


def test_a_process_that_crashed_leaves_its_peers_to_the_next_one():
    application = start()
    with tell("send 1") as s:
        assert s.recv(10) == b"x"
        application.kill()
        s.sendall(b"is anybody there?")
        assert kernel_state(own_port(s)) == "ESTAB"  # nobody has told the kernel
        start()
        expect_reset_when_written_to(s)


# --- peers that vanish --------------------------------------------------------------------------------------------------


def test_fin_wait_1_of_a_vanished_peer_ends_after_tcp_orphan_retries():  # R24, R62
    application = start("tcp_orphan_retries=3", "tcp_early_retrans=0")
    with Wire(application) as wire, open_connection() as s, deaf_kernel(application):
        s.sendall(b"close\n")
        wait_for_outcome(application, "timed_out_orphan")
        between = gaps(wire.from_stack(own_port(s), "F"))
        assert between and all(gap > 0.15 * 2**n for n, gap in enumerate(between)), between  # 0.2, 0.4, 0.8 s
        assert wire.from_stack(own_port(s), "R") == []
    assert rows(application, "fin-wait-1") == []


def test_last_ack_of_a_vanished_peer_ends_after_tcp_orphan_retries():  # R62
    application = start("tcp_orphan_retries=100", "tcp_rto_max_ms=1000")
    with tell("send 1 on-fin close") as s:
        assert s.recv(10) == b"x"
        with deaf_kernel(application):
            s.shutdown(socket.SHUT_WR)
            wait_for_state(application, "last-ack")
            wait_for_kernel(own_port(s), "FIN-WAIT-1")
            change(application, "tcp_orphan_retries=2")
            wait_for_outcome(application, "timed_out_orphan")


def test_fins_that_cross_lead_through_closing_to_time_wait_on_both_sides():  # R19, R20
    application = start()
    with open_connection() as s:
        with deaf_kernel(application):
            s.sendall(b"close\n")
            wait_for_state(application, "fin-wait-1")
            s.shutdown(socket.SHUT_WR)
            wait_for_state(application, "closing")
            wait_for_kernel(own_port(s), "FIN-WAIT-1")
        wait_for_outcome(application, "clean_simultaneous")
        wait_for_state(application, "time-wait")
        wait_for_kernel(own_port(s), "TIME-WAIT")


def test_user_timeout_ends_what_a_vanished_peer_leaves():  # R66
    application = start("tcp_rto_max_ms=1000")
    with open_connection() as s, open_connection() as closed, open_connection() as later:
        with deaf_kernel(application):
            s.sendall(b"user-timeout 1000 send 100\n")
            closed.sendall(b"user-timeout 1000 send 100 close\n")
            wait_for_outcome(application, "timed_out_user", 2)
            assert kernel_state(own_port(s)) == kernel_state(own_port(closed)) == "ESTAB"
        later.sendall(b"user-timeout 1500 send 100\n")  # the same peer, back again
        assert len(later.recv(100)) == 100


def test_tcp_retries2_ends_a_connection_whose_peer_vanished():  # R65
    application = start("tcp_retries2=2")
    with open_connection() as s, deaf_kernel(application):
        s.sendall(b"send 100\n")
        wait_for_outcome(application, "timed_out_retransmit")
    assert counted(application, "TcpExtTCPAbortOnTimeout") == 1


def test_keepalive_finds_out_that_a_peer_has_vanished():  # R67
    application = start()
    with Wire(application) as wire, tell("keepalive 1 1 2 send 1") as s:
        assert s.recv(10) == b"x"
        probes = len(wire.from_stack(own_port(s)))
        lab.wait_until(lambda: len(wire.from_stack(own_port(s))) > probes, 10, "a probe that the kernel answers")
        with deaf_kernel(application):
            wait_for_outcome(application, "timed_out_keepalive")
        wire.wait(own_port(s), "R")


# --- peers that sit -----------------------------------------------------------------------------------------------------


def test_a_peer_that_shuts_its_window_and_sits_is_probed_and_then_given_up():  # R62, R63
    application = start("tcp_rto_max_ms=1000", "tcp_orphan_retries=100")
    with tell("send 8000 close", receive_buffer=2304) as s:
        wait_for_state(application, "fin-wait-1")
        wait_for(application, "TcpExtTCPWinProbe", 2)
        change(application, "tcp_orphan_retries=2")
        wait_for_outcome(application, "timed_out_orphan")
        assert counted(application, "LastackRstOrphanTimeout") == 0
        assert kernel_state(own_port(s)) == "ESTAB"  # our FIN could never go out
        expect_reset(s)  # what the kernel reads now opens its window; nobody is there any more


def test_user_timeout_bounds_a_shut_window_that_answers():  # R66
    application = start("tcp_orphan_retries=100")
    with tell("user-timeout 1500 send 8000", receive_buffer=2304), \
            tell("user-timeout 1500 send 8000 close", receive_buffer=2304):
        wait_for_outcome(application, "timed_out_user", 2)


def test_beyond_tcp_max_orphans_close_resets():  # R63
    application = start("tcp_max_orphans=1")
    with tell("send 8000 close", receive_buffer=2304):
        wait_for_state(application, "fin-wait-1")
        with tell("send 8000 close", receive_buffer=2304) as second:
            expect_reset(second)
        wait_for_outcome(application, "aborted_orphan_limit")
        assert counted(application, "LastackOrphanLimit") == 1
        assert "tcp_max_orphans (1) is reached" in application.text()
        change(application, "tcp_max_orphans=3")
        with tell("send 8000 close", receive_buffer=2304):
            wait_for_state(application, "fin-wait-1", 2)


def test_under_pressure_the_orphan_that_has_been_idle_longest_goes_first():  # R63
    application = start("tcp_max_orphans=3", "tcp_rto_max_ms=1000", "tcp_orphan_retries=100")
    with Wire(application) as wire, tell("send 8000 close", receive_buffer=2304) as old:
        wait_for(application, "TcpExtTCPWinProbe", 5)  # 0.2 + 0.4 + 0.8 + 1 + 1 s: idle for more than two longest RTOs
        assert wire.from_stack(own_port(old), "R") == []
        with tell("send 8000 close", receive_buffer=2304) as young:
            wire.wait(own_port(old), "R")
            wait_for_outcome(application, "aborted_orphan_limit")
            assert wire.from_stack(own_port(young), "R") == []
        assert counted(application, "LastackOrphanPenalty") >= 1
        expect_reset(old)


lab.main(globals())
