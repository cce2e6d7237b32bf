#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs loads of lastack-bench in process and checks what does not depend on the machine: check_load.py BENCH CONNECTIONS

Every connection ends well and is in TIME_WAIT on the server, nothing is left over, nothing was sent twice; the JSON
object has the same keys in every subcommand. No speed is asserted.
"""
import json
import subprocess
import sys
import time

MEASURED = ("cps", "rps", "gbit_per_s", "cpu_ns_per_connection", "cpu_ns_per_request", "latency_us_p50",
            "latency_us_p99", "latency_us_p9999", "bytes_per_connection", "time_wait_held", "resets", "retransmits",
            "failed")
KEYS = {name + end for name in MEASURED for end in ("", "_min", "_max")} | {"wire", "lcores", "runs"}


def run(bench, *words):
    done = subprocess.run([bench, *words, "--json"], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: status {done.returncode}\n{done.stderr[-2000:]}")
    figures = json.loads(done.stdout)
    check(set(figures) == KEYS, words, f"keys {sorted(set(figures) ^ KEYS)} differ")
    check(figures["failed_max"] == 0, words, f"{figures['failed_max']} failed")
    if words[0] != "teardown":  # where some connections are to end so
        check(figures["resets_max"] == 0, words, f"{figures['resets_max']} resets")
    return figures


def check(good, words, what):
    if not good:
        sys.exit(f"{' '.join(words)}: {what}")


def refuse(bench, said, *words):
    """It says what is wrong in one line, with status 2."""
    done = subprocess.run([bench, *words], capture_output=True, text=True, timeout=60)
    check(done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1, words,
          f"status {done.returncode}\n{done.stderr[-2000:]}")


def main():
    bench, connections = sys.argv[1], int(sys.argv[2])
    words = ["cps", "--wire", "ring", "--connections", str(connections), "--runs", "2", "--time-wait",
             str(4 * connections)]
    cps = run(bench, *words)
    check(cps["time_wait_held_max"] <= 2 * connections, words, "more in TIME_WAIT than there were connections")
    check(cps["cps"] > 0 and cps["cpu_ns_per_connection"] > 0, words, "nothing measured")
    check(cps["rps"] is None and cps["runs"] == 2 and cps["wire"] == "ring", words, "the wrong figures")
    words = ["rps", "--wire", "ring", "--seconds", "1", "--runs", "1", "--at-once", "16"]
    rps = run(bench, *words)
    check(rps["rps"] > 0 and rps["latency_us_p9999"] >= rps["latency_us_p50"] > 0, words, "nothing measured")
    for words in (["throughput", "--wire", "ring"], ["latency", "--wire", "ring"],
                  ["connections", "--wire", "ring", "--at-once", "5000"],
                  ["teardown", "--wire", "ring", "--rate", "2000"]):
        run(bench, *words, "--seconds", "1", "--runs", "1")
    words = ["cps", "--wire", "null", "--no-huge", "--connections", str(connections), "--runs", "1"]
    check(run(bench, *words)["time_wait_held"] >= connections, words, "not every connection is in TIME_WAIT")
    words = ["cps", "--wire", "ring", "--workers", "2", "--connections", "3", "--runs", "2", "--time-wait", "1000"]
    began = time.monotonic()
    run(bench, *words)
    check(time.monotonic() - began < 30, words, "it waited for connections that nobody opens")
    for kept in ("rps", "latency"):
        refuse(bench, "--connections", kept, "--connections", "10")
    refuse(bench, "port 0 has no address", "cps", "--address", "10.0.0.2/24@1")
    refuse(bench, "port 1 has no address", "cps", "--address", "10.0.0.2/24")
    refuse(bench, "lastack-bench --vdev=net_null0 ... -- cps --listen", "cps", "--vdev=net_null0")
    refuse(bench, "'--seconds' has no effect", "cps", "--wire", "null", "--seconds", "1")
    refuse(bench, "'--set' has no effect", "cps", "--wire", "null", "--set", "net.ipv4.tcp_sack=0")
    refuse(bench, "'--huge' has no effect", "rps", "--no-huge")
    refuse(bench, "'--interface' has no effect", "rps", "--interface", "eth0")
    refuse(bench, "'foo'", "foo")
    refuse(bench, "range 8 to ", "timewait", "--entries", "7")
    print("ok")


if __name__ == "__main__":
    main()
