// SPDX-License-Identifier: BSD-3-Clause
// HTTP without a connection: octets in, a request or a status out; a response in, octets out.
//
// The parser is Boost.Beast's basic_parser, derived so that nothing is allocated: a request is a
// few flags and a view of its target in the caller's buffer. A header that has not arrived whole is
// parsed again from its start when more has come; it is at most header_octets_max long.
//
// A response is a value, not octets: what to send, and the second it was made in. Rendering it
// twice gives the same octets, so a connection whose send queue is full remembers only how many of
// them are out.
//
// RFC 9110 and 9112. Not supported: request content (413), ranges and conditions (ignored).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace httpd {

// Request line and fields together; beyond it 414 (no end of the request line) or 431.
inline constexpr std::size_t header_octets_max = 8192;

struct request {
    // 0: incomplete. 200: a well-formed GET or HEAD. Anything else is the answer it deserves.
    unsigned status = 0;
    std::size_t octets = 0;   // of the input that are done with; may be some even if incomplete
    std::string_view target;  // as sent, in the input
    bool head = false;
    bool http_1_1 = false;
    bool keep_alive = false;  // the client wants it and the next request's start is known
};

// Parses the first request of `input`, which holds at most header_octets_max octets.
request parse(std::string_view input);

// The path a target names: the query and, in the absolute form, scheme and authority are dropped,
// %XX decoded into `room`. nullopt if it is no path. Precondition: room is as long as the target.
std::optional<std::string_view> path_of(std::string_view target, std::span<char> room);

inline constexpr std::size_t fields_octets_max = 16000;

// What can be sent: a file, or the page that goes with a status.
struct resource {
    unsigned status = 200;
    std::string fields;  // lines that belong to it; at most fields_octets_max
    std::string body;
};
resource make_resource(std::string_view type, std::string body);

// The page for one of the statuses parse() gives, for 404, 408 and 503.
const resource& page_for(unsigned status);
// Sends the client on to `location`, which is a decoded path of ours.
resource make_redirect(std::string_view location);

enum class persistence : std::uint8_t { implied, stated, close };  // HTTP/1.1, HTTP/1.0, neither

struct response {
    const resource* what = nullptr;
    std::uint32_t second = 0;  // of Unix time, for Date
    bool head_only = false;    // of a HEAD request
    persistence after = persistence::implied;

    std::string_view body() const { return head_only ? std::string_view{} : what->body; }
};

// "Sun, 06 Nov 1994 08:49:37 GMT"
inline constexpr std::size_t date_octets = 29;
std::array<char, date_octets> format_date(std::time_t second);

// Keeps the text of the last second asked for.
class date_cache {
  public:
    std::string_view at(std::uint32_t second) {
        if (second != second_ || !valid_) {
            text_ = format_date(static_cast<std::time_t>(second));
            second_ = second;
            valid_ = true;
        }
        return {text_.data(), text_.size()};
    }

  private:
    std::array<char, date_octets> text_{};
    std::uint32_t second_ = 0;
    bool valid_ = false;
};

// Octets a head may take besides the resource's own fields.
inline constexpr std::size_t head_octets_max = 256;

// Writes the head, empty line included, and gives its length. Precondition: `out` has
// head_octets_max + what->fields.size() octets.
std::size_t render_head(const response& r, date_cache& dates, std::span<char> out);

}  // namespace httpd
