# SPDX-License-Identifier: BSD-3-Clause
"""TIME_WAIT on either side of the wire, its length, its cap, what may end it and who may take its place, with the kernel
at the other end. The application is that of lab_levers.py."""
import socket
import struct
import threading
import time

import lab
from levers import (Wire, change, checksum, counted, deaf_kernel, kernel_state, open_connection, own_port, rows, start,
                    tell, wait_for, wait_for_kernel, wait_for_outcome, wait_for_state)


def close_first(**how):
    """A connection that the stack closes first; returns the kernel's port when the kernel has forgotten it."""
    with tell("close", **how) as s:
        port = own_port(s)
        assert s.recv(10) == b""
    wait_for_kernel(port, None)
    return port


def send_old_duplicate(port):
    """A segment of nobody's from the kernel's address: the stack acknowledges it from TIME_WAIT, and the kernel, which
    knows the connection no more, answers that with a RST at exactly the stack's RCV.NXT."""
    addresses = socket.inet_aton(lab.KERNEL) + socket.inet_aton(lab.STACK)
    head = [port, 7, 1, 1, 5 << 12 | 0x10, 1000, 0, 0]
    head[6] = checksum(addresses + struct.pack("!HH", 6, 20) + struct.pack("!HHIIHHHH", *head))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.bind((lab.KERNEL, 0))
        raw.sendto(struct.pack("!HHIIHHHH", *head), (lab.STACK, 0))


class Server:
    """The kernel's port 5000: accepts, and closes after the other side, or before it."""

    def __init__(self, closes_first=False):
        self.closes_first = closes_first
        self.listener = socket.create_server((lab.KERNEL, 5000))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            s.settimeout(20)
            if self.closes_first:
                s.shutdown(socket.SHUT_WR)
            lab.read_to_end(s)
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def call(n, how):
    """n connections of the stack to the kernel, one after the other; how they ended."""
    with tell(f"call 5000 {n} {how}") as s:
        return lab.read_to_end(s).decode().split()


# --- how long -----------------------------------------------------------------------------------------------------------


def test_its_length_is_the_stacks_or_the_listeners_own():  # R42
    application = start("lastack.time_wait_ms=60000", arguments=("--brief", "8"))
    close_first()
    close_first(port=8)
    wait_for(application, "TcpExtTW")
    [left] = rows(application, "time-wait")
    assert left["local"].endswith(":7") and left["timer"] == "timewait" and left["remaining_ms"] > 10000, left
    change(application, "lastack.time_wait_ms=1000")  # for the next record
    close_first()
    wait_for(application, "TcpExtTW", 2)
    assert len(rows(application, "time-wait")) == 1


def test_a_kernel_that_misses_the_last_ack_gets_it_again():  # R43
    application = start()
    with Wire(application) as wire, tell("close") as s:
        assert s.recv(10) == b""
        wait_for_state(application, "fin-wait-2")
        with deaf_kernel(application):
            s.shutdown(socket.SHUT_WR)
            wait_for_state(application, "time-wait")
            wait_for_kernel(own_port(s), "LAST-ACK")
            wait_for(application, "LastackTimeWaitRestarted", 2)
            assert len([w for w in wire.from_stack(own_port(s)) if w.flags == "."]) >= 2
        wait_for_kernel(own_port(s), None)


# --- what may end it ----------------------------------------------------------------------------------------------------


def test_tcp_rfc1337_decides_whether_a_rst_ends_it():  # R46
    application = start("tcp_invalid_ratelimit=0")
    port = close_first()
    wait_for_state(application, "time-wait")
    send_old_duplicate(port)
    wait_for(application, "LastackTimeWaitResetIgnored")
    wait_for_state(application, "time-wait")
    change(application, "tcp_rfc1337=0")
    send_old_duplicate(port)
    wait_for(application, "LastackTimeWaitReset")
    assert rows(application, "time-wait") == []


def test_the_cap_refuses_or_evicts():  # R54
    application = start("tcp_max_tw_buckets=3")
    for _ in range(5):
        close_first()
    wait_for(application, "TcpExtTCPTimeWaitOverflow", 2)
    kept = {r["peer"] for r in rows(application, "time-wait")}
    change(application, "lastack.time_wait_cap_policy=evict_oldest")
    latest = f"{lab.KERNEL}:{close_first()}"
    wait_for(application, "LastackTimeWaitEvicted")
    now = {r["peer"] for r in rows(application, "time-wait")}
    assert len(now) == 3 and latest in now and len(now & kept) == 2, (kept, now)
    change(application, "lastack.time_wait_cap_policy=refuse")
    change(application, "tcp_max_tw_buckets=0")
    close_first()
    wait_for(application, "TcpExtTCPTimeWaitOverflow", 3)
    assert "tcp_max_tw_buckets (3) is reached: connections skip TIME_WAIT" in application.text()


def test_one_core_may_use_the_whole_processs_cap():  # R54, R63
    application = start("tcp_max_tw_buckets=8", arguments=("--workers", "2"))
    idle = {own_port(s): s for s in (open_connection() for _ in range(48))}
    wait_for_state(application, "established", 48)
    lcore_of = {int(r["peer"].rpartition(":")[2]): r["lcore"] for r in rows(application, "established")}
    cores = sorted(set(lcore_of.values()), key=list(lcore_of.values()).count)
    assert len(cores) == 2, lcore_of
    busy = [port for port, lcore in lcore_of.items() if lcore == cores[1]]  # 24 at least, more than the half of 8
    for closed, port in enumerate(busy, 1):
        idle[port].sendall(b"close\n")
        lab.read_to_end(idle[port])
        idle.pop(port).close()
        lab.wait_until(lambda: application.text().count("ended ") == closed, 20, "its end")
        # Each that is turned away makes its core ask for one more.
        assert len(rows(application, "time-wait")) <= 8
    kept = rows(application, "time-wait")
    assert len(kept) == 8 and {r["lcore"] for r in kept} == {cores[1]}, kept
    assert counted(application, "TcpExtTCPTimeWaitOverflow") == len(busy) - 8


# --- who may take its place ---------------------------------------------------------------------------------------------


def test_the_kernel_opens_again_by_timestamps_or_by_sequence():  # R47, R48
    application = start()
    port = close_first()
    for n, timestamps in ((1, 1), (2, 0), (3, 0)):
        # From the second round on the record has no timestamps, and the kernel's ISN has grown.
        change(application, f"tcp_timestamps={timestamps}")
        assert close_first(source_port=port) == port
        assert counted(application, "LastackTimeWaitReopened") == n
    wait_for_state(application, "time-wait")


def test_the_kernels_time_wait_lets_the_stack_in_again():  # R57, R73: our timestamps go on
    application = start("ip_local_port_range=50000 50000")
    with Server(closes_first=True):
        assert call(3, "second") == ["clean_passive"] * 3
    assert not any(r["local"].endswith(":50000") for r in rows(application, "time-wait"))
    assert kernel_state(5000) == "TIME-WAIT"  # always the same tuple


def test_tcp_tw_reuse_lets_connect_take_the_place_of_a_record():  # R55
    application = start("tcp_tw_reuse=1", "tcp_tw_reuse_delay=0", "ip_local_port_range=50000 50000")
    with Server():
        assert call(3, "first") == ["clean_active"] * 3
        assert counted(application, "TcpExtTWRecycled") == 2
        for mode in (0, 2):  # 2: only between the stack's own addresses
            change(application, f"tcp_tw_reuse={mode}")
            assert call(1, "first") == ["address_not_available"]
        assert counted(application, "TcpExtTWRecycled") == 2


def test_tcp_tw_reuse_waits_for_its_delay():  # R55
    start("tcp_tw_reuse=1", "tcp_tw_reuse_delay=2000", "ip_local_port_range=50000 50000")
    with Server():
        before = time.monotonic()
        assert call(1, "first") == ["clean_active"]
        answers = []
        lab.wait_until(lambda: answers.append(call(1, "first")) or answers[-1] == ["clean_active"], 20, "reuse")
        assert time.monotonic() - before > 2
        assert all(a == ["address_not_available"] for a in answers[:-1]), answers


def test_tcp_tw_reuse_needs_timestamps():  # R55
    application = start("tcp_tw_reuse=1", "tcp_tw_reuse_delay=0", "ip_local_port_range=50000 50000", "tcp_timestamps=0")
    with Server():
        assert call(2, "first") == ["clean_active", "address_not_available"]
    assert counted(application, "TcpExtTWRecycled") == 0


# --- the IP header ------------------------------------------------------------------------------------------------------


def test_ip_default_ttl_and_a_connections_own_show_on_the_wire():
    application = start("ip_default_ttl=64")
    with Wire(application) as wire:
        ports = [close_first()]
        change(application, "ip_default_ttl=9")
        ports.append(close_first())
        with tell("ttl 33 close") as s:
            ports.append(own_port(s))
            assert s.recv(10) == b""
        wait_for_outcome(application, "clean_active", 3)
        seen = [{w.ttl for w in wire.from_stack(p)} for p in ports]
        assert seen[0] == {64} and seen[1] == {9} and seen[2] <= {9, 33} and 33 in seen[2], seen


def say_time_exceeded(segment):
    """What a router says that drops it."""
    quoted = segment.packet[:28]
    message = struct.pack("!BBHI", 11, 0, 0, 0) + quoted
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(message[:2] + struct.pack("!H", checksum(message)) + message[4:], (lab.STACK, 0))


def test_icmp_time_exceeded_ends_connect_and_is_only_a_hint_to_what_is_open():  # R68
    application = start()
    with Wire(application) as wire, open_connection() as s, open_connection() as other:
        with deaf_kernel(application):
            s.sendall(b"send 100\n")
            say_time_exceeded(wire.wait(own_port(s), "P")[0])
            other.sendall(b"call 5000 1 first\n")
            say_time_exceeded(wire.wait(5000, "S")[0])
            wait_for_outcome(application, "host_unreachable")
            assert counted(application, "IcmpInTimeExcds") == 2
        assert s.recv(100) == bytes(b"x" * 100)
        assert lab.read_to_end(other) == b"host_unreachable\n"


lab.main(globals())
