// SPDX-License-Identifier: BSD-3-Clause
// Uses the whole stack through the public headers; linking it is the test, no lcore is started.
#include <cstdio>

#include "lastack/address.hpp"
#include "lastack/local_stack.hpp"

namespace {

bool serve(lastack::local_stack& stack, const lastack::endpoint& local) {
    return bool(stack.listen(local));
}

}  // namespace

int main(int argc, char**) {
    bool (*volatile entry)(lastack::local_stack&, const lastack::endpoint&) = serve;
    const lastack::endpoint local{};
    std::printf("%s %d\n", lastack::to_string(local).c_str(), argc);
    return entry != nullptr ? 0 : 1;
}
