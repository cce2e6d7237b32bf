// SPDX-License-Identifier: BSD-3-Clause
#include "sim/application.hpp"

#include <algorithm>
#include <array>

namespace lastack::sim {
namespace {

using std::chrono::milliseconds;

constexpr std::array<std::uint16_t, 2> listen_ports{80, 81};
constexpr std::uint16_t closed_port = 82;
constexpr std::uint16_t simultaneous_port = 5000;
constexpr std::size_t chunk_max = 6000;

std::pair<std::uint32_t, std::uint32_t> key_of(conn_id id) {
    return {id.index, id.generation};
}

// Its time to end may come before the connection is open.
bool may_end_early(const party& p) {
    return p.todo.how == ending::abort_midway || p.todo.how == ending::close_at_once;
}

bool due(const std::optional<instant>& at, instant now) {
    return at && *at <= now;
}

}  // namespace

application::application(const application_options& options, ledger& book, std::uint64_t seed)
    : options_(options), book_(book), chance_(seed) {}

void application::say(const party& p, std::string_view what) const {
    if (trace_) {
        trace_(std::string(what) + ": " + describe(p));
    }
}

// --- opening -------------------------------------------------------------------------------------

void application::start(stack::core& core, instant now) {
    core_ = &core;
    listen();
    for (std::uint32_t i = 0; i < options_.opens; ++i) {
        const auto at = now + duration{chance_.between(0, options_.opens_within.count())};
        const bool nobody = !options_.gentle && chance_.chance(0.03);
        to_open_.emplace(at, opening{nobody ? closed_port : listen_ports[i % 2], 0});
    }
    if (options_.simultaneous) {
        // Both sides do this at the same instant.
        to_open_.emplace(now + milliseconds{1000}, opening{simultaneous_port, simultaneous_port});
    }
    if (options_.relisten) {
        unlisten_at_ = now + duration{chance_.between(0, options_.opens_within.count())};
    }
}

void application::listen() {
    for (const std::uint16_t port : listen_ports) {
        const auto made = core_->calls().listen(
            {options_.own, port}, {.backlog = options_.backlog, .port = {.reuse_addr = true}});
        if (!made) {
            book_.fail(nullptr, "listen: " + std::string(name(made.error())));
            return;
        }
        listeners_.push_back(*made);
    }
}

void application::open_next(instant now) {
    const auto [at, what] = *to_open_.begin();
    to_open_.erase(to_open_.begin());
    // A clock of one tick cannot tell two incarnations within that tick apart (RFC 7323 4.1).
    if (last_end_ms_ == now.us / 1000) {
        to_open_.emplace(now + milliseconds{1}, what);
        return;
    }
    connect_options o;
    if (what.bind_to != 0) {
        o.local = endpoint{options_.own, what.bind_to};
    }
    const auto made = core_->calls().connect({options_.peer, what.port}, o);
    if (!made) {
        if (what.bind_to == 0) {
            to_open_.emplace(now + milliseconds{chance_.between(500, 5000)}, what);
        }
        return;
    }
    party& p = book_.add(options_.side, now);
    p.handle = *made;
    p.initiator = true;
    const tcp::tcb& c = *core_->tcp().connection(p.handle);
    book_.note_open(p, c.key.local_port, c.key.remote_port, c.snd_una);
    begin(p, now);
}

void application::adopt(const event& e, instant now) {
    party& p = book_.add(options_.side, now);
    p.handle = e.conn;
    p.opened = true;
    if (const tcp::tcb* c = core_->tcp().connection(e.conn)) {
        const auto unread = static_cast<std::uint32_t>(*core_->calls().unread(e.conn));
        book_.note_accept(p, c->key.local_port, c->key.remote_port,
                          c->rcv_nxt - unread - (c->fin_received ? 2 : 1));
    }
    begin(p, now);
}

plan application::make_plan() {
    plan t;
    if (options_.bulk_octets > 0) {
        t.octets = options_.bulk_octets;
        t.chunk = chunk_max;
        t.buffers = options_.side == 0;
        t.patience = seconds{3000};
        return t;
    }
    t.how = static_cast<ending>(chance_.between(0, ending_count - 1));
    if (options_.gentle) {
        t.how = chance_.chance(0.75) ? ending::shutdown_then_read : ending::close_on_eof;
    }
    const std::int64_t most = chance_.chance(0.1) ? options_.octets_max * 8 : options_.octets_max;
    t.octets = chance_.chance(0.15) ? 0 : static_cast<std::uint32_t>(chance_.between(1, most));
    t.chunk = static_cast<std::uint32_t>(chance_.between(1, chance_.chance(0.2) ? 100 : chunk_max));
    t.chunk = std::max(t.chunk, t.octets / 200);  // so that tiny chunks stay few
    t.pace = chance_.chance(0.3) ? milliseconds{chance_.between(1, 50)} : milliseconds{0};
    t.buffers = chance_.chance(0.5);
    t.slow_reader = chance_.chance(0.25);
    t.read_every = milliseconds{chance_.between(1, 60)};
    t.read_at_most = static_cast<std::uint32_t>(chance_.between(200, 8000));
    t.hold = milliseconds{chance_.chance(0.5) ? 0 : chance_.between(0, 60)};
    if (chance_.chance(0.05)) {
        t.hold = milliseconds{chance_.between(1000, 100000)};
    }
    t.completion = chance_.chance(0.5);
    t.no_delay = chance_.chance(0.3);
    t.cork = chance_.chance(0.1);
    t.keepalive = chance_.chance(0.1);
    t.linger2 = static_cast<int>(chance_.chance(0.1) ? chance_.between(1, 60) : 0);
    t.patience = seconds{options_.gentle ? 600 : chance_.between(20, 150)};
    t.impatient_abort = chance_.chance(0.5);
    return t;
}

void application::begin(party& p, instant now) {
    p.todo = make_plan();
    local_stack calls = core_->calls();
    live_[key_of(p.handle)] = &p;
    static_cast<void>(calls.set_user(p.handle, p.id));
    static_cast<void>(calls.set_no_delay(p.handle, p.todo.no_delay));
    static_cast<void>(calls.set_cork(p.handle, p.todo.cork));
    if (p.todo.keepalive) {
        static_cast<void>(calls.set_keepalive(p.handle, {true, seconds{1}, seconds{1}, 9}));
    }
    static_cast<void>(calls.set_linger2(p.handle, p.todo.linger2));
    if (p.todo.how == ending::linger_zero || p.todo.how == ending::linger_wait) {
        const seconds wait{p.todo.how == ending::linger_zero ? 0 : 3};
        static_cast<void>(calls.set_linger(p.handle, {true, wait}));
    }
    if (p.todo.how == ending::shutdown_read_first) {
        p.read_shut = true;
        static_cast<void>(calls.shutdown(p.handle, shutdown_how::read));
    }
    if (may_end_early(p)) {
        p.finish_at = now + p.todo.hold;
    }
    p.send_at = now;
    if (!core_->calls().unread(p.handle)) {
        book_.fail(&p, "was given a handle that is refused");
    }
    say(p, p.initiator ? "opens" : "accepts");
}

// --- living --------------------------------------------------------------------------------------

void application::on_events(std::span<const event> events, instant now) {
    for (const event& e : events) {
        const auto found = live_.find(key_of(e.conn));
        if (found == live_.end()) {
            if ((e.what & event_bits::opened) == 0 || e.user != 0) {
                book_.fail(nullptr, "an event for a handle that is not held");
                return;
            }
            adopt(e, now);
        }
        party& p = *live_.at(key_of(e.conn));
        if ((e.user != 0 && e.user != p.id) || p.ended ||
            (found != live_.end() && p.opened && (e.what & event_bits::opened) != 0)) {
            book_.fail(&p, "was told event " + std::to_string(e.what) + " of another or twice");
        }
        p.opened = p.opened || (e.what & event_bits::opened) != 0;
        if (p.closed_at) {
            if (e.what != event_bits::ended) {
                book_.fail(&p, "was told more than its end after close()");
            }
            on_ended(p, e, now);
            continue;
        }
        if ((e.what & event_bits::writable) != 0) {
            p.send_at = now;
        }
        if ((e.what & (event_bits::readable | event_bits::peer_closed)) != 0 && !p.read_at) {
            p.read_at = p.todo.slow_reader ? now + p.todo.read_every : now;
        }
        if ((e.what & event_bits::ended) != 0) {
            on_ended(p, e, now);
        } else {
            live(p, now);
        }
    }
}

void application::act(instant now) {
    if (due(unlisten_at_, now)) {
        unlisten_at_.reset();
        for (const listener_id id : listeners_) {
            static_cast<void>(core_->calls().close_listener(id));
        }
        listeners_.clear();
        relisten_at_ = now + milliseconds{chance_.between(1, 1000)};
    }
    if (due(relisten_at_, now)) {
        relisten_at_.reset();
        listen();
    }
    while (!to_open_.empty() && to_open_.begin()->first <= now) {
        open_next(now);
    }
    std::vector<party*> all;
    for (const auto& [id, p] : live_) {
        all.push_back(p);
    }
    for (party* p : all) {
        live(*p, now);
    }
    try_stale_handle();
}

instant application::next_action() const {
    instant at{std::int64_t{1} << 60};
    const auto consider = [&at](const std::optional<instant>& other) {
        at = other ? std::min(at, *other) : at;
    };
    consider(unlisten_at_);
    consider(relisten_at_);
    if (!to_open_.empty()) {
        at = std::min(at, to_open_.begin()->first);
    }
    for (const auto& [id, p] : live_) {
        if (p->closed_at) {
            continue;
        }
        if (p->opened || p->ended || may_end_early(*p)) {
            consider(p->finish_at);
        }
        if (!p->ended) {
            consider(p->send_at);
            consider(p->read_at);
            consider(p->born + p->todo.patience);
        }
    }
    return at;
}

void application::live(party& p, instant now) {
    if (p.closed_at) {
        return;
    }
    if (p.ended) {
        if (due(p.finish_at, now)) {
            read(p, now);
            close(p, now, false);
        }
        return;
    }
    if (now - p.born >= p.todo.patience) {
        close(p, now, p.todo.impatient_abort);
        return;
    }
    if (due(p.send_at, now)) {
        p.send_at.reset();
        send(p, now);
    }
    if (due(p.read_at, now)) {
        p.read_at.reset();
        read(p, now);
    }
    finish_when_due(p, now);
}

void application::send(party& p, instant now) {
    while (!p.sent_all() && !p.fin_wanted) {
        const auto n = static_cast<std::uint32_t>(chance_.between(1, p.todo.chunk));
        if (!send_chunk(p, std::min(n, p.todo.octets - p.sent), now)) {
            return;
        }
        if (p.todo.pace.count() > 0) {
            p.send_at = now + duration{chance_.between(1, p.todo.pace.count())};
            break;
        }
    }
    if (p.sent_all() && !p.finish_at) {
        p.finish_at = now + p.todo.hold;
    }
}

// Returns false when it has to wait for `writable`, or there is no use in going on.
bool application::send_chunk(party& p, std::uint32_t octets, instant now) {
    local_stack calls = core_->calls();
    const auto stop = [&](call_error why) {
        if (why != call_error::would_block) {
            p.todo.octets = p.sent;  // the connection has ended, and `ended` is on its way
        }
        return false;
    };
    if (p.todo.buffers) {
        buffer b = calls.allocate(octets);
        if (!b) {
            p.send_at = now + milliseconds{10};
            return false;
        }
        std::uint32_t at = p.sent;
        b.for_each_segment([&](std::span<const std::byte> piece) {
            write_stream(p.id, at, {const_cast<std::byte*>(piece.data()), piece.size()});
            at += static_cast<std::uint32_t>(piece.size());
        });
        const auto taken = calls.send(p.handle, b);
        if (!taken) {
            return stop(taken.error());
        }
        p.sent += octets;
        return true;
    }
    std::array<std::byte, chunk_max> text;
    write_stream(p.id, p.sent, std::span{text}.first(octets));
    const auto taken = calls.send(p.handle, std::span{text}.first(octets));
    if (!taken) {
        return stop(taken.error());
    }
    p.sent += static_cast<std::uint32_t>(*taken);
    return *taken == octets;
}

void application::read(party& p, instant now) {
    while (read_once(p)) {
        if (p.todo.slow_reader && !p.ended) {
            p.read_at = now + p.todo.read_every;
            return;
        }
    }
}

// Returns true when there may be more.
bool application::read_once(party& p) {
    local_stack calls = core_->calls();
    std::size_t octets = 0;
    if (p.todo.buffers) {
        const auto got = calls.receive(p.handle);
        if (!got) {
            return false;
        }
        octets = got->size();
        got->for_each_segment([&](std::span<const std::byte> t) { book_.check_text(p, t); });
    } else {
        std::array<std::byte, 65536> text;
        const auto got = calls.receive(p.handle, std::span{text}.first(p.todo.read_at_most));
        if (!got) {
            return false;
        }
        octets = *got;
        book_.check_text(p, std::span{text}.first(octets));
    }
    if (octets == 0 && !p.read_shut && !p.eof) {
        say(p, "sees the end of the stream");
        book_.check_eof(p);
    }
    return octets > 0;
}

// --- ending --------------------------------------------------------------------------------------

void application::finish_when_due(party& p, instant now) {
    if (p.closed_at || (!p.opened && !may_end_early(p))) {
        return;
    }
    const bool waits_for_eof = p.todo.how == ending::close_on_eof ||
                               (p.todo.how == ending::shutdown_then_read && p.fin_wanted);
    if (waits_for_eof && !p.eof) {
        p.finish_at.reset();
    } else if (waits_for_eof && p.sent_all()) {
        close(p, now, false);
    } else if (due(p.finish_at, now) && (may_end_early(p) || p.sent_all())) {
        p.finish_at.reset();
        finish(p, now);
    }
}

void application::finish(party& p, instant now) {
    const bool both = p.todo.how == ending::shutdown_both;
    if ((p.todo.how != ending::shutdown_then_read && !both) || p.fin_wanted) {
        close(p, now, p.todo.how == ending::abort_midway);
        return;
    }
    p.fin_wanted = true;
    p.fin_at = now;
    say(p, both ? "shutdown both" : "shutdown write");
    if (both) {
        p.read_shut = true;
        p.violent = p.violent || (!p.eof && !peer_is_quiet(p));
        p.finish_at = now + p.todo.hold + milliseconds{1};
    }
    const auto how = both ? shutdown_how::both : shutdown_how::write;
    if (!core_->calls().shutdown(p.handle, how)) {
        book_.fail(&p, "shutdown() was refused");
    }
}

// The peer has nothing more to say than what was read.
bool application::peer_is_quiet(const party& p) const {
    return p.peer != nullptr && p.peer->sent_all() && p.received == p.peer->sent;
}

void application::close(party& p, instant now, bool abort) {
    local_stack calls = core_->calls();
    const auto unread = calls.unread(p.handle);
    if (!unread) {
        book_.fail(&p, "its handle is refused");
        return;
    }
    if (!p.ended) {
        const bool reset = abort || *unread > 0 || p.todo.how == ending::linger_zero;
        p.violent = p.violent || reset || (!p.eof && !peer_is_quiet(p));
        if (!p.fin_wanted && !reset) {
            p.fin_wanted = true;
            p.fin_at = now;
        }
        p.closed_before_eof = !p.eof;
    }
    say(p, abort ? "abort" : "close");
    p.closed_at = now;
    const completion wanted = p.todo.completion && !p.ended ? completion::event : completion::none;
    if (!(abort ? calls.abort(p.handle, wanted) : calls.close(p.handle, wanted))) {
        book_.fail(&p, "close() was refused");
    }
    if (wanted == completion::none) {
        last_end_ms_ = now.us / 1000;
        forget(p);
    }
}

void application::on_ended(party& p, const event& e, instant now) {
    last_end_ms_ = now.us / 1000;
    p.ended = true;
    p.outcome = e.outcome;
    say(p, "ended");
    // R13: who lingers may be told before the connection has ended.
    const bool lingered = p.closed_at && p.todo.how == ending::linger_wait;
    if (e.outcome == close_outcome::none && !lingered) {
        book_.fail(&p, "ended without an outcome");
    }
    if (p.closed_at) {
        forget(p);
        return;
    }
    read(p, now);
    if (is_clean(p.outcome) && !p.eof && !p.read_shut) {
        book_.fail(&p, "ended well without the end of the stream");
    }
    if (chance_.chance(0.7)) {
        close(p, now, false);
    } else {
        p.finish_at = now + milliseconds{chance_.between(1, 1000)};
    }
}

void application::forget(party& p) {
    p.held = false;
    live_.erase(key_of(p.handle));
    stale_.push_back(p.handle);
    if (stale_.size() > 8) {
        stale_.pop_front();
    }
}

// A handle that was given up never means a connection again, least of all another one.
void application::try_stale_handle() {
    if (stale_.empty() || !chance_.chance(0.05)) {
        return;
    }
    const conn_id id = stale_[static_cast<std::size_t>(
        chance_.between(0, static_cast<std::int64_t>(stale_.size()) - 1))];
    local_stack calls = core_->calls();
    if (calls.unread(id) || calls.shutdown(id, shutdown_how::both) || calls.close(id)) {
        book_.fail(nullptr, "a stale handle was accepted");
    }
}

}  // namespace lastack::sim
