# SPDX-License-Identifier: BSD-3-Clause
"""What the labs about closing share: lab_levers on the wire, lastack-ctl to look into it, the kernel's own ss and nstat,
and an ear on the wire between both. Every wait is for a condition."""
import collections
import contextlib
import errno
import itertools
import json
import os
import socket
import struct

import lab

IPV4 = "net.ipv4."
FLAGS = "FSRP.U"  # as tcpdump prints them, from the lowest bit
# No port comes twice unless a test asks for it, or a SYN might re-open what lies in TIME_WAIT; the kernel chooses its own
# ports above.
source_ports = itertools.count(10000)
Segment = collections.namedtuple("Segment", "time from_stack port flags ttl packet")


def start(*settings, arguments=()):
    """lab_levers with settings, `net.ipv4.` left out."""
    words = [word for s in settings for word in ("--set", s if s.startswith("lastack.") else IPV4 + s)]
    return lab.Application("levers", *words, *arguments, program=lab.binaries.parent / "tests" / "lab" / "lab_levers")


def ctl(application, *words):
    environment = dict(os.environ, LASTACK_NSTAT_HISTORY=str(application.log.parent / "nstat"))

    def ask():
        done = lab.subprocess.run([str(lab.binaries / "lastack-ctl"), "--file-prefix", application.prefix, *words],
                                  capture_output=True, text=True, timeout=60, env=environment)
        busy = "did not answer within" in done.stderr  # a worker on a machine that is
        assert busy or done.returncode == 0, f"{words}: {done.stderr}"
        return None if busy else done
    return lab.wait_until(ask, 30, f"an answer to {words}").stdout


def change(application, setting):
    ctl(application, "sysctl", "-w", setting if setting.startswith("lastack.") else IPV4 + setting)


def rows(application, state):
    return json.loads(ctl(application, "ss", "--json", "state", state))


def wait_for_state(application, state, n=1):
    return lab.wait_until(lambda: len(found := rows(application, state)) == n and (found or True), 20, f"{n} in {state}")


def counted(application, name):
    return json.loads(ctl(application, "nstat", "-az", "--json"))[name]


def wait_for(application, name, n=1):
    try:
        lab.wait_until(lambda: counted(application, name) >= n, 30, f"{name} is {n}")
    except AssertionError as e:
        raise AssertionError(f"{e}; counted was\n{ctl(application, 'nstat', '-a')}") from None


def wait_for_outcome(application, outcome, n=1):
    """What the application was given."""
    lab.wait_until(lambda: application.text().count(f"ended {outcome}\n") == n, 30, f"{n} ended {outcome}")


def kernel_state(port):
    """In which state the kernel's end is, as ss names it; None when there is none."""
    lines = lab.run("ss", "-Htan", "src", f"{lab.KERNEL}:{port}", "dst", lab.STACK).stdout.splitlines()
    return lines[0].split()[0] if lines else None


def wait_for_kernel(port, state):
    lab.wait_until(lambda: kernel_state(port) == state, 20, f"the kernel's end in {state}")


def kernel_counted(name):
    return json.loads(lab.run("nstat", "-asz", "--json", name).stdout)["kernel"][name]


def open_connection(receive_buffer=None, port=7, source_port=None):
    s = socket.socket()
    if receive_buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(20)
    s.bind((lab.KERNEL, source_port or next(source_ports)))
    s.connect((lab.STACK, port))
    return s


def tell(line, **how):
    s = open_connection(**how)
    s.sendall(line.encode() + b"\n")
    return s


def own_port(s):
    return s.getsockname()[1]


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


class Wire:
    """Hears every TCP segment on the kernel's side of the wire, before iptables drops any."""

    def __init__(self, application):
        self.ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.ear.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        self.ear.bind((application.interface, 0))
        self.ear.setblocking(False)
        self.heard = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ear.close()

    def listen(self):
        while True:
            try:
                frame, [(_, _, stamp)], _, _ = self.ear.recvmsg(65536, 64)
            except BlockingIOError:
                return
            except OSError as e:
                assert e.errno == errno.ENETDOWN, e  # said once, before what is still queued
                continue
            seconds, nanoseconds = struct.unpack("qq", stamp)
            self.parse(seconds + nanoseconds / 1e9, frame[14:])

    def parse(self, time, packet):
        if packet[0] != 0x45 or packet[9] != socket.IPPROTO_TCP:
            return
        source, destination, _, _, bits = struct.unpack_from("!HHIIH", packet, 20)
        from_stack = packet[12:16] == socket.inet_aton(lab.STACK)
        flags = "".join(letter for n, letter in enumerate(FLAGS) if bits >> n & 1)
        self.heard.append(Segment(time, from_stack, destination if from_stack else source, flags,
                                  packet[8], packet))

    def from_stack(self, port, has=""):
        """What the stack has sent to the kernel's `port`, with all of those flags."""
        self.listen()
        return [s for s in self.heard if s.from_stack and s.port == port and set(has) <= set(s.flags)]

    def wait(self, port, has, n=1):
        return lab.wait_until(lambda: len(found := self.from_stack(port, has)) >= n and found, 20,
                              f"{n} segments with {has}")


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def gaps(segments):
    return [b.time - a.time for a, b in zip(segments, segments[1:])]
