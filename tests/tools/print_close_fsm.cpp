// SPDX-License-Identifier: BSD-3-Clause
// Prints the close FSM's page (--markdown) or its diagram (--dot); scripts/make-docs calls it.
#include <cstdio>
#include <string>
#include <string_view>

#include "tools/close_fsm_page.hpp"

int main(int argc, char** argv) {
    const std::string_view what = argc == 2 ? argv[1] : "";
    if (what != "--markdown" && what != "--dot") {
        std::fputs("usage: print_close_fsm --markdown | --dot\n", stderr);
        return 2;
    }
    const std::string text =
        what == "--dot" ? lastack::teardown::docs::dot() : lastack::teardown::docs::markdown();
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
