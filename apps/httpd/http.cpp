// SPDX-License-Identifier: BSD-3-Clause
#include "http.hpp"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>
#include <cstring>

namespace httpd {
namespace {

namespace beast = boost::beast;
using beast::http::error;

// Notes what we answer by and lets the rest pass.
class request_parser final : public beast::http::basic_parser<true> {
  public:
    beast::http::verb method = beast::http::verb::unknown;
    beast::string_view target;
    int version = 0;  // 10 or 11
    unsigned hosts = 0;
    bool has_transfer_coding = false;

    // RFC 9112 9.3: 'close' wins, which basic_parser forgets of HTTP/1.0.
    bool persists() const { return keep_alive() && !says_close_; }

  private:
    bool says_close_ = false;
    using code = beast::error_code;
    void on_request_impl(beast::http::verb verb, beast::string_view, beast::string_view where,
                         int of_http, code&) override {
        method = verb;
        target = where;
        version = of_http;
    }
    void on_field_impl(beast::http::field name, beast::string_view, beast::string_view value,
                       code&) override {
        says_close_ |= name == beast::http::field::connection &&
                       beast::http::token_list(value).exists("close");
        hosts += name == beast::http::field::host;
        has_transfer_coding |= name == beast::http::field::transfer_encoding;
    }
    void on_response_impl(int, beast::string_view, int, code&) override {}
    void on_header_impl(code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, code&) override {}
    std::size_t on_body_impl(beast::string_view body, code&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t, beast::string_view, code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, code&) override {
        return body.size();
    }
    void on_finish_impl(code&) override {}
};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The parser says 'bad version' of HTTP/2.0 and of nonsense alike; of HTTP/1.x only where
// something else in the line is wrong.
unsigned status_of_bad_version(std::string_view input) {
    const std::string_view line = input.substr(0, input.find_first_of("\r\n"));
    const std::string_view version = line.substr(std::min(line.rfind(' ') + 1, line.size()));
    const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") &&
                             is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
    return well_formed && version[5] != '1' ? 505 : 400;
}

unsigned too_long(std::string_view input) {
    return input.find('\n') == std::string_view::npos ? 414 : 431;
}

unsigned status_of(const beast::error_code& ec, std::string_view input) {
    if (ec == error::header_limit) {
        return too_long(input);
    }
    if (ec == error::bad_version) {
        return status_of_bad_version(input);
    }
    return ec == error::body_limit ? 413 : 400;
}

// What a complete, well-formed header deserves.
unsigned judge(const request_parser& parser, bool http_1_1) {
    using beast::http::verb;
    // RFC 9112 3.2: exactly one Host in HTTP/1.1, and never two.
    if (parser.hosts > 1 || (http_1_1 && parser.hosts == 0)) {
        return 400;
    }
    if (parser.method == verb::unknown) {
        return 501;
    }
    if (parser.method != verb::get && parser.method != verb::head) {
        return 405;
    }
    return 200;
}

}  // namespace

request parse(std::string_view input) {
    request r;
    // RFC 9112 2.2: empty lines before a request are ignored.
    while (input.substr(r.octets).starts_with("\r\n")) {
        r.octets += 2;
    }
    const std::string_view text = input.substr(r.octets);
    request_parser parser;
    parser.header_limit(header_octets_max);
    beast::error_code ec;
    const std::size_t used = parser.put(boost::asio::buffer(text.data(), text.size()), ec);
    if (ec == error::need_more) {
        r.status = text.size() >= header_octets_max ? too_long(text) : 0;
        return r;
    }
    if (ec) {
        r.status = status_of(ec, text);
        return r;
    }
    r.octets += used;
    r.target = {parser.target.data(), parser.target.size()};
    r.head = parser.method == beast::http::verb::head;
    r.http_1_1 = parser.version == 11;
    r.status = judge(parser, r.http_1_1);
    // A request with content is answered and the connection given up: where the next one starts
    // is known only to who reads the content.
    const bool content = parser.has_transfer_coding || parser.content_length().value_or(0) > 0;
    if (content && r.status == 200) {
        r.status = 413;
    }
    r.keep_alive = parser.persists() && !content && r.status != 400;
    return r;
}

namespace {

int hex_value(char c) {
    if (is_digit(c)) {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

std::optional<std::string_view> path_of(std::string_view target, std::span<char> room) {
    target = target.substr(0, target.find_first_of("?#"));
    if (target.starts_with("http://") || target.starts_with("https://")) {
        const std::size_t slash = target.find('/', target.find("//") + 2);
        target = slash == std::string_view::npos ? "/" : target.substr(slash);
    }
    if (!target.starts_with('/')) {
        return std::nullopt;
    }
    std::size_t n = 0;
    for (std::size_t i = 0; i < target.size(); ++i) {
        char c = target[i];
        if (c == '%') {
            const int high = i + 2 < target.size() ? hex_value(target[i + 1]) : -1;
            const int low = i + 2 < target.size() ? hex_value(target[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return std::nullopt;
            }
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        if (c == '\0') {
            return std::nullopt;
        }
        room[n++] = c;
    }
    return std::string_view{room.data(), n};
}

resource make_resource(std::string_view type, std::string body) {
    resource r;
    r.fields = "Content-Type: " + std::string(type) +
               "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    r.body = std::move(body);
    return r;
}

namespace {

std::string_view reason_of(unsigned status) {
    switch (status) {
        case 413:
            return "Content Too Large";  // RFC 9110; Beast has the older wording
        case 414:
            return "URI Too Long";
        default: {
            const auto text =
                beast::http::obsolete_reason(static_cast<beast::http::status>(status));
            return {text.data(), text.size()};
        }
    }
}

resource make_page(unsigned status) {
    const std::string title = std::to_string(status) + " " + std::string(reason_of(status));
    resource r = make_resource("text/html; charset=utf-8", "<!doctype html><title>" + title +
                                                               "</title><h1>" + title + "</h1>\n");
    r.status = status;
    if (status == 405) {
        r.fields += "Allow: GET, HEAD\r\n";
    }
    return r;
}

}  // namespace

const resource& page_for(unsigned status) {
    static const std::array<resource, 10> pages = [] {
        std::array<resource, 10> all;
        std::ranges::transform(
            std::array{400u, 404u, 405u, 408u, 413u, 414u, 431u, 501u, 503u, 505u}, all.begin(),
            make_page);
        return all;
    }();
    const auto found = std::ranges::find(pages, status, &resource::status);
    return found == pages.end() ? pages.front() : *found;
}

resource make_redirect(std::string_view location) {
    resource r = make_page(301);
    r.fields += "Location: ";
    for (const char c : location) {
        const bool plain = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           std::string_view{"/-._~"}.find(c) != std::string_view::npos;
        if (plain) {
            r.fields += c;
        } else {
            constexpr std::string_view digits = "0123456789ABCDEF";
            const auto octet = static_cast<unsigned char>(c);
            r.fields += {'%', digits[octet / 16], digits[octet % 16]};
        }
    }
    r.fields += "\r\n";
    return r;
}

std::array<char, date_octets> format_date(std::time_t second) {
    constexpr std::string_view days = "SunMonTueWedThuFriSat";
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    std::tm t{};
    gmtime_r(&second, &t);
    std::array<char, date_octets> out;
    std::memcpy(out.data(), "Ddd, 00 Mmm 0000 00:00:00 GMT", date_octets);
    std::memcpy(out.data(), days.data() + 3 * t.tm_wday, 3);
    std::memcpy(out.data() + 8, months.data() + 3 * t.tm_mon, 3);
    const auto put = [&](std::size_t last, int digits, int value) {
        for (; digits > 0; --digits, value /= 10) {
            out[last--] = static_cast<char>('0' + value % 10);
        }
    };
    put(6, 2, t.tm_mday);
    put(15, 4, t.tm_year + 1900);
    put(18, 2, t.tm_hour);
    put(21, 2, t.tm_min);
    put(24, 2, t.tm_sec);
    return out;
}

std::size_t render_head(const response& r, date_cache& dates, std::span<char> out) {
    std::size_t n = 0;
    const auto put = [&](std::string_view text) {
        std::memcpy(out.data() + n, text.data(), text.size());
        n += text.size();
    };
    const unsigned status = r.what->status;
    const std::array<char, 4> digits{static_cast<char>('0' + status / 100),
                                     static_cast<char>('0' + status / 10 % 10),
                                     static_cast<char>('0' + status % 10), ' '};
    put("HTTP/1.1 ");
    put({digits.data(), digits.size()});
    put(reason_of(status));
    put("\r\nServer: lastack-httpd\r\nDate: ");
    put(dates.at(r.second));
    put("\r\n");
    put(r.what->fields);
    if (r.after == persistence::stated) {
        put("Connection: keep-alive\r\n");
    } else if (r.after == persistence::close) {
        put("Connection: close\r\n");
    }
    put("\r\n");
    return n;
}

}  // namespace httpd
