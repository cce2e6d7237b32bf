# SPDX-License-Identifier: BSD-3-Clause
"""The applications as processes: bad options, --run-for, --capture, the line at start."""
import lab

BAD = [
    ("an unknown option", ["--no-such-option"]),
    ("an address that is none", ["--address", "10.0.0.300/24"]),
    ("a prefix length that is none", ["--address", "10.0.0.2/33"]),
    ("a gateway that is none", ["--gateway", "nowhere"]),
    ("a port out of range", ["--listen", "70000"]),
    ("a setting that does not exist", ["--set", "net.ipv4.tcp_fin_timout=30"]),
    ("a setting out of range", ["--set", "net.ipv4.tcp_fin_timeout=-1"]),
    ("a setting without a value", ["--set", "net.ipv4.tcp_fin_timeout"]),
    ("a configuration that is not there", ["--config", "/nonexistent.toml"]),
    ("a driver configuration that is not there", ["--driver-config", "/nonexistent.toml"]),
    ("a sysctl file that is not there", ["--sysctl-file", "/nonexistent.conf"]),
    ("a capture file that cannot be made", ["--capture", "/nonexistent/x.pcapng"]),
    ("an EAL word without the --", ["--vdev=net_null0"]),
    ("a driver that does not exist", ["--no-huge", "-m", "256", "--vdev=net_nothing0", "--"]),
]


def test_what_is_wrong_gets_one_line_and_status_2():
    problems = []
    for name in ("httpd", "echo"):
        for what, arguments in BAD:
            got = lab.run(str(lab.binaries / f"lastack-{name}"), *arguments, "--run-for", "1", check=False, timeout=20)
            own = [line for line in got.stderr.splitlines() if not line.startswith("EAL:")]
            if got.returncode != 2 or len(own) != 1:
                problems.append(f"{name}, {what}: status {got.returncode}, standard error:\n{got.stderr}")
    assert not problems, "\n".join(problems)


def test_a_misspelt_setting_names_the_nearest():
    got = lab.run(str(lab.binaries / "lastack-httpd"), "--set", "net.ipv4.tcp_fin_timout=30", check=False)
    assert "net.ipv4.tcp_fin_timeout" in got.stderr, got.stderr


def test_help_and_help_settings():
    for name in ("httpd", "echo"):
        assert "--driver-config" in lab.run(str(lab.binaries / f"lastack-{name}"), "--help").stdout
        assert "net.ipv4.tcp_fin_timeout" in lab.run(str(lab.binaries / f"lastack-{name}"), "--help-settings").stdout


def test_run_for_ends_by_itself():
    application = lab.Application("httpd", "--run-for", "3")
    assert application.process.wait(10) == 0


def test_without_arguments_the_kernel_reaches_it_at_10_0_0_2():
    process = lab.subprocess.Popen([str(lab.binaries / "lastack-httpd")], stdout=lab.subprocess.DEVNULL)
    try:
        lab.wait_until(lab.ping, 20, "an answer from 10.0.0.2")
        assert lab.run("curl", "-sS", "-f", "--max-time", "5", f"http://{lab.STACK}/").stdout
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_a_capture_is_readable_and_holds_the_handshake():
    file = f"{lab.scratch}/ports.pcapng"
    application = lab.Application("httpd", "--capture", file)
    lab.run("curl", "-sS", "-f", "-o", "/dev/null", "--max-time", "5", f"http://{lab.STACK}/")
    assert application.stop() == 0
    packets = lab.run("tcpdump", "-nn", "-r", file, "tcp port 80").stdout
    assert "Flags [S]," in packets and "Flags [S.]," in packets and "Flags [F.]," in packets, packets


def test_nothing_is_left_of_a_process_that_was_killed():
    lab.Application("httpd").kill()
    application = lab.Application("httpd")
    lab.run("curl", "-sS", "-f", "-o", "/dev/null", "--max-time", "5", f"http://{lab.STACK}/")
    assert application.stop() == 0
    left = [f for f in lab.os.listdir("/dev/hugepages") if f.startswith("lab")] if lab.os.path.isdir("/dev/hugepages") else []
    assert left == []


lab.main(globals())
