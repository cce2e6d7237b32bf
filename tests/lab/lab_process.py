# SPDX-License-Identifier: BSD-3-Clause
"""The applications as processes: bad options, --run-for, --capture, the line at start."""
import re

import lab

BAD = [
    ("an unknown option", ["--no-such-option"]),
    ("a word that is no option", ["now"]),
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
    ("a client without the other end of the wire", ["--client", "5"]),
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


def test_a_second_process_on_the_same_interface_is_refused_and_the_first_goes_on():
    application = lab.Application("httpd")
    second = lab.run(str(lab.binaries / "lastack-httpd"), "--run-for", "1", check=False)
    assert second.returncode == 2 and "lastack0 is in use by another process" in second.stderr, second
    assert lab.ping()
    assert application.stop() == 0


def test_an_interface_made_in_advance_is_taken_again_and_again():
    lab.run("ip", "tuntap", "add", "lastack0", "mode", "tap", "multi_queue")
    try:
        for _ in range(2):
            assert lab.Application("httpd").stop() == 0
    finally:
        lab.run("ip", "tuntap", "del", "lastack0", "mode", "tap", "multi_queue")


def test_a_capture_is_readable_and_holds_the_handshake():
    file = f"{lab.scratch}/ports.pcapng"
    application = lab.Application("httpd", "--capture", file)
    lab.run("curl", "-sS", "-f", "-o", "/dev/null", "--max-time", "5", f"http://{lab.STACK}/")
    assert application.stop() == 0
    # As root tcpdump becomes another user first, which the root of an ordinary user's namespace may not.
    as_nobody = ["unshare", "-U"] if lab.os.environ[lab.INSIDE] == "user" else []
    packets = lab.run(*as_nobody, "tcpdump", "-nn", "-r", file, "tcp port 80").stdout
    assert "Flags [S]," in packets and "Flags [S.]," in packets and "Flags [F.]," in packets, packets
    if lab.shutil.which("tshark"):
        assert lab.run("tshark", "-n", "-r", file, "-Y", "http.response.code == 200").stdout.count("\n") == 1
        assert lab.run("tshark", "-n", "-r", file, "-Y", "_ws.malformed").stdout == ""


def test_the_built_in_client_gets_every_answer_over_net_ring():
    driver = str(lab.source / "drivers_config" / "net_ring.toml")
    for first in ("server", "client"):
        done = lab.run(str(lab.binaries / "lastack-httpd"), "--driver-config", driver, "--client", "2000",
                       "--close", first, "--run-for", "5")
        assert "client: 2000 of 2000 connections opened and closed, 0 failed" in done.stdout, done.stdout
        assert re.search(r"clean_active +2000\n", done.stdout) and re.search(r"clean_passive +2000\n", done.stdout)


def test_the_built_in_client_stops_when_it_is_told_to():
    driver = str(lab.source / "drivers_config" / "net_ring.toml")
    done = lab.run(str(lab.binaries / "lastack-httpd"), "--driver-config", driver, "--client", "100000000", "--run-for", "2",
                   check=False, timeout=20)
    assert done.returncode == 1 and "of 100000000 connections opened and closed" in done.stdout, done
    assert len(done.stderr.splitlines()) < 50, done.stderr


def test_the_server_of_the_readme_echoes():
    program = lab.binaries.parent / "tests" / "readme_server"
    if not program.exists():  # not built with sanitizers
        return
    process = lab.subprocess.Popen([str(program)], stdout=lab.subprocess.DEVNULL)
    try:
        lab.wait_until(lab.ping, 20, "an answer from 10.0.0.2")
        got = lab.subprocess.run(["nc", "-N", "-w", "10", lab.STACK, "7"], input=b"hello\n", capture_output=True, timeout=20)
        assert got.stdout == b"hello\n", got
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_nothing_is_left_of_a_process_that_was_killed():
    lab.Application("httpd").kill()
    application = lab.Application("httpd")
    lab.run("curl", "-sS", "-f", "-o", "/dev/null", "--max-time", "5", f"http://{lab.STACK}/")
    assert application.stop() == 0
    left = [f for f in lab.os.listdir("/dev/hugepages") if f.startswith("lab")] if lab.os.path.isdir("/dev/hugepages") else []
    assert left == []


def test_a_runtime_directory_goes_with_its_process_unless_its_name_was_given():
    with lab.tempfile.TemporaryDirectory() as folder:
        lab.os.environ["RUNTIME_DIRECTORY"] = folder
        try:
            for given in [], ["--file-prefix=lastack-shared"]:
                lab.run(str(lab.binaries / "lastack-httpd"), *given, "--vdev=net_null0", "--", "--run-for", "1")
                assert lab.os.listdir(f"{folder}/dpdk") == [word.split("=")[1] for word in given]
        finally:
            del lab.os.environ["RUNTIME_DIRECTORY"]


lab.main(globals())
