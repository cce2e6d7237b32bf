// SPDX-License-Identifier: BSD-3-Clause
// The committed page of the close FSM says what the table says. The picture is not compared: its
// text is, and how graphviz draws it differs from version to version.
#include "tools/close_fsm_page.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace lastack::teardown {
namespace {

std::string committed(const std::string& page) {
    std::ifstream file(std::string(LASTACK_SOURCE_DIR) + "/docs/" + page);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(close_fsm_page, tables_are_those_of_the_code) {
    EXPECT_EQ(committed("close-fsm.md"), docs::markdown()) << "run scripts/make-docs";
}

TEST(close_fsm_page, diagram_is_that_of_the_code) {
    EXPECT_EQ(committed("close-fsm.dot"), docs::dot()) << "run scripts/make-docs";
}

}  // namespace
}  // namespace lastack::teardown
