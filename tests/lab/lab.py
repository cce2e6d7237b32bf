# SPDX-License-Identifier: BSD-3-Clause
"""The laboratory: an application of ours on a real wire, with this machine's kernel at the other end.

A lab file ends with `lab.main(globals())`, which runs its functions `test_*` in a network namespace of their own
(unshare; as an ordinary user inside a user namespace too), so nothing on the machine is touched and nothing is left
behind. The wire is the first argument:

  tap         net_tap: the kernel's side is the interface lastack0
  af_packet   net_af_packet on one end of a veth pair; the kernel's side is the other end

On both the stack is 10.0.0.2/24 and the kernel 10.0.0.1. A test asserts; what it leaves running is stopped for it, and
the log of the application is shown when it fails. Exit status: 0, 1 when a test failed, 77 when the machine cannot
make the wire (ctest calls that skipped).
"""
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

STACK = "10.0.0.2"
KERNEL = "10.0.0.1"
INSIDE = "LASTACK_LAB_INSIDE"
BULK_OCTETS = int(os.environ.get("LASTACK_LAB_MIB", "1024")) << 20
WIRES = {
    "tap": {"vdev": "net_tap0,iface=lastack0", "interface": "lastack0"},
    "af_packet": {"vdev": "net_af_packet0,iface=wire0", "interface": "wire1"},
}
source = pathlib.Path(__file__).resolve().parents[2]
running = []  # Applications started by the current test.


def run(*command, timeout=60, check=True):
    """Runs a command; returns it finished, with its output as text."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return value


class Application:
    """lastack-httpd, lastack-echo or another program on the wire; `arguments` are its own, behind its `--`."""

    def __init__(self, name, *arguments, wire=None, program=None):
        self.wire = wire or lab_wire
        self.interface = WIRES[self.wire]["interface"]
        folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        config = folder / "driver.toml"
        self.prefix = f"lab{os.getpid()}-{len(running)}"
        eal = ["--no-huge", "-m", "1024", f"--file-prefix={self.prefix}",
               f"--vdev={WIRES[self.wire]['vdev']}"]
        lines = ["[eal]", f"args = {eal}"]
        if self.wire == "tap":
            lines += ["[kernel]", f'interface = "{self.interface}"', f'address = "{KERNEL}/24"']
        config.write_text("\n".join(lines).replace("'", '"') + "\n")
        self.log = folder / "log"
        command = [str(program or binaries / f"lastack-{name}"), "--driver-config", str(config), "--address", f"{STACK}/24",
                   "--stats", "1", "--set", "lastack.connections=16384", "--set", "lastack.time_wait_records=65536",
                   *arguments]
        if self.wire == "af_packet":
            make_veth()
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        running.append(self)
        wait_until(self.reachable, 60, f"{name} answers ARP and ICMP echo")

    def reachable(self):
        assert self.process.poll() is None, f"ended at start, status {self.process.returncode}"
        return ping()

    def text(self):
        return self.log.read_text(errors="replace")

    def count(self, state):
        """Connections in `state`, as ss names it, by the latest statistics line; None before the first."""
        lines = re.findall(r"^\d+ s: .*\|(.*)$", self.text(), re.M)
        if not lines:
            return None
        found = re.search(rf"(?:^| ){re.escape(state)} (\d+)", lines[-1])
        return int(found[1]) if found else 0

    def stop(self, seconds=20):
        """SIGTERM, and its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def make_veth():
    """wire0, where the application captures, and wire1, the kernel's.

    The kernel's end must do what a NIC would: finish checksums and cut segments, since af_packet hands on what it sees.
    """
    run("ip", "link", "del", "wire0", check=False)
    run("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
    for end in ("wire0", "wire1"):
        run("ethtool", "-K", end, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        run("ip", "link", "set", end, "up")
    run("ip", "addr", "add", f"{KERNEL}/24", "dev", "wire1")


def ping():
    """One ICMP echo; True when it is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.settimeout(0.2)
        with contextlib.suppress(OSError):
            s.sendto(struct.pack("!BBHHH", 8, 0, 0xf7fd, 0, 1) + b"\0\1", (STACK, 0))
            while True:
                packet, (source, _) = s.recvfrom(256)
                if source == STACK and packet[20] == 0:
                    return True
    return False


def connect(port, timeout=10):
    return socket.create_connection((STACK, port), timeout)


def read_to_end(s):
    data = b""
    while part := s.recv(65536):
        data += part
    return data


def abort(s):
    """Closes with RST."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def kernel_states(state):
    """The kernel's connections to the stack in one state, as ss names it."""
    return run("ss", "-Htan", "state", state, "dst", STACK).stdout.splitlines()


@contextlib.contextmanager
def loss(application, probability):
    """Drops frames of the wire at random, each way. Either flavour of iptables will do."""
    tool = next((t for t in ("iptables-nft", "iptables-legacy")
                 if run(t, "-S", check=False).returncode == 0), None)
    assert tool, "neither iptables-nft nor iptables-legacy works here"
    rules = [(chain, way, application.interface, "-m", "statistic", "--mode", "random",
              "--probability", str(probability), "-j", "DROP") for chain, way in (("INPUT", "-i"), ("OUTPUT", "-o"))]
    for rule in rules:
        run(tool, "-A", *rule)
    try:
        yield
    finally:
        for rule in rules:
            run(tool, "-D", *rule)


def echo_bulk(port, octets):
    """Sends `octets` through the echo server and compares what comes back; returns the seconds it took."""
    block = hashlib.sha512(b"lastack").digest() * 4096  # 256 KiB
    started = time.monotonic()
    sent, received = hashlib.sha256(), hashlib.sha256()
    with connect(port, timeout=60) as s:
        def send():
            left = octets
            while left > 0:
                part = block[:left]
                s.sendall(part)
                sent.update(part)
                left -= len(part)
            s.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        count = 0
        while part := s.recv(1 << 18):
            received.update(part)
            count += len(part)
        sender.join()
    assert count == octets, f"{count} of {octets} octets came back"
    assert received.digest() == sent.digest(), "the octets differ"
    return time.monotonic() - started


def enter_namespace():
    """Runs this program again inside namespaces of its own, or exits 77 with the reason."""
    def skip(reason):
        print(f"\n*** SKIPPED: {reason}. Nothing of {os.path.basename(sys.argv[0])} was tested. ***\n")
        sys.exit(77)
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        skip("/dev/net/tun is missing or not accessible")
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]
    if subprocess.run([*unshare, "ip", "link", "set", "lo", "up"], capture_output=True).returncode != 0:
        skip("network namespaces cannot be made here (as an ordinary user: unprivileged user namespaces are off)")
    os.environ[INSIDE] = "root" if os.geteuid() == 0 else "user"
    os.environ.setdefault("XTABLES_LOCKFILE", f"{tempfile.gettempdir()}/lastack-xtables-{os.getuid()}.lock")
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])


def main(names):
    """lab_x.py WIRE BINARY_DIR [TEST...]"""
    global lab_wire, binaries, scratch
    if INSIDE not in os.environ:
        enter_namespace()
    lab_wire, binaries = sys.argv[1], pathlib.Path(sys.argv[2])
    tests = {name: test for name, test in names.items() if name.startswith("test_")}
    failed = []
    run("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory() as scratch:
        for name in sys.argv[3:] or tests:
            started = time.monotonic()
            try:
                tests[name]()
                verdict = "ok"
            except Exception:
                traceback.print_exc(file=sys.stdout)
                for application in running:
                    print("\n".join(f"  | {line}" for line in application.text().splitlines()[-40:]))
                failed.append(name)
                verdict = "FAILED"
            for application in running:
                application.kill()
            running.clear()
            print(f"{verdict:7} {name[5:].replace('_', ' ')} ({time.monotonic() - started:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)
