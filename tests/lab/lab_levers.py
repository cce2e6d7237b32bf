# SPDX-License-Identifier: BSD-3-Clause
"""Each lever of closing, pulled on a running stack and seen from the kernel at the other end of the wire.

The stack's application is lab_levers (levers.cpp), which does with a connection what its first line says. Small settings
make what takes minutes take seconds, and every wait is for a condition.
"""
import contextlib
import json
import os
import socket
import struct

import lab

IPV4 = "net.ipv4."


def start(*settings):
    words = [word for s in settings for word in ("--set", s if s.startswith("lastack.") else IPV4 + s)]
    return lab.Application("levers", *words, program=lab.binaries.parent / "tests" / "lab" / "lab_levers")


def ctl(application, *words):
    environment = dict(os.environ, LASTACK_NSTAT_HISTORY=str(application.log.parent / "nstat"))
    done = lab.subprocess.run([str(lab.binaries / "lastack-ctl"), "--file-prefix", application.prefix, *words],
                              capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def rows(application, state):
    return json.loads(ctl(application, "ss", "--json", "state", state))


def counted(application, name):
    return json.loads(ctl(application, "nstat", "-az", "--json"))[name]


def wait_for(application, name, n=1, seconds=20):
    lab.wait_until(lambda: counted(application, name) >= n, seconds, f"{name} is {n}")


def tell(line, receive_buffer=None):
    s = socket.socket()
    if receive_buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    s.settimeout(20)
    s.connect((lab.STACK, 7))
    s.sendall(line.encode() + b"\n")
    return s


def expect_reset(s):
    """Reads until the RST, which must come instead of an end of stream."""
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        return
    raise AssertionError("end of stream, not RST")


def expect_reset_when_written_to(s):
    def reset():
        try:
            s.sendall(b"x")
            return False
        except (ConnectionResetError, BrokenPipeError):
            return True
    lab.wait_until(reset, 10, "RST")


@contextlib.contextmanager
def deaf_kernel(application):
    """Drops what comes from the stack: the kernel's side has vanished."""
    tool = next(t for t in ("iptables-nft", "iptables-legacy") if lab.run(t, "-S", check=False).returncode == 0)
    rule = ("INPUT", "-i", application.interface, "-p", "tcp", "-j", "DROP")
    lab.run(tool, "-A", *rule)
    try:
        yield
    finally:
        lab.run(tool, "-D", *rule)


# --- FIN_WAIT_2 ---------------------------------------------------------------------------------------------------------


def test_a_peer_that_never_closes_is_let_go_after_tcp_fin_timeout():  # R59, R60
    application = start("tcp_fin_timeout=2")
    with tell("close") as s:
        assert s.recv(10) == b""
        assert len(rows(application, "fin-wait-2")) == 1
        assert len(lab.kernel_states("close-wait")) == 1
        wait_for(application, "LastackFinWait2Expired")
        assert rows(application, "fin-wait-2") == []
        assert len(lab.kernel_states("close-wait")) == 1  # the expiry was silent
        expect_reset_when_written_to(s)


def test_without_close_fin_wait_2_has_no_limit():  # R08
    application = start("tcp_fin_timeout=1")
    with tell("shutdown") as s, tell("close") as other:
        assert s.recv(10) == b"" and other.recv(10) == b""
        wait_for(application, "LastackFinWait2Expired")  # of the other one
        s.sendall(b"still read")
        assert len(rows(application, "fin-wait-2")) == 1
    lab.wait_until(lambda: rows(application, "time-wait"), 10, "TIME_WAIT")


def test_negative_linger2_resets_instead_of_fin_wait_2():  # R61
    application = start()
    with tell("linger2 -1") as s:
        assert s.recv(10) == b""  # the FIN first; the RST when the kernel has acknowledged it
        wait_for(application, "TcpExtTCPAbortOnLinger")
        assert rows(application, "fin-wait-2") == []
        expect_reset_when_written_to(s)


def test_text_that_nobody_can_read_any_more_is_reset():  # R07
    application = start()
    with tell("close") as s:
        assert s.recv(10) == b""
        s.sendall(b"too late")
        wait_for(application, "TcpExtTCPAbortOnData")
        expect_reset_when_written_to(s)


# --- RST ----------------------------------------------------------------------------------------------------------------


def test_close_with_data_unread_resets():  # R06
    application = start()
    with tell("close-unread") as s:
        lab.wait_until(lambda: rows(application, "established"), 10, "the line was read")
        s.sendall(b"more")
        expect_reset(s)
    assert counted(application, "TcpExtTCPAbortOnClose") == 1
    assert counted(application, "LastackRstAppCloseUnread") == 1


def test_linger_0_resets_and_leaves_no_time_wait():  # R12
    application = start()
    with tell("linger 0") as s:
        expect_reset(s)
    assert counted(application, "LastackEndAbortedByApplication") == 1
    assert rows(application, "time-wait") == []
    with tell("shutdown") as s:  # and the kernel's, towards us
        assert s.recv(10) == b""
        lab.abort(s)
    wait_for(application, "LastackEndResetByPeer")


def test_a_second_sigterm_resets():
    application = start("lastack.drain_ms=60000")
    with tell("shutdown") as s:
        assert s.recv(10) == b""
        application.process.send_signal(lab.signal.SIGTERM)
        lab.wait_until(lambda: not is_listening(), 10, "it drains")
        assert application.process.poll() is None
        application.process.send_signal(lab.signal.SIGTERM)
        assert application.process.wait(20) == 0
        expect_reset_when_written_to(s)


def is_listening():
    try:
        lab.connect(7).close()
        return True
    except ConnectionRefusedError:
        return False


# --- peers that vanish, or sit -----------------------------------------------------------------------------------------


def test_fin_wait_1_of_a_vanished_peer_ends_after_tcp_orphan_retries():  # R62
    application = start("tcp_orphan_retries=2")
    with lab.connect(7) as s, deaf_kernel(application):
        s.sendall(b"send 1000\n")
        lab.wait_until(lambda: rows(application, "fin-wait-1"), 10, "FIN_WAIT_1")
        wait_for(application, "LastackEndTimedOutOrphan")
        assert rows(application, "fin-wait-1") == []


def test_last_ack_of_a_vanished_peer_ends_after_tcp_orphan_retries():  # R62
    application = start("tcp_orphan_retries=2")
    with tell("close-with-peer") as s:
        assert s.recv(10) == b"ok\n"
        with deaf_kernel(application):
            s.shutdown(socket.SHUT_WR)
            lab.wait_until(lambda: rows(application, "last-ack"), 10, "LAST_ACK")
            lab.wait_until(lambda: lab.kernel_states("fin-wait-1"), 10, "FIN_WAIT_1 in the kernel")
            wait_for(application, "LastackEndTimedOutOrphan")


def test_user_timeout_ends_a_connection_that_is_still_open():  # R66
    application = start()
    with lab.connect(7) as s, deaf_kernel(application):
        s.sendall(b"user-timeout 1000 100\n")
        lab.wait_until(lambda: any(r["send_q"] for r in rows(application, "established")), 10, "unacknowledged text")
        wait_for(application, "LastackEndTimedOutUser")


def test_a_peer_that_shuts_its_window_and_sits_is_probed_and_then_given_up():  # R62, R63
    application = start("tcp_rto_max_ms=1000")
    with tell("send 8000", receive_buffer=2304) as s:
        lab.wait_until(lambda: rows(application, "fin-wait-1"), 10, "FIN_WAIT_1")
        wait_for(application, "LastackEndTimedOutOrphan")
        assert counted(application, "TcpExtTCPWinProbe") >= 2
        assert counted(application, "LastackRstOrphanTimeout") == 0
        assert lab.kernel_states("close-wait") == []  # our FIN could never go out
        expect_reset(s)  # what the kernel reads now opens its window; nobody is there any more


def test_beyond_tcp_max_orphans_close_resets():  # R63
    application = start("tcp_max_orphans=1")
    with tell("send 8000", receive_buffer=2304), tell("send 8000", receive_buffer=2304) as second:
        wait_for(application, "LastackOrphanLimit")
        assert counted(application, "LastackEndAbortedOrphanLimit") == 1
        expect_reset(second)
        assert "tcp_max_orphans (1) is reached" in application.text()


# --- TIME_WAIT ----------------------------------------------------------------------------------------------------------


def close_first(application):
    """A connection that the stack closes first; returns the kernel's port."""
    with tell("close") as s:
        port = s.getsockname()[1]
        assert s.recv(10) == b""
    return port


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def send_old_duplicate(port):
    """A segment of nobody's from the kernel's address: the stack acknowledges it from TIME_WAIT, and the kernel, which
    knows the connection no more, answers that with a RST at exactly the stack's RCV.NXT."""
    addresses = socket.inet_aton(lab.KERNEL) + socket.inet_aton(lab.STACK)
    head = [port, 7, 1, 1, 5 << 12 | 0x10, 1000, 0, 0]
    head[6] = checksum(addresses + struct.pack("!HH", 6, 20) + struct.pack("!HHIIHHHH", *head))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.bind((lab.KERNEL, 0))
        raw.sendto(struct.pack("!HHIIHHHH", *head), (lab.STACK, 0))


def test_tcp_rfc1337_decides_whether_a_rst_ends_time_wait():  # R46
    application = start("tcp_invalid_ratelimit=0")
    port = close_first(application)
    lab.wait_until(lambda: rows(application, "time-wait"), 10, "TIME_WAIT")
    send_old_duplicate(port)
    wait_for(application, "LastackTimeWaitResetIgnored")
    assert len(rows(application, "time-wait")) == 1
    ctl(application, "sysctl", "-w", IPV4 + "tcp_rfc1337=0")
    send_old_duplicate(port)
    wait_for(application, "LastackTimeWaitReset")
    assert rows(application, "time-wait") == []


def test_the_cap_on_time_wait_refuses_or_evicts():  # R54
    application = start("tcp_max_tw_buckets=3")
    for _ in range(5):
        close_first(application)
    wait_for(application, "TcpExtTCPTimeWaitOverflow", 2)
    kept = {r["peer"] for r in rows(application, "time-wait")}
    ctl(application, "sysctl", "-w", "lastack.time_wait_cap_policy=evict_oldest")
    latest = f"{lab.KERNEL}:{close_first(application)}"
    wait_for(application, "LastackTimeWaitEvicted")
    now = {r["peer"] for r in rows(application, "time-wait")}
    assert len(now) == 3 and latest in now and len(now & kept) == 2, (kept, now)
    ctl(application, "sysctl", "-w", "lastack.time_wait_cap_policy=refuse")
    ctl(application, "sysctl", "-w", IPV4 + "tcp_max_tw_buckets=0")
    close_first(application)
    wait_for(application, "TcpExtTCPTimeWaitOverflow", 3)
    assert "tcp_max_tw_buckets (3) is reached: connections skip TIME_WAIT" in application.text()


def test_connect_takes_a_time_wait_records_place_where_tcp_tw_reuse_allows():  # R55
    application = start("tcp_tw_reuse=1", "tcp_tw_reuse_delay=0", "ip_local_port_range=50000 50000")

    def serve(listener):
        while True:
            s, _ = listener.accept()
            s.settimeout(20)
            lab.read_to_end(s)
            s.close()

    with socket.create_server((lab.KERNEL, 5000)) as listener:
        lab.threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with tell("connect 5000 3") as s:
            assert lab.read_to_end(s) == b"connected\n" * 3
        assert counted(application, "TcpExtTWRecycled") == 2
        ctl(application, "sysctl", "-w", IPV4 + "tcp_tw_reuse=0")
        with tell("connect 5000 1") as s:
            assert lab.read_to_end(s) != b"connected\n"
        assert counted(application, "TcpExtTWRecycled") == 2


lab.main(globals())
