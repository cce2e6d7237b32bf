// SPDX-License-Identifier: BSD-3-Clause
// lab_levers: an application that does with a connection what its peer asks it to, so that a lab
// can pull every lever of closing from the kernel's side. The first line of a connection is words:
//
//   shutdown            sends its FIN and stays
//   close               closes
//   close-unread        closes as soon as more has come, and leaves that unread
//   linger N            SO_LINGER {on, N} and close
//   linger2 N           TCP_LINGER2 and close
//   user-timeout MS N   TCP_USER_TIMEOUT, then sends N octets and stays
//   close-with-peer     answers "ok" and closes when the peer does
//   send N              sends N octets and closes
//   connect PORT N      N times, one after the other: connects to the peer's PORT and closes first;
//                       answers "connected" or the error after each
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>

#include "lastack/app_options.hpp"
#include "lastack/runtime.hpp"

namespace {

using namespace lastack;

class puppet {
  public:
    explicit puppet(std::vector<std::uint16_t> ports) : ports_(std::move(ports)) {}

    result<bool, std::string> on_start(local_stack& s) {
        for (const auto port : ports_) {
            if (const auto done = s.listen({{}, port}); !done) {
                return failure{"cannot listen: " + std::string(name(done.error()))};
            }
        }
        return true;
    }
    void on_readable(local_stack& s, conn_id c, const event& e) {
        if (e.user == unread) {
            static_cast<void>(s.close(c));
            return;
        }
        std::array<std::byte, 4096> text;
        const auto n = s.receive(c, text);
        if (n && *n > 0 && e.user == fresh && !is_caller(c)) {
            obey(s, c, std::string(reinterpret_cast<const char*>(text.data()), *n));
        }
    }
    void on_peer_closed(local_stack& s, conn_id c, const event& e) {
        if (e.user == with_peer) {
            static_cast<void>(s.close(c));
        }
    }
    void on_opened(local_stack& s, conn_id c, const event&) {
        if (is_caller(c)) {
            static_cast<void>(s.close(c, completion::event));
        }
    }
    void on_ended(local_stack& s, conn_id c, const event& e) {
        if (is_caller(c)) {
            called(s, is_clean(e.outcome) ? "connected" : std::string(name(e.outcome)));
        }
    }

  private:
    enum : std::uint64_t { fresh, obeyed, unread, with_peer };

    bool is_caller(conn_id c) const { return calling_ && c == call_; }

    void obey(local_stack& s, conn_id c, const std::string& line) {
        std::istringstream words(line);
        std::string word;
        int first = 0;
        int second = 0;
        words >> word >> first >> second;
        static_cast<void>(s.set_user(c, word == "close-unread"      ? unread
                                        : word == "close-with-peer" ? with_peer
                                                                    : obeyed));
        if (word == "shutdown") {
            static_cast<void>(s.shutdown(c, shutdown_how::write));
        } else if (word == "linger") {
            static_cast<void>(s.set_linger(c, {true, std::chrono::seconds(first)}));
            static_cast<void>(s.close(c));
        } else if (word == "linger2") {
            static_cast<void>(s.set_linger2(c, first));
            static_cast<void>(s.close(c));
        } else if (word == "user-timeout") {
            static_cast<void>(s.set_user_timeout(c, std::chrono::milliseconds(first)));
            send(s, c, std::string(static_cast<std::size_t>(second), 'x'));
        } else if (word == "send") {
            send(s, c, std::string(static_cast<std::size_t>(first), 'x'));
            static_cast<void>(s.close(c));
        } else if (word == "connect") {
            asker_ = c;
            to_ = {s.remote_endpoint(c)->address, static_cast<std::uint16_t>(first)};
            left_ = second;
            call(s);
        } else if (word == "close-with-peer") {
            send(s, c, "ok\n");
        } else if (word == "close") {
            static_cast<void>(s.close(c));
        }
    }
    static void send(local_stack& s, conn_id c, const std::string& text) {
        static_cast<void>(s.send(c, std::as_bytes(std::span(text))));
    }
    void call(local_stack& s) {
        const auto c = s.connect(to_);
        if (c) {
            call_ = *c;
            calling_ = true;
        } else {
            called(s, std::string(name(c.error())));
        }
    }
    void called(local_stack& s, const std::string& how) {
        calling_ = false;
        send(s, asker_, how + "\n");
        if (--left_ > 0) {
            call(s);
        } else {
            static_cast<void>(s.close(asker_));
        }
    }

    std::vector<std::uint16_t> ports_;
    conn_id asker_{};
    conn_id call_{};
    endpoint to_{};
    int left_ = 0;
    bool calling_ = false;
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Closes as its peer tells it to.", "lab_levers"};
    app_options shared(app, 7);
    const auto options = shared.parse(argc, argv);
    if (!options) {
        return options.error();
    }
    auto runtime = runtime::start(*options);
    if (!runtime) {
        std::fprintf(stderr, "lab_levers: %s\n", runtime.error().c_str());
        return 2;
    }
    return (*runtime)->run([&](place) { return puppet(options->listen()); });
}
