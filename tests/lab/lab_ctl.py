# SPDX-License-Identifier: BSD-3-Clause
"""lastack-ctl against a running stack: what it shows is what the kernel at the other end sees, and what it sets acts."""
import json
import os

import lab

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
FIN_TIMEOUT = "net.ipv4.tcp_fin_timeout"
LONGEST_MS = 60000 + 16  # a record ends with the first coarse tick, of 16 ms, after its 60 s


def ctl(application, *words, check=True, timeout=60):
    environment = dict(os.environ, LASTACK_NSTAT_HISTORY=str(application.log.parent / "nstat"))
    done = lab.subprocess.run([str(lab.binaries / "lastack-ctl"), "--file-prefix", application.prefix, *words],
                              capture_output=True, text=True, timeout=timeout, env=environment)
    if check:
        assert done.returncode == 0, f"{words}: exit {done.returncode}: {done.stderr}"
        return done.stdout
    return done


def rows(application, *words):
    return json.loads(ctl(application, "ss", "--json", *words))


def get(source_port=None):
    """One request; returns the kernel's port."""
    with lab.connect(80) as s:
        port = s.getsockname()[1]
        s.sendall(REQUEST)
        lab.read_to_end(s)
    return port


def test_ss_shows_what_the_kernel_sees_from_the_other_end():
    application = lab.Application("httpd")
    port = get()
    with lab.connect(80) as s:
        open_port = s.getsockname()[1]
        lab.wait_until(lambda: rows(application, "state", "established"), 5, "an established connection")
        [one] = rows(application, "state", "established")
        assert one["local"] == f"{lab.STACK}:80" and one["peer"] == f"{lab.KERNEL}:{open_port}", one
        [record] = rows(application, "state", "time-wait")
        assert set(record) == {"state", "local", "peer", "recv_q", "send_q", "timer", "remaining_ms", "lcore"}
        assert record["peer"] == f"{lab.KERNEL}:{port}" and record["timer"] == "timewait", record
        assert 50000 < record["remaining_ms"] <= LONGEST_MS, record
        text = ctl(application, "ss", "-tano")
        assert lab.re.search(rf"^TIME-WAIT +0 +0 +{lab.STACK}:80 +{lab.KERNEL}:{port} +timer:\(timewait,(5\dsec|1min),0\)$",
                             text, lab.re.M), text
        assert lab.re.search(r"^LISTEN +0 +\d+ +0.0.0.0:80 +0.0.0.0:\*$", text, lab.re.M), text
        assert len(rows(application, "dport", "=", f":{open_port}")) == 1
        assert rows(application, "sport", "=", ":81") == []
        summary = ctl(application, "ss", "-s")
        assert "estab 1," in summary and "timewait 1)" in summary, summary


def test_a_capture_without_a_name_is_an_error_of_one_line():
    done = ctl(lab.Application("httpd"), "capture", "", "--seconds", "1", check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done


def test_an_unknown_command_is_named():
    done = ctl(lab.Application("httpd"), "foo", check=False)
    assert done.returncode == 2 and "'foo'" in done.stderr and len(done.stderr.splitlines()) == 1, done


def test_lists_of_many_pages_are_complete():
    application = lab.Application("httpd")
    ports = {get() for _ in range(500)}
    listed = [r["peer"] for r in rows(application, "state", "time-wait")]
    assert len(listed) == len(set(listed)) == len(ports) == 500, (len(listed), len(ports))


def test_nstat_counts_as_the_kernel_does_and_in_differences():
    application = lab.Application("httpd", "--set", "lastack.time_wait_ms=1000")
    for _ in range(7):
        get()
    counts = json.loads(ctl(application, "nstat", "-a", "--json"))
    assert counts["TcpPassiveOpens"] == 7 and counts["LastackEndCleanActive"] == 7, counts
    ctl(application, "nstat")
    get()
    assert json.loads(ctl(application, "nstat", "--json"))["TcpPassiveOpens"] == 1
    lab.wait_until(lambda: json.loads(ctl(application, "nstat", "-az", "--json"))["TcpExtTW"] == 8, 5, "8 expiries")
    assert "ran their full time" in ctl(application, "nstat", "-a", "--explain", "TcpExtTW")
    lab.wait_until(lambda: rows(application, "state", "time-wait") == [], 5, "an empty list")


def test_a_reset_is_counted_with_its_reason():
    application = lab.Application("httpd")
    try:
        lab.connect(81).close()
        raise AssertionError("port 81 answered")
    except ConnectionRefusedError:
        pass
    counts = json.loads(ctl(application, "nstat", "-a", "--json"))
    assert counts["TcpOutRsts"] == counts["LastackRstRxSyn"] == 1, counts


def test_a_setting_acts_at_once_and_a_wrong_one_is_refused_with_status_2():
    application = lab.Application("httpd")
    assert ctl(application, "sysctl", FIN_TIMEOUT).startswith(f"{FIN_TIMEOUT} = 60  # 0 to ")
    assert "each takes 40." in ctl(application, "sysctl", "lastack.time_wait_records")
    get()
    ctl(application, "sysctl", "-w", "lastack.time_wait_ms=2000")
    get()
    lab.wait_until(lambda: len(rows(application, "state", "time-wait")) == 1, 4, "the end of the shorter TIME_WAIT")
    ctl(application, "sysctl", "net.ipv4.tcp_max_tw_buckets=0")
    get()
    counts = json.loads(ctl(application, "nstat", "-a", "--json"))
    assert counts["TcpExtTCPTimeWaitOverflow"] == 1, counts
    every = ctl(application, "sysctl", "-a").splitlines()
    assert len(every) > 40 and "lastack.time_wait_ms = 2000  # 1 to 8388608 ms; default 60000" in every
    for bad in (f"{FIN_TIMEOUT}=-1", f"{FIN_TIMEOUT}=abc", "lastack.connections=1", "net.ipv4.tcp_tw_recycle=1",
                "net.ipv4.nonsense=1", "net.ipv4.tcp_max_tw_buckets=2000000000"):
        done = ctl(application, "sysctl", bad, check=False)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1, (bad, done)
    assert ctl(application, "sysctl", "-n", FIN_TIMEOUT) == "60\n"


def test_explain_tells_why_and_afterwards_how_it_ended():
    application = lab.Application("echo", "--listen", "7")
    with lab.connect(7) as s:
        name = f"{lab.STACK}:7-{lab.KERNEL}:{s.getsockname()[1]}"
        lab.wait_until(lambda: "ESTAB" in ctl(application, "explain", name), 5, "it is known")
        assert "path: SYN-RECV > ESTAB" in ctl(application, "explain", name)
        lab.abort(s)
    lab.wait_until(lambda: "reset_by_peer" in ctl(application, "explain", name), 5, "how it ended")
    text = ctl(application, "explain", name)
    assert "closed first: the peer, by RST" in text and "path: SYN-RECV > ESTAB > CLOSED" in text, text
    local, peer = name.split("-")
    assert "reset_by_peer" in ctl(application, "explain", f"{peer}-{local}")
    assert "not known" in ctl(application, "explain", f"{lab.STACK}:7-{lab.KERNEL}:1")
    assert ctl(application, "explain", "nonsense", check=False).returncode == 2


def test_a_capture_holds_what_passed_while_it_ran():
    application = lab.Application("httpd")
    get()
    file = str(application.log.parent / "frames.pcapng")
    process = lab.subprocess.Popen([str(lab.binaries / "lastack-ctl"), "--file-prefix", application.prefix, "capture",
                                    file], stdout=lab.subprocess.PIPE, text=True)
    lab.wait_until(lambda: os.path.exists(file), 5, "the file")
    assert "is running; stop it first" in ctl(application, "capture", file + "2", check=False).stderr
    lab.time.sleep(0.3)
    port = get()
    process.send_signal(lab.signal.SIGINT)
    said, _ = process.communicate(timeout=10)
    assert lab.re.match(r"\d+ frames in ", said), said
    seen = lab.run("tcpdump", "-nr", file).stdout
    assert seen.count("Flags [S]") == 1 and f".{port} > " in seen and "Flags [F.]" in seen, seen
    get()
    assert lab.run("tcpdump", "-nr", file).stdout == seen


def test_a_connection_that_the_application_does_not_close_is_warned_of():
    application = lab.Application("echo", "--listen", "7", "--set", "lastack.close_wait_warn_s=1",
                                  "--set", "net.ipv4.tcp_wmem=4096 16384 16384")
    # The echo server closes once everything is sent back; a peer that does not read keeps it from that.
    with lab.socket.socket() as s:
        s.setsockopt(lab.socket.SOL_SOCKET, lab.socket.SO_RCVBUF, 2048)
        s.connect((lab.STACK, 7))
        s.sendall(bytes(48 << 10))
        s.shutdown(lab.socket.SHUT_WR)
        lab.wait_until(lambda: rows(application, "state", "close-wait"), 5, "CLOSE_WAIT")
        lab.wait_until(lambda: "in CLOSE_WAIT for more than 1.0 s (port 7: 1)" in application.text(), 20, "the warning")
        [one] = rows(application, "state", "close-wait")
        assert one["recv_q"] > 0, one
        name = f"{one['local']}-{one['peer']}"
        assert "only when the application closes" in ctl(application, "explain", name)
        assert name in application.text()


def test_without_a_stack_it_says_where_it_looked():
    application = lab.Application("httpd")
    application.stop()
    done = ctl(application, "ss", check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done
    assert application.prefix in done.stderr and "/var/run/dpdk" in done.stderr and "RUNTIME_DIRECTORY" in done.stderr
    for bad in ([], ["nonsense"], ["ss", "--nonsense"], ["explain"]):
        assert ctl(application, *bad, check=False).returncode == 2


lab.main(globals())
