// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/logging.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>

namespace lastack {
namespace {

thread_local dpdk::worker_rings* rings_of_this_thread = nullptr;

spdlog::logger& logger() {
    static const auto made = [] {
        auto l = std::make_shared<spdlog::logger>(
            "lastack", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        l->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
        l->flush_on(spdlog::level::trace);
        return l;
    }();
    return *made;
}

spdlog::level::level_enum level_of(log_level level) {
    constexpr spdlog::level::level_enum levels[]{spdlog::level::debug, spdlog::level::info,
                                                 spdlog::level::warn, spdlog::level::err};
    return levels[static_cast<std::size_t>(level)];
}

std::int64_t real_time_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

void log(log_level level, std::string_view text) {
    auto* rings = rings_of_this_thread;
    if (rings == nullptr) {
        logger().log(level_of(level), spdlog::string_view_t(text.data(), text.size()));
        return;
    }
    dpdk::log_record record;
    record.time_us = real_time_us();
    record.level = level;
    record.length = static_cast<std::uint8_t>(std::min(text.size(), sizeof record.text));
    std::memcpy(record.text, text.data(), record.length);
    if (!rings->log.push(record)) {
        rings->log_dropped.fetch_add(1, std::memory_order_relaxed);
    }
}

namespace dpdk {

void use_rings(worker_rings* rings) {
    rings_of_this_thread = rings;
}

logging_thread::logging_thread(std::vector<worker_rings*> rings)
    : rings_(std::move(rings)), told_dropped_(rings_.size()) {
    thread_ = std::thread([this] { run(); });
}

logging_thread::~logging_thread() {
    stop_.store(true, std::memory_order_release);
    thread_.join();
    if (const auto missed = capture_counts().missed; missed != 0) {
        log(log_level::warning,
            "capture: " + std::to_string(missed) + " frames are missing, the ring was full");
    }
}

void logging_thread::run() {
    while (!stop_.load(std::memory_order_acquire)) {
        if (!pass()) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    while (pass()) {
    }
}

bool logging_thread::pass() {
    bool found = false;
    for (std::size_t i = 0; i < rings_.size(); ++i) {
        auto& r = *rings_[i];
        log_record record;
        for (int budget = 256; budget > 0 && r.log.pop(record); --budget) {
            found = true;
            const std::chrono::system_clock::time_point when{
                std::chrono::microseconds(record.time_us)};
            logger().log(when, {}, level_of(record.level),
                         spdlog::string_view_t(record.text, record.length));
        }
        const auto dropped = r.log_dropped.load(std::memory_order_relaxed);
        if (dropped != told_dropped_[i]) {
            log(log_level::warning, "worker " + std::to_string(i) + ": " +
                                        std::to_string(dropped - told_dropped_[i]) +
                                        " log lines were dropped, the ring was full");
            told_dropped_[i] = dropped;
        }
    }
    return drain_captures() || found;
}

std::uint64_t logging_thread::dropped() const {
    std::uint64_t frames = 0;
    for (const auto* r : rings_) {
        frames += r->capture ? r->capture->dropped() : 0;
    }
    return frames;
}

bool logging_thread::drain_captures() {
    const std::lock_guard hold(capture_lock_);
    bool found = false;
    for (auto* r : rings_) {
        if (!r->capture || !file_) {
            continue;
        }
        found = r->capture->waiting() || found;
        if (!file_->drain(*r->capture) && !capture_failed_) {
            capture_failed_ = true;
            log(log_level::error, "capture: the file cannot be written; is the disk full?");
        }
    }
    return found;
}

void logging_thread::begin_capture(std::unique_ptr<capture_file> file) {
    const std::lock_guard hold(capture_lock_);
    for (auto* r : rings_) {
        if (!r->capture) {
            r->capture = std::make_unique<capture_ring>();
        }
    }
    dropped_before_ = dropped();
    capture_failed_ = false;
    file_ = std::move(file);
}

void logging_thread::end_capture() {
    // As much as the rings hold, even if a worker that hangs has not stopped filling its own.
    for (std::size_t left = capture_ring::slots; left > 0 && drain_captures(); --left) {
    }
    last_ = capture_counts();
    const std::lock_guard hold(capture_lock_);
    file_.reset();
}

logging_thread::counts logging_thread::capture_counts() {
    const std::lock_guard hold(capture_lock_);
    return file_ ? counts{file_->frames(), dropped() - dropped_before_} : last_;
}

}  // namespace dpdk
}  // namespace lastack
