#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks the rules of the house that a compiler does not: check_tree.py [SOURCE_DIR].

 - an #include goes only where the arrows allow: from a room of lib/ to itself, to the rooms its line in CMakeLists.txt
   links (and what those link), and to the public headers; from a public header to public headers; from an application
   to public headers;
 - the rooms that know no DPDK include none, not through another header either, and no threads, sockets or logs;
   outside lib/dpdk nothing includes EAL, ethdev or telemetry;
 - every source file starts with its SPDX line;
 - a file much longer than the guide is named (a warning: the guide is a guide).

The arrows are read from CMakeLists.txt, so link graph and include graph cannot disagree. One line a breach, exit 1.
"""
import pathlib
import re
import sys

SPDX = "SPDX-License-Identifier: BSD-3-Clause"
DPDK_FREE = ("base", "wire", "timer", "flow", "teardown", "ip", "config")
# DPDK-free rooms get what they need as arguments; these headers would be another way in.
KEPT_OUT_OF_CORE = re.compile(
    r"^(rte_.*|spdlog/.*|boost/.*|thread|mutex|condition_variable|future|iostream"
    r"|sys/socket\.h|netinet/.*|unistd\.h|ctime|time\.h)$")
ONLY_IN_DPDK = re.compile(r"^(rte_(eal|ethdev|ethdev_driver|telemetry|lcore|launch|eth_\w+|pdump|bus.*)\.h|spdlog/.*)$")
CLOCK_READ = re.compile(r"_clock::now\b|\bclock_gettime\b|\bgettimeofday\b|\brte_(rdtsc\w*|get_\w+_cycles)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.M)
CODE = (".cpp", ".hpp", ".py", ".cmake", ".sh")
# Guide: headers 300 lines, sources 500. Test sources are lists of cases and may run longer.
LENGTH = {".hpp": 300, ".cpp": 500}


def read_arrows(source):
    """room -> rooms it may include, itself and everything reachable."""
    text = (source / "CMakeLists.txt").read_text()
    direct = {name: set(re.findall(r"\blastack_(\w+)", links))
              for name, links in re.findall(r"^lastack_room\((\w+)(.*?)\)", text, re.M | re.S)}

    def reach(room):
        return {room}.union(*(reach(next_room) for next_room in direct[room]))
    return {room: reach(room) for room in direct}


class Tree:
    def __init__(self, source):
        self.source = source
        self.arrows = read_arrows(source)
        self.breaches = []
        self.warnings = []

    def breach(self, path, message):
        self.breaches.append(f"{path.relative_to(self.source)}: {message}")

    def room_of(self, path):
        return path.relative_to(self.source / "lib").parts[0]

    def resolve(self, name):
        """The file of the tree that an include means, or None for a system header."""
        for root in ("lib", "lib/include"):
            path = self.source / root / name
            if path.is_file():
                return path
        return None

    def reached_headers(self, path, seen):
        """System headers that including `path` brings along, through headers of the tree."""
        found = set()
        for quoted, angled in INCLUDE.findall(path.read_text()):
            name = quoted or angled
            target = self.resolve(name)
            if target is None:
                found.add(name)
            elif target not in seen:
                seen.add(target)
                found |= self.reached_headers(target, seen)
        return found

    def check_room_file(self, path):
        room = self.room_of(path)
        text = path.read_text()
        public = room == "include"
        if not public and room not in self.arrows:
            self.breach(path, f"lib/{room} has no lastack_room() line in CMakeLists.txt")
            return
        for quoted, angled in INCLUDE.findall(text):
            name = quoted or angled
            target = self.resolve(name)
            if target is None:
                if quoted:
                    self.breach(path, f'"{name}" is no header of the tree')
                elif room != "dpdk" and ONLY_IN_DPDK.match(name):
                    self.breach(path, f"<{name}>: only lib/dpdk may include it")
                continue
            to = self.room_of(target)
            if to != "include" and (public or to not in self.arrows[room]):
                self.breach(path, f'"{name}": lib/{room} may not point at lib/{to}')
        if room in DPDK_FREE:
            for name in sorted(self.reached_headers(path, {path})):
                if KEPT_OUT_OF_CORE.match(name):
                    self.breach(path, f"<{name}> reaches lib/{room}, which may not know it")
        if room != "dpdk" and (read := CLOCK_READ.search(text)):
            self.breach(path, f"{read.group()}: time is an argument, only lib/dpdk reads a clock")

    def check_app_file(self, path):
        app = path.relative_to(self.source / "apps").parts[0]
        allowed = {"include"} | ({"base", "wire", "flow", "timer", "teardown", "stack"} if app == "bench" else set())
        for quoted, angled in INCLUDE.findall(path.read_text()):
            target = self.resolve(quoted or angled)
            if target is not None and self.room_of(target) not in allowed:
                self.breach(path, f'"{quoted or angled}": an application includes public headers (lastack/...) only')

    def check_head_and_length(self, path):
        lines = path.read_text().splitlines()
        if not any(SPDX in line for line in lines[:2]):
            self.breach(path, f"does not start with its line '{SPDX}'")
        guide = LENGTH.get(path.suffix)
        if guide and "tests" not in path.parts and len(lines) > guide:
            self.warnings.append(f"{path.relative_to(self.source)}: {len(lines)} lines, the guide is {guide}")

    def check(self):
        files = sorted(path for top in ("lib", "apps", "tests", "cmake", "scripts", "drivers_config")
                       for path in (self.source / top).rglob("*") if path.is_file())
        for path in files:
            top = path.relative_to(self.source).parts[0]
            if path.suffix in CODE or path.name == "CMakeLists.txt" or path.suffix == ".toml" or (
                    path.suffix == "" and path.read_bytes()[:2] == b"#!"):
                self.check_head_and_length(path)
            if path.suffix in (".cpp", ".hpp"):
                if top == "lib":
                    self.check_room_file(path)
                elif top == "apps":
                    self.check_app_file(path)
        return self.breaches


def main():
    tree = Tree(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
    breaches = tree.check()
    for line in tree.warnings:
        print("warning:", line)
    for line in breaches:
        print(line)
    print(f"{len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
