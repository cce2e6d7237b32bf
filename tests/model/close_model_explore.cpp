// SPDX-License-Identifier: BSD-3-Clause
// The walk over all states of the model, and what holds over all ways from each of them.
//
// States stand in a vector in the order of their discovery, each with the index of the one it was
// found from; a hash table of indices finds them. About 100 octets a state. The steps of wire
// mishaps are walked but not kept: a way out may not depend on a loss.
//
// Afterwards two sets are grown from the endings backwards, over the kept steps:
//   exit    some way leads to CLOSED, CLOSED, the applications helping
//   ends    every way of protocol and time alone, whichever comes first, leads to where no end
//           remains that its application has let go
// A state outside `exit` has no way out. One outside `ends` has an endless or stuck course without
// any further mishap: segments answering one another for ever, or an orphan that nothing ends.
#include <chrono>
#include <cstring>

#include "model/close_model.hpp"

namespace lastack::model {

using teardown::state;

namespace {

class walk final : public step_sink {
  public:
    walk(const bounds& b, const rules& r) : bounds_(b), rules_(r), table_(1u << 16, none) {}

    report run() {
        const auto began = std::chrono::steady_clock::now();
        find(pack(initial(bounds_), bounds_));
        for (here_ = 0; here_ < states_.size() && result_.found == breach::none; ++here_) {
            expand();
        }
        if (result_.found == breach::none) {
            first_step_.push_back(steps_.size());
            grow_backwards();
        }
        result_.states = states_.size();
        for (const bool hit : hit_) {
            result_.cells_hit += hit ? 1 : 0;
        }
        result_.seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        return result_;
    }

    void step(const world& next, step_class what, std::uint16_t) override {
        ++result_.steps;
        const std::uint32_t there = find(pack(next, bounds_));
        if (what != step_class::mishap && there != none) {
            steps_.push_back(there << 1 | (what == step_class::protocol ? 1u : 0u));
        }
    }
    void broken(breach kind, const std::string& what, std::uint16_t label) override {
        if (result_.found == breach::none) {
            fail(kind, here_, describe(label) + ": " + what);
        }
    }

  private:
    static constexpr std::uint32_t none = 0xffffffff;

    static std::uint64_t hash(const packed& p) {
        std::uint64_t h = 0;
        for (const std::uint64_t word : p) {
            h = (h ^ word) * 0x9e3779b97f4a7c15u;
            h ^= h >> 32;
        }
        return h;
    }

    std::uint32_t find(const packed& p) {
        for (std::size_t at = hash(p);; ++at) {
            std::uint32_t& slot = table_[at & (table_.size() - 1)];
            if (slot == none) {
                break;
            }
            if (states_[slot] == p) {
                return slot;
            }
        }
        if (states_.size() >= bounds_.states_max) {
            fail(breach::out_of_bounds, here_, "more states than states_max");
            return none;
        }
        const auto index = static_cast<std::uint32_t>(states_.size());
        states_.push_back(p);
        from_.push_back(here_);
        if (states_.size() * 2 > table_.size()) {
            table_.assign(table_.size() * 2, none);
            for (std::uint32_t i = 0; i < index; ++i) {
                enter(i);
            }
        }
        enter(index);
        return index;
    }
    void enter(std::uint32_t index) {
        std::size_t at = hash(states_[index]);
        while (table_[at & (table_.size() - 1)] != none) {
            ++at;
        }
        table_[at & (table_.size() - 1)] = index;
    }

    static bool over(const side& s) { return s.st == state::closed || s.st == state::listen; }
    // Nobody holds it, so it must end by itself.
    static bool unheld(const side& s) { return (s.detached || s.child) && s.st != state::closed; }

    void expand() {
        if (here_ == layer_end_) {
            layer_end_ = static_cast<std::uint32_t>(states_.size());
            ++result_.depth;
        }
        const world w = unpack(states_[here_]);
        first_step_.push_back(steps_.size());
        const bool closed = over(w.ends[0]) && over(w.ends[1]);
        over_.push_back(closed);
        settled_.push_back(!unheld(w.ends[0]) && !unheld(w.ends[1]));
        if (closed) {
            ++result_.endings;
            const bool clean = w.ends[0].end == ending::clean && w.ends[1].end == ending::clean;
            if (!clean && !w.excused) {
                fail(breach::unclean_end, here_, "both have closed properly");
            }
        }
        all_steps(w, bounds_, rules_, *this, hit_);
    }

    bool some_step(const std::vector<bool>& set, std::uint32_t i) const {
        for (std::size_t s = first_step_[i]; s < first_step_[i + 1]; ++s) {
            if (set[steps_[s] >> 1]) {
                return true;
            }
        }
        return false;
    }
    bool every_protocol_step(const std::vector<bool>& set, std::uint32_t i) const {
        bool any = false;
        for (std::size_t s = first_step_[i]; s < first_step_[i + 1]; ++s) {
            if ((steps_[s] & 1) != 0) {
                any = true;
                if (!set[steps_[s] >> 1]) {
                    return false;
                }
            }
        }
        return any;
    }

    // Backwards sweeps converge quickly, since most steps lead to states found later.
    void grow_backwards() {
        std::vector<bool> exit = over_;
        std::vector<bool> ends = settled_;
        for (bool grows = true; grows;) {
            grows = false;
            for (auto i = static_cast<std::uint32_t>(states_.size()); i-- > 0;) {
                if (!exit[i] && some_step(exit, i)) {
                    exit[i] = grows = true;
                }
                if (!ends[i] && every_protocol_step(ends, i)) {
                    ends[i] = grows = true;
                }
            }
        }
        for (std::uint32_t i = 0; i < states_.size() && result_.found == breach::none; ++i) {
            if (!exit[i]) {
                fail(breach::no_exit, i, "no way leads to CLOSED");
            } else if (!ends[i]) {
                fail(breach::may_stay_for_ever, i, "nothing need ever end it");
            }
        }
    }

    // The steps from the beginning to `at`: each is found again by walking from its predecessor.
    void fail(breach kind, std::uint32_t at, std::string what) {
        if (result_.found != breach::none) {
            return;
        }
        result_.found = kind;
        result_.what = std::move(what);
        result_.trace.push_back(describe(unpack(states_[at])));
        for (; at != 0; at = from_[at]) {
            result_.trace.push_back(describe(unpack(states_[from_[at]])) + "\n    " +
                                    step_between(from_[at], states_[at]));
        }
        result_.trace = {result_.trace.rbegin(), result_.trace.rend()};
    }

    std::string step_between(std::uint32_t from, const packed& to) const {
        struct finder final : step_sink {
            const bounds& b;
            const packed& to;
            std::string text = "?";
            finder(const bounds& bounds, const packed& p) : b(bounds), to(p) {}
            void step(const world& next, step_class, std::uint16_t label) override {
                if (pack(next, b) == to) {
                    text = describe(label);
                }
            }
            void broken(breach, const std::string&, std::uint16_t) override {}
        } f(bounds_, to);
        cell_set ignored{};
        all_steps(unpack(states_[from]), bounds_, rules_, f, ignored);
        return f.text;
    }

    const bounds& bounds_;
    const rules& rules_;
    report result_;
    cell_set hit_{};
    std::uint32_t here_ = 0;
    std::uint32_t layer_end_ = 1;
    std::vector<packed> states_;
    std::vector<std::uint32_t> from_;
    std::vector<std::uint32_t> table_;       // open addressing, a power of two
    std::vector<std::uint32_t> steps_;       // where to, and in bit 0 whether by protocol or time
    std::vector<std::uint64_t> first_step_;  // of each state, in steps_
    std::vector<bool> over_;                 // both ends CLOSED
    std::vector<bool> settled_;              // no end is left that nobody holds
};

}  // namespace

report explore(const bounds& b, const rules& r) {
    return walk(b, r).run();
}

const char* name(breach b) {
    static constexpr std::array<const char*, 13> names{
        "none",          "impossible_cell",   "record_and_table",
        "text_lost",     "reset_of_proper",   "gave_up_on_living",
        "fin_not_acked", "unclean_end",       "false_clean",
        "no_exit",       "may_stay_for_ever", "out_of_bounds"};
    return names[static_cast<std::size_t>(b)];
}

}  // namespace lastack::model
