// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/capture_switch.hpp"

namespace lastack::dpdk {
namespace {

class capture_task final : public core_task {
  public:
    capture_task(worker_rings& rings, bool on) : rings_(rings), on_(on) {}
    bool run(std::span<stack::core* const>) override {
        rings_.capturing = on_;
        return true;
    }

  private:
    worker_rings& rings_;
    bool on_;
};

}  // namespace

result<bool, std::string> capture_switch::tell_workers(bool on) {
    std::vector<task_desk::task_pointer> tasks;
    for (auto* r : rings_) {
        tasks.push_back(std::make_shared<capture_task>(*r, on));
    }
    return desk_.ask(tasks);
}

result<bool, std::string> capture_switch::start(const std::string& file) {
    const std::lock_guard hold(lock_);
    if (!file_.empty()) {
        return failure{"a capture to " + file_ + " is running; stop it first"};
    }
    auto opened = capture_file::open(file, port_names_);
    if (!opened) {
        return failure{opened.error()};
    }
    writer_.begin_capture(std::move(*opened));
    file_ = file;
    return tell_workers(true);
}

result<bool, std::string> capture_switch::stop() {
    const std::lock_guard hold(lock_);
    if (file_.empty()) {
        return failure{std::string("no capture is running")};
    }
    const auto told = tell_workers(false);
    writer_.end_capture();
    file_.clear();
    return told;
}

capture_switch::state capture_switch::status() const {
    const std::lock_guard hold(lock_);
    const auto counts = writer_.capture_counts();
    return {file_, counts.frames, counts.missed};
}

}  // namespace lastack::dpdk
