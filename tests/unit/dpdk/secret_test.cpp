// SPDX-License-Identifier: BSD-3-Clause
// The secret outlives the process and stays secret.
#include "dpdk/secret.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace lastack::dpdk {
namespace {

struct secret_file : testing::Test {
    secret_file() { ::unlink(path.c_str()); }
    ~secret_file() override { ::unlink(path.c_str()); }

    std::string error_with(std::string_view text, mode_t mode) {
        ::unlink(path.c_str());
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
        const auto read = secret_from_file(path);
        return read ? "" : read.error();
    }

    std::string path = testing::TempDir() + "lastack_secret_" + std::to_string(::getpid());
};

TEST_F(secret_file, is_made_once_and_then_read) {
    const auto made = secret_from_file(path);
    ASSERT_TRUE(made) << made.error();
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    EXPECT_NE(*made, secret{});
    EXPECT_EQ(*secret_from_file(path), *made);
}

TEST_F(secret_file, holds_32_hexadecimal_digits) {
    EXPECT_EQ(error_with("0123456789abcdef0011223344556677\n", 0600), "");
    EXPECT_EQ(*secret_from_file(path), (secret{0x0123456789abcdef, 0x0011223344556677}));
    for (const auto* bad :
         {"", "0123456789abcdef001122334455667", "xx23456789abcdef0011223344556677",
          "0123456789abcdef00112233445566778", "0123456789abcdef 011223344556677"}) {
        EXPECT_NE(error_with(bad, 0600).find("hexadecimal"), std::string::npos) << bad;
    }
}

TEST_F(secret_file, that_others_may_read_is_refused) {
    for (const mode_t mode : {0640, 0604, 0660, 0644}) {
        EXPECT_NE(error_with("0123456789abcdef0011223344556677\n", mode).find("chmod 600"),
                  std::string::npos);
    }
}

TEST_F(secret_file, that_is_not_a_regular_file_is_refused_at_once) {
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    for (const auto& not_a_file : {path, testing::TempDir()}) {
        const auto read = secret_from_file(not_a_file);
        ASSERT_FALSE(read);
        EXPECT_NE(read.error().find("regular"), std::string::npos) << read.error();
    }
}

TEST_F(secret_file, that_cannot_be_made_is_an_error_with_its_name) {
    const auto made = secret_from_file("/nonexistent/secret");
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().find("/nonexistent/secret"), std::string::npos);
}

TEST(secrets, differ) {
    EXPECT_NE(*random_secret(), *random_secret());
}

}  // namespace
}  // namespace lastack::dpdk
