// SPDX-License-Identifier: BSD-3-Clause
#include "sim/party.hpp"

#include <algorithm>

namespace lastack::sim {
namespace {

constexpr std::uint32_t name_octets = 8;

std::byte stream_octet(std::uint64_t id, std::uint32_t at) {
    if (at < name_octets) {
        return static_cast<std::byte>(id >> (8 * at));
    }
    std::uint64_t z = (id * 0x9e3779b97f4a7c15u) ^ (std::uint64_t{at / 8} * 0xbf58476d1ce4e5b9u);
    z = (z ^ (z >> 29)) * 0x94d049bb133111ebu;
    z ^= z >> 32;
    return static_cast<std::byte>(z >> (8 * (at % 8)));
}

}  // namespace

void write_stream(std::uint64_t id, std::uint32_t offset, std::span<std::byte> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = stream_octet(id, offset + static_cast<std::uint32_t>(i));
    }
}

std::string describe(const party& p) {
    std::string text =
        std::string(p.side == 0 ? "left" : "right") + " end " + std::to_string(p.id) + " (ending " +
        std::to_string(static_cast<unsigned>(p.todo.how)) + ", sent " + std::to_string(p.sent) +
        "/" + std::to_string(p.todo.octets) + ", received " + std::to_string(p.received) +
        ", outcome " + std::string(name(p.outcome));
    if (p.peer != nullptr) {
        text += ", peer " + std::to_string(p.peer->id) + " sent " + std::to_string(p.peer->sent);
    }
    for (const auto& [is, word] : {std::pair{p.opened, ", opened"},
                                   {p.eof, ", eof"},
                                   {p.fin_wanted, ", fin"},
                                   {p.ended, ", ended"},
                                   {p.violent, ", violent"},
                                   {!p.held, ", closed"}}) {
        text += is ? word : "";
    }
    return text + ")";
}

party& ledger::add(unsigned side, instant now) {
    auto p = std::make_unique<party>();
    p->id = 1000 + parties_.size();
    p->side = side;
    p->born = now;
    parties_.push_back(std::move(p));
    return *parties_.back();
}

void ledger::fail(const party* p, const std::string& what) {
    if (failure_.empty()) {
        failure_ = what + (p != nullptr ? ": " + describe(*p) : "");
        if (p != nullptr && p->peer != nullptr) {
            failure_ += " with " + describe(*p->peer);
        }
    }
}

void ledger::note_open(party& p, std::uint16_t local_port, std::uint16_t remote_port, seq32 iss) {
    openings_[{p.side, local_port, remote_port, iss.raw}] = &p;
}

void ledger::note_accept(party& p, std::uint16_t local_port, std::uint16_t remote_port, seq32 irs) {
    const auto found = openings_.find({1 - p.side, remote_port, local_port, irs.raw});
    if (found == openings_.end()) {
        fail(&p, "accepted a connection that nobody opened");
        return;
    }
    pair(p, *found->second);
}

void ledger::pair(party& p, party& other) {
    if (p.peer == &other && other.peer == &p) {
        return;
    }
    if (p.peer != nullptr || other.peer != nullptr || p.side == other.side) {
        fail(&p, "is mixed up with " + describe(other));
        return;
    }
    p.peer = &other;
    other.peer = &p;
}

// The stream's first octets name the end that writes it.
void ledger::learn_peer(party& p) {
    for (const auto& other : parties_) {
        if (other->id == p.peer_name) {
            pair(p, *other);
            return;
        }
    }
    fail(&p, "read the name of no end, " + std::to_string(p.peer_name));
}

void ledger::check_text(party& p, std::span<const std::byte> text) {
    for (const std::byte octet : text) {
        if (p.received < name_octets) {
            p.peer_name |= std::uint64_t{std::to_integer<std::uint8_t>(octet)} << (8 * p.received);
            if (p.received == name_octets - 1) {
                learn_peer(p);
            }
        } else if (octet != stream_octet(p.peer_name, p.received)) {
            fail(&p, "read a wrong octet at " + std::to_string(p.received));
            return;
        }
        ++p.received;
    }
    if (p.eof && !text.empty()) {
        fail(&p, "read text behind the end of the stream");
    }
    if (p.peer != nullptr && p.received > p.peer->sent) {
        fail(&p, "read more than was sent");
    }
}

void ledger::check_eof(party& p) {
    p.eof = true;
    if (p.read_shut || p.peer == nullptr) {
        return;
    }
    if (!p.peer->fin_wanted) {
        fail(&p, "was told of a FIN that the peer did not ask for");
    } else if (p.received != p.peer->sent) {
        fail(&p, "the end of the stream came before its last octet");
    }
}

// Both closed properly: then both ended well, and all that was sent was read.
void ledger::check_pair(party& a, party& b) {
    // A closed end waits so long for the peer's FIN and no longer (R59, R61).
    for (const auto& [closer, other] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
        const seconds limit{closer->todo.linger2 > 0 ? closer->todo.linger2 : 60};
        const auto fin_at = other->fin_at.value_or(instant{std::int64_t{1} << 60});
        if (closer->closed_before_eof && fin_at - *closer->closed_at > limit - seconds{30}) {
            return;
        }
    }
    for (party* p : {&a, &b}) {
        if (p->outcome != close_outcome::none && !is_clean(p->outcome)) {
            fail(p, "did not end well though both sides closed properly");
        } else if (!p->closed_before_eof && !p->read_shut && p->received != p->peer->sent) {
            fail(p, "did not read all that was sent");
        }
    }
}

void ledger::check_pairs(bool judge_ends) {
    for (const auto& p : parties_) {
        if (p->held) {
            fail(p.get(), "never ended");
        }
        if (!judge_ends || p->peer == nullptr || p->side != 0 || p->violent || p->peer->violent) {
            continue;
        }
        check_pair(*p, *p->peer);
    }
}

}  // namespace lastack::sim
