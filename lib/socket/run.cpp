// SPDX-License-Identifier: BSD-3-Clause
// lastack_run(): a program of socket calls on each worker lcore.
//
// There is no loop around the program; its calls that wait are the loop. They turn the worker, and
// the events of each turn go to the layer before anybody looks again.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lastack/app_options.hpp"
#include "lastack/runtime.hpp"
#include "lastack/socket.h"
#include "lastack/socket_layer.hpp"

namespace lastack::socket {

namespace {

constexpr std::uint32_t descriptors_max = 65536;

// Of all workers.
struct process {
    runtime* around = nullptr;
    int (*program)(int, char**) = nullptr;
    int argc = 0;
    char** argv = nullptr;
    std::atomic<int> running{0};
    std::atomic<int> status{0};
};

class core_loop {
  public:
    core_loop(worker& w, process& all) : worker_(w), stack_(w.calls(0)), all_(all) {}

    result<bool, std::string> start() {
        socket_layer_options o;
        o.descriptors = std::min(stack_.capacity() + 64, descriptors_max);
        o.epoll_interests = o.descriptors;
        o.hooks.context = this;
        o.hooks.wait = [](void* self, std::int64_t timeout_us) {
            return static_cast<core_loop*>(self)->wait(timeout_us);
        };
        o.hooks.now_us = [](void* self) {
            return std::int64_t{static_cast<core_loop*>(self)->worker_.now().count()};
        };
        auto made = socket_layer::make(stack_, o);
        if (!made) {
            return failure{made.error()};
        }
        layer_ = std::move(*made);
        return true;
    }

    void run() {
        // The program may change the words and the pointers to them; each has its own.
        std::vector<std::string> words(all_.argv, all_.argv + all_.argc);
        std::vector<char*> argv;
        for (std::string& word : words) {
            argv.push_back(word.data());
        }
        argv.push_back(nullptr);
        int status = 0;
        {
            const socket_layer::scope here(*layer_);
            status = all_.program(all_.argc, argv.data());
            layer_->close_all();
        }
        int none = 0;
        all_.status.compare_exchange_strong(none, status);
        if (all_.running.fetch_sub(1) == 1) {
            all_.around->stop();
        }
        while (!over_) {
            turn();
        }
    }

  private:
    bool turn() {
        if (!worker_.turn()) {
            over_ = true;
            return false;
        }
        layer_->take(worker_.events(0));
        if (worker_.drain_begins()) {
            stack_.drain();
        }
        return !worker_.events(0).empty();
    }

    int wait(std::int64_t timeout_us) {
        const std::int64_t began = worker_.now().count();
        while (!over_ && !turn() &&
               (timeout_us < 0 || worker_.now().count() - began < timeout_us)) {
        }
        return over_ ? ESHUTDOWN : 0;
    }

    worker& worker_;
    local_stack& stack_;
    process& all_;
    std::unique_ptr<socket_layer> layer_;
    bool over_ = false;
};

void run_on(worker& w, void* context) {
    process& all = *static_cast<process*>(context);
    if (w.stacks() != 1) {
        w.fail("socket calls serve one port, but this process has " + std::to_string(w.stacks()) +
               "; name one device");
        return;
    }
    core_loop loop(w, all);
    all.running.fetch_add(1);
    if (auto started = loop.start(); !started) {
        w.fail(started.error());
        return;
    }
    loop.run();
}

}  // namespace

}  // namespace lastack::socket

extern "C" int lastack_run(int argc, char** argv, int (*program)(int argc, char** argv)) {
    // EAL's words, `--`, the stack's, `--`, the program's.
    const auto is_break = [](const char* word) { return std::strcmp(word, "--") == 0; };
    char** const end = argv + argc;
    char** const first = std::find_if(argv, end, is_break);
    char** const second = first == end ? end : std::find_if(first + 1, end, is_break);

    const std::string name = argc > 0 ? argv[0] : "lastack";
    CLI::App app{"A program of socket calls on lastack; its own words follow a second --", name};
    lastack::app_options shared(app);
    const auto options = shared.parse(static_cast<int>(second - argv), argv);
    if (!options) {
        return options.error();
    }
    auto runtime = lastack::runtime::start(*options);
    if (!runtime) {
        std::fprintf(stderr, "%s: %s\n", name.c_str(), runtime.error().c_str());
        return 2;
    }
    std::vector<char*> words{argc > 0 ? argv[0] : nullptr};
    words.insert(words.end(), second == end ? end : second + 1, end);
    words.push_back(nullptr);

    lastack::socket::process all;
    all.around = runtime->get();
    all.program = program;
    all.argc = static_cast<int>(words.size()) - 1;
    all.argv = words.data();
    const int status = (*runtime)->run_workers(lastack::socket::run_on, &all);
    const int theirs = all.status.load();
    return status != 0 ? status : theirs;
}
