// SPDX-License-Identifier: BSD-3-Clause
#include "support/peer.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmp.hpp"

namespace lastack::test {
namespace {

namespace flags = wire::tcp_flags;

std::span<const std::uint8_t> octets_of(std::string_view s) {
    return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

std::uint8_t flags_from(std::string_view letters) {
    std::uint8_t f = 0;
    for (const char c : letters) {
        switch (c) {
            case 'S':
                f |= flags::syn;
                break;
            case 'F':
                f |= flags::fin;
                break;
            case 'R':
                f |= flags::rst;
                break;
            case 'P':
                f |= flags::psh;
                break;
            case '.':
                f |= flags::ack;
                break;
            default:
                std::abort();
        }
    }
    return f;
}

std::string letters_of(const wire::tcp_segment& s) {
    std::string letters;
    const std::pair<std::uint8_t, char> all[] = {{flags::syn, 'S'},
                                                 {flags::fin, 'F'},
                                                 {flags::rst, 'R'},
                                                 {flags::psh, 'P'},
                                                 {flags::ack, '.'}};
    for (const auto& [bit, letter] : all) {
        if (s.has(bit)) {
            letters += letter;
        }
    }
    return letters;
}

}  // namespace

std::vector<std::uint8_t> ip_frame(const wire::ipv4_header& ip,
                                   std::span<const std::uint8_t> payload, const mac_address& to,
                                   const mac_address& from) {
    std::vector<std::uint8_t> frame(wire::ethernet_header_bytes + wire::ipv4_header_bytes);
    wire::write_ethernet(frame.data(), {to, from, wire::ethertype::ipv4});
    wire::ipv4_header header = ip;
    header.total_length = static_cast<std::uint16_t>(wire::ipv4_header_bytes + payload.size());
    wire::write_ipv4(frame.data() + wire::ethernet_header_bytes, header);
    frame.insert(frame.end(), payload.begin(), payload.end());
    return frame;
}

// --- remote --------------------------------------------------------------------------------------

remote::remote(scenario& s, std::uint16_t own_port, std::uint16_t to_port, const peer_options& o)
    : iss(0x10000000u + own_port * 0x10000u),
      options(o),
      port(own_port),
      stack_port(to_port),
      scenario_(s) {}

std::vector<std::uint8_t> remote::packet(const seg& say) {
    wire::tcp_segment t;
    t.source_port = port;
    t.destination_port = stack_port;
    t.flags = flags_from(say.flags);
    t.seq = {iss + static_cast<std::uint32_t>(say.seq_.value_or(next_seq))};
    if (t.has(flags::ack)) {
        t.ack = {irs + static_cast<std::uint32_t>(say.ack_.value_or(next_ack))};
    }
    t.window = say.window_.value_or(options.window);
    const bool syn = t.has(flags::syn);
    if (syn) {
        t.options.mss = options.mss;
        t.options.sack_permitted = options.sack;
        t.options.has_wscale = options.wscale >= 0;
        t.options.wscale = static_cast<std::uint8_t>(std::max(options.wscale, 0));
    }
    if (say.ts_ || (options.timestamps && !say.no_ts_ && !t.has(flags::rst))) {
        t.options.has_timestamps = true;
        const auto ms = static_cast<std::uint32_t>(scenario_.now().us / 1000) + ts_clock;
        t.options.tsval = say.ts_ ? say.ts_->first : ms;
        t.options.tsecr = say.ts_ && say.ts_->second != 0 ? say.ts_->second : ts_recent;
    }
    for (const auto& [left, right] : say.sack_) {
        t.options.sack[t.options.sack_count++] = {{irs + static_cast<std::uint32_t>(left)},
                                                  {irs + static_cast<std::uint32_t>(right)}};
    }
    t.payload_length = static_cast<std::uint32_t>(say.text_.size());
    std::string cookie;
    if (say.fast_open_) {
        cookie = "\x22" + std::string(1, static_cast<char>(say.fast_open_->size() + 2)) +
                 *say.fast_open_;
        cookie.resize((cookie.size() + 3) / 4 * 4, '\x01');
        t.options.more_words = static_cast<std::uint8_t>(cookie.size() / 4);
    }
    std::vector<std::uint8_t> segment(wire::tcp_header_length(t.options));
    wire::write_tcp(segment.data(), t);
    segment.insert(segment.end(), cookie.begin(), cookie.end());
    segment.insert(segment.end(), say.text_.begin(), say.text_.end());
    auto sum = wire::tcp_pseudo_header(peer_address, stack_address,
                                       static_cast<std::uint32_t>(segment.size()));
    sum.add(segment);
    store_be16(segment.data() + wire::tcp_checksum_offset, sum.value());
    wire::ipv4_header ip;
    ip.source = peer_address;
    ip.destination = stack_address;
    ip.ttl = 64;
    ip.protocol = wire::protocol_tcp;
    ip.dont_fragment = true;
    if (!say.seq_) {
        next_seq += t.length();
    }
    return ip_frame(ip, segment);
}

void remote::send(const seg& say) {
    scenario_.inject(packet(say));
}

void remote::hear(heard_segment h) {
    const wire::tcp_segment& t = h.tcp;
    if (t.has(flags::syn) && (!irs_known_ || t.seq.raw != irs)) {
        irs = t.seq.raw;
        irs_known_ = true;
        next_ack = 0;
    }
    if (!t.has(flags::rst) && t.seq.raw == irs + next_ack) {
        next_ack += t.length();
    } else if (!t.has(flags::rst) && t.length() > 0 && t.seq < seq32{irs + next_ack} &&
               t.seq + t.length() > seq32{irs + next_ack}) {
        next_ack = (t.seq + t.length()).raw - irs;
    }
    if (t.options.has_timestamps) {
        ts_recent = t.options.tsval;
    }
    last_ = h;
    heard_.push_back(std::move(h));
}

namespace {

std::optional<std::string> fast_open_in(std::span<const std::uint8_t> options) {
    for (std::size_t at = 0; at < options.size(); at += options[at] == 1 ? 1 : options[at + 1]) {
        if (options[at] == 34) {
            const auto value = options.subspan(at + 2, options[at + 1] - 2u);
            return std::string(value.begin(), value.end());
        }
    }
    return std::nullopt;
}

}  // namespace

std::string remote::describe(const heard_segment& h) const {
    const auto signed_text = [](std::uint32_t n) {
        return std::to_string(static_cast<std::int32_t>(n));
    };
    const wire::tcp_segment& t = h.tcp;
    const std::uint32_t from = t.seq.raw - irs;
    std::string s = letters_of(t) + " " + signed_text(from) + ":" + signed_text(from + t.length()) +
                    "(" + std::to_string(t.payload_length) + ")";
    if (t.has(flags::ack)) {
        s += " ack " + signed_text(t.ack.raw - iss);
    }
    for (std::uint8_t i = 0; i < t.options.sack_count; ++i) {
        s += " sack " + signed_text(t.options.sack[i].left.raw - iss) + ":" +
             signed_text(t.options.sack[i].right.raw - iss);
    }
    if (h.fast_open) {
        s += " FO" + (h.fast_open->empty() ? "" : " " + *h.fast_open);
    }
    return s;
}

std::string remote::heard() {
    std::string all;
    for (const heard_segment& h : heard_segments()) {
        all += (all.empty() ? "" : "; ") + describe(h);
    }
    return all;
}

std::vector<heard_segment> remote::heard_segments() {
    std::vector<heard_segment> all(heard_.begin(), heard_.end());
    heard_.clear();
    return all;
}

// --- scenario ------------------------------------------------------------------------------------

config::settings scenario_options::small_settings() {
    config::settings s;
    s.connections = 64;
    s.listeners = 4;
    s.syn_records = 64;
    s.time_wait_records = 1024;
    return s;
}

stack::link scenario_options::plain_link() {
    stack::link l;
    l.mac = stack_mac;
    l.multi_segment_tx = true;
    return l;
}

scenario::scenario(const scenario_options& o) : options(o), pools_(o.pools), now_(o.start) {
    stack::core_config c;
    c.caps = options.caps;
    c.port = o.link;
    c.addresses = {{stack_address, 24}};
    if (o.second_address) {
        c.addresses.push_back({stack_address_2, 24});
    }
    if (o.use_gateway) {
        c.gateway = gateway_address;
    }
    c.settings = o.settings;
    c.memory = pools_.get();
    c.pages = page_size::normal;
    c.secret = o.secret;
    c.owners = o.owners;
    c.worker = o.worker;
    auto made = stack::core::make(c, now_);
    if (!made) {
        std::fprintf(stderr, "no core: %s\n", made.error().c_str());
        std::exit(2);
    }
    core_ = std::move(*made);
    core_->set_transmit({&scenario::transmit, this});
    turn();
    arps_.clear();  // the announcement
    auto listening = calls().listen({stack_address, listen_port}, o.listening);
    if (!listening) {
        complain("cannot listen");
        return;
    }
    listener_ = *listening;
    if (o.introduce) {
        inject_arp(
            {wire::arp_operation::request, peer_mac, peer_address, mac_address{}, stack_address});
        arps_.clear();
    }
}

scenario::~scenario() {
    on_event = nullptr;
}

std::uint64_t scenario::in_state(teardown::state s) const {
    return core_->states().by_state[static_cast<std::size_t>(s)];
}
std::uint64_t scenario::ended(close_outcome o) const {
    return core_->outcomes()[static_cast<std::size_t>(o)];
}
teardown::state scenario::state_of(conn_id id) const {
    const tcp::tcb* c = core_->tcp().connection(id);
    return c == nullptr ? teardown::state::closed : c->st;
}

std::uint16_t scenario::transmit(void* context, rte_mbuf** frames, std::uint16_t n) {
    auto& self = *static_cast<scenario*>(context);
    std::uint16_t taken = 0;
    for (; taken < n && self.port_room_ > 0; ++taken, --self.port_room_) {
        rte_mbuf_sanity_check(frames[taken], 1);
        if (frames[taken]->pkt_len != frame_bytes(frames[taken]).size()) {
            self.complain("pkt_len is not the sum of its segments");
        }
        self.hear(self.as_sent(*frames[taken]));
        rte_pktmbuf_free(frames[taken]);
    }
    return taken;
}

// The frame as a port would send it, which completes the TCP checksum where it is asked to.
std::string scenario::as_sent(const rte_mbuf& m) {
    std::string frame = frame_bytes(&m);
    if ((m.ol_flags & RTE_MBUF_F_TX_L4_MASK) != RTE_MBUF_F_TX_TCP_CKSUM) {
        return frame;
    }
    constexpr std::size_t ip_at = wire::ethernet_header_bytes;
    const auto* const ip = reinterpret_cast<const std::uint8_t*>(frame.data()) + ip_at;
    const std::size_t tcp_at = ip_at + (std::size_t{ip[0]} & 15) * 4;
    auto* const at = reinterpret_cast<std::uint8_t*>(frame.data()) + tcp_at;
    const std::size_t l2 = m.l2_len;
    const std::size_t l3 = m.l3_len;
    const std::size_t l4 = m.l4_len;
    if (!options.link.checksum_tx || (m.ol_flags & RTE_MBUF_F_TX_IPV4) == 0 || l2 != ip_at ||
        l2 + l3 != tcp_at || m.data_len < tcp_at + l4 || l4 != std::size_t{at[12]} >> 4 << 2) {
        complain("a port could not complete the checksum that it was asked to");
        return frame;
    }
    store_be16(at + wire::tcp_checksum_offset, wire::checksum_of(octets_of(frame).subspan(tcp_at)));
    return frame;
}

void scenario::hear(const std::string& frame) {
    const auto bytes = octets_of(frame);
    const auto ethernet = wire::parse_ethernet(bytes);
    if (!ethernet) {
        complain("a frame without an Ethernet header was sent");
        return;
    }
    const auto body = bytes.subspan(wire::ethernet_header_bytes);
    if (ethernet->type == wire::ethertype::arp) {
        if (const auto arp = wire::parse_arp(body)) {
            arps_.push_back(*arp);
            if (options.answer_arp && arp->operation == wire::arp_operation::request &&
                arp->target != stack_address) {
                arps_to_answer_.push_back(*arp);
            }
        }
        return;
    }
    const auto ip = wire::parse_ipv4(body, body.size(), wire::checksum_check::verify);
    if (!ip) {
        complain("a malformed IPv4 packet was sent");
        return;
    }
    const auto l4 = body.subspan(ip->header_length, ip->payload_length());
    if (ip->protocol != wire::protocol_tcp) {
        others_.push_back(frame);
        return;
    }
    auto sum =
        wire::tcp_pseudo_header(ip->source, ip->destination, static_cast<std::uint32_t>(l4.size()));
    sum.add(l4);
    if (sum.value() != 0) {
        complain("a wrong TCP checksum was sent");
    }
    const auto tcp = wire::parse_tcp(l4, static_cast<std::uint32_t>(l4.size()));
    if (!tcp) {
        complain("a malformed TCP header was sent");
        return;
    }
    const auto found =
        std::find_if(remotes_.rbegin(), remotes_.rend(), [&](const std::unique_ptr<remote>& r) {
            return r->port == tcp->destination_port &&
                   (r->stack_port == tcp->source_port || r->stack_port == 0) &&
                   ip->destination == peer_address;
        });
    if (found == remotes_.rend()) {
        others_.push_back(frame);
        return;
    }
    (*found)->stack_port = tcp->source_port;
    heard_segment h{now_, *ip, *tcp, std::string(frame.end() - tcp->payload_length, frame.end()),
                    fast_open_in(l4.first(tcp->header_length).subspan(wire::tcp_header_bytes))};
    (*found)->hear(std::move(h));
}

void scenario::take_events() {
    for (auto batch = core_->take_events(); !batch.empty(); batch = core_->take_events()) {
        for (const event& e : batch) {
            std::string& said = events_[{e.conn.index, e.conn.generation}];
            const auto say = [&said](std::string_view word) {
                said += (said.empty() ? "" : " ") + std::string(word);
            };
            const std::pair<std::uint8_t, std::string_view> all[] = {
                {event_bits::opened, "opened"},
                {event_bits::readable, "readable"},
                {event_bits::writable, "writable"},
                {event_bits::peer_closed, "peer_closed"}};
            for (const auto& [bit, word] : all) {
                if ((e.what & bit) != 0) {
                    say(word);
                }
            }
            if ((e.what & event_bits::ended) != 0) {
                say("ended:" + std::string(name(e.outcome)));
            }
            if ((e.what & event_bits::opened) != 0) {
                if (const auto far = calls().remote_endpoint(e.conn)) {
                    for (auto& r : remotes_) {
                        if (r->port == far->port) {
                            r->id = e.conn;
                        }
                    }
                }
            }
            if (on_event) {
                on_event(e);
            }
        }
    }
}

void scenario::one_turn(std::span<rte_mbuf* const> frames) {
    core_->input(frames, now_);
    bool more = core_->run_timers(now_);
    take_events();
    port_room_ = port_takes;
    more = core_->output(now_) || more;
    for (int turns = 0; more && port_takes > 0 && turns < 10000; ++turns) {
        more = core_->run_timers(now_);
        take_events();
        port_room_ = port_takes;
        more = core_->output(now_) || more;
    }
}

void scenario::turn() {
    one_turn({});
    for (int rounds = 0; !arps_to_answer_.empty() && rounds < 8; ++rounds) {
        for (const wire::arp_packet& asked : std::exchange(arps_to_answer_, {})) {
            inject_arp({wire::arp_operation::reply, peer_mac, asked.target, asked.sender_mac,
                        asked.sender});
        }
    }
}

void scenario::inject(rte_mbuf* frame) {
    one_turn({&frame, 1});
    if (!arps_to_answer_.empty()) {
        turn();
    }
}

void scenario::inject(std::span<const std::uint8_t> frame) {
    rte_mbuf* const m = make_frame(pools_.get().data, frame);
    if (m == nullptr) {
        return;  // a NIC without mbufs loses the frame, too
    }
    inject(m);
}

void scenario::inject_arp(const wire::arp_packet& packet) {
    std::vector<std::uint8_t> frame(wire::ethernet_header_bytes + wire::arp_bytes);
    wire::write_ethernet(
        frame.data(),
        {packet.operation == wire::arp_operation::request ? wire::mac_broadcast : stack_mac,
         packet.sender_mac, wire::ethertype::arp});
    wire::write_arp(frame.data() + wire::ethernet_header_bytes, packet);
    inject(frame);
}

void scenario::inject_icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest,
                           std::span<const std::uint8_t> body, ipv4_address from) {
    std::vector<std::uint8_t> message(wire::icmp_header_bytes);
    wire::write_icmp(message.data(), {type, code, rest});
    message.insert(message.end(), body.begin(), body.end());
    store_be16(message.data() + wire::icmp_checksum_offset, wire::checksum_of(message));
    wire::ipv4_header ip;
    ip.source = from;
    ip.destination = stack_address;
    ip.ttl = 64;
    ip.protocol = wire::protocol_icmp;
    inject(ip_frame(ip, message));
}

void scenario::advance(duration d) {
    const instant end = now_ + d;
    int spins = 0;
    for (instant next = core_->next_deadline(); next <= end; next = core_->next_deadline()) {
        if (next > now_) {
            now_ = next;
            spins = 0;
        } else if (++spins > 1000) {
            complain("next_deadline() stands still");
            break;
        }
        turn();
    }
    now_ = end;
    turn();
}

// --- states --------------------------------------------------------------------------------------

remote& scenario::new_remote(const peer_options& o, std::uint16_t stack_port) {
    remotes_.push_back(std::make_unique<remote>(*this, next_port_++, stack_port, o));
    return *remotes_.back();
}

remote& scenario::make_syn_received(const peer_options& o) {
    remote& r = new_remote(o);
    r.send(seg("S"));
    r.heard();
    return r;
}

remote& scenario::make_established(const peer_options& o) {
    remote& r = make_syn_received(o);
    r.send(seg("."));
    if (r.heard() != "" || state_of(r.id) != teardown::state::established) {
        complain("the passive open did not reach ESTABLISHED");
    }
    events(r.id);
    return r;
}

remote& scenario::make_fin_wait_1(const peer_options& o) {
    remote& r = make_established(o);
    shutdown(r.id, shutdown_how::write);
    r.heard();
    return r;
}

remote& scenario::make_fin_wait_2(const peer_options& o) {
    remote& r = make_fin_wait_1(o);
    r.send(seg("."));
    r.heard();
    return r;
}

remote& scenario::make_orphan_fin_wait_2(const peer_options& o) {
    remote& r = make_established(o);
    close(r.id);
    r.send(seg("."));
    r.heard();
    return r;
}

remote& scenario::make_closing(const peer_options& o) {
    remote& r = make_fin_wait_1(o);
    r.send(seg("F.").ack(1));
    r.heard();
    events(r.id);
    return r;
}

remote& scenario::make_close_wait(const peer_options& o) {
    remote& r = make_established(o);
    r.send(seg("F."));
    r.heard();
    events(r.id);
    return r;
}

remote& scenario::make_last_ack(const peer_options& o) {
    remote& r = make_close_wait(o);
    close(r.id);
    r.heard();
    return r;
}

remote& scenario::make_time_wait(const peer_options& o) {
    remote& r = make_established(o);
    close(r.id);
    r.send(seg("F."));
    r.heard();
    events(r.id);
    return r;
}

remote& scenario::make_syn_sent(const peer_options& o, const connect_options& c) {
    remote& r = new_remote(o, 0);
    const auto id = calls().connect({peer_address, r.port}, c);
    if (!id) {
        complain("connect() was refused: " + std::string(name(id.error())));
        return r;
    }
    r.id = *id;
    turn();
    return r;
}

remote& scenario::make_connected(const peer_options& o) {
    remote& r = make_syn_sent(o);
    r.heard();
    r.send(seg("S."));
    r.heard();
    events(r.id);
    return r;
}

// --- calls ---------------------------------------------------------------------------------------

std::size_t scenario::send(conn_id id, std::string_view text) {
    const auto sent = calls().send(id, std::as_bytes(std::span{text.data(), text.size()}));
    turn();
    return sent ? *sent : 0;
}

std::string scenario::receive(conn_id id) {
    std::string all;
    for (;;) {
        std::array<std::byte, 4096> piece;
        const auto n = calls().receive(id, piece);
        if (!n || *n == 0) {
            break;
        }
        all.append(reinterpret_cast<const char*>(piece.data()), *n);
    }
    turn();
    return all;
}

void scenario::close(conn_id id, completion c) {
    if (!calls().close(id, c)) {
        complain("close() was refused");
    }
    turn();
}
void scenario::abort(conn_id id, completion c) {
    if (!calls().abort(id, c)) {
        complain("abort() was refused");
    }
    turn();
}
void scenario::shutdown(conn_id id, shutdown_how how) {
    if (!calls().shutdown(id, how)) {
        complain("shutdown() was refused");
    }
    turn();
}

std::string scenario::events(conn_id id) {
    return std::exchange(events_[{id.index, id.generation}], {});
}
std::vector<wire::arp_packet> scenario::heard_arp() {
    return std::exchange(arps_, {});
}
std::vector<std::string> scenario::heard_other() {
    return std::exchange(others_, {});
}

std::string scenario::finish() {
    const auto& e = core_->tcp();
    const auto& by_state = e.connections_by_state();
    const auto in_states = std::accumulate(by_state.begin(), by_state.end(), std::uint64_t{0});
    if (in_states != e.connections()) {
        complain("connections by state add up to " + std::to_string(in_states) + " of " +
                 std::to_string(e.connections()));
    }
    std::uint64_t port_owners = 0;
    for (std::uint32_t port = 0; port < 65536; ++port) {
        port_owners += e.port_owners().count({}, static_cast<std::uint16_t>(port));
    }
    if (port_owners != e.connections() + e.time_wait().size()) {
        complain("local ports have " + std::to_string(port_owners) + " owners, not " +
                 std::to_string(e.connections() + e.time_wait().size()));
    }
    core_.reset();
    if (const std::string lost = pools_.leaks(); !lost.empty()) {
        complain(lost);
    }
    return problems_;
}

}  // namespace lastack::test
