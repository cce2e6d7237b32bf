# SPDX-License-Identifier: BSD-3-Clause
"""scripts/compare: a second of lastack-httpd and of nginx on the same veth, and what it says when something is missing."""
import os
import re
import shutil
import sys

import lab

COMPARE = str(lab.source / "scripts/compare")


def compare(*words, check=True):
    return lab.run(COMPARE, "--bin", str(lab.binaries), *words, timeout=300, check=check)


def test_a_rival_that_is_missing_is_named_with_status_2():
    for words, said in ((["--wire", "memif"], "--dperf"), (["--wire", "memif", "--dperf", "/nonexistent"], "/nonexistent"),
                        (["--wire", "memif", "--dperf", "/bin/false"], "--vdev"), (["--bin", "/nonexistent"], "/nonexistent")):
        got = compare(*words, check=False)
        assert got.returncode == 2 and said in got.stderr and len(got.stderr.splitlines()) == 1, got


def test_httpd_against_nginx():
    got = compare("--wire", "veth", "--runs", "1", "--seconds", "1")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in got.stdout.splitlines() if line.startswith("| veth")]
    assert [row[1] for row in rows] == ["lastack-httpd", "nginx, 1 worker"], got.stdout
    for row in rows:
        rate, cpu, failed, latency = (row[i] for i in (2, 3, 7, 10))
        assert float(rate.replace(",", "")) > 0 and float(cpu) > 0 and failed == "0", got.stdout
        assert re.fullmatch(r"\d+-\d+", latency), got.stdout


if __name__ == "__main__":
    absent = [name for name in ("nginx", "wrk") if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")]
    if absent or os.geteuid() != 0:
        print(f"\n*** SKIPPED: {' and '.join(absent) or 'root'} is missing. Nothing of {sys.argv[0]} was tested. ***\n")
        sys.exit(77)
    lab.main(globals())
