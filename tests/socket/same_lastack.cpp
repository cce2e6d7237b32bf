// SPDX-License-Identifier: BSD-3-Clause
// lastack's world for same.c: two stacks under a virtual clock.
#include "same.h"
#include "support/socket_pair.hpp"

namespace {

using lastack::test::socket_pair;
using namespace std::chrono_literals;

socket_pair& world() {
    static socket_pair w;
    return w;
}

}  // namespace

extern "C" {

void at(enum end which) {
    world().at(which == CLIENT ? socket_pair::client : socket_pair::server);
}
const char* server_address(void) {
    return "10.0.0.2";
}
void settle(void) {
    world().advance(60ms);
}
}

int main() {
    lastack::test::environment::start();
    return same_main();
}
