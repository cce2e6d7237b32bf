// SPDX-License-Identifier: BSD-3-Clause
// What is found below a root, and that nothing else is.
#include "apps/httpd/site.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace httpd {
namespace {
namespace fs = std::filesystem;

struct site_test : testing::Test {
    fs::path base = fs::path(testing::TempDir()) / ("lastack_site_" + std::to_string(getpid()));
    fs::path root = base / "root";

    site_test() { fs::create_directories(root / "docs/deep"); }
    ~site_test() override { fs::remove_all(base); }
    void put(const fs::path& file, std::string_view text) {
        std::ofstream(file, std::ios::binary) << text;
    }
};

TEST_F(site_test, serves_files_by_path_and_an_index_for_its_directory) {
    put(root / "index.html", "front");
    put(root / "docs/index.html", "docs");
    put(root / "docs/deep/a b.css", "css");
    const site s(root);
    EXPECT_EQ(s.files(), 3u);
    EXPECT_EQ(s.octets(), 12u);
    ASSERT_NE(s.find("/"), nullptr);
    EXPECT_EQ(s.find("/")->body, "front");
    EXPECT_EQ(s.find("/index.html")->body, "front");
    EXPECT_EQ(s.find("/docs/")->body, "docs");
    EXPECT_EQ(s.find("/docs")->status, 301u);
    EXPECT_NE(s.find("/docs")->fields.find("Location: /docs/\r\n"), std::string::npos);
    ASSERT_NE(s.find("/docs/deep/a b.css"), nullptr);
    EXPECT_NE(s.find("/docs/deep/a b.css")->fields.find("text/css"), std::string::npos);
    EXPECT_EQ(s.find("/docs/deep/"), nullptr);
    EXPECT_EQ(s.find("/docs/deep"), nullptr);
}

TEST_F(site_test, names_a_directory_that_it_may_not_read) {
    fs::permissions(root / "docs/deep", fs::perms::none);
    const bool is_root = geteuid() == 0;
    if (is_root && seteuid(65534) != 0) {  // who may read nothing of others
        GTEST_SKIP() << "root reads everything";
    }
    std::string said;
    try {
        site{root};
    } catch (const std::runtime_error& e) {
        said = e.what();
    }
    if (is_root) {
        ASSERT_EQ(seteuid(0), 0);
    }
    fs::permissions(root / "docs/deep", fs::perms::owner_all);
    EXPECT_NE(said.find("cannot read " + (root / "docs/deep").string() + ": check"),
              std::string::npos)
        << said;
}

TEST_F(site_test, no_spelling_leads_out_of_the_root) {
    put(base / "secret", "x");
    put(root / "docs/a", "a");
    const site s(root);
    for (const auto* path :
         {"/../secret", "/docs/../../secret", "//secret", "/./docs/a", "/docs//a", "secret", ""}) {
        EXPECT_EQ(s.find(path), nullptr) << path;
    }
}

TEST_F(site_test, follows_links_that_stay_inside_and_counts_the_others) {
    put(base / "secret", "x");
    put(root / "docs/a", "a");
    fs::create_symlink(root / "docs/a", root / "inside");
    fs::create_symlink(base / "secret", root / "outside");
    fs::create_symlink(base / "nowhere", root / "broken");
    fs::create_directory_symlink(base, root / "up");
    const site s(root);
    EXPECT_NE(s.find("/inside"), nullptr);
    EXPECT_EQ(s.find("/outside"), nullptr);
    EXPECT_EQ(s.find("/up/secret"), nullptr);
    EXPECT_EQ(s.links_refused(), 3u);
}

TEST_F(site_test, a_root_that_is_none_is_refused_with_its_name) {
    try {
        const site s(base / "missing");
        FAIL();
    } catch (const std::runtime_error& e) {
        EXPECT_NE(std::string(e.what()).find("missing"), std::string::npos);
    }
}

TEST(site, has_a_page_of_its_own_at_the_root) {
    const site s;
    ASSERT_NE(s.find("/"), nullptr);
    EXPECT_EQ(s.find("/")->status, 200u);
    EXPECT_EQ(s.find("/x"), nullptr);
}

TEST(site, knows_types_by_extension_in_any_case) {
    EXPECT_EQ(mime_type("/a/B.HTML"), "text/html; charset=utf-8");
    EXPECT_EQ(mime_type("/a.b/c"), "application/octet-stream");
    EXPECT_EQ(mime_type("x.tar.gz"), "application/gzip");
}

}  // namespace
}  // namespace httpd
