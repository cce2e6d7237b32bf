#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs lastack-bench and asserts what does not depend on the machine: check_timewait.py BENCH ENTRIES [--sanitized].

Bytes a record, from the process's real memory (which a sanitizer changes), and the most records touched in a poll;
never a time. Also that the object has the keys that scripts/plot-bench and others rely on.
"""
import json
import subprocess
import sys

BYTES_MAX = {4: 40.0, 6: 64.0}
POLL_BUDGET = 256
KEYS = ("entries family bytes_per_record enter_ns lookup_hit_ns lookup_miss_ns restart_ns expire_ns longest_poll_us "
        "records_per_poll_max reserve_s timer_wheel plain_wheel rte_timer rte_hash").split()


def check(bench, entries, family, sanitized):
    run = subprocess.run([bench, "timewait", "--entries", str(entries), "--family", str(family), "--no-huge", "--json"],
                         stdout=subprocess.PIPE, check=True, text=True)
    figures = json.loads(run.stdout)
    faults = [f"no key '{key}'" for key in KEYS if key not in figures]
    if faults:
        return faults
    if figures["entries"] != entries or figures["family"] != family:
        faults.append(f"held {figures['entries']} IPv{figures['family']} records, not {entries}")
    if figures["records_per_poll_max"] > POLL_BUDGET:
        faults.append(f"a poll touched {figures['records_per_poll_max']} records, the budget is {POLL_BUDGET}")
    if not sanitized and figures["bytes_per_record"] > BYTES_MAX[family]:
        faults.append(f"{figures['bytes_per_record']} bytes a record, at most {BYTES_MAX[family]}")
    return faults


def main():
    bench, entries, sanitized = sys.argv[1], int(sys.argv[2]), "--sanitized" in sys.argv[3:]
    faults = [f"IPv{family}: {fault}" for family in BYTES_MAX for fault in check(bench, entries, family, sanitized)]
    for argument in (["timewait", "--entries", "0"], ["timewait", "--family", "5"], ["nonsense"], []):
        run = subprocess.run([bench, *argument], capture_output=True, text=True)
        if run.returncode != 2 or run.stderr.count("\n") != 1:
            faults.append(f"{argument}: not one line and status 2: {run.returncode} {run.stderr!r}")
    print("\n".join(faults) or "as stated")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
