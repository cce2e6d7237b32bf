#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Shows that check_tree.py sees each kind of breach: a small tree in order, and one change at a time."""
import pathlib
import tempfile
import unittest

import check_tree

HEAD = f"// {check_tree.SPDX}\n"
CMAKE = f"""# {check_tree.SPDX}
lastack_room(base)
lastack_room(wire LINKS lastack_base)
lastack_room(flow LINKS lastack_wire)
lastack_room(tcp LINKS lastack_flow lastack::dpdk)
lastack_room(dpdk LINKS lastack_tcp)
"""
IN_ORDER = {
    "lib/include/lastack/address.hpp": "#include <cstdint>\n",
    "lib/include/lastack/buffer.hpp": "#include <rte_mbuf.h>\n",
    "lib/base/seq32.hpp": "#include <cstdint>\n",
    "lib/wire/tcp.hpp": '#include "base/seq32.hpp"\n',
    "lib/flow/key.hpp": '#include "base/seq32.hpp"\n#include "lastack/address.hpp"\n',
    "lib/tcp/tcb.hpp": '#include "flow/key.hpp"\n#include "lastack/buffer.hpp"\n',
    "lib/dpdk/port.cpp": "#include <rte_ethdev.h>\nauto now = rte_rdtsc();\n",
    "apps/echo/main.cpp": '#include "lastack/address.hpp"\n',
}


class CheckTree(unittest.TestCase):
    def breaches(self, change):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            (root / "CMakeLists.txt").write_text(CMAKE)
            for name, text in {**{k: HEAD + v for k, v in IN_ORDER.items()}, **change}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check_tree.Tree(root).check()

    def expect_breach(self, name, text, part):
        found = self.breaches({name: text})
        self.assertEqual(len(found), 1, found)
        self.assertIn(name, found[0])
        self.assertIn(part, found[0])

    def test_a_tree_in_order_has_none(self):
        self.assertEqual(self.breaches({}), [])

    def test_an_include_against_an_arrow(self):
        self.expect_breach("lib/wire/x.hpp", HEAD + '#include "flow/key.hpp"\n', "lib/wire may not point at lib/flow")

    def test_a_public_header_that_exposes_a_room(self):
        self.expect_breach("lib/include/lastack/x.hpp", HEAD + '#include "flow/key.hpp"\n', "may not point at")

    def test_an_application_that_reaches_inside(self):
        self.expect_breach("apps/echo/x.cpp", HEAD + '#include "tcp/tcb.hpp"\n', "public headers")

    def test_dpdk_behind_a_public_header(self):
        self.expect_breach("lib/flow/x.hpp", HEAD + '#include "lastack/buffer.hpp"\n', "rte_mbuf.h")

    def test_ethdev_outside_its_room(self):
        self.expect_breach("lib/tcp/x.cpp", HEAD + "#include <rte_ethdev.h>\n", "only lib/dpdk")

    def test_a_clock_read_outside_its_room(self):
        self.expect_breach("lib/tcp/x.cpp", HEAD + "auto t = rte_rdtsc();\n", "time is an argument")

    def test_a_room_without_arrows(self):
        self.expect_breach("lib/odd/x.hpp", HEAD, "lib/odd")

    def test_a_missing_spdx_line(self):
        self.expect_breach("lib/base/x.hpp", "#pragma once\n", "SPDX")

    def test_a_header_that_does_not_exist(self):
        self.expect_breach("lib/base/x.hpp", HEAD + '#include "base/gone.hpp"\n', "no header of the tree")


if __name__ == "__main__":
    unittest.main()
