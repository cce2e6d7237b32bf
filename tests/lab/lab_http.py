# SPDX-License-Identifier: BSD-3-Clause
"""lastack-httpd as the kernel's curl and ab see it."""
import re
import socket
import subprocess

import lab

URL = f"http://{lab.STACK}/"


def test_curl_fetches_the_built_in_page():
    lab.Application("httpd")
    got = lab.run("curl", "-sS", "-i", "--max-time", "10", URL).stdout
    assert got.startswith("HTTP/1.1 200"), got
    head = lab.run("curl", "-sS", "-I", "--max-time", "10", URL).stdout
    assert head.startswith("HTTP/1.1 200"), head


def test_files_of_a_root_are_served_octet_for_octet():
    root = lab.pathlib.Path(lab.tempfile.mkdtemp(dir=lab.scratch))
    (root / "large.bin").write_bytes(lab.os.urandom(5 << 20))
    lab.Application("httpd", "--root", str(root))
    got = subprocess.run(["curl", "-sS", "--max-time", "30", URL + "large.bin"], capture_output=True, timeout=40)
    assert got.stdout == (root / "large.bin").read_bytes()
    missing = lab.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", URL + "nothing")
    assert missing.stdout == "404"


def test_thousands_of_short_connections_lose_none():
    lab.Application("httpd")
    out = lab.run("ab", "-q", "-s", "10", "-n", "5000", "-c", "50", URL, timeout=60).stdout
    assert re.search(r"Complete requests:\s+5000", out), out
    assert re.search(r"Failed requests:\s+0\b", out), out


def test_workers_that_share_a_port_share_its_connections():
    server = lab.Application("httpd", "--workers", "2")
    out = lab.run("ab", "-q", "-s", "20", "-n", "2000", "-c", "20", URL, timeout=100).stdout
    assert re.search(r"Complete requests:\s+2000", out), out
    assert re.search(r"Failed requests:\s+0\b", out), out
    assert server.stop() == 0
    counts = server.text()
    assert re.search(r"LastackSteered\s+[1-9]", counts), counts
    assert "LastackNoListener" not in counts, counts


def test_keep_alive_serves_many_requests_on_one_connection():
    lab.Application("httpd")
    verbose = lab.run("curl", "-sS", "-v", "-o", "/dev/null", "-o", "/dev/null", "--max-time", "10", URL, URL).stderr
    assert "Re-using existing connection" in verbose, verbose
    out = lab.run("ab", "-q", "-k", "-s", "10", "-n", "5000", "-c", "20", URL, timeout=60).stdout
    assert re.search(r"Keep-Alive requests:\s+5000", out), out
    assert re.search(r"Failed requests:\s+0\b", out), out


def test_pipelined_requests_are_answered_in_order():
    lab.Application("httpd")
    with lab.connect(80) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"HEAD /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", lab.read_to_end(s))
    assert statuses == [b"200", b"200", b"200", b"404"], statuses


def test_a_bad_request_is_answered_400_and_closed():
    lab.Application("httpd")
    with lab.connect(80) as s:
        s.sendall(b"nonsense\r\n\r\n")
        assert lab.read_to_end(s).startswith(b"HTTP/1.1 400")


def test_a_closed_port_refuses_at_once():
    lab.Application("httpd")
    try:
        lab.connect(81, timeout=1)
    except ConnectionRefusedError:
        return
    raise AssertionError("connect() to a closed port was not refused")


def test_one_per_cent_loss_delays_but_breaks_nothing():
    application = lab.Application("httpd")
    with lab.loss(application, 0.01):
        for _ in range(50):
            lab.run("curl", "-sS", "-f", "-o", "/dev/null", "--max-time", "20", URL)


def test_a_download_under_loss_is_unchanged():
    root = lab.pathlib.Path(lab.tempfile.mkdtemp(dir=lab.scratch))
    (root / "large.bin").write_bytes(lab.os.urandom(16 << 20))
    application = lab.Application("httpd", "--root", str(root))
    with lab.loss(application, 0.02):
        got = subprocess.run(["curl", "-sS", "--max-time", "100", URL + "large.bin"], capture_output=True, timeout=110)
    assert lab.hashlib.sha256(got.stdout).digest() == lab.hashlib.sha256((root / "large.bin").read_bytes()).digest()


def test_a_client_that_resets_leaves_no_connection():
    application = lab.Application("httpd")
    for _ in range(100):
        s = lab.connect(80)
        s.sendall(b"GET / HTTP/1.1\r\n")
        lab.abort(s)
    lab.time.sleep(1.1)  # for a statistics line that is younger
    lab.wait_until(lambda: application.count("ESTAB") == 0, 10, "no connection is left established")
    assert lab.run("curl", "-sS", "-f", "-o", "/dev/null", "--max-time", "5", URL)


lab.main(globals())
