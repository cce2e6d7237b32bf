// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer over a whole stack: the input is a sequence of frames, calls and waits.
//
// Random octets would not get past a checksum. So most frames are built: right checksums, and
// sequence and acknowledgement numbers near those that the stack said last, with flags, lengths and
// options as the input has it; some are then spoilt, some are raw. What must hold: no assertion and
// no sanitizer speaks; every frame the stack sends is well-formed; its sockets are the handles that
// are held; and in the end, reset or simply left alone by its peer, every connection is gone and
// every mbuf back. The clock is virtual; EAL and the pools are made once.
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/byte_order.hpp"
#include "ip/arp.hpp"
#include "stack/core.hpp"
#include "support/environment.hpp"
#include "wire/arp.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmp.hpp"
#include "wire/ipv4.hpp"
#include "wire/tcp.hpp"

namespace {

using namespace lastack;
using bytes = std::vector<std::uint8_t>;

constexpr ipv4_address stack_address{0x0a000002};
constexpr ipv4_address peer_address{0x0a000001};
constexpr mac_address stack_mac{{2, 0, 0, 0, 0, 2}};
constexpr mac_address peer_mac{{2, 0, 0, 0, 0, 1}};
constexpr std::size_t ip_at = wire::ethernet_header_bytes;
constexpr std::size_t tcp_at = ip_at + wire::ipv4_header_bytes;
constexpr std::uint16_t mtu = 1500;
constexpr std::size_t flows_max = 4;

#define REQUIRE(condition) require(condition, #condition, __LINE__)
void require(bool holds, const char* what, int line) {
    if (!holds) {
        std::fprintf(stderr, "fuzz_stack.cpp:%d: %s\n", line, what);
        std::abort();
    }
}

// The input; past its end it is zeros.
class reader {
  public:
    explicit reader(std::span<const std::uint8_t> in) : in_(in) {}
    bool empty() const { return in_.empty(); }
    std::uint8_t u8() {
        const std::uint8_t v = in_.empty() ? 0 : in_[0];
        in_ = in_.subspan(std::min<std::size_t>(in_.size(), 1));
        return v;
    }
    std::uint16_t u16() { return static_cast<std::uint16_t>(u8() | u8() << 8); }
    bytes take(std::size_t n) {
        n = std::min(n, in_.size());
        bytes out(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(n));
        in_ = in_.subspan(n);
        return out;
    }

  private:
    std::span<const std::uint8_t> in_;
};

// What the stack said last of one connection, from the peer's side.
struct flow {
    std::uint16_t peer_port = 0;
    std::uint16_t stack_port = 0;
    seq32 expects;   // its ACK: where our text goes on
    seq32 sent_end;  // end of what it has sent
    bool timestamps = false;
    std::uint32_t tsval = 0;
    std::uint32_t tsecr = 0;
};

struct handle {
    conn_id id;
    bool closed = false;
    bool ended = false;  // was told
};

test::test_pools& pools() {
    static test::test_pools p{{.data = 96, .control = 24, .indirect = 32}};
    return p;
}

config::settings settings_of(std::uint8_t choice) {
    config::settings s;
    s.connections = 8;
    s.listeners = 2;
    s.syn_records = 4;
    s.time_wait_records = 8;
    s.tcp_max_tw_buckets = 8;
    s.tcp_max_orphans = 4;
    s.somaxconn = 4;
    s.tcp_max_syn_backlog = 4;
    s.tcp_rmem = {4096, 16384, 65536};
    s.tcp_wmem = {4096, 16384, 65536};
    s.ip_local_port_range = {40000, 40003};
    s.tcp_sack = (choice & 1) == 0;
    s.tcp_timestamps = (choice & 2) == 0 ? 1 : 0;
    s.tcp_window_scaling = (choice & 4) == 0;
    s.tcp_rfc1337 = (choice & 8) == 0;
    s.time_wait_cap_policy =
        (choice & 16) == 0 ? config::cap_policy::refuse : config::cap_policy::evict_oldest;
    s.ts_missing =
        (choice & 32) == 0 ? config::ts_missing_policy::accept : config::ts_missing_policy::drop;
    s.tcp_abort_on_overflow = (choice & 64) != 0;
    return s;
}

class play {
  public:
    explicit play(reader in);
    void run();

  private:
    void act();
    void turn();
    void advance();
    void call();
    void call_on(handle& h, std::uint8_t what);
    void end(handle& h, bool abort, completion wanted);
    void say_segment(bool spoil);
    void say_syn();
    void say_icmp();
    void say_arp();
    void say(const bytes& frame);
    bytes segment_frame(const wire::tcp_segment& s) const;
    bytes packet_frame(std::uint8_t protocol, std::span<const std::uint8_t> payload) const;
    std::uint32_t offset();
    void hear(const std::string& frame);
    void hear_tcp(std::span<const std::uint8_t> packet);
    flow& flow_of(std::uint16_t peer_port, std::uint16_t stack_port);
    void leave();

    reader in_;
    instant now_{std::int64_t{1000} * 1000000};
    std::unique_ptr<stack::core> core_;
    std::vector<rte_mbuf*> arriving_;
    std::vector<flow> flows_;
    std::vector<handle> handles_;
    std::vector<listener_id> listeners_;
    bytes last_packet_;
    bool answers_arp_ = true;
    bool port_full_ = false;
    bool resets_ = false;  // ends by reset_all(), else by time alone
};

play::play(reader in) : in_(in) {
    stack::core_config c;
    c.port.mac = stack_mac;
    c.port.mtu = mtu;
    const std::uint8_t mode = in_.u8();
    c.port.multi_segment_tx = (mode & 1) == 0;
    answers_arp_ = (mode & 2) == 0;
    resets_ = (mode & 4) != 0;
    c.addresses = {{stack_address, 24}};
    c.settings = settings_of(in_.u8());
    c.memory = pools().get();
    c.pages = page_size::normal;
    c.secret = {1, 2};
    auto made = stack::core::make(c, now_);
    REQUIRE(made.ok());
    core_ = std::move(*made);
    core_->set_transmit({[](void* self, rte_mbuf** frames, std::uint16_t n) {
                             auto* p = static_cast<play*>(self);
                             n = p->port_full_ ? std::min<std::uint16_t>(n, 1) : n;
                             for (std::uint16_t i = 0; i < n; ++i) {
                                 p->hear(test::frame_bytes(frames[i]));
                                 rte_pktmbuf_free(frames[i]);
                             }
                             return n;
                         },
                         this});
    for (const std::uint16_t port : {80, 81}) {
        listeners_.push_back(
            *core_->calls().listen({stack_address, port}, {.port = {.reuse_addr = true}}));
    }
    turn();
}

void play::run() {
    while (!in_.empty()) {
        act();
    }
    leave();
    core_.reset();
    const std::string leaks = pools().leaks();
    if (!leaks.empty()) {
        std::fprintf(stderr, "%s\n", leaks.c_str());
        std::abort();
    }
}

// The low bits choose; the top bit holds the turn back, so that frames arrive together.
void play::act() {
    const std::uint8_t what = in_.u8();
    switch (what & 0xf) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
            say_segment(false);
            break;
        case 5:
            say_segment(true);
            break;
        case 6:
            say(in_.take(in_.u8()));
            break;
        case 7:
            say_syn();
            break;
        case 8:
            say_icmp();
            break;
        case 9:
            say_arp();
            break;
        case 10:
            advance();
            break;
        case 11:
            port_full_ = !port_full_;
            break;
        default:
            call();
            break;
    }
    if ((what & 0x80) == 0 || arriving_.size() >= 16) {
        turn();
    }
}

void play::turn() {
    core_->input(arriving_, now_);
    arriving_.clear();
    core_->run_timers(now_);
    for (const event& e : core_->take_events()) {
        auto at = std::find_if(handles_.begin(), handles_.end(),
                               [&](const handle& h) { return h.id == e.conn; });
        if (at == handles_.end()) {
            REQUIRE((e.what & event_bits::opened) != 0);
            handles_.push_back({e.conn});
            at = handles_.end() - 1;
        }
        if ((e.what & event_bits::ended) != 0) {
            // R13: who lingers may be told before the connection has ended.
            REQUIRE(!at->ended && (e.outcome != close_outcome::none || at->closed));
            at->ended = true;
            if (at->closed) {
                handles_.erase(at);
            }
        } else {
            REQUIRE(!at->closed);
        }
    }
    core_->output(now_);
    const stack::state_counts counts = core_->states();
    REQUIRE(counts.sockets == handles_.size());
    REQUIRE(counts.orphans <= core_->tcp().connections());
}

void play::advance() {
    constexpr std::array<std::int64_t, 12> waits_ms{1,    5,    40,    200,   500,    1000,
                                                    3000, 7000, 30000, 61000, 130000, 950000};
    const std::uint8_t choice = in_.u8();
    if (choice % 16 < waits_ms.size()) {
        now_ = now_ + milliseconds{waits_ms[choice % 16]};
    } else {
        now_ = std::max(now_, std::min(core_->next_deadline(), now_ + seconds{4000}));
    }
}

// --- calls ---------------------------------------------------------------------------------------

void play::call() {
    const std::uint8_t what = in_.u8();
    local_stack calls = core_->calls();
    if ((what & 0xf) == 0 || handles_.empty()) {
        connect_options o;
        if ((what & 0x10) != 0) {
            o.local = endpoint{stack_address, 40000};
        }
        const auto made = calls.connect({peer_address, in_.u8()}, o);
        if (made) {
            handles_.push_back({*made});
        }
        return;
    }
    if ((what & 0xf) == 1) {
        listener_id& l = listeners_[what >> 7];
        if (!calls.close_listener(l)) {
            const port_options sharing{(what & 0x10) != 0, (what & 0x20) != 0};
            const auto made = calls.listen(
                {stack_address, static_cast<std::uint16_t>(80 + (what >> 7))}, {.port = sharing});
            REQUIRE(made.ok() || made.error() == call_error::address_in_use);
            l = made ? *made : l;
        }
        return;
    }
    call_on(handles_[(what >> 4) % handles_.size()], what & 0xf);
}

void play::call_on(handle& h, std::uint8_t what) {
    local_stack calls = core_->calls();
    const std::uint8_t value = in_.u8();
    std::array<std::byte, 4096> text{};
    const std::size_t n = std::size_t{value} * 16 + (value & 1);
    if (h.closed) {
        REQUIRE(!calls.unread(h.id));
    }
    switch (what) {
        case 2:
        case 3:
            static_cast<void>(calls.send(h.id, std::span{text}.first(n)));
            break;
        case 4: {
            buffer b = calls.allocate(n);
            static_cast<void>(calls.send(h.id, b));
            break;
        }
        case 5:
            static_cast<void>(calls.receive(h.id));
            break;
        case 6:
            static_cast<void>(calls.receive(h.id, std::span{text}.first(n)));
            break;
        case 7:
            static_cast<void>(calls.shutdown(h.id, static_cast<shutdown_how>(value % 3)));
            break;
        case 8:
        case 9:
            end(h, what == 9, (value & 1) != 0 ? completion::event : completion::none);
            break;
        case 10:
            static_cast<void>(calls.set_linger(h.id, {(value & 1) != 0, seconds{value >> 6}}));
            break;
        case 11:
            static_cast<void>(calls.set_no_delay(h.id, (value & 1) != 0));
            static_cast<void>(calls.set_cork(h.id, (value & 2) != 0));
            break;
        case 12:
            static_cast<void>(
                calls.set_keepalive(h.id, {(value & 1) != 0, seconds{value >> 5}, seconds{1}, 2}));
            break;
        case 13:
            static_cast<void>(calls.set_user_timeout(h.id, milliseconds{value * 16}));
            break;
        case 14:
            static_cast<void>(calls.set_linger2(h.id, value - 128));
            break;
        default:
            static_cast<void>(calls.set_user(h.id, value));
            break;
    }
}

void play::end(handle& h, bool abort, completion wanted) {
    local_stack calls = core_->calls();
    const auto done = abort ? calls.abort(h.id, wanted) : calls.close(h.id, wanted);
    REQUIRE(done.ok() == !h.closed);
    const bool dead_at_once = wanted == completion::none || h.ended;
    if (done && dead_at_once) {
        handles_.erase(handles_.begin() + (&h - handles_.data()));
    } else {
        h.closed = true;
    }
}

// --- frames to the stack -------------------------------------------------------------------------

void play::say(const bytes& frame) {
    if (frame.empty()) {
        return;
    }
    if (rte_mbuf* m = test::make_frame(pools().get().data, frame)) {
        arriving_.push_back(m);
    }
}

// Mostly none, or close by; seldom anything.
std::uint32_t play::offset() {
    constexpr std::array<std::int32_t, 12> near{0, 0, 0, 0, 0, 1, -1, 100, 1448, -100, -1448, 3000};
    const std::uint8_t choice = in_.u8();
    return choice % 16 < near.size() ? static_cast<std::uint32_t>(near[choice % 16])
                                     : static_cast<std::uint32_t>(in_.u16()) << (choice >> 4);
}

bytes play::packet_frame(std::uint8_t protocol, std::span<const std::uint8_t> payload) const {
    bytes frame(tcp_at + payload.size());
    wire::write_ethernet(frame.data(), {stack_mac, peer_mac, wire::ethertype::ipv4});
    wire::ipv4_header ip;
    ip.source = peer_address;
    ip.destination = stack_address;
    ip.total_length = static_cast<std::uint16_t>(frame.size() - ip_at);
    ip.ttl = 64;
    ip.protocol = protocol;
    wire::write_ipv4(frame.data() + ip_at, ip);
    std::copy(payload.begin(), payload.end(), frame.begin() + tcp_at);
    return frame;
}

bytes play::segment_frame(const wire::tcp_segment& s) const {
    bytes segment(wire::tcp_header_length(s.options) + s.payload_length, 'x');
    wire::write_tcp(segment.data(), s);
    auto sum = wire::tcp_pseudo_header(peer_address, stack_address,
                                       static_cast<std::uint32_t>(segment.size()));
    sum.add(segment);
    store_be16(segment.data() + wire::tcp_checksum_offset, sum.value());
    return packet_frame(wire::protocol_tcp, segment);
}

void play::say_segment(bool spoil) {
    if (flows_.empty()) {
        say_syn();
        return;
    }
    const std::uint8_t shape = in_.u8();
    flow& f = flows_[shape % flows_.size()];
    wire::tcp_segment s;
    s.source_port = f.peer_port;
    s.destination_port = f.stack_port;
    s.flags = in_.u8() & 0x3f;
    s.seq = f.expects + offset();
    s.ack = f.sent_end + offset();
    s.window = (shape & 0x10) != 0 ? in_.u16() : 8192;
    s.payload_length = (shape & 0x20) != 0 ? in_.u16() % 1449u : 0;
    if (f.timestamps != ((shape & 0x40) != 0)) {
        s.options.has_timestamps = true;
        s.options.tsval = f.tsval + static_cast<std::uint32_t>(now_.us / 1000);
        s.options.tsecr = f.tsecr;
    }
    if ((shape & 0x80) != 0) {
        s.options.sack_count = in_.u8() % 4;
        for (std::uint8_t i = 0; i < s.options.sack_count; ++i) {
            const seq32 left = f.sent_end - in_.u16();
            s.options.sack[i] = {left, left + in_.u16()};
        }
    }
    if (s.has(wire::tcp_flags::syn)) {
        s.options.mss = in_.u16();
        s.options.has_wscale = true;
        s.options.wscale = in_.u8() % 15;
        s.options.sack_permitted = true;
    }
    bytes frame = segment_frame(s);
    for (std::uint8_t n = spoil ? in_.u8() % 4 + 1 : 0; n > 0; --n) {
        frame[in_.u16() % frame.size()] ^= in_.u8();
    }
    say(frame);
}

void play::say_syn() {
    const std::uint8_t shape = in_.u8();
    flow& f = flow_of(static_cast<std::uint16_t>(1000 + shape % 4),
                      static_cast<std::uint16_t>(80 + (shape >> 2) % 3));
    wire::tcp_segment s;
    s.source_port = f.peer_port;
    s.destination_port = f.stack_port;
    s.flags = wire::tcp_flags::syn;
    s.seq = f.expects + offset();
    s.window = 65535;
    s.options.mss = 1460;
    s.options.has_wscale = (shape & 0x10) != 0;
    s.options.wscale = 3;
    s.options.sack_permitted = (shape & 0x20) != 0;
    s.options.has_timestamps = (shape & 0x40) != 0;
    s.options.tsval = f.tsval + static_cast<std::uint32_t>(now_.us / 1000);
    f.expects = s.seq + 1;
    say(segment_frame(s));
}

// Quotes what the stack sent last.
void play::say_icmp() {
    const std::uint8_t shape = in_.u8();
    wire::icmp_header h;
    h.type = (shape & 1) != 0 ? wire::icmp_type::unreachable : in_.u8();
    h.code = in_.u8() % 16;
    h.rest = in_.u16();
    bytes message(wire::icmp_header_bytes);
    wire::write_icmp(message.data(), h);
    const std::size_t quoted = std::min<std::size_t>(last_packet_.size(), 28u + (shape >> 2));
    message.insert(message.end(), last_packet_.begin(),
                   last_packet_.begin() + static_cast<std::ptrdiff_t>(quoted));
    if ((shape & 2) != 0 && quoted > 0) {
        message[wire::icmp_header_bytes + in_.u8() % quoted] ^= in_.u8();
    }
    wire::checksum sum;
    sum.add(message);
    store_be16(message.data() + wire::icmp_checksum_offset, sum.value());
    say(packet_frame(1, message));
}

void play::say_arp() {
    const std::uint8_t shape = in_.u8();
    wire::arp_packet p;
    p.operation = (shape & 1) != 0 ? wire::arp_operation::request : wire::arp_operation::reply;
    p.sender_mac = peer_mac;
    p.sender = ipv4_address{peer_address.bits + (shape >> 4)};
    p.target_mac = stack_mac;
    p.target = stack_address;
    bytes frame(wire::ethernet_header_bytes + wire::arp_bytes);
    wire::write_ethernet(frame.data(), {stack_mac, peer_mac, wire::ethertype::arp});
    wire::write_arp(frame.data() + wire::ethernet_header_bytes, p);
    if ((shape & 2) != 0) {
        frame[in_.u8() % frame.size()] ^= in_.u8();
    }
    say(frame);
}

// --- frames from the stack -----------------------------------------------------------------------

flow& play::flow_of(std::uint16_t peer_port, std::uint16_t stack_port) {
    for (flow& f : flows_) {
        if (f.peer_port == peer_port && f.stack_port == stack_port) {
            return f;
        }
    }
    if (flows_.size() == flows_max) {
        flows_.erase(flows_.begin());
    }
    flow f;
    f.peer_port = peer_port;
    f.stack_port = stack_port;
    f.expects = {0xfffff000};
    flows_.push_back(f);
    return flows_.back();
}

void play::hear(const std::string& octets) {
    const std::span frame{reinterpret_cast<const std::uint8_t*>(octets.data()), octets.size()};
    const auto ethernet = wire::parse_ethernet(frame);
    REQUIRE(ethernet && ethernet->source == stack_mac);
    REQUIRE(frame.size() <= ip_at + mtu);
    const auto packet = frame.subspan(ip_at);
    if (ethernet->type == wire::ethertype::arp) {
        const auto arp = wire::parse_arp(packet);
        REQUIRE(arp.has_value());
        if (answers_arp_ && arp->operation == wire::arp_operation::request &&
            arp->target == peer_address) {
            bytes reply(wire::ethernet_header_bytes + wire::arp_bytes);
            ip::write_arp_frame(reply.data(), ip::arp_reply_to(*arp, peer_mac));
            say(reply);
        }
        return;
    }
    REQUIRE(ethernet->type == wire::ethertype::ipv4);
    const auto ip = wire::parse_ipv4(packet, packet.size(), wire::checksum_check::verify);
    REQUIRE(ip.ok() && ip->total_length == packet.size());
    if (ip->protocol == wire::protocol_tcp) {
        hear_tcp(packet);
    }
}

void play::hear_tcp(std::span<const std::uint8_t> packet) {
    last_packet_.assign(packet.begin(), packet.end());
    const auto segment = packet.subspan(wire::ipv4_header_bytes);
    const auto octets = static_cast<std::uint32_t>(segment.size());
    const ipv4_address to{load_be32(packet.data() + 16)};
    auto sum = wire::tcp_pseudo_header(stack_address, to, octets);
    sum.add(segment);
    REQUIRE(sum.value() == 0);
    const auto s = wire::parse_tcp(segment, octets);
    REQUIRE(s.ok());
    flow& f = flow_of(s->destination_port, s->source_port);
    f.sent_end = s->seq + s->length();
    if (s->has(wire::tcp_flags::ack) && !s->has(wire::tcp_flags::rst)) {
        f.expects = s->ack;
    }
    if (!s->has(wire::tcp_flags::rst)) {
        f.timestamps = s->options.has_timestamps;
        f.tsecr = s->options.tsval;
    }
}

// --- the end -------------------------------------------------------------------------------------

// The peer falls silent for good. Nothing but the clock, or reset_all(), brings everything to rest.
void play::leave() {
    port_full_ = false;
    answers_arp_ = true;
    turn();
    if (resets_) {
        core_->reset_all();
        turn();
    }
    while (std::any_of(handles_.begin(), handles_.end(), [](auto& h) { return !h.closed; })) {
        end(*std::find_if(handles_.begin(), handles_.end(), [](auto& h) { return !h.closed; }),
            false, completion::none);
    }
    const instant limit = now_ + seconds{20000};
    for (int i = 0; i < 4; ++i) {
        turn();
    }
    while (!core_->idle() || core_->tcp().time_wait().size() > 0) {
        REQUIRE(now_ < limit);
        now_ = std::max(now_ + microseconds{100}, core_->next_deadline());
        turn();
    }
    // What the last packet waits for, the neighbour's answer, is given up within seconds.
    for (int i = 0; i < 20; ++i) {
        now_ = now_ + seconds{1};
        turn();
    }
    const stack::state_counts counts = core_->states();
    REQUIRE(counts.sockets == 0 && counts.orphans == 0 && counts.mbufs_held == 0);
    REQUIRE(handles_.empty());
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    test::environment::start();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    play{reader{{data, size}}}.run();
    return 0;
}
