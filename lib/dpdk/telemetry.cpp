// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/telemetry.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <mutex>
#include <shared_mutex>

#include "base/counters.hpp"
#include "config/options.hpp"
#include "dpdk/capture_switch.hpp"
#include "dpdk/report.hpp"
#include "dpdk/tasks.hpp"
#include "dpdk/telemetry_text.hpp"
#include "lastack/outcome.hpp"
#include "teardown/names.hpp"

namespace lastack::dpdk {
namespace {

constexpr std::size_t help_page = 64;

static_assert(counter_count + close_outcome_count + teardown::event_count <=
                  RTE_TEL_MAX_DICT_ENTRIES,
              "/lastack/counters must fit one reply");

// Who answers, if anybody: shared by running calls, taken alone to change it.
std::shared_mutex gate;
telemetry* answering = nullptr;

template <void (telemetry::*Command)(std::string_view, reply&)>
int call(const char*, const char* parameters, rte_tel_data* data) {
    const std::shared_lock hold(gate);
    if (answering == nullptr) {
        return -1;
    }
    reply r(data);
    (answering->*Command)(parameters == nullptr ? "" : parameters, r);
    return 0;
}

struct command {
    const char* name;
    telemetry_cb function;
    const char* help;
};
constexpr command commands[]{
    {"/lastack/about", call<&telemetry::about>, "The process and its lcores."},
    {"/lastack/states", call<&telemetry::states>, "Connections by state, in all and by lcore."},
    {"/lastack/counters", call<&telemetry::counters>,
     "Counters, named as nstat prints them. Parameter: an lcore (none: the sum)."},
    {"/lastack/counter_help", call<&telemetry::counter_help>,
     "What counters mean, 64 at a time. Parameter: where to begin."},
    {"/lastack/settings", call<&telemetry::list_settings>,
     "All settings. Parameter: a key, for its unit, range, default and sentence."},
    {"/lastack/set", call<&telemetry::change_setting>, "Changes a setting. Parameter: KEY=VALUE."},
    {"/lastack/connections", call<&telemetry::connections>,
     "A page of connections. Parameters: cursor=C,state=NAME+NAME,sport=PORT,dport=PORT."},
    {"/lastack/explain", call<&telemetry::explain>,
     "Why a connection is in its state, or how it ended. Parameter: ADDR:PORT-ADDR:PORT."},
    {"/lastack/histograms", call<&telemetry::histograms>,
     "Remaining seconds of TIME_WAIT; ages of connections by state."},
    {"/lastack/close_wait", call<&telemetry::close_wait>,
     "Connections that only the application can end, by listener, and the oldest."},
    {"/lastack/capture", call<&telemetry::capture>,
     "Captures frames to a file. Parameter: start FILE, stop or status."},
};

// Every number that nstat shows.
template <class F>
void each_counted(const counter_sums& counters, const snapshot& s, F&& f) {
    for (const auto& row : counter_rows) {
        f(std::string(row.name), counters[static_cast<std::size_t>(row.id)], row.sentence);
    }
    for (const auto& o : close_outcomes) {
        if (o.outcome != close_outcome::none) {
            f("LastackEnd" + camel(o.name), s.outcomes[static_cast<std::size_t>(o.outcome)],
              o.sentence);
        }
    }
    for (const auto& e : teardown::event_rows) {
        f("LastackRst" + camel(e.name), s.resets[static_cast<std::size_t>(e.id)],
          "RSTs sent: " + std::string(e.sentence));
    }
    for (const auto& e : teardown::event_rows) {
        if (e.id >= teardown::event::rx_out_of_window &&
            e.id <= teardown::event::rx_old_duplicate) {
            f("LastackDrop" + camel(e.name), s.drops[static_cast<std::size_t>(e.id)],
              "segments dropped: " + std::string(e.sentence));
        }
    }
}

// As ss prints it, but DPDK takes only letters, digits, '_' and '/' in names.
std::string member_name(std::string_view text) {
    std::string name(text);
    std::replace(name.begin(), name.end(), '-', '_');
    std::replace(name.begin(), name.end(), '.', '/');
    return name;
}

reply::numbers by_state(const stack::state_counts& s) {
    reply::numbers all;
    for (std::size_t i = 1; i < ss_names.size(); ++i) {
        all.emplace_back(member_name(ss_names[i]), s.by_state[i]);
    }
    all.emplace_back("orphans", s.orphans);
    all.emplace_back("sockets", s.sockets);
    return all;
}

template <std::size_t N>
reply::numbers histogram(const std::array<std::uint64_t, N>& counts,
                         const std::array<std::uint32_t, N>& bounds_s) {
    reply::numbers all;
    for (std::size_t i = 0; i < N; ++i) {
        const bool last = bounds_s[i] == stack::unbounded;
        all.emplace_back(last ? "from_" + std::to_string(bounds_s[i - 1]) + "_s"
                              : "below_" + std::to_string(bounds_s[i]) + "_s",
                         counts[i]);
    }
    return all;
}

}  // namespace

telemetry::telemetry(sources from) : from_(std::move(from)) {
    for (const auto& c : commands) {
        // Fails only when a former runtime of this process registered it already.
        rte_telemetry_register_cmd(c.name, c.function, c.help);
    }
    const std::unique_lock hold(gate);
    answering = this;
}

telemetry::~telemetry() {
    from_.desk.close();
    const std::unique_lock hold(gate);
    answering = nullptr;
}

template <class Task, class... Arguments>
std::vector<std::shared_ptr<Task>> telemetry::ask_all(reply& r, const Arguments&... arguments) {
    std::vector<std::shared_ptr<Task>> made;
    std::vector<task_desk::task_pointer> tasks;
    for (std::size_t i = 0; i < from_.workers.size(); ++i) {
        made.push_back(std::make_shared<Task>(arguments...));
        tasks.push_back(made.back());
    }
    if (const auto done = from_.desk.ask(tasks); !done) {
        r.fail(done.error());
        return {};
    }
    return made;
}

void telemetry::about(std::string_view, reply& r) {
    std::vector<std::string> lcores;
    for (const auto lcore : from_.lcores) {
        lcores.push_back(std::to_string(lcore));
    }
    r.add("program", from_.program);
    r.add("pid", static_cast<std::uint64_t>(::getpid()));
    r.add("lcores", lcores);
}

void telemetry::states(std::string_view, reply& r) {
    const auto tasks = ask_all<snapshot_task>(r);
    snapshot sum;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        sum.add(tasks[i]->taken);
        r.add("lcore_" + std::to_string(from_.lcores[i]), by_state(tasks[i]->taken.states));
    }
    if (!tasks.empty()) {
        r.add("all", by_state(sum.states));
    }
}

void telemetry::counters(std::string_view lcore, reply& r) {
    const auto tasks = ask_all<snapshot_task>(r);
    if (tasks.empty()) {
        return;
    }
    snapshot sum;
    counter_sums sums{};
    bool any = false;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        if (!lcore.empty() && lcore != std::to_string(from_.lcores[i])) {
            continue;
        }
        any = true;
        sum.add(tasks[i]->taken);
        for (std::size_t c = 0; c < sums.size(); ++c) {
            sums[c] += from_.workers[i]->counter_sum(static_cast<counter>(c));
        }
    }
    if (!any) {
        r.fail("no stack runs on lcore '" + std::string(lcore) + "'");
        return;
    }
    each_counted(sums, sum, [&](const std::string& name, std::uint64_t value, std::string_view) {
        r.add(name, value);
    });
}

void telemetry::counter_help(std::string_view from, reply& r) {
    std::size_t first = 0;
    std::from_chars(from.data(), from.data() + from.size(), first);
    std::size_t at = 0;
    each_counted({}, {}, [&](const std::string& name, std::uint64_t, std::string_view sentence) {
        if (at >= first && at - first < help_page) {
            r.add(name, sentence.substr(0, 127));
        }
        ++at;
    });
}

void telemetry::list_settings(std::string_view key, reply& r) {
    const auto now = from_.settings.now();
    if (key.empty()) {
        for (const auto& o : config::options()) {
            r.add(member_name(o.key), config::get(now, o).substr(0, 127));
        }
        return;
    }
    const auto* o = config::find_option(key);
    if (o == nullptr) {
        r.fail(config::unknown_key_message(key));
        return;
    }
    r.add("key", o->key);
    r.add("value", config::get(now, *o).substr(0, 127));
    r.add("unit", o->unit);
    r.add("range", config::range_text(*o));
    r.add("default", config::default_text(*o));
    r.add("changes", o->when == config::change::at_start ? "at start" : "while running");
    std::vector<std::string> sentence;
    for (std::size_t at = 0; at < o->sentence.size(); at += 120) {
        sentence.emplace_back(o->sentence.substr(at, 120));
    }
    r.add("sentence", sentence);
}

void telemetry::change_setting(std::string_view assignment, reply& r) {
    const auto equals = assignment.find('=');
    if (equals == assignment.npos) {
        r.fail("'" + std::string(assignment) +
               "' is not KEY=VALUE, for example net.ipv4.tcp_fin_timeout=30");
        return;
    }
    const auto key = assignment.substr(0, equals);
    if (const auto done = from_.settings.change(key, assignment.substr(equals + 1)); !done) {
        r.fail(done.error());
        return;
    }
    std::string name(key);
    std::replace(name.begin(), name.end(), '/', '.');
    list_settings(name, r);
}

void telemetry::connections(std::string_view text, reply& r) {
    auto request = parse_list_request(text);
    if (!request) {
        r.fail(request.error());
        return;
    }
    auto& cursor = request->from;
    std::vector<std::string> rows;
    // The page ends with a worker, or when the task says so: a reply holds one page at most.
    if (cursor.worker < from_.workers.size()) {
        const auto task = std::make_shared<list_task>(cursor.at, request->filter);
        std::vector<task_desk::task_pointer> tasks(from_.workers.size());
        tasks[cursor.worker] = task;
        if (const auto done = from_.desk.ask(tasks); !done) {
            r.fail(done.error());
            return;
        }
        for (std::size_t i = 0; i < task->found; ++i) {
            rows.push_back(row_text(task->rows[i], from_.lcores[cursor.worker]));
        }
        cursor.at = task->at;
        if (task->at_end) {
            cursor = {cursor.worker + 1, {}};
        }
    }
    r.add("cursor", cursor.worker < from_.workers.size() ? to_text(cursor) : "");
    r.add("columns", row_columns);
    r.add("rows", rows);
}

void telemetry::explain(std::string_view text, reply& r) {
    auto key = parse_key(text);
    if (!key) {
        r.fail("'" + std::string(text) + "' is not ADDR:PORT-ADDR:PORT, the stack's side first");
        return;
    }
    std::vector<std::shared_ptr<explain_task>> tasks;
    std::shared_ptr<explain_task> known;
    // Sides are easily swapped.
    for (int way = 0; way < 2 && !known; ++way) {
        const flow::key4 asked =
            way == 0 ? *key
                     : flow::key4{key->local, key->remote, key->local_port, key->remote_port};
        tasks = ask_all<explain_task>(r, asked);
        if (tasks.empty()) {
            return;
        }
        const auto found =
            std::find_if(tasks.begin(), tasks.end(), [](auto& t) { return t->known(); });
        known = found == tasks.end() ? nullptr : *found;
        key = known ? asked : *key;
    }
    const auto& x = (known ? known : tasks.front())->answer;
    r.add("state", x.found == stack::explanation::found_as::nothing ? (known ? "CLOSED" : "unknown")
                                                                    : ss_name(x.row.st));
    std::vector<std::string> said;
    for (const auto& line : explain_lines(x, *key, from_.settings.now())) {
        said.push_back(line.substr(0, 127));
    }
    r.add("lines", said);
}

void telemetry::histograms(std::string_view, reply& r) {
    stack::census sum;
    const auto tasks = ask_all<census_task>(r, stack::row_filter{}, 0u);
    if (tasks.empty()) {
        return;
    }
    for (const auto& t : tasks) {
        sum.add(t->counted);
    }
    r.add("TIME_WAIT_remaining", histogram(sum.time_wait_left, stack::time_wait_bounds_s));
    for (std::size_t s = 0; s < ss_names.size(); ++s) {
        const auto& ages = sum.age[s];
        if (std::any_of(ages.begin(), ages.end(), [](auto n) { return n != 0; })) {
            r.add(member_name(ss_names[s]) + "_age", histogram(ages, stack::age_bounds_s));
        }
    }
}

void telemetry::close_wait(std::string_view, reply& r) {
    stack::row_filter only;
    only.states = 1u << static_cast<unsigned>(teardown::state::close_wait);
    const auto warn_s = from_.settings.now().close_wait_warn_s;
    const auto tasks = ask_all<census_task>(r, only, warn_s * 1000);
    if (tasks.empty()) {
        return;
    }
    stack::census sum;
    for (const auto& t : tasks) {
        sum.add(t->counted);
    }
    reply::numbers listeners, overdue;
    for (std::size_t i = 0; i < sum.leak_count; ++i) {
        const auto& l = sum.leaks[i];
        const auto port = l.port == 0 ? "none" : "port_" + std::to_string(l.port);
        listeners.emplace_back(port, l.waiting);
        overdue.emplace_back(port, l.overdue);
    }
    std::vector<std::string> oldest;
    for (std::size_t i = 0; i < sum.oldest_count; ++i) {
        const auto& o = sum.oldest[i];
        oldest.push_back(row_key_text(o) + " for " + duration_text(o.age_ms));
    }
    r.add("warn_s", warn_s);
    r.add("overdue", sum.overdue);
    r.add("age", histogram(sum.age[static_cast<std::size_t>(teardown::state::close_wait)],
                           stack::age_bounds_s));
    r.add("by_listener", listeners);
    r.add("overdue_by_listener", overdue);
    r.add("oldest", oldest);
}

void telemetry::capture(std::string_view request, reply& r) {
    constexpr std::string_view start = "start ";
    result<bool, std::string> done{true};
    if (request.starts_with(start)) {
        done = from_.capture.start(std::string(request.substr(start.size())));
    } else if (request == "stop") {
        done = from_.capture.stop();
    } else if (request == "status") {
        from_.capture.renew();
    } else {
        done = failure{"'" + std::string(request) + "' is none of start FILE, stop and status"};
    }
    if (!done) {
        r.fail(done.error());
        return;
    }
    const auto status = from_.capture.status();
    r.add("file", status.file.size() < 120 ? status.file
                                           : "..." + status.file.substr(status.file.size() - 116));
    r.add("frames", status.frames);
    r.add("missed", status.missed);
}

}  // namespace lastack::dpdk
