// SPDX-License-Identifier: BSD-3-Clause
#include "server.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

namespace httpd {

using lastack::conn_id;
using lastack::event;
using lastack::local_stack;

namespace {

// A head and a body that are together no longer than this are sent by one call.
constexpr std::size_t joined_octets_max = 4096;
// Time-outs dealt with in one turn.
constexpr int expiries_a_turn = 64;

}  // namespace

server::server(const settings& options, const site& files, counts& counted)
    : options_(options),
      site_(&files),
      begun_(new char[options.begun * header_octets_max]),  // not touched until used
      counts_(&counted) {
    for (std::size_t i = options_.begun; i-- > 0;) {
        free_begun_.push_back(static_cast<std::uint32_t>(i));
    }
}

lastack::result<bool, std::string> server::on_start(local_stack& s) {
    if (options_.connections == 0) {
        options_.connections = s.capacity();
    }
    clients_.reserve(options_.connections);
    free_clients_.reserve(options_.connections);
    for (const lastack::endpoint& local : options_.listen) {
        if (auto listener = s.listen(local, {.port = {.reuse_addr = true}}); !listener) {
            return lastack::failure{"cannot listen on " + to_string(local) + ": " +
                                    std::string(name(listener.error()))};
        }
    }
    return true;
}

// --- events ---

void server::on_opened(local_stack& s, conn_id id, const event& e) {
    if (free_clients_.empty() && clients_.size() == options_.connections) {
        ++counts_->refused;
        (void)s.abort(id);
        return;
    }
    if (free_clients_.empty()) {
        free_clients_.push_back(static_cast<std::uint32_t>(clients_.size()));
        clients_.emplace_back();
    }
    client& c = clients_[free_clients_.back()];
    free_clients_.pop_back();
    c.id = id;
    ++counts_->connections;
    moved(c);
    (void)s.set_user(id, index_of(c) + 1);
    // The rest of this event came before its connection had a client: it is dealt with here.
    if ((e.what & lastack::event_bits::ended) != 0) {
        lose(s, c);
    } else if ((e.what & (lastack::event_bits::readable | lastack::event_bits::peer_closed)) != 0) {
        read(s, c);
    }
}

void server::on_readable(local_stack& s, conn_id, const event& e) {
    client* c = client_of(e);
    if (c == nullptr) {
        return;
    }
    if (c->doing == phase::reading) {
        read(s, *c);
    } else if (c->doing == phase::parting) {
        discard(s, *c);
    }
}

void server::on_peer_closed(local_stack& s, conn_id id, const event& e) {
    on_readable(s, id, e);  // the end of the stream is read like the stream
}

void server::on_writable(local_stack& s, conn_id, const event& e) {
    client* c = client_of(e);
    if (c == nullptr || c->doing != phase::writing || !write(s, *c)) {
        return;
    }
    if (c->begun == none || take_requests(s, *c, {begun_buffer(*c).data(), c->begun_octets})) {
        read(s, *c);
    }
}

void server::on_ended(local_stack& s, conn_id, const event& e) {
    client* c = client_of(e);
    if (c == nullptr) {
        return;
    }
    if (is_clean(e.outcome)) {
        close(s, *c);
    } else {
        lose(s, *c);
    }
}

void server::on_turn(local_stack& s, std::chrono::microseconds now) {
    now_ = static_cast<std::uint32_t>(now.count() / 1000);
    if (now.count() >= second_ends_) {
        std::timespec wall{};
        std::timespec_get(&wall, TIME_UTC);
        second_ = static_cast<std::uint32_t>(wall.tv_sec);
        second_ends_ = now.count() + 1'000'000 - wall.tv_nsec / 1000;
    }
    for (int i = 0; i < expiries_a_turn && oldest_ != none; ++i) {
        client& c = clients_[oldest_];
        if (now_ - c.moved < options_.idle_timeout.count()) {
            break;
        }
        expire(s, c);
    }
}

void server::on_drain(local_stack& s) {
    draining_ = true;
    for (client& c : clients_) {
        if (c.id != conn_id{} && c.doing == phase::reading && c.begun == none) {
            close(s, c);
        }
    }
}

// --- requests in ---

void server::read(local_stack& s, client& c) {
    for (;;) {
        const std::span<char> room = c.begun == none ? std::span<char>(input_) : begun_buffer(c);
        const auto got = s.receive(c.id, std::as_writable_bytes(room.subspan(c.begun_octets)));
        if (!got) {
            return;  // nothing more yet, or it has ended, which on_ended() is told
        }
        if (*got == 0) {
            close(s, c);
            return;
        }
        if (!take_requests(s, c, {room.data(), c.begun_octets + *got})) {
            return;
        }
    }
}

// Answers the requests in `text` and keeps what remains. True if the client is reading on.
bool server::take_requests(local_stack& s, client& c, std::string_view text) {
    for (;;) {
        const request r = parse(text);
        text.remove_prefix(r.octets);
        if (r.status == 0) {
            break;
        }
        ++counts_->requests;
        c.may_send_more = !r.keep_alive && r.status != 200;
        if (!answer(s, c, answer_to(r))) {
            if (c.doing == phase::writing && !keep(c, text)) {
                (void)s.abort(c.id);  // its next requests would be forgotten, and it would wait
                release(c);
            }
            return false;
        }
    }
    if (keep(c, text)) {
        return true;
    }
    c.may_send_more = true;
    return answer(s, c, {&page_for(503), second_, false, persistence::close});
}

// Keeps the beginning of a request, or requests whose turn has not come. False if there is no
// buffer to keep it in.
bool server::keep(client& c, std::string_view rest) {
    if (rest.empty()) {
        release_begun(c);
        return true;
    }
    if (c.begun == none) {
        if (free_begun_.empty()) {
            return false;
        }
        c.begun = free_begun_.back();
        free_begun_.pop_back();
        moved(c);
    }
    std::memmove(begun_buffer(c).data(), rest.data(), rest.size());
    c.begun_octets = static_cast<std::uint16_t>(rest.size());
    return true;
}

response server::answer_to(const request& r) {
    const resource* what = nullptr;
    if (r.status == 200) {
        const auto path = path_of(r.target, path_);
        what = path ? site_->find(*path) : &page_for(400);
        what = what == nullptr ? &page_for(404) : what;
    } else {
        what = &page_for(r.status);
    }
    const persistence after = !r.keep_alive || draining_ ? persistence::close
                              : r.http_1_1               ? persistence::implied
                                                         : persistence::stated;
    return {what, second_, r.head, after};
}

// --- answers out ---

// True if all of the answer is queued and the client is reading again.
bool server::answer(local_stack& s, client& c, const response& out) {
    ++counts_->by_class[out.what->status / 100];
    c.out = out;
    c.sent = 0;
    c.doing = phase::writing;
    return write(s, c);
}

bool server::write(local_stack& s, client& c) {
    const std::size_t head = render_head(c.out, dates_, output_);
    const std::string_view body = c.out.body();
    const bool joined = head + body.size() <= joined_octets_max;
    if (joined) {
        body.copy(output_.data() + head, body.size());
    }
    const std::string_view first{output_.data(), joined ? head + body.size() : head};
    if (!send(s, c, first, 0) || (!joined && !send(s, c, body, head))) {
        return false;
    }
    return answered(s, c);
}

// Sends what is not out yet of `text`, which begins `begin` octets into the answer. True if all of
// it is out.
bool server::send(local_stack& s, client& c, std::string_view text, std::uint64_t begin) {
    if (c.sent >= begin + text.size()) {
        return true;
    }
    const std::string_view rest = text.substr(c.sent - begin);
    const auto n = s.send(c.id, std::as_bytes(std::span{rest.data(), rest.size()}));
    if (!n) {
        if (n.error() != lastack::call_error::would_block) {
            lose(s, c);
        }
        return false;
    }
    if (*n > 0) {
        c.sent += *n;
        counts_->octets += *n;
        moved(c);
    }
    return *n == rest.size();
}

// All of the answer is queued. True if another request may follow.
bool server::answered(local_stack& s, client& c) {
    if (c.out.after != persistence::close) {
        c.doing = phase::reading;
        return true;
    }
    const auto unread = s.unread(c.id);
    if (options_.who_closes == close_first::server && !c.may_send_more && unread && *unread == 0) {
        close(s, c);
        return false;
    }
    release_begun(c);
    c.doing = phase::parting;
    if (options_.who_closes == close_first::server) {
        (void)s.shutdown(c.id, lastack::shutdown_how::write);
    }
    discard(s, c);
    return false;
}

void server::discard(local_stack& s, client& c) {
    for (;;) {
        const auto got = s.receive(c.id, std::as_writable_bytes(std::span(input_)));
        if (!got) {
            return;
        }
        if (*got == 0) {
            close(s, c);
            return;
        }
    }
}

// --- the end of a client ---

void server::expire(local_stack& s, client& c) {
    ++counts_->timed_out;
    if (c.doing == phase::writing) {  // it takes nothing: FIN would wait behind the rest for ever
        (void)s.abort(c.id);
        release(c);
    } else if (c.doing == phase::reading && c.begun != none) {
        c.may_send_more = true;
        (void)answer(s, c, {&page_for(408), second_, false, persistence::close});
    } else {
        close(s, c);
    }
}

void server::close(local_stack& s, client& c) {
    (void)s.close(c.id);
    release(c);
}

void server::lose(local_stack& s, client& c) {
    ++counts_->lost;
    close(s, c);
}

void server::release(client& c) {
    release_begun(c);
    unlink(c);
    free_clients_.push_back(index_of(c));
    c = client{};
}

void server::release_begun(client& c) {
    if (c.begun != none) {
        free_begun_.push_back(c.begun);
        c.begun = none;
        c.begun_octets = 0;
    }
}

// --- clients ---

// The client an event is for; nullptr if its connection has been given up since.
server::client* server::client_of(const event& e) {
    if (e.user == 0 || e.user > clients_.size()) {
        return nullptr;
    }
    client& c = clients_[e.user - 1];
    return c.id == e.conn ? &c : nullptr;
}

std::span<char> server::begun_buffer(const client& c) {
    return {begun_.get() + std::size_t{c.begun} * header_octets_max, header_octets_max};
}

// Puts it behind all others in the list of time-outs.
void server::moved(client& c) {
    unlink(c);
    const std::uint32_t self = index_of(c);
    c.moved = now_;
    c.older = youngest_;
    (youngest_ == none ? oldest_ : clients_[youngest_].younger) = self;
    youngest_ = self;
}

// Nothing happens to one that is in no list.
void server::unlink(client& c) {
    const std::uint32_t self = index_of(c);
    if (oldest_ == self) {
        oldest_ = c.younger;
    } else if (c.older != none) {
        clients_[c.older].younger = c.younger;
    }
    if (youngest_ == self) {
        youngest_ = c.older;
    } else if (c.younger != none) {
        clients_[c.younger].older = c.older;
    }
    c.older = none;
    c.younger = none;
}

}  // namespace httpd
