// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/capture_switch.hpp"

#include <algorithm>

#include "lastack/log.hpp"

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

std::vector<task_desk::task_pointer> capture_switch::tasks(bool on) const {
    std::vector<task_desk::task_pointer> all;
    for (auto* r : rings_) {
        all.push_back(std::make_shared<capture_task>(*r, on));
    }
    return all;
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
    lease_ends_ = clock::now() + lease;
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
    ending_.clear();
    return told;
}

void capture_switch::renew() {
    const std::lock_guard hold(lock_);
    if (lease_ends_ != clock::time_point::max() && ending_.empty()) {
        lease_ends_ = clock::now() + lease;
    }
}

// Who holds the lock may be waiting for tasks that this thread forwards, so it does not wait.
void capture_switch::poll(clock::time_point now) {
    const std::unique_lock hold(lock_, std::try_to_lock);
    if (!hold || file_.empty() || now < lease_ends_) {
        return;
    }
    if (ending_.empty()) {
        ending_ = tasks(false);
        desk_.post(ending_);
    } else if (std::all_of(ending_.begin(), ending_.end(), [](auto& t) { return t->done(); })) {
        writer_.end_capture();
        log(log_level::warning,
            "the capture to " + file_ + " was ended: nobody has asked about it for a minute");
        file_.clear();
        ending_.clear();
    }
}

capture_switch::state capture_switch::status() const {
    const std::lock_guard hold(lock_);
    const auto counts = writer_.capture_counts();
    return {file_, counts.frames, counts.missed};
}

}  // namespace lastack::dpdk
