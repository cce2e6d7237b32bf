// SPDX-License-Identifier: BSD-3-Clause
#include "timewait.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "flow/time_wait_table.hpp"
#include "records.hpp"
#include "teardown/classify.hpp"

namespace bench {

namespace {

using lastack::milliseconds;
using lastack::tick;
using lastack::flow::time_wait_entry;
using lastack::flow::time_wait_slot;
using lastack::flow::time_wait_table;

constexpr milliseconds minute{60'000};
constexpr std::uint32_t fill_ms = 50'000;         // virtual: nothing is due before it is over
constexpr std::uint32_t lookups_max = 1u << 22;   // of each kind
constexpr std::uint32_t start_ms = 0u - 70'000u;  // so that the clock wraps on the way

template <class Key>
class timewait_run {
  public:
    timewait_run(const timewait_options& o, progress& bar) : entries_(o.entries), bar_(bar) {}

    lastack::result<timewait_figures, std::string> run(bool huge) {
        const auto lines = measure_lines(time_wait_table<Key>::bytes_for(entries_), huge);
        if (!lines.ok()) {
            return lastack::failure{lines.error()};
        }
        f_.lines = *lines;
        const std::size_t before = resident_bytes();
        const auto start = clock::now();
        auto made = time_wait_table<Key>::make(
            entries_, huge ? lastack::page_size::huge : lastack::page_size::normal, tick{start_ms});
        f_.reserve_s = nanoseconds_since(start) / 1e9;
        if (!made.ok()) {
            return lastack::failure{made.error()};
        }
        table_ = std::make_unique<time_wait_table<Key>>(std::move(made).value());
        f_.huge = table_->huge();
        f_.miss_in_empty = measure(counters_, lookups(), [&] { miss_one_at_a_time(); });
        const std::uint32_t last_part = entries_ - entries_ / 16;
        const cost first = measure(counters_, last_part, [&] { fill(0, last_part); });
        f_.enter_full =
            measure(counters_, entries_ - last_part, [&] { fill(last_part, entries_); });
        f_.enter = weighted(first, last_part, f_.enter_full, entries_ - last_part);
        f_.entries = table_->size();
        f_.bytes_per_record = static_cast<double>(resident_bytes() - before) / f_.entries;
        look_up();
        expire_as_due();
        fill(0, entries_);
        expire_at_once();
        return f_;
    }

  private:
    std::uint32_t lookups() const { return std::min(lookups_max, entries_ * 4 / burst * burst); }

    static cost weighted(const cost& a, double a_count, const cost& b, double b_count) {
        const auto mean = [&](double x, double y) {
            return (x * a_count + y * b_count) / (a_count + b_count);
        };
        return {mean(a.ns, b.ns), mean(a.cycles, b.cycles), mean(a.misses, b.misses)};
    }

    // A stack that sees a SYN while nothing is in TIME_WAIT.
    void miss_one_at_a_time() {
        numbers pick(1u << 30);
        for (std::uint32_t i = 0; i < lookups(); ++i) {
            Key key;
            make_key(pick.next(), server_port, key);
            const std::uint64_t hashed = hash(key);  // what a packet has to pay for anyway
            keep(hashed);
            keep(table_->find(hashed, key));
        }
    }

    void enter(std::span<const std::uint64_t> hashes,
               std::span<const time_wait_entry<Key>> records) {
        table_->prefetch_enter(hashes);
        for (std::size_t i = 0; i < hashes.size(); ++i) {
            keep(table_->enter(hashes[i], records[i], minute, now_));
        }
    }

    void fill(std::uint32_t from, std::uint32_t to) {
        std::array<std::uint64_t, burst> hashes;
        std::array<time_wait_entry<Key>, burst> records;
        if (from == 0) {
            filled_from_ = now_;
        }
        while (from < to) {
            const std::uint32_t count = std::min(burst, to - from);
            for (std::uint32_t i = 0; i < count; ++i) {
                const std::uint32_t n = from + i;
                make_key(n, server_port, records[i].key);
                records[i].snd_nxt = {n};
                records[i].rcv_nxt = {n};
                records[i].ts_recent = n;
                records[i].window = 512;
                records[i].timestamps = true;
                hashes[i] = hash(records[i].key);
                table_->prefetch(hashes[i]);
            }
            now_ =
                filled_from_ + static_cast<std::uint32_t>(std::uint64_t{from} * fill_ms / entries_);
            enter(std::span(hashes).first(count), std::span(records).first(count));
            from += count;
            if (from % (1u << 16) < burst) {
                bar_.show("enter", static_cast<double>(from) / entries_);
            }
        }
    }

    // `count` look-ups of random keys, a burst at a time; on_found(hashes, found) after each.
    template <class F>
    void find(std::uint32_t count, std::uint16_t port, F&& on_found) {
        std::array<std::uint64_t, burst> hashes;
        std::array<Key, burst> keys;
        std::array<time_wait_slot, burst> found;
        for (std::uint32_t done = 0; done < count; done += burst) {
            for (std::uint32_t i = 0; i < burst; ++i) {
                make_key(pick_.next(), port, keys[i]);
                hashes[i] = hash(keys[i]);
                table_->prefetch(hashes[i]);
            }
            table_->find_burst(hashes, keys, found);
            on_found(hashes, found);
        }
    }

    void prefetch(const std::array<time_wait_slot, burst>& found) const {
        for (const time_wait_slot slot : found) {
            if (slot) {
                table_->prefetch_found(slot);
            }
        }
    }

    void look_up() {
        const auto nothing = [](const auto&, const auto& found) { keep(found); };
        bar_.show("look up", 0);
        f_.hit = measure(counters_, lookups(), [&] { find(lookups(), server_port, nothing); });
        f_.miss = measure(counters_, lookups(), [&] { find(lookups(), absent_port, nothing); });
        const std::uint32_t some = std::max(burst, lookups() / 16 / burst * burst);
        f_.reuse = measure(counters_, some, [&] {
            find(some, server_port,
                 [this](const auto& hashes, const auto& found) { reopen(hashes, found); });
        });
        f_.restart = measure(counters_, some, [&] {
            find(some, server_port, [this](const auto&, const auto& found) {
                prefetch(found);
                for (const time_wait_slot slot : found) {
                    if (slot) {
                        table_->restart(slot, now_);
                    }
                }
            });
        });
    }

    // RFC 6191: a SYN with a newer timestamp opens the tuple anew. Its connection is short, and
    // the burst's records are entered again at the end.
    void reopen(const std::array<std::uint64_t, burst>& hashes,
                const std::array<time_wait_slot, burst>& found) {
        std::array<std::uint64_t, burst> ended;
        std::array<time_wait_entry<Key>, burst> records;
        std::size_t count = 0;
        prefetch(found);
        for (std::uint32_t i = 0; i < burst; ++i) {
            // The same key may have been picked twice.
            const bool repeated =
                std::find(found.begin(), found.begin() + i, found[i]) != found.begin() + i;
            if (!found[i] || repeated) {
                continue;
            }
            const time_wait_entry<Key> e = table_->read(found[i]);
            lastack::wire::tcp_segment syn;
            syn.flags = lastack::wire::tcp_flags::syn;
            syn.seq = e.rcv_nxt + 1;
            syn.options.has_timestamps = true;
            syn.options.tsval = e.ts_recent + 1;
            const lastack::teardown::time_wait_view view{e.snd_nxt,    e.rcv_nxt, e.ts_recent,
                                                         e.timestamps, false,     true};
            if (lastack::teardown::classify_time_wait(view, syn, {}).reopen) {
                table_->erase(found[i]);
                ended[count] = hashes[i];
                records[count++] = e;
            }
        }
        enter(std::span(ended).first(count), std::span(records).first(count));
    }

    std::uint32_t poll() {
        const auto done = table_->expire(now_, poll_budget, [](time_wait_slot) {});
        f_.records_per_poll_max = std::max(f_.records_per_poll_max, done.touched);
        more_ = done.more;
        return done.expired;
    }

    void expire_as_due() {
        f_.expire = measure(counters_, table_->size(), [&] {
            std::uint32_t expired = 0;
            while (table_->size() > 0) {
                do {
                    expired += poll();
                } while (more_);
                ++now_.raw;
                if (now_.raw % 1024 == 0) {
                    bar_.show("expire", static_cast<double>(expired) / entries_);
                }
            }
        });
    }

    void expire_at_once() {
        poll_times times(entries_ / poll_budget * 2 + 64);
        now_ = now_ + 2 * 60'000;
        do {
            const double start = thread_nanoseconds();
            poll();
            times.add((thread_nanoseconds() - start) / 1000);
        } while (more_);
        constexpr double shares[] = {0.5, 0.99, 0.999, 0.9999, 1};
        std::transform(std::begin(shares), std::end(shares), f_.poll_us,
                       [&](double share) { return times.percentile(share); });
    }

    std::uint32_t entries_;
    progress& bar_;
    hardware_counters counters_;
    std::unique_ptr<time_wait_table<Key>> table_;
    timewait_figures f_;
    numbers pick_{entries_};
    tick now_{start_ms};
    tick filled_from_{};
    bool more_ = false;
};

}  // namespace

lastack::result<timewait_figures, std::string> measure_timewait(const timewait_options& o,
                                                                progress& bar) {
    if (o.family == 6) {
        return timewait_run<lastack::flow::key6>(o, bar).run(o.huge);
    }
    return timewait_run<lastack::flow::key4>(o, bar).run(o.huge);
}

}  // namespace bench
