// SPDX-License-Identifier: BSD-3-Clause
// HTTP without a connection: what is parsed, what is refused, what is rendered.
#include "apps/httpd/http.hpp"

#include <gtest/gtest.h>

#include <string>

namespace httpd {
namespace {

const std::string plain = "GET /a/b?x=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\n\r\n";

TEST(http_parse, a_plain_request) {
    const request r = parse(plain);
    EXPECT_EQ(r.status, 200u);
    EXPECT_EQ(r.octets, plain.size());
    EXPECT_EQ(r.target, "/a/b?x=1");
    EXPECT_FALSE(r.head);
    EXPECT_TRUE(r.http_1_1);
    EXPECT_TRUE(r.keep_alive);
}

TEST(http_parse, every_beginning_of_a_request_is_incomplete) {
    for (std::size_t n = 0; n < plain.size(); ++n) {
        const request r = parse(std::string_view(plain).substr(0, n));
        EXPECT_EQ(r.status, 0u) << n;
        EXPECT_EQ(r.octets, 0u) << n;
    }
}

TEST(http_parse, pipelined_requests_come_one_by_one) {
    const std::string head = "HEAD /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    const std::string both = plain + head + "GET /3";
    const request first = parse(both);
    EXPECT_EQ(first.octets, plain.size());
    const request second = parse(std::string_view(both).substr(first.octets));
    EXPECT_EQ(second.status, 200u);
    EXPECT_EQ(second.octets, head.size());
    EXPECT_EQ(second.target, "/2");
    EXPECT_TRUE(second.head);
    EXPECT_FALSE(second.keep_alive);
    EXPECT_EQ(parse(std::string_view(both).substr(first.octets + second.octets)).status, 0u);
}

TEST(http_parse, empty_lines_before_a_request_are_ignored) {
    const request r = parse("\r\n\r\n" + plain);
    EXPECT_EQ(r.status, 200u);
    EXPECT_EQ(r.octets, plain.size() + 4);
    EXPECT_EQ(parse("\r\n").status, 0u);
    EXPECT_EQ(parse("\r\n").octets, 2u);
}

TEST(http_parse, keep_alive_is_the_rule_in_1_1_and_the_exception_in_1_0) {
    EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
    EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    // RFC 9112 9.3: close wins.
    EXPECT_FALSE(parse("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n").keep_alive);
    EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n").http_1_1);
    EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").keep_alive);
}

struct refusal {
    std::string_view input;
    unsigned status;
    bool keep_alive = false;
};
TEST(http_parse, each_bad_request_gets_its_status) {
    const refusal all[] = {
        {"GET\r\n\r\n", 400},
        {"G\x01T / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},                        // no Host
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},  // two
        {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},  // HTTP/0.9
        {"GET / HTPP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.0\n\n", 400},
        {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTP/0.9\r\n\r\n", 505},
        {"POST / HTTP/1.1\r\nHost: h\r\n\r\n", 405, true},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 405},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 405, true},
        {"BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", 501, true},
        {"get / HTTP/1.1\r\nHost: h\r\n\r\n", 501, true},
        {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 413},
        {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", 413},
        {"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 413},
        {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 200, true},
        {"\x16\x03\x01\x02", 400},  // TLS
    };
    for (const refusal& f : all) {
        const request r = parse(f.input);
        EXPECT_EQ(r.status, f.status) << f.input;
        EXPECT_EQ(r.keep_alive, f.keep_alive) << f.input;
    }
}

TEST(http_parse, a_header_that_fills_the_limit_is_refused_by_what_is_too_long) {
    const std::string line = "GET /" + std::string(header_octets_max, 'a');
    EXPECT_EQ(parse(std::string_view(line).substr(0, header_octets_max)).status, 414u);
    EXPECT_EQ(parse(std::string_view(line).substr(0, header_octets_max - 1)).status, 0u);
    const std::string field =
        "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(header_octets_max, 'a');
    EXPECT_EQ(parse(std::string_view(field).substr(0, header_octets_max)).status, 431u);
    EXPECT_EQ(parse(std::string_view(field).substr(0, header_octets_max - 1)).status, 0u);
}

std::optional<std::string> path(std::string_view target) {
    std::array<char, 256> room;
    const auto p = path_of(target, room);
    return p ? std::optional<std::string>(*p) : std::nullopt;
}
TEST(http_path, drops_the_query_and_the_absolute_form_and_decodes) {
    EXPECT_EQ(path("/"), "/");
    EXPECT_EQ(path("/a%20b%2Fc?q=%zz#f"), "/a b/c");
    EXPECT_EQ(path("http://host:80/x?y"), "/x");
    EXPECT_EQ(path("http://host"), "/");
    EXPECT_EQ(path("http://host?q"), "/");
    EXPECT_EQ(path("/%e2%82%AC"), "/\xe2\x82\xac");
}
TEST(http_path, refuses_what_is_no_path) {
    for (const auto* bad :
         {"", "*", "a", "/%", "/%4", "/%g0", "/%0g", "/%00", "ftp://h/x", "h:80"}) {
        EXPECT_EQ(path(bad), std::nullopt) << bad;
    }
}

std::string rendered(const response& r) {
    date_cache dates;
    std::string out(head_octets_max + r.what->fields.size(), '?');
    out.resize(render_head(r, dates, out));
    return out;
}
TEST(http_render, a_file) {
    const resource page = make_resource("text/plain", "hello");
    response r{.what = &page, .second = 784111777};
    EXPECT_EQ(rendered(r),
              "HTTP/1.1 200 OK\r\nServer: lastack-httpd\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
              "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(r.body(), "hello");
    r.head_only = true;
    EXPECT_EQ(r.body(), "");
    EXPECT_NE(rendered(r).find("Content-Length: 5\r\n"), std::string::npos);
    r.after = persistence::close;
    EXPECT_TRUE(rendered(r).ends_with("\r\nConnection: close\r\n\r\n"));
    r.after = persistence::stated;
    EXPECT_TRUE(rendered(r).ends_with("\r\nConnection: keep-alive\r\n\r\n"));
}
TEST(http_render, each_page_says_its_status_and_405_what_is_allowed) {
    for (const unsigned status : {400u, 404u, 405u, 408u, 413u, 414u, 431u, 501u, 503u, 505u}) {
        const resource& page = page_for(status);
        EXPECT_EQ(page.status, status);
        const std::string head = rendered({.what = &page});
        EXPECT_TRUE(head.starts_with("HTTP/1.1 " + std::to_string(status) + " ")) << head;
        EXPECT_EQ(head.find("Unknown"), std::string::npos) << head;
        EXPECT_LE(head.size(), head_octets_max + page.fields.size());
        EXPECT_EQ(head.find("Allow: GET, HEAD\r\n") != std::string::npos, status == 405);
    }
}
TEST(http_render, a_redirect_encodes_its_location) {
    const resource r = make_redirect("/a b/\xc3\xa4\r\n/");
    EXPECT_EQ(r.status, 301u);
    EXPECT_NE(r.fields.find("Location: /a%20b/%C3%A4%0D%0A/\r\n"), std::string::npos) << r.fields;
}
TEST(http_render, the_date_follows_the_second) {
    date_cache dates;
    EXPECT_EQ(dates.at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(dates.at(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
    EXPECT_EQ(dates.at(4102444799), "Thu, 31 Dec 2099 23:59:59 GMT");
}

}  // namespace
}  // namespace httpd
