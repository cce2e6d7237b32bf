// SPDX-License-Identifier: BSD-3-Clause
#include "client.hpp"

#include <span>

#include "lastack/log.hpp"

namespace httpd {
namespace {

// Connections open at a time, on each core.
constexpr std::size_t at_once = 50;

// Failures that are told one by one; the rest are counted.
constexpr std::uint64_t failures_told = 10;

constexpr std::string_view request =
    "GET / HTTP/1.1\r\n"
    "Host: lastack\r\n"
    "Connection: close\r\n\r\n";

bool is_page(std::string_view answer, std::string_view page) {
    const auto head = answer.find("\r\n\r\n");
    return head != answer.npos && answer.starts_with("HTTP/1.1 200 ") &&
           answer.substr(head + 4) == page;
}

// `wrong` says what was, and is empty when nothing was.
void count(fetches& all, const std::string& wrong) {
    if (!wrong.empty() && all.failed.fetch_add(1) < failures_told) {
        lastack::log(lastack::log_level::warning, "client: " + wrong);
    }
    if (all.ended.fetch_add(1) + 1 == all.wanted) {
        lastack::log(lastack::log_level::info, "client: " + std::to_string(all.wanted) +
                                                   " connections opened and closed, " +
                                                   std::to_string(all.failed) + " failed");
    }
}

lastack::task fetch(lastack::coroutine_context& context, fetches& all) {
    std::string answer;
    while (!all.stopping && all.begun.fetch_add(1) < all.wanted) {
        auto c = co_await context.connect(all.server);
        if (!c) {
            count(all, "no connection: " + std::string(name(c.error().why)));
            if (c.error().outcome == lastack::close_outcome::none) {
                co_return;  // our own stack refused, and would at once refuse the next
            }
            continue;
        }
        (void)co_await c->write(std::as_bytes(std::span(request)));
        answer.clear();
        for (;;) {
            const auto data = co_await c->read();
            if (!data || data->size() == 0) {
                break;
            }
            data->for_each_segment([&](std::span<const std::byte> part) {
                answer.append(reinterpret_cast<const char*>(part.data()), part.size());
            });
            if (all.who_closes == close_first::client && is_page(answer, all.page)) {
                break;
            }
        }
        const auto how = co_await c->close();
        const bool right = is_page(answer, all.page);
        count(all, right && lastack::is_clean(how)
                       ? std::string()
                       : std::string(right ? "the right answer" : "a wrong answer") +
                             "; the connection: " + std::string(sentence(how)));
    }
}

}  // namespace

lastack::result<bool, std::string> client::on_start(lastack::local_stack& s) {
    context_.emplace(s, lastack::coroutine_options{.frames = at_once});
    for (std::size_t i = 0; i < at_once; ++i) {
        (void)fetch(*context_, *all_);
    }
    return true;
}

}  // namespace httpd
