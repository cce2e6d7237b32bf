#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What `run` says before it runs anything: that there is no packetdrill, or what was named wrongly."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def run(*words, packetdrill=None):
    environment = {k: v for k, v in os.environ.items() if k != "LASTACK_PACKETDRILL"}
    if packetdrill:
        environment["LASTACK_PACKETDRILL"] = packetdrill
    done = subprocess.run([sys.executable, HERE / "run", *words], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class Run(unittest.TestCase):
    def expect(self, status, text, *words, packetdrill=None):
        got, said = run(*words, packetdrill=packetdrill)
        self.assertEqual(got, status, said)
        self.assertIn(text, said)
        self.assertEqual(said.count("\n"), 1, said)

    def test_without_packetdrill_it_says_so_and_exits_77(self):
        self.expect(77, "no packetdrill", str(HERE / "close"))

    def test_a_program_that_is_not_there_is_refused(self):
        self.expect(2, "not a program that can be run", str(HERE / "close"), packetdrill="/nowhere/packetdrill")

    def test_scripts_that_are_not_there_are_refused(self):
        self.expect(2, "no such file or folder", "--packetdrill", "/bin/true", "nowhere.pkt")
        with tempfile.TemporaryDirectory() as empty:
            self.expect(2, "no *.pkt in it", "--packetdrill", "/bin/true", empty)

    def test_an_object_that_is_not_built_is_refused(self):
        self.expect(2, "build it", "--packetdrill", "/bin/true", "--object", "/nowhere.so", str(HERE / "close"))

    def test_no_job_at_a_time_is_refused(self):
        self.expect(2, "at least 1", "--packetdrill", "/bin/true", "--jobs", "0", str(HERE / "close"))


if __name__ == "__main__":
    unittest.main()
