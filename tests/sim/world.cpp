// SPDX-License-Identifier: BSD-3-Clause
#include "sim/world.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "sim/trace.hpp"
#include "wire/ethernet.hpp"

namespace lastack::sim {
namespace {

constexpr std::array<ipv4_address, 2> addresses{ipv4_address{0x0a000001}, ipv4_address{0x0a000002}};
constexpr std::array<const char*, 2> side_names{"left", "right"};
constexpr instant epoch{std::int64_t{5000} * 1000000};
// What waits longest is an orphan's last retry, or a half-close that an application holds.
constexpr duration apart_limit = seconds{3600};
constexpr std::uint64_t steps_max = 4'000'000;
constexpr int same_instant_max = 20'000;

class world {
  public:
    world(const profile& p, std::uint64_t seed, bool trace);
    ~world();

    report run();

  private:
    struct side {
        const instant& now;
        test::test_pools pools;
        std::unique_ptr<stack::core> core;
        std::unique_ptr<lossy_link> out;  // to the other side
        std::unique_ptr<application> app;
        std::vector<rte_mbuf*> arrived;
        std::uint32_t frame_max = 0;
        bool too_long = false;
        side(const instant& clock, const test::pool_sizes& sizes) : now(clock), pools(sizes) {}
    };
    void make_side(unsigned i, random& chance);
    void turn(side& s, side& other);
    void compare_books(const side& s);
    bool move_clock();
    bool over() const;
    void check_end();
    void complain(const std::string& what) { book_.fail(nullptr, stamp(now_) + what); }

    const profile& profile_;
    ledger book_;
    instant now_ = epoch;
    std::array<std::unique_ptr<side>, 2> sides_;
    bool trace_;
    bool applications_done_ = false;
    instant done_at_{};
    int same_instant_ = 0;
    report report_;
};

world::world(const profile& p, std::uint64_t seed, bool trace) : profile_(p), trace_(trace) {
    random chance{seed};
    for (auto& s : sides_) {
        s = std::make_unique<side>(now_, p.pools);
    }
    for (unsigned i = 0; i < 2; ++i) {
        make_side(i, chance);
    }
    for (auto& s : sides_) {
        s->app->start(*s->core, now_);
    }
}

void world::make_side(unsigned i, random& chance) {
    side& s = *sides_[i];
    stack::core_config c;
    c.port.mac = {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(i + 1)}};
    c.port.mtu = profile_.mtu;
    s.frame_max = profile_.mtu + wire::ethernet_header_bytes;
    c.port.multi_segment_tx = profile_.multi_segment_tx;
    c.addresses = {{addresses[i], 24}};
    c.settings = i == 1 && profile_.uneven ? profile_.right : profile_.settings;
    c.memory = s.pools.get();
    c.pages = page_size::normal;
    c.secret = {chance.next(), chance.next()};
    auto made = stack::core::make(c, now_);
    if (!made) {
        complain(made.error());
        return;
    }
    s.core = std::move(*made);
    s.out = std::make_unique<lossy_link>(profile_.faults, chance.next(),
                                         sides_[1 - i]->pools.get().data);
    application_options o = profile_.application;
    o.side = i;
    o.own = addresses[i];
    o.peer = addresses[1 - i];
    s.app = std::make_unique<application>(o, book_, chance.next());
    if (trace_) {
        const char* who = side_names[i];
        s.out->set_trace([who](instant at, std::string_view fate, const std::string& octets) {
            std::printf("%s%-5s %-8s %s\n", stamp(at).c_str(), who, std::string(fate).c_str(),
                        describe_frame(octets).c_str());
        });
        s.app->set_trace([this](const std::string& text) {
            std::printf("%s%s\n", stamp(now_).c_str(), text.c_str());
        });
    }
    s.core->set_transmit({[](void* self, rte_mbuf** frames, std::uint16_t n) {
                              auto* from = static_cast<side*>(self);
                              from->too_long |= std::any_of(frames, frames + n, [&](auto* f) {
                                  return f->pkt_len > from->frame_max;
                              });
                              return from->out->send(frames, n, from->now);
                          },
                          &s});
}

// A frame may lie in a pool of the other side: stacks and wire go before any pool.
world::~world() {
    for (auto& s : sides_) {
        s->core.reset();
        s->out.reset();
    }
}

void world::turn(side& s, side& other) {
    s.arrived.clear();
    other.out->deliver(now_, s.arrived);
    s.core->input(s.arrived, now_);
    s.core->run_timers(now_);
    s.app->on_events(s.core->take_events(), now_);
    s.app->act(now_);
    s.core->output(now_);
}

// What the stack counts is what there is.
void world::compare_books(const side& s) {
    const stack::state_counts counts = s.core->states();
    const auto listening = static_cast<std::size_t>(teardown::state::listen);
    const std::uint64_t sum =
        std::accumulate(counts.by_state.begin(), counts.by_state.end(), std::uint64_t{0}) -
        counts.by_state[listening];
    const tcp::engine& tcp = s.core->tcp();
    if (sum != tcp.connections() + tcp.syn_records() + tcp.time_wait().size()) {
        complain("the states' counts do not add up to the connections");
    }
    if (counts.sockets != s.app->handles()) {
        complain(std::to_string(counts.sockets) + " sockets, but the application holds " +
                 std::to_string(s.app->handles()));
    }
    if (s.too_long) {
        complain("a frame is longer than the MTU");
    }
    if (counts.orphans > tcp.connections()) {
        complain("more orphans than connections");
    }
}

bool world::over() const {
    return std::all_of(sides_.begin(), sides_.end(), [](const auto& s) {
        return s->app->done() && s->out->empty() && s->core->idle() &&
               s->core->tcp().time_wait().size() == 0;
    });
}

// Returns false when the run has come to its end, or to nothing.
bool world::move_clock() {
    if (over() || !book_.failure().empty()) {
        return false;
    }
    instant next{std::int64_t{1} << 60};
    for (const auto& s : sides_) {
        next = std::min({next, s->core->next_deadline(), s->app->next_action(),
                         s->out->next_arrival().value_or(next)});
    }
    if (profile_.poll_every.count() > 0) {
        next = std::min(next, now_ + profile_.poll_every);
    }
    same_instant_ = next > now_ ? 0 : same_instant_ + 1;
    if (same_instant_ > same_instant_max) {
        std::string due;
        for (const auto& s : sides_) {
            due += s->core->next_deadline() <= now_ ? " stack" : "";
            due += s->app->next_action() <= now_ ? " application" : "";
            due += s->core->tcp().has_work() ? " with work" : "";
        }
        complain("the clock stands still, due:" + due);
    }
    now_ = std::max(now_, next);
    if (now_ - done_at_ > apart_limit) {
        complain(applications_done_ ? "the stacks do not come to rest" : "the applications wait");
        for (const auto& p : book_.all()) {
            if (p->held) {
                book_.fail(p.get(), "still there");
            }
        }
    }
    return true;
}

report world::run() {
    done_at_ = now_;
    for (std::uint64_t steps = 0; book_.failure().empty(); ++steps) {
        turn(*sides_[0], *sides_[1]);
        turn(*sides_[1], *sides_[0]);
        compare_books(*sides_[0]);
        compare_books(*sides_[1]);
        if (!applications_done_ && sides_[0]->app->done() && sides_[1]->app->done()) {
            applications_done_ = true;
            report_.lasted = now_ - epoch;
            done_at_ = now_;
        }
        if (steps > steps_max) {
            complain("too many steps");
        }
        if (!move_clock()) {
            break;
        }
    }
    if (book_.failure().empty()) {
        check_end();
    }
    report_.failure = book_.failure();
    report_.frames = sides_[0]->out->sent() + sides_[1]->out->sent();
    report_.ends = book_.all().size();
    return report_;
}

void world::check_end() {
    book_.check_pairs(profile_.judge_ends);
    for (unsigned i = 0; i < 2; ++i) {
        const side& s = *sides_[i];
        const stack::state_counts counts = s.core->states();
        if (counts.mbufs_held != 0 || counts.orphans != 0 || counts.sockets != 0) {
            complain(std::string(side_names[i]) + " still holds something");
        }
        if (const std::string leaks = s.pools.leaks(); !leaks.empty()) {
            complain(std::string(side_names[i]) + ": " + leaks);
        }
        const counter_set& n = s.core->counters();
        const std::uint64_t caught = n.get(counter::ip_in_checksum) +
                                     n.get(counter::ip_in_hdr_errors) +
                                     n.get(counter::tcp_in_csum_errors);
        const std::uint64_t corrupted = sides_[1 - i]->out->corrupted();
        if (caught != corrupted) {
            complain(std::to_string(corrupted) + " frames were corrupted, " +
                     std::to_string(caught) + " caught");
        }
    }
}

}  // namespace

config::settings profile::small_settings() {
    config::settings s;
    s.connections = 64;
    s.listeners = 4;
    s.syn_records = 64;
    s.time_wait_records = 1024;
    s.tcp_rmem = {4096, 65536, 262144};
    s.tcp_wmem = {4096, 16384, 262144};
    s.somaxconn = 64;
    s.tcp_max_syn_backlog = 64;
    s.tcp_max_orphans = 64;
    s.tcp_max_tw_buckets = 1024;
    return s;
}

report run(const profile& p, std::uint64_t seed, bool trace) {
    return world{p, seed, trace}.run();
}

}  // namespace lastack::sim
