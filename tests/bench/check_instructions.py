#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the instructions of one whole connection on the server's side: check_instructions.py BENCH PAGE [BUILD]

callgrind counts what lastack-bench's server_turn() executes for a fixed number of connections over --wire null: SYN,
handshake with the request, reply with FIN, the peer's FIN, TIME_WAIT; the server's own part is receive(), send() and
close(). The clock is virtual and the secrets are fixed, so two runs agree to a few instructions. PAGE states the number
as `instructions a connection: N`; more than 3 % above it fails, and more than 3 % below asks for the page to follow. That
of another BUILD is stated as `instructions a connection, BUILD: N`; there it is 8 %, since a profile is also of the
machine that it was taken on.
Exit 77 (skipped) where there is no valgrind.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

CONNECTIONS = 20000
GROWTH_MAX = 0.03
GROWTH_MAX_OF_ANOTHER_BUILD = 0.08


def count(bench):
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "callgrind.out"
        run = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                              "--toggle-collect=bench::server_turn*", bench, "cps", "--wire", "null", "--no-huge",
                              "--connections", str(CONNECTIONS), "--runs", "1", "--json"],
                             capture_output=True, text=True, timeout=900)
        if run.returncode != 0:
            sys.exit(f"status {run.returncode}: {run.stderr[-2000:]}")
        total = int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1))
        return total / CONNECTIONS


def main():
    bench, page = sys.argv[1:3]
    of_what = ", ".join(["instructions a connection", *sys.argv[3:4]])
    if shutil.which("valgrind") is None:
        print("skipped: no valgrind; scripts/install-deps installs it")
        return 77
    stated = re.search(rf"{of_what}: ([\d,]+)", pathlib.Path(page).read_text())
    if stated is None:
        sys.exit(f"{page} states no '{of_what}: N'")
    stated = int(stated.group(1).replace(",", ""))
    counted = count(bench)
    change = counted / stated - 1
    allowed = GROWTH_MAX_OF_ANOTHER_BUILD if sys.argv[3:] else GROWTH_MAX
    print(f"{counted:.0f} {of_what}; {page} states {stated} ({change:+.1%})")
    if change > allowed:
        print("more than the page allows: find out where they come from, or change the page and say why")
        return 1
    if change < -allowed:
        print("fewer: change the page")
    return 0


if __name__ == "__main__":
    sys.exit(main())
