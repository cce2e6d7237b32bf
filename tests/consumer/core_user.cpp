// SPDX-License-Identifier: BSD-3-Clause
// Uses the DPDK-free part as a proxy or a load balancer would: the rooms' own headers, and code from the archive.
#include <cstdio>

#include "base/seq32.hpp"
#include "lastack/address.hpp"
#include "teardown/state.hpp"
#include "wire/tcp.hpp"

int main() {
    const auto address = lastack::parse_ipv4("10.0.0.2");
    if (!address) {
        return 1;
    }
    std::printf("%s, %zu states\n", lastack::to_string(*address).c_str(),
                lastack::teardown::state_count);
}
