// SPDX-License-Identifier: BSD-3-Clause
// What can be said of the object without packetdrill: it loads, it fills its structure, and a
// conversation through it keeps to its own clock.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "packetdrill/interface.h"
#include "wire/checksum.hpp"
#include "wire/ipv4.hpp"
#include "wire/tcp.hpp"

namespace lastack::packetdrill {
namespace {

namespace tcp_flags = wire::tcp_flags;

constexpr ipv4_address own{0xc0a80001};  // 192.168.0.1
constexpr ipv4_address peer{0xc0000201};
constexpr std::uint16_t own_port = 8080;
constexpr std::uint16_t peer_port = 40000;

// Many symbols of the stack are in the test too; the object must use its own.
class object : public ::testing::Test {
  protected:
    void SetUp() override {
        library = dlopen(LASTACK_PACKETDRILL_OBJECT, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        ASSERT_NE(library, nullptr) << dlerror();
        const auto init = reinterpret_cast<decltype(&packetdrill_interface_init)>(
            dlsym(library, "packetdrill_interface_init"));
        ASSERT_NE(init, nullptr);
        init("local=192.168.0.1/16,gateway=192.168.0.2,net.ipv4.tcp_rfc1337=0", &i);
        u = i.userdata;
    }
    void TearDown() override {
        if (u != nullptr) {
            i.free(u);
        }
    }

    long long now_us() {
        timeval t{};
        i.gettimeofday(u, &t, nullptr);
        return t.tv_sec * 1000000LL + t.tv_usec;
    }

    void say(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::string text = {}) {
        wire::tcp_segment t;
        t.source_port = peer_port;
        t.destination_port = own_port;
        t.flags = flags;
        t.seq = {seq};
        t.ack = {ack};
        t.window = 32768;
        t.payload_length = static_cast<std::uint32_t>(text.size());
        std::vector<std::uint8_t> l4(wire::tcp_header_length(t.options));
        wire::write_tcp(l4.data(), t);
        l4.insert(l4.end(), text.begin(), text.end());
        auto sum = wire::tcp_pseudo_header(peer, own, static_cast<std::uint32_t>(l4.size()));
        sum.add(l4);
        store_be16(l4.data() + wire::tcp_checksum_offset, sum.value());
        wire::ipv4_header ip;
        ip.source = peer;
        ip.destination = own;
        ip.ttl = 64;
        ip.protocol = wire::protocol_tcp;
        ip.total_length = static_cast<std::uint16_t>(wire::ipv4_header_bytes + l4.size());
        std::vector<std::uint8_t> packet(wire::ipv4_header_bytes);
        wire::write_ipv4(packet.data(), ip);
        packet.insert(packet.end(), l4.begin(), l4.end());
        EXPECT_EQ(i.netdev_send(u, packet.data(), packet.size()), 0);
    }

    // The next segment, and when it left; nullopt where none came.
    std::optional<wire::tcp_segment> hear() {
        std::array<std::uint8_t, 2048> packet{};
        std::size_t octets = packet.size();
        EXPECT_EQ(i.netdev_receive(u, packet.data(), &octets, &heard_at), 0);
        if (octets == 0) {
            return std::nullopt;
        }
        const std::span all(packet.data(), octets);
        const auto ip = wire::parse_ipv4(all, octets, wire::checksum_check::verify);
        if (!ip) {
            ADD_FAILURE() << "no IPv4 packet";
            return std::nullopt;
        }
        const auto l4 = all.subspan(ip->header_length);
        auto sum = wire::tcp_pseudo_header(own, peer, static_cast<std::uint32_t>(l4.size()));
        sum.add(l4);
        EXPECT_EQ(sum.value(), 0);
        const auto segment = wire::parse_tcp(l4, static_cast<std::uint32_t>(l4.size()));
        EXPECT_TRUE(segment);
        return segment ? std::optional(*segment) : std::nullopt;
    }

    int listening() {
        const int fd = i.socket(u, AF_INET, SOCK_STREAM, IPPROTO_TCP);
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_port = htons(own_port);
        a.sin_addr.s_addr = htonl(own.bits);
        EXPECT_EQ(i.bind(u, fd, reinterpret_cast<const sockaddr*>(&a), sizeof a), 0);
        EXPECT_EQ(i.listen(u, fd, 1), 0);
        return fd;
    }

    // Of a connection that the peer opens with sequence number 1000; our own is `iss`.
    int accepted() {
        listener = listening();
        say(tcp_flags::syn, 1000, 0);
        const auto syn_ack = hear();
        EXPECT_TRUE(syn_ack && syn_ack->has(tcp_flags::syn | tcp_flags::ack));
        iss = syn_ack->seq.raw;
        say(tcp_flags::ack, 1001, iss + 1);
        return i.accept(u, listener, nullptr, nullptr);
    }

    void* library = nullptr;
    packetdrill_interface i{};
    void* u = nullptr;
    long long heard_at = 0;
    int listener = -1;
    std::uint32_t iss = 0;
};

// As packetdrill itself finds out whether a blocking call has come to its wait.
bool asleep(pid_t thread) {
    std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string line;
    std::getline(stat, line);
    const std::size_t name_end = line.rfind(") ");
    return name_end != std::string::npos && line[name_end + 2] == 'S';
}

TEST_F(object, fills_every_member) {
    constexpr std::size_t pointers = sizeof i / sizeof(void*);
    static_assert(pointers == 33);  // userdata and 32 functions
    std::array<void*, pointers> all{};
    std::memcpy(all.data(), &i, sizeof i);
    EXPECT_EQ(std::count(all.begin(), all.end(), nullptr), 0);
}

TEST_F(object, clock_creeps_and_sleeping_takes_no_time) {
    const long long first = now_us();
    const long long second = now_us();
    EXPECT_GT(second, first);
    i.usleep(u, 900000000);  // a quarter of an hour
    EXPECT_NEAR(static_cast<double>(now_us() - second), 900e6, 100);
}

TEST_F(object, waiting_for_a_packet_that_does_not_come_ends_after_150_s) {
    const long long before = now_us();
    EXPECT_FALSE(hear());
    EXPECT_NEAR(static_cast<double>(now_us() - before), 150e6, 2000);
}

// R42, R43, R46
TEST_F(object, time_wait_of_60_s_passes_on_its_clock) {
    const int fd = accepted();
    ASSERT_GE(fd, 0);
    EXPECT_EQ(i.write(u, fd, "hello", 5), 5);
    auto heard = hear();
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->payload_length, 5u);
    say(tcp_flags::ack, 1001, iss + 6);
    EXPECT_EQ(i.close(u, fd), 0);
    heard = hear();
    ASSERT_TRUE(heard);
    EXPECT_TRUE(heard->has(tcp_flags::fin));
    say(tcp_flags::fin | tcp_flags::ack, 1001, iss + 7);
    ASSERT_TRUE(hear());  // the ACK of the FIN
    i.usleep(u, 59000000);
    say(tcp_flags::fin | tcp_flags::ack, 1001, iss + 7);
    heard = hear();
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->flags, tcp_flags::ack);
    i.usleep(u, 61000000);
    say(tcp_flags::fin | tcp_flags::ack, 1001, iss + 7);
    heard = hear();
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->flags, tcp_flags::rst);
}

// R24
TEST_F(object, receive_lets_time_pass_up_to_the_next_packet) {
    const int fd = accepted();
    i.close(u, fd);
    ASSERT_TRUE(hear());
    const long long first = heard_at;
    const auto again = hear();
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->has(tcp_flags::fin));
    EXPECT_NEAR(static_cast<double>(heard_at - first), 200e3, 5000);
}

TEST_F(object, a_blocking_call_on_another_thread_sleeps_and_returns_at_its_moment) {
    listener = listening();
    int fd = -1;
    long long returned_at = 0;
    std::atomic<pid_t> calling = 0;
    std::thread second([&] {
        calling = gettid();
        fd = i.accept(u, listener, nullptr, nullptr);
        returned_at = now_us();
    });
    while (calling == 0 || !asleep(calling)) {
        ::usleep(1000);
    }
    say(tcp_flags::syn, 1000, 0);
    const auto syn_ack = hear();
    ASSERT_TRUE(syn_ack);
    i.usleep(u, 100000);
    const long long answered_at = now_us();
    say(tcp_flags::ack, 1001, syn_ack->seq.raw + 1);
    i.usleep(u, 1000000);
    second.join();
    EXPECT_GE(fd, 0);
    EXPECT_NEAR(static_cast<double>(returned_at - answered_at), 0, 100);
}

TEST_F(object, descriptors_are_real_and_getsockopt_knows_them) {
    const int fd = accepted();
    const auto ask = reinterpret_cast<decltype(&::getsockopt)>(dlsym(library, "getsockopt"));
    ASSERT_NE(ask, nullptr);
    std::array<unsigned char, 512> info{};
    socklen_t length = info.size();
    EXPECT_EQ(ask(fd, IPPROTO_TCP, TCP_INFO, info.data(), &length), 0);
    EXPECT_EQ(info[0], TCP_ESTABLISHED);
    EXPECT_EQ(length, info.size());
    int type = 0;
    length = sizeof type;
    const int other = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    EXPECT_EQ(ask(other, SOL_SOCKET, SO_TYPE, &type, &length), 0);
    EXPECT_EQ(type, SOCK_DGRAM);
    ::close(other);
    EXPECT_EQ(::close(fd), 0);
}

}  // namespace
}  // namespace lastack::packetdrill
