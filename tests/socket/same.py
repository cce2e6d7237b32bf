#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the same program of socket calls against the kernel and against lastack and compares what they print:
same.py KERNEL_PROGRAM LASTACK_PROGRAM. Exit 1 and a diff when they differ; 77 (skipped) without a network namespace.

The kernel's run has a namespace of its own, so that nobody else's sockets, ports or sysctls are in it.
"""
import difflib
import subprocess
import sys

IN_NAMESPACE = ["unshare", "--net", "--user", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$0"']


def output(words, name):
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit(f"{name} ended with status {done.returncode}:\n{done.stdout[-2000:]}{done.stderr}")
    return done.stdout.splitlines()


def main():
    kernel, lastack = sys.argv[1:]
    if subprocess.run(IN_NAMESPACE + ["true"], capture_output=True).returncode != 0:
        print("no network namespace can be made here (unshare --net --user)")
        return 77
    theirs = output(IN_NAMESPACE + [kernel], "the kernel's program")
    ours = output([lastack], "lastack's program")
    difference = list(difflib.unified_diff(theirs, ours, "kernel", "lastack", lineterm="", n=6))
    print("\n".join(difference) or f"{len(ours)} lines, all the same")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
