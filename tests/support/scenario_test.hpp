// SPDX-License-Identifier: BSD-3-Clause
// A scenario for GoogleTest: what finish() finds wrong fails the test.
#pragma once

#include <gtest/gtest.h>

#include "support/peer.hpp"

namespace lastack::test {

class checked_scenario : public scenario {
  public:
    using scenario::scenario;
    ~checked_scenario() override { EXPECT_EQ(finish(), ""); }
};

using teardown::state;

}  // namespace lastack::test
