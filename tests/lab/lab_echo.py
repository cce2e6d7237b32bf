# SPDX-License-Identifier: BSD-3-Clause
"""lastack-echo against the kernel: half-close, bulk both ways, loss."""
import subprocess

import lab

PORT = 7


def start():
    return lab.Application("echo", "--listen", str(PORT))


def test_nc_half_closes_and_gets_all_of_it_back():  # R08
    start()
    sent = b"".join(b"line %d\n" % n for n in range(20000))
    got = subprocess.run(["nc", "-N", "-w", "10", lab.STACK, str(PORT)], input=sent, capture_output=True, timeout=20)
    assert got.returncode == 0, got.stderr
    assert got.stdout == sent, f"{len(got.stdout)} of {len(sent)} octets"


def test_bulk_both_ways_comes_back_unchanged():
    start()
    seconds = lab.echo_bulk(PORT, lab.BULK_OCTETS)
    print(f"  {lab.BULK_OCTETS >> 20} MiB each way in {seconds:.1f} s")


def test_loss_each_way_comes_back_unchanged():
    application = start()
    with lab.loss(application, 0.01):
        lab.echo_bulk(PORT, min(lab.BULK_OCTETS, 16 << 20))


def test_many_at_once_come_back_unchanged():
    start()
    failures = []

    def one():
        try:
            lab.echo_bulk(PORT, min(lab.BULK_OCTETS >> 5, 8 << 20))
        except Exception as error:
            failures.append(error)
    threads = [lab.threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_a_reader_that_stops_closes_the_window_and_may_go_on():
    start()
    with lab.connect(PORT) as s:
        s.settimeout(2)
        sent = 0
        try:
            while sent < 1 << 30:
                sent += s.send(b"x" * 65536)
        except TimeoutError:
            pass
        assert sent < 1 << 30, "nothing held the writer back"
        s.shutdown(lab.socket.SHUT_WR)
        s.settimeout(20)
        got = 0
        while part := s.recv(1 << 18):
            got += len(part)
        assert got == sent, f"{got} of {sent} octets"


lab.main(globals())
