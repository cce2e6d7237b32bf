# SPDX-License-Identifier: BSD-3-Clause
"""Who closes first, who keeps TIME_WAIT, and what a shutting-down process owes its peers, seen from the kernel."""
import lab

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def test_the_server_that_closes_first_keeps_time_wait():
    application = lab.Application("httpd", "--close", "server")
    for _ in range(20):
        with lab.connect(80) as s:
            s.sendall(REQUEST)
            assert lab.read_to_end(s).startswith(b"HTTP/1.1 200")
    assert lab.kernel_states("time-wait") == []
    lab.wait_until(lambda: application.count("TIME-WAIT") == 20, 5, "20 TIME_WAIT records")


def test_the_client_that_closes_first_keeps_time_wait():
    application = lab.Application("httpd", "--close", "client")
    for _ in range(20):
        with lab.connect(80) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(4096).startswith(b"HTTP/1.1 200")
    lab.wait_until(lambda: len(lab.kernel_states("time-wait")) == 20, 5, "20 TIME-WAIT in the kernel")
    lab.time.sleep(1.1)  # for a statistics line that is younger
    assert application.count("TIME-WAIT") == 0


def test_time_wait_ends_after_its_time():
    application = lab.Application("httpd", "--set", "lastack.time_wait_ms=3000")
    with lab.connect(80) as s:
        s.sendall(REQUEST)
        lab.read_to_end(s)
    lab.wait_until(lambda: application.count("TIME-WAIT") == 1, 3, "a TIME_WAIT record")
    lab.wait_until(lambda: application.count("TIME-WAIT") == 0, 6, "its end")


def test_the_same_port_may_open_again_out_of_time_wait():  # R47, R48
    lab.Application("httpd")
    port = None
    for _ in range(3):
        s = lab.socket.socket()
        s.setsockopt(lab.socket.SOL_SOCKET, lab.socket.SO_REUSEADDR, 1)
        s.settimeout(3)
        if port is not None:
            s.bind((lab.KERNEL, port))
        s.connect((lab.STACK, 80))
        port = s.getsockname()[1]
        s.sendall(REQUEST)
        assert lab.read_to_end(s).startswith(b"HTTP/1.1 200")
        s.close()
        # The kernel's own socket must be gone (LAST_ACK is short) before it can take the port again.
        lab.wait_until(lambda: not lab.kernel_states("last-ack"), 2, "the kernel has forgotten the connection")


def test_sigterm_closes_idle_connections_with_fin():
    application = lab.Application("httpd")
    idle = [lab.connect(80) for _ in range(10)]
    for s in idle:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
    application.process.send_signal(lab.signal.SIGTERM)
    for s in idle:
        s.settimeout(5)
        assert lab.read_to_end(s) == b""
        s.close()
    assert application.stop() == 0


def test_sigterm_lets_a_download_finish():
    root = lab.pathlib.Path(lab.tempfile.mkdtemp(dir=lab.scratch))
    (root / "large.bin").write_bytes(bytes(8 << 20))
    application = lab.Application("httpd", "--root", str(root))
    with lab.connect(80) as s:
        s.sendall(b"GET /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = s.recv(1024)
        application.process.send_signal(lab.signal.SIGTERM)
        rest = lab.read_to_end(s)
    body = (head + rest).split(b"\r\n\r\n", 1)[1]
    assert len(body) == 8 << 20, len(body)
    assert application.process.wait(20) == 0  # no second signal: that one would reset


def test_connections_that_do_not_end_are_reset_after_the_drain_time():
    application = lab.Application("echo", "--listen", "7", "--set", "lastack.drain_ms=1000")
    with lab.connect(7) as s:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
        started = lab.time.monotonic()
        assert application.stop(10) == 0
        assert lab.time.monotonic() - started < 5
        s.settimeout(2)
        try:
            lab.read_to_end(s)
            s.sendall(b"y")
            lab.time.sleep(0.2)
        except OSError:
            pass


def test_counts_are_printed_at_the_end():
    application = lab.Application("httpd")
    with lab.connect(80) as s:
        s.sendall(REQUEST)
        lab.read_to_end(s)
    before = len(application.text())
    assert application.stop() == 0
    assert len(application.text()) > before, "nothing was printed after SIGTERM"


lab.main(globals())
