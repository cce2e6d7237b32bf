# SPDX-License-Identifier: BSD-3-Clause
"""The echo server of docs/sockets.md, a plain sockets program whose calls were renamed, against the kernel's tools."""
import subprocess

import lab

PORT = 7
LINES = b"".join(b"line %d\n" % n for n in range(20000))


def start(*arguments):
    return lab.Application("sockets_server", *arguments, program=lab.binaries.parent / "tests" / "sockets_server")


def answer(*command, octets=LINES):
    done = subprocess.run(command, input=octets, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nc_half_closes_and_gets_all_of_it_back():  # R08
    start()
    assert answer("nc", "-N", "-w", "10", lab.STACK, str(PORT)) == LINES


def test_socat_half_closes_and_gets_all_of_it_back():  # R08
    start()
    assert answer("socat", "-t", "10", "-", f"TCP:{lab.STACK}:{PORT}") == LINES


def test_socat_resets_and_the_next_is_served():  # R12, R28
    application = start()
    for _ in range(20):
        assert answer("socat", "-t", "10", "-", f"TCP:{lab.STACK}:{PORT},linger=0", octets=b"x") == b"x"
    assert answer("nc", "-N", "-w", "10", lab.STACK, str(PORT)) == LINES
    lab.wait_until(lambda: application.count("ESTAB") == 0, 10, "no connection is left")


def test_many_at_once_come_back_unchanged():
    start()
    clients = [subprocess.Popen(["nc", "-N", "-w", "20", lab.STACK, str(PORT)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE) for _ in range(32)]
    for client in clients:
        assert client.communicate(LINES, timeout=30)[0] == LINES


def test_bulk_both_ways_comes_back_unchanged():
    start()
    octets = min(lab.BULK_OCTETS, 256 << 20)
    print(f"  {octets >> 20} MiB each way in {lab.echo_bulk(PORT, octets):.1f} s")


def test_loss_each_way_comes_back_unchanged():
    application = start()
    with lab.loss(application, 0.01):
        lab.echo_bulk(PORT, min(lab.BULK_OCTETS, 16 << 20))


def test_a_reader_that_stops_closes_the_window_and_may_go_on():
    start()
    with lab.connect(PORT) as s, lab.connect(PORT) as other:
        s.settimeout(2)
        sent = 0
        try:
            while sent < 1 << 30:
                sent += s.send(b"x" * 65536)
        except TimeoutError:
            pass
        assert sent < 1 << 30, "nothing held the writer back"
        other.sendall(b"and I?")
        assert other.recv(100) == b"and I?", "one that does not read held up another"
        s.shutdown(lab.socket.SHUT_WR)
        s.settimeout(20)
        got = 0
        while part := s.recv(1 << 18):
            got += len(part)
        assert got == sent, f"{got} of {sent} octets"


def test_a_process_that_stops_sends_fin_and_its_program_returns():
    application = start()
    with lab.connect(PORT) as s:
        s.sendall(b"x")
        assert s.recv(10) == b"x"
        application.process.terminate()
        assert s.recv(10) == b"", "no FIN"
        s.close()
        assert application.process.wait(20) == 0


def test_each_worker_runs_the_program():
    start("--workers", "2")
    for _ in range(20):
        assert answer("nc", "-N", "-w", "10", lab.STACK, str(PORT), octets=b"x") == b"x"


lab.main(globals())
