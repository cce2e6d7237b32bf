// SPDX-License-Identifier: BSD-3-Clause
// What connect() costs as the local ports towards one destination fill with TIME_WAIT, and what it
// costs in the kernel, in one run.
//
//   stack/N    N % of Linux's default range (28,232 ports) lie in TIME_WAIT towards the
//   destination,
//              and a million records towards others. At 100 every connect() reuses the oldest
//              record, a second old (tcp_tw_reuse=1).
//   refused    the range is full of records younger than that: each call is EADDRNOTAVAIL.
//   sustained  27,000 connections in each second of virtual time for five seconds, none refused.
//   kernel/N   the same by socket(), connect() in a network namespace of its own, over loopback;
//              so it contains the handshake with the kernel's own listener, which does not grow.
//              From half the range on it is filled by bind(), which takes no search.
//
// Both clients close first. Time is connect()'s alone; the stack's is counted in bursts of 32
// calls.
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stack/core.hpp"
#include "support/environment.hpp"
#include "wire/arp.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/ipv4.hpp"
#include "wire/tcp.hpp"

namespace lastack {
namespace {

using clock = std::chrono::steady_clock;
namespace flags = wire::tcp_flags;

constexpr std::uint32_t burst = 32;
constexpr std::uint16_t first_port = 32768;
constexpr std::uint32_t ports = 28232;
constexpr std::uint32_t others = 1'000'000;  // TIME_WAIT records towards other destinations
constexpr ipv4_address own_address{0x0a000002};
constexpr ipv4_address gateway{0x0a000001};

double seconds_since(clock::time_point start) {
    return std::chrono::duration<double>(clock::now() - start).count();
}

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "bench_connect: %s\n", what);
    std::exit(2);
}

// A stack that opens and closes, and servers at every address that answer a SYN, and a FIN with
// theirs. They keep nothing.
class client {
  public:
    explicit client(std::uint32_t records) : pools_({4096, 4096, 64}) {
        stack::core_config config;
        config.port.mac = {{2, 0, 0, 0, 0, 2}};
        config.addresses = {{own_address, 24}};
        config.gateway = gateway;
        config.pages = page_size::normal;
        config.secret = {1, 2};
        config.memory = pools_.get();
        config.settings.connections = 1024;
        config.settings.syn_records = 64;
        config.settings.time_wait_records = records;
        config.settings.tcp_max_tw_buckets = records;
        config.settings.tcp_tw_reuse = 1;
        auto made = stack::core::make(config, now());
        if (!made) {
            give_up(made.error().c_str());
        }
        core_ = std::move(*made);
        core_->set_transmit({take, this});
        arp({wire::arp_operation::request, server_mac, gateway, {}, own_address});
    }

    // Up to a burst of connections to the address, each opened, closed and in TIME_WAIT when it
    // returns. The seconds that the connect() calls took.
    double open_and_close(ipv4_address server, std::uint32_t count) {
        auto calls = core_->calls();
        std::array<conn_id, burst> ids;
        const auto start = clock::now();
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto id = calls.connect({server, 80});
            failed_ += !id.ok();
            ids[i] = id.ok() ? *id : conn_id{};
        }
        const double took = seconds_since(start);
        turns(2);
        for (std::uint32_t i = 0; i < count; ++i) {
            (void)calls.close(ids[i]);
        }
        turns(3);
        return took;
    }
    void fill(ipv4_address server, std::uint32_t count) {
        for (std::uint32_t done = 0; done < count; done += burst) {
            open_and_close(server, std::min(burst, count - done));
        }
        if (failed_ > 0) {
            give_up("a connect() of the fill failed");
        }
    }
    // The seconds that a burst of calls takes which find no port.
    double refused(ipv4_address server) {
        auto calls = core_->calls();
        const auto start = clock::now();
        for (std::uint32_t i = 0; i < burst; ++i) {
            refused_ += !calls.connect({server, 80}).ok();
        }
        return seconds_since(start);
    }
    void pass(std::int64_t us) {
        for (const std::int64_t end = now_us_ + us; now_us_ < end;) {
            turns(1);
            now_us_ += 1000;
        }
    }

    std::uint64_t held() const { return core_->tcp().time_wait().size(); }
    std::uint64_t failed_ = 0;
    std::uint64_t refused_ = 0;

  private:
    static constexpr mac_address server_mac{{2, 0, 0, 0, 0, 1}};
    instant now() const { return {now_us_}; }

    static std::uint16_t take(void* self, rte_mbuf** frames, std::uint16_t n) {
        for (std::uint16_t i = 0; i < n; ++i) {
            static_cast<client*>(self)->answer(test::frame_bytes(frames[i]));
            rte_pktmbuf_free(frames[i]);
        }
        return n;
    }
    void turns(int n) {
        for (int i = 0; i < n; ++i) {
            core_->output(now());
            const auto wire = std::exchange(wire_, {});
            for (std::size_t at = 0; at < wire.size(); at += burst) {
                core_->input({wire.data() + at, std::min<std::size_t>(burst, wire.size() - at)},
                             now());
            }
            core_->run_timers(now());
            core_->take_events();
        }
    }
    void say(std::span<const std::uint8_t> frame) {
        rte_mbuf* const m = test::make_frame(pools_.get().data, frame);
        if (m == nullptr) {
            give_up("out of mbufs");
        }
        wire_.push_back(m);
    }
    void arp(const wire::arp_packet& packet) {
        std::array<std::uint8_t, wire::ethernet_header_bytes + wire::arp_bytes> frame;
        wire::write_ethernet(frame.data(),
                             {{{2, 0, 0, 0, 0, 2}}, server_mac, wire::ethertype::arp});
        wire::write_arp(frame.data() + wire::ethernet_header_bytes, packet);
        say(frame);
    }
    void answer(const std::string& bytes) {
        const auto* const at = reinterpret_cast<const std::uint8_t*>(bytes.data());
        constexpr std::size_t behind = wire::ethernet_header_bytes + wire::ipv4_header_bytes;
        if (load_be16(at + 12) != wire::ethertype::ipv4) {
            return;  // ARP: the stack was told where its gateway is
        }
        const auto in = wire::parse_tcp({at + behind, bytes.size() - behind},
                                        static_cast<std::uint32_t>(bytes.size() - behind));
        if (!in.ok() || !(in->has(flags::syn) || in->has(flags::fin))) {
            return;
        }
        wire::tcp_segment s;
        s.source_port = in->destination_port;
        s.destination_port = in->source_port;
        s.seq = in->has(flags::syn) ? seq32{7} : in->ack;
        s.ack = in->seq + in->length();
        s.window = 65535;
        s.flags =
            static_cast<std::uint8_t>(flags::ack | (in->has(flags::syn) ? flags::syn : flags::fin));
        s.options.has_timestamps = true;
        s.options.tsval = static_cast<std::uint32_t>(now_us_ / 1000);
        s.options.tsecr = in->options.tsval;
        std::array<std::uint8_t, 128> frame{};
        const std::size_t l4 = wire::tcp_header_length(s.options);
        wire::write_ethernet(frame.data(),
                             {{{2, 0, 0, 0, 0, 2}}, server_mac, wire::ethertype::ipv4});
        wire::ipv4_header h;
        h.source = ipv4_address{load_be32(at + wire::ethernet_header_bytes + 16)};
        h.destination = own_address;
        h.total_length = static_cast<std::uint16_t>(wire::ipv4_header_bytes + l4);
        h.ttl = 64;
        h.protocol = wire::protocol_tcp;
        wire::write_ipv4(frame.data() + wire::ethernet_header_bytes, h);
        wire::write_tcp(frame.data() + behind, s);
        auto sum = wire::tcp_pseudo_header(h.source, h.destination, static_cast<std::uint16_t>(l4));
        sum.add({frame.data() + behind, l4});
        store_be16(frame.data() + behind + wire::tcp_checksum_offset, sum.value());
        say({frame.data(), behind + l4});
    }

    test::test_pools pools_;
    std::unique_ptr<stack::core> core_;
    std::vector<rte_mbuf*> wire_;
    std::int64_t now_us_ = 1'000'000'000'000;
};

ipv4_address server(std::uint32_t n) {
    return ipv4_address{0xc0a80000 + n};
}

// Others on the machine take the processor away now and then: the median is what counts.
class timings {
  public:
    explicit timings(benchmark::State& state) : state_(state) {}
    ~timings() {
        std::sort(each_.begin(), each_.end());
        state_.counters["median_ns"] = each_.empty() ? 0 : each_[each_.size() / 2] * 1e9;
    }
    void add(double seconds, std::uint32_t calls) {
        state_.SetIterationTime(seconds);
        each_.push_back(seconds / calls);
    }

  private:
    benchmark::State& state_;
    std::vector<double> each_;
};

// A client with a million records towards other servers, kept for all benchmarks of the stack; each
// takes a destination of its own.
client& crowded() {
    static client c(others + 16 * ports);
    if (c.held() < others) {
        for (std::uint32_t n = 0; c.held() < others; ++n) {
            c.fill(server(n), ports);
        }
    }
    return c;
}

std::uint32_t fresh_destination() {
    static std::uint32_t next = 1 << 12;
    return next++;
}

void stack_connect(benchmark::State& state) {
    client& c = crowded();
    const ipv4_address to = server(fresh_destination());
    const auto percent = static_cast<std::uint32_t>(state.range(0));
    c.fill(to, ports * percent / 100);
    if (percent == 100) {
        c.pass(1'100'000);
    }
    timings times(state);
    for (auto _ : state) {
        times.add(c.open_and_close(to, burst), burst);
    }
    if (c.failed_ > 0) {
        state.SkipWithError("a connect() failed");
    }
    state.counters["time_wait"] = static_cast<double>(c.held());
}

void stack_refused(benchmark::State& state) {
    client& c = crowded();
    const ipv4_address to = server(fresh_destination());
    c.fill(to, ports);
    timings times(state);
    for (auto _ : state) {
        times.add(c.refused(to), burst);
    }
    if (c.refused_ < burst * static_cast<std::uint64_t>(state.iterations())) {
        state.SkipWithError("a connect() found a port");
    }
}

// With the default delay of a second each port is due again soon after that; a record's age is known
// to a coarse tick (16 ms), so 27,000 a second leave no port waiting.
void stack_sustained(benchmark::State& state) {
    client& c = crowded();
    const ipv4_address to = server(fresh_destination());
    timings times(state);
    for (auto _ : state) {
        times.add(c.open_and_close(to, 27), 27);
        c.pass(1000);
    }
    if (c.failed_ > 0) {
        state.SkipWithError("a connect() failed");
    }
}

// In a child, alone in its network namespace: what it measures goes through a pipe.
class kernel_client {
  public:
    kernel_client() {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
            fail("unshare");
        }
        const int any = socket(AF_INET, SOCK_DGRAM, 0);
        ifreq lo{};
        std::strcpy(lo.ifr_name, "lo");
        lo.ifr_flags = IFF_UP | IFF_RUNNING;
        if (ioctl(any, SIOCSIFFLAGS, &lo) != 0) {
            fail("lo up");
        }
        close(any);
        std::ofstream("/proc/sys/net/ipv4/tcp_max_tw_buckets") << 1'000'000;
        listener_ = socket(AF_INET, SOCK_STREAM, 0);
        to_.sin_family = AF_INET;
        to_.sin_port = htons(80);
        to_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        std::ofstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") << 0;
        if (bind(listener_, reinterpret_cast<sockaddr*>(&to_), sizeof to_) != 0 ||
            listen(listener_, 16) != 0) {
            fail("listen");
        }
    }
    void reuse(bool on) { std::ofstream("/proc/sys/net/ipv4/tcp_tw_reuse") << (on ? 1 : 0); }
    // Seconds of connect(); below 0 when it was refused. `from` 0: the kernel chooses the port.
    double open_and_close(std::uint16_t from) {
        const int s = socket(AF_INET, SOCK_STREAM, 0);
        if (from != 0) {
            sockaddr_in own = to_;
            own.sin_port = htons(from);
            const int on = 1;
            setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            if (bind(s, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0) {
                close(s);
                return -1;
            }
        }
        const auto start = clock::now();
        const int r = connect(s, reinterpret_cast<const sockaddr*>(&to_), sizeof to_);
        const double took = seconds_since(start);
        if (r != 0) {
            close(s);
            return -1;
        }
        const int accepted = accept(listener_, nullptr, nullptr);
        close(s);
        close(accepted);
        return took;
    }
    void fill(std::uint32_t percent) {
        const std::uint32_t count = ports * percent / 100;
        for (std::uint32_t i = 0; i < std::min(count, ports / 2); ++i) {
            open_and_close(0);
        }
        std::uint32_t left = count - std::min(count, ports / 2);
        for (std::uint32_t i = 0; i < ports && left > 0; ++i) {
            const auto port = static_cast<std::uint16_t>(first_port + i * 7919 % ports);
            left -= open_and_close(port) >= 0;
        }
    }

  private:
    [[noreturn]] static void fail(const char* what) {
        std::perror(what);
        _exit(2);
    }
    int listener_ = -1;
    sockaddr_in to_{};
};

constexpr int kernel_calls = 64;

void kernel_connect(benchmark::State& state) {
    int ends[2];
    if (pipe(ends) != 0) {
        give_up("pipe() failed");
    }
    const auto percent = static_cast<std::uint32_t>(state.range(0));
    const pid_t child = fork();
    if (child == 0) {
        kernel_client k;
        k.reuse(false);
        k.fill(percent);
        if (percent == 100) {
            sleep(2);
            k.reuse(true);
        }
        for (int i = 0; i < kernel_calls; ++i) {
            const double took = k.open_and_close(0);
            if (write(ends[1], &took, sizeof took) != sizeof took) {
                _exit(2);
            }
        }
        _exit(0);
    }
    close(ends[1]);
    std::vector<double> took;
    for (double one; read(ends[0], &one, sizeof one) == sizeof one;) {
        took.push_back(one);
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (took.size() != kernel_calls || status != 0) {
        state.SkipWithError("no network namespace could be made");
    } else if (*std::min_element(took.begin(), took.end()) < 0) {
        state.SkipWithError("a connect() failed");
    }
    timings times(state);
    std::size_t at = 0;
    for (auto _ : state) {
        times.add(took.empty() ? 0 : took[at++ % took.size()], 1);
    }
}

BENCHMARK(stack_connect)
    ->Name("stack")
    ->Arg(0)
    ->Arg(25)
    ->Arg(50)
    ->Arg(75)
    ->Arg(90)
    ->Arg(100)
    ->Iterations(64)
    ->UseManualTime();
BENCHMARK(stack_refused)->Name("refused")->Iterations(64)->UseManualTime();
BENCHMARK(stack_sustained)->Name("sustained")->Iterations(5000)->UseManualTime();
BENCHMARK(kernel_connect)
    ->Name("kernel")
    ->Arg(0)
    ->Arg(25)
    ->Arg(50)
    ->Arg(75)
    ->Arg(90)
    ->Arg(100)
    ->Iterations(kernel_calls)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace lastack
