// SPDX-License-Identifier: BSD-3-Clause
#include "packetdrill/world.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "config/options.hpp"
#include "wire/ethernet.hpp"

namespace lastack::packetdrill {
namespace {

constexpr mac_address own_mac{{0x02, 0, 0, 0, 0, 1}};
constexpr mac_address peer_mac{{0x02, 0, 0, 0, 0, 2}};

// 64 MiB of EAL's memory, of which a data mbuf takes a page: enough for the largest windows that a
// script fills, and little enough to be locked.
constexpr unsigned memory_mib = 64;
constexpr test::pool_sizes mbufs{.data = 8192, .control = 1024, .indirect = 8192};

// The packet as a chain of mbufs; nullptr when the pool is empty.
rte_mbuf* chain_of(rte_mempool* pool, std::span<const std::uint8_t> bytes) {
    constexpr std::size_t room = 2048;
    rte_mbuf* const head = test::make_frame(pool, bytes.first(std::min(room, bytes.size())));
    for (std::size_t at = room; head != nullptr && at < bytes.size(); at += room) {
        rte_mbuf* const part =
            test::make_frame(pool, bytes.subspan(at, std::min(room, bytes.size() - at)));
        if (part == nullptr || rte_pktmbuf_chain(head, part) != 0) {
            rte_pktmbuf_free(part);
            rte_pktmbuf_free(head);
            return nullptr;
        }
    }
    return head;
}

}  // namespace

// --- being called --------------------------------------------------------------------------------

world::call::call(world& w) : world_(w), lock_(w.mutex_), scope_(*w.layer_) {
    world_.inside_ = &lock_;
    if (!world_.on_main_thread()) {
        ++world_.awake_;
    }
}

world::call::~call() {
    const int error = errno;
    world_.turn();
    if (!world_.on_main_thread()) {
        ++world_.returned_;
        world_.returned_at_ = world_.now_;
    }
    errno = error;
}

bool world::holds(int fd) {
    const std::lock_guard lock(mutex_);
    return fd >= 0 && fd < descriptors_max && descriptors_[static_cast<std::size_t>(fd)];
}

// A descriptor that a script leaves open is closed with libc's close(): it must be a real one.
int world::take_descriptor(void* self) {
    const int fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (fd >= descriptors_max) {
        ::close(fd);
        return -EMFILE;
    }
    static_cast<world*>(self)->descriptors_[static_cast<std::size_t>(fd)] = true;
    return fd;
}

void world::give_descriptor(void* self, int fd) {
    static_cast<world*>(self)->descriptors_[static_cast<std::size_t>(fd)] = false;
    ::close(fd);
}

// --- making --------------------------------------------------------------------------------------

result<std::unique_ptr<world>, std::string> world::make(const flags& f) {
    test::environment::start(memory_mib);
    std::unique_ptr<world> made(new world(f));
    if (std::string error = made->start(f); !error.empty()) {
        return failure{std::move(error)};
    }
    return made;
}

world::world(const flags& f) : local_(f.local.address), pools_(mbufs) {}

world::~world() {
    const std::lock_guard lock(mutex_);
    layer_.reset();
    core_.reset();
}

std::string world::start(const flags& f) {
    stack::core_config c;
    c.port.mac = own_mac;
    c.port.multi_segment_tx = true;
    c.addresses = {f.local};
    c.gateway = f.gateway;
    c.settings = f.settings;
    c.memory = pools_.get();
    c.pages = page_size::normal;
    c.secret = {0x6c617374, 0x61636b};
    auto made = stack::core::make(c, now_);
    if (!made) {
        return made.error();
    }
    core_ = std::move(*made);
    core_->set_transmit({&world::transmit, this});
    socket_layer_options o;
    o.descriptors = descriptors_max;
    o.hooks.context = this;
    o.hooks.wait = &world::wait;
    o.hooks.now_us = [](void* self) { return static_cast<world*>(self)->now_.us; };
    o.hooks.take_descriptor = &world::take_descriptor;
    o.hooks.give_descriptor = &world::give_descriptor;
    auto layer = socket_layer::make(core_->calls(), o);
    if (!layer) {
        return layer.error();
    }
    layer_ = std::move(*layer);
    turn();
    return {};
}

// --- the wire ------------------------------------------------------------------------------------

std::uint16_t world::transmit(void* self, rte_mbuf** frames, std::uint16_t n) {
    for (std::uint16_t i = 0; i < n; ++i) {
        static_cast<world*>(self)->hear(test::frame_bytes(frames[i]));
        rte_pktmbuf_free(frames[i]);
    }
    return n;
}

void world::hear(const std::string& frame) {
    const std::span bytes(reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size());
    const auto ethernet = wire::parse_ethernet(bytes);
    if (ethernet && ethernet->type == wire::ethertype::ipv4) {
        sent_.push_back({now_, frame.substr(wire::ethernet_header_bytes)});
    } else if (ethernet && ethernet->type == wire::ethertype::arp) {
        const auto arp = wire::parse_arp(bytes.subspan(wire::ethernet_header_bytes));
        if (arp && arp->operation == wire::arp_operation::request && arp->target != local_) {
            asked_.push_back(*arp);
        }
    }
}

void world::put_on_wire(std::span<const std::uint8_t> packet, std::uint16_t ethertype) {
    std::vector<std::uint8_t> frame(wire::ethernet_header_bytes);
    wire::write_ethernet(frame.data(), {own_mac, peer_mac, ethertype});
    frame.insert(frame.end(), packet.begin(), packet.end());
    if (rte_mbuf* const m = chain_of(pools_.get().data, frame)) {
        one_turn({&m, 1});
    }
}

void world::inject(std::span<const std::uint8_t> packet) {
    put_on_wire(packet, wire::ethertype::ipv4);
}

// --- turns and time ------------------------------------------------------------------------------

void world::one_turn(std::span<rte_mbuf* const> frames) {
    core_->input(frames, now_);
    for (bool more = true; more;) {
        more = core_->run_timers(now_);
        for (auto batch = core_->take_events(); !batch.empty(); batch = core_->take_events()) {
            layer_->take(batch);
        }
        more = core_->output(now_) || more;
    }
}

void world::turn() {
    one_turn({});
    while (!asked_.empty()) {
        for (const wire::arp_packet& asked : std::exchange(asked_, {})) {
            std::array<std::uint8_t, wire::arp_bytes> reply{};
            wire::write_arp(reply.data(), {wire::arp_operation::reply, peer_mac, asked.target,
                                           asked.sender_mac, asked.sender});
            put_on_wire(reply, wire::ethertype::arp);
        }
    }
    wake_others();
}

void world::wake_others() {
    if (asleep_ > 0) {
        awake_ += std::exchange(asleep_, 0u);
        wake_at_ = never;
        ++wakes_;
        woken_.notify_all();
    }
}

void world::let_others_settle() {
    // A second is long: whoever is still busy then has come to an end in a way not known here.
    settled_.wait_for(*inside_, std::chrono::seconds(1),
                      [this] { return awake_ == (on_main_thread() ? 0u : 1u); });
}

void world::step(instant limit) {
    let_others_settle();
    const instant next = std::min({core_->next_deadline(), wake_at_, limit});
    if (next > now_) {
        now_ = next;
        standstill_ = 0;
    } else if (++standstill_ > 100) {
        now_ = now_ + milliseconds(1);
    }
    turn();
}

std::optional<sent_packet> world::next_packet(duration limit) {
    const instant end = now_ + limit;
    while (sent_.empty() && now_ < end) {
        step(end);
    }
    if (sent_.empty()) {
        return std::nullopt;
    }
    sent_packet first = std::move(sent_.front());
    sent_.pop_front();
    return first;
}

void world::sleep(duration d) {
    const instant end = now_ + d;
    while (now_ < end) {
        step(end);
    }
}

instant world::clock() {
    const std::lock_guard lock(mutex_);
    if (!on_main_thread() && returned_ > 0) {
        --returned_;
        --awake_;
        settled_.notify_all();
        return returned_at_;
    }
    now_ = now_ + microseconds(1);
    return now_;
}

// --- waiting -------------------------------------------------------------------------------------

int world::wait(void* self, std::int64_t timeout_us) {
    auto& w = *static_cast<world*>(self);
    if (timeout_us == 0) {
        w.turn();
        return 0;
    }
    return w.on_main_thread() ? w.wait_on_main(timeout_us) : w.wait_asleep(timeout_us);
}

// The thread that owns the clock waits by letting time pass.
int world::wait_on_main(std::int64_t timeout_us) {
    if (timeout_us < 0 && std::min(core_->next_deadline(), wake_at_) == never) {
        return EDEADLK;  // nothing will ever happen
    }
    step(timeout_us < 0 ? never : now_ + microseconds(timeout_us));
    return 0;
}

int world::wait_asleep(std::int64_t timeout_us) {
    std::unique_lock<std::mutex>& mine = *inside_;
    if (timeout_us > 0) {
        wake_at_ = std::min(wake_at_, now_ + microseconds(timeout_us));
    }
    --awake_;
    ++asleep_;
    settled_.notify_all();
    woken_.wait(mine, [this, seen = wakes_] { return wakes_ != seen; });
    inside_ = &mine;
    return 0;
}

// --- what the shims ask --------------------------------------------------------------------------

std::string world::change_setting(std::string_view key, std::string_view value) {
    const std::lock_guard lock(mutex_);
    const auto changed = config::change_running(core_->settings(), key, value);
    if (!changed) {
        return changed.error();
    }
    core_->apply_settings(*changed);
    return {};
}

result<std::string, std::string> world::read_setting(std::string_view key) {
    const std::lock_guard lock(mutex_);
    const config::option* const o = config::find_option(key);
    if (o == nullptr) {
        return failure{config::unknown_key_message(key)};
    }
    return config::get(core_->settings(), *o);
}

std::string world::counter_lines() {
    const std::lock_guard lock(mutex_);
    std::string lines;
    for (const counter_row& row : counter_rows) {
        const std::uint64_t n = core_->counters().get(row.id);
        if (n > 0) {
            lines += std::string(row.name) + " " + std::to_string(n) + "\n";
        }
    }
    return lines;
}

}  // namespace lastack::packetdrill
