// SPDX-License-Identifier: BSD-3-Clause
// lab_levers: an application that does with a connection what its peer asks it to, so that a lab
// can pull every lever of closing from the kernel's side. The first line of a connection is words,
// obeyed one after the other; what comes behind the line is read and forgotten.
//
//   ttl N, linger N, linger2 N, user-timeout MS, keepalive IDLE INTERVAL PROBES
//                       the socket option of that name
//   send N              N octets
//   shutdown-write, shutdown-read, shutdown-both, close, abort
//                       the call of that name
//   on-text, on-fin     the rest of the line when more has come, which stays unread; when the peer
//                       has closed
//   call PORT N first|second
//                       N connections to the peer's PORT, one after the other, closed before or
//                       after the peer closes; says after each how it ended, or the error
//
// Each end is a line of standard output: "ended " and the outcome that the application was given.
// With --brief PORT there is a second listener, whose TIME_WAIT lasts one second.
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
    puppet(std::vector<std::uint16_t> ports, std::uint16_t brief)
        : ports_(std::move(ports)), brief_(brief) {}

    result<bool, std::string> on_start(local_stack& s) {
        for (const auto port : ports_) {
            if (const auto done = s.listen({{}, port}); !done) {
                return failure{"cannot listen: " + std::string(name(done.error()))};
            }
        }
        listen_options one_second;
        one_second.time_wait = std::chrono::seconds(1);
        if (brief_ != 0 && !s.listen(endpoint{{}, brief_}, one_second)) {
            return failure{std::string("cannot listen on the --brief port")};
        }
        return true;
    }
    void on_opened(local_stack& s, conn_id c, const event& e) {
        if (e.user == calling && closes_first_) {
            static_cast<void>(s.close(c, completion::event));
        }
    }
    void on_readable(local_stack& s, conn_id c, const event& e) {
        order& o = orders_[c.index];
        if (o.wait == order::for_text) {
            obey(s, c, o.rest);
            return;
        }
        std::array<std::byte, 4096> text;
        const auto n = s.receive(c, text);
        if (n && *n > 0 && o.wait == order::for_line && e.user != calling) {
            obey(s, c, std::string(reinterpret_cast<const char*>(text.data()), *n));
        }
    }
    void on_peer_closed(local_stack& s, conn_id c, const event& e) {
        if (const order& o = orders_[c.index]; o.wait == order::for_fin) {
            obey(s, c, o.rest);
        } else if (e.user == calling && !closes_first_) {
            static_cast<void>(s.close(c, completion::event));
        }
    }
    void on_ended(local_stack& s, conn_id c, const event& e) {
        orders_.erase(c.index);
        const std::string how(name(e.outcome));
        std::printf("ended %s\n", how.c_str());
        std::fflush(stdout);
        if (e.user == calling) {
            called(s, how);
        }
    }

  private:
    static constexpr std::uint64_t calling = 1;  // event::user of our own connections
    // What a connection is to do, and when.
    struct order {
        enum : std::uint8_t { for_line, for_text, for_fin, for_nothing } wait = for_line;
        std::string rest{};
    };

    void obey(local_stack& s, conn_id c, const std::string& line) {
        order& o = orders_[c.index];
        o.wait = order::for_nothing;
        std::istringstream words(line);
        for (std::string word; words >> word;) {
            if (word == "on-text" || word == "on-fin") {
                std::getline(words, o.rest);
                o.wait = word == "on-text" ? order::for_text : order::for_fin;
            } else if (!set_option(s, c, word, words)) {
                act(s, c, word, words);
            }
        }
    }
    static int number(std::istream& words) {
        int n = 0;
        words >> n;
        return n;
    }
    static bool set_option(local_stack& s, conn_id c, const std::string& word,
                           std::istream& words) {
        auto all = s.options(c);
        if (!all) {
            return false;
        }
        if (word == "ttl") {
            all->ttl = static_cast<std::uint8_t>(number(words));
        } else if (word == "linger") {
            all->linger = {true, std::chrono::seconds(number(words))};
        } else if (word == "linger2") {
            all->linger2 = number(words);
        } else if (word == "user-timeout") {
            all->user_timeout = std::chrono::milliseconds(number(words));
        } else if (word == "keepalive") {
            all->keepalive.on = true;
            all->keepalive.idle = std::chrono::seconds(number(words));
            all->keepalive.interval = std::chrono::seconds(number(words));
            all->keepalive.probes = static_cast<std::uint8_t>(number(words));
        } else {
            return false;
        }
        return static_cast<bool>(s.set_options(c, *all));
    }
    void act(local_stack& s, conn_id c, const std::string& word, std::istream& words) {
        if (word == "send") {
            send(s, c, std::string(static_cast<std::size_t>(number(words)), 'x'));
        } else if (word == "shutdown-write") {
            static_cast<void>(s.shutdown(c, shutdown_how::write));
        } else if (word == "shutdown-read") {
            static_cast<void>(s.shutdown(c, shutdown_how::read));
        } else if (word == "shutdown-both") {
            static_cast<void>(s.shutdown(c, shutdown_how::both));
        } else if (word == "close") {
            static_cast<void>(s.close(c, completion::event));
        } else if (word == "abort") {
            static_cast<void>(s.abort(c, completion::event));
        } else if (word == "call") {
            asker_ = c;
            to_ = {s.remote_endpoint(c)->address, static_cast<std::uint16_t>(number(words))};
            left_ = number(words);
            words >> std::ws;
            closes_first_ = words.peek() == 'f';
            words.ignore(6);
            call(s);
        }
    }
    static void send(local_stack& s, conn_id c, const std::string& text) {
        static_cast<void>(s.send(c, std::as_bytes(std::span(text))));
    }
    void call(local_stack& s) {
        connect_options how;
        how.user = calling;
        if (const auto c = s.connect(to_, how); !c) {
            called(s, std::string(name(c.error())));
        }
    }
    void called(local_stack& s, const std::string& how) {
        send(s, asker_, how + "\n");
        if (--left_ > 0) {
            call(s);
        } else {
            static_cast<void>(s.close(asker_, completion::event));
        }
    }

    std::vector<std::uint16_t> ports_;
    std::uint16_t brief_;
    std::map<std::uint32_t, order> orders_;  // by the connection's index
    conn_id asker_{};
    endpoint to_{};
    int left_ = 0;
    bool closes_first_ = false;
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Closes as its peer tells it to.", "lab_levers"};
    app_options shared(app, 7);
    std::uint16_t brief = 0;
    app.add_option("--brief", brief, "listen here as well, with a TIME_WAIT of one second");
    const auto options = shared.parse(argc, argv);
    if (!options) {
        return options.error();
    }
    auto runtime = runtime::start(*options);
    if (!runtime) {
        std::fprintf(stderr, "lab_levers: %s\n", runtime.error().c_str());
        return 2;
    }
    return (*runtime)->run([&](place) { return puppet(options->listen(), brief); });
}
