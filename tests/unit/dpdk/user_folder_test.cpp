// SPDX-License-Identifier: BSD-3-Clause
// Two users who are both root of namespaces of their own get folders of their own.
#include "lastack/user_folder.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace lastack {
namespace {

uid_t outer(const char* uid_map, uid_t uid) {
    std::istringstream text(uid_map);
    return outer_uid(text, uid);
}

TEST(user_folder, root_of_a_user_namespace_is_who_made_it) {
    EXPECT_EQ(outer("         0       1000          1\n", 0), 1000u);
    EXPECT_EQ(outer("         0       1001          1\n", 0), 1001u);
}

TEST(user_folder, outside_of_any_namespace_the_uid_is_itself) {
    EXPECT_EQ(outer("         0          0 4294967295\n", 0), 0u);
    EXPECT_EQ(outer("         0          0 4294967295\n", 1000), 1000u);
}

TEST(user_folder, ranges_are_looked_through) {
    const char* two = "0 1000 1\n1 100000 65536\n";
    EXPECT_EQ(outer(two, 0), 1000u);
    EXPECT_EQ(outer(two, 1), 100000u);
    EXPECT_EQ(outer(two, 65536), 165535u);
    EXPECT_EQ(outer(two, 65537), 65537u);
    EXPECT_EQ(outer("", 7), 7u);
}

TEST(user_folder, is_named_by_it) {
    EXPECT_EQ(user_folder(), "/tmp/lastack-" + std::to_string(outer_uid()));
}

}  // namespace
}  // namespace lastack
