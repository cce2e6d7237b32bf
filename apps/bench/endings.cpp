// SPDX-License-Identifier: BSD-3-Clause
#include "endings.hpp"

#include <algorithm>

namespace bench {
namespace {

using lastack::completion;
using lastack::conn_id;
using lastack::event;
using lastack::local_stack;
using lastack::shutdown_how;

constexpr std::chrono::milliseconds orphan_waits{50};
constexpr std::uint64_t half_closed = 1;  // event::user of a connection that is to reply after FIN

}  // namespace

// --- server --------------------------------------------------------------------------------------

void ending_server::on_readable(local_stack& s, conn_id id, const event&) {
    std::byte first{};
    const auto got = s.receive(id);
    if (!got || got->size() == 0) {
        return;
    }
    got->for_each_segment(
        [&](std::span<const std::byte> part) { first = part.empty() ? first : part.front(); });
    tally_->requests.add(1);
    const auto how = static_cast<ending>(first);
    if (how == ending::half_close) {
        (void)s.set_user(id, half_closed);
        marked_ = id;
        return;
    }
    (void)s.send(id, reply_);
    if (how == ending::active || how == ending::simultaneous) {
        (void)s.close(id);
    } else if (how == ending::orphan) {
        (void)s.set_user(id, half_closed + 1);
    }
}

void ending_server::on_peer_closed(local_stack& s, conn_id id, const event& e) {
    if (e.user > half_closed) {
        held_.push_back({now_ + orphan_waits, id});
        return;
    }
    // The FIN may have come with the request, and then this event was made before the mark.
    if (e.user == half_closed || id == marked_) {
        (void)s.send(id, reply_);
    }
    (void)s.close(id);
}

void ending_server::on_turn(local_stack& s, std::chrono::microseconds now) {
    publish(s, now);
    now_ = now;
    while (!held_.empty() && held_.front().until <= now) {
        (void)s.close(held_.front().id);
        held_.pop_front();
    }
}

// --- client --------------------------------------------------------------------------------------

void ending_client::on_opened(local_stack& s, conn_id id, const event& e) {
    tally_->open.add(1);
    slot& at = slots_[e.user];
    at.kind = next_;
    at.waiting = true;
    next_ = (next_ + 1) % ending_count;
    request_[0] = static_cast<std::byte>(at.kind);
    (void)s.send(id, request_);
    const auto how = static_cast<ending>(at.kind);
    if (how == ending::half_close) {
        (void)s.shutdown(id, shutdown_how::write);
    } else if (how == ending::simultaneous) {
        crossing_.push_back({turn_ + turns_to_cross, static_cast<std::uint32_t>(e.user)});
    }
}

void ending_client::on_readable(local_stack& s, conn_id id, const event& e) {
    const auto got = s.receive(id);
    slot& at = slots_[e.user];
    if (!got || got->size() == 0) {
        return;
    }
    tally_->octets.add(got->size());
    at.received += static_cast<std::uint32_t>(got->size());
    if (at.received < load_->reply_octets) {
        return;
    }
    at.waiting = false;
    tally_->requests.add(1);
    switch (static_cast<ending>(at.kind)) {
        case ending::passive:
        case ending::orphan:
            (void)s.close(id, completion::event);
            break;
        case ending::reset:
            (void)s.abort(id, completion::event);
            break;
        default:
            break;  // the peer's FIN follows
    }
}

void ending_client::on_peer_closed(local_stack& s, conn_id id, const event& e) {
    if (slots_[e.user].waiting) {
        tally_->failed.add(1);  // closed without its reply
    }
    (void)s.close(id, completion::event);
}

void ending_client::on_ended(local_stack& s, conn_id id, const event& e) {
    event seen = e;
    if (static_cast<ending>(slots_[e.user].kind) == ending::reset &&
        e.outcome == lastack::close_outcome::aborted_by_application) {
        seen.outcome = lastack::close_outcome::clean_active;  // as it was to end
    }
    client_base::on_ended(s, id, seen);
}

void ending_client::on_turn(local_stack& s, std::chrono::microseconds now) {
    publish(s, now);
    ++turn_;
    while (!crossing_.empty() && crossing_.front().first <= turn_) {
        slot& at = slots_[crossing_.front().second];
        crossing_.pop_front();
        if (at.open) {
            (void)s.shutdown(at.id, shutdown_how::write);
        }
    }
    if (draining_) {
        return;
    }
    const auto rate = static_cast<double>(load_->wanted.rate.load(std::memory_order_relaxed));
    const auto passed = static_cast<double>((now - last_).count()) / 1e6;
    allowance_ = last_.count() == 0 ? 0 : std::min(allowance_ + rate * passed, 64.0);
    last_ = now;
    const auto whole = static_cast<std::uint32_t>(allowance_);
    const std::uint64_t before = tally_->begun.get();
    open_missing(s, whole);
    allowance_ -= static_cast<double>(tally_->begun.get() - before);
}

}  // namespace bench
