// SPDX-License-Identifier: BSD-3-Clause
// The stack's commands in DPDK telemetry (usertools/dpdk-telemetry.py, lastack-ctl):
//
//   /lastack/about                    program, process, lcores
//   /lastack/states                   connections by state, in all and by lcore
//   /lastack/counters[,LCORE]         counters, outcomes (LastackEnd...), RSTs sent by reason
//                                     (LastackRst...); names as nstat prints them
//   /lastack/counter_help[,FROM]      their sentences, a page of 64
//   /lastack/settings[,KEY]           all values ('/' for '.' in the names); or one with unit,
//   range, default, sentence /lastack/set,KEY=VALUE            changes one
//   /lastack/connections[,FILTER]     a page of rows and the cursor of the next
//   (telemetry_text.hpp) /lastack/explain,LOCAL-REMOTE     why it is in its state, or how it ended
//   /lastack/histograms               TIME_WAIT's remaining seconds; ages by state
//   /lastack/close_wait               who waits for the application to close
//   /lastack/capture,start FILE|stop|status
//
// Every reply is an object; one that holds "error" says what is wrong. DPDK calls from up to ten
// threads at once, with no context, and cannot forget a command: so one telemetry object at a time
// answers, and its destructor waits for the calls that are running.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dpdk/lcore_worker.hpp"
#include "dpdk/live_settings.hpp"
#include "dpdk/task_desk.hpp"
#include "dpdk/telemetry_reply.hpp"

namespace lastack::dpdk {

class capture_switch;

class telemetry {
  public:
    // What it answers from; all of it outlives the object.
    struct sources {
        std::string program;
        std::vector<lcore_worker*> workers;
        std::vector<unsigned> lcores;  // worker i runs on lcores[i]
        task_desk& desk;
        live_settings& settings;
        capture_switch& capture;
    };

    // Commands are answered from now on.
    explicit telemetry(sources);
    ~telemetry();
    telemetry(const telemetry&) = delete;

    void about(std::string_view, reply&);
    void states(std::string_view, reply&);
    void counters(std::string_view lcore, reply&);
    void counter_help(std::string_view from, reply&);
    void list_settings(std::string_view key, reply&);
    void change_setting(std::string_view assignment, reply&);
    void connections(std::string_view request, reply&);
    void explain(std::string_view key, reply&);
    void histograms(std::string_view, reply&);
    void close_wait(std::string_view, reply&);
    void capture(std::string_view request, reply&);

  private:
    // Makes one task of a kind for each worker and waits for all; empty when one did not answer,
    // which the reply then says.
    template <class Task, class... Arguments>
    std::vector<std::shared_ptr<Task>> ask_all(reply& r, const Arguments&... arguments);

    sources from_;
};

}  // namespace lastack::dpdk
