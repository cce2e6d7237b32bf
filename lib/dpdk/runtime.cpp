// SPDX-License-Identifier: BSD-3-Clause
// Starting and ending a process on lastack. control.cpp has what happens in between.
#include "lastack/runtime.hpp"

#include <pthread.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "config/options.hpp"
#include "dpdk/eal.hpp"
#include "dpdk/kernel_side.hpp"
#include "dpdk/plan.hpp"
#include "dpdk/runtime_impl.hpp"

namespace lastack {

result<std::unique_ptr<runtime>, std::string> runtime::start(const runtime_options& options) {
    auto made = std::make_unique<dpdk::runtime_impl>(options);
    if (auto started = made->start(); !started) {
        return failure{started.error()};
    }
    return std::unique_ptr<runtime>(std::move(made));
}

namespace dpdk {
namespace {

using outcome = result<bool, std::string>;

// How many ports EAL's words will make, for the memory estimate.
std::size_t count_devices(const config::configuration& c) {
    std::size_t n = c.port.ring_pair ? 2 : 0;
    for (const auto& word : c.eal) {
        n += is_eal_word(word) && names_device({word}) ? 1 : 0;
    }
    return n == 0 ? 1 : n;
}

// Megabytes of this process in memory.
std::uint64_t resident_mib() {
    std::uint64_t pages = 0;
    std::ifstream file("/proc/self/statm");
    file >> pages >> pages;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) >> 20;
}

std::string no_port_message() {
    const auto& why = first_complaint();
    return "there is no port" + (why.empty() ? std::string() : ": " + why) +
           "; name a device EAL can open (--vdev=net_tap0,iface=lastack0 needs /dev/net/tun and "
           "CAP_NET_ADMIN; -a PCI-ADDRESS needs the device bound, see dpdk-devbind.py), or take a "
           "--driver-config";
}

}  // namespace

runtime_impl::runtime_impl(const runtime_options& options)
    : options_(options), config_(options.values()) {
    // Blocked before EAL makes threads, which inherit it: only control() takes these signals.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals, &former_signals_);
}

runtime_impl::~runtime_impl() {
    logging_.reset();
    workers_.clear();
    for (const auto& p : ports_) {
        close_port(p.id);
    }
    ports_.clear();  // with the frames that workers had for one another: EAL's memory goes next
    if (eal_started_) {
        stop_eal();
    }
    ::pthread_sigmask(SIG_SETMASK, &former_signals_, nullptr);
}

outcome runtime_impl::start() {
    const auto resolved = config::resolve(config_.values);
    if (!resolved) {
        return failure{resolved.error()};
    }
    config_.values = *resolved;
    for (const auto step : {&runtime_impl::start_eal_with_memory, &runtime_impl::open_ports,
                            &runtime_impl::make_stacks, &runtime_impl::start_logging}) {
        if (const auto done = (this->*step)(); !done) {
            return done;
        }
    }
    return true;
}

// EAL's memory is fixed at start without hugepages, so what pools and ports need is computed first.
outcome runtime_impl::start_eal_with_memory() {
    if (const auto made = prepare_runtime_directory(); !made) {
        return made;
    }
    for (const auto& interface : tap_interfaces(config_.eal)) {
        if (const auto unused = check_unused(interface); !unused) {
            return unused;
        }
    }
    const auto devices = static_cast<std::uint32_t>(count_devices(config_));
    plan_ = plan_pools(config_, devices);
    eal_request request{options_.program, config_.eal, config_.stack.workers};
    request.hugepage_bytes = plan_.eal_bytes(devices);
    plan_.hugepages = false;
    request.page_bytes = plan_.eal_bytes(devices);
    const auto arguments = eal_arguments(request, look_at_machine());
    if (!arguments) {
        return failure{arguments.error()};
    }
    plan_.hugepages = !has_option(*arguments, "--no-huge");
    if (!plan_.hugepages) {
        const auto stacks = config_.stack.workers * devices;
        const auto room = check_ordinary_pages(plan_, devices, share(config_.values, stacks),
                                               stacks, reservable_bytes(page_size::normal));
        if (!room) {
            return room;
        }
    }
    if (const auto done = start_eal(*arguments); !done) {
        return done;
    }
    eal_started_ = true;
    unsigned lcore = 0;
    RTE_LCORE_FOREACH_WORKER(lcore) {
        lcores_.push_back(lcore);
    }
    if (lcores_.size() < config_.stack.workers) {
        return failure{std::to_string(config_.stack.workers) +
                       " worker(s) need that many lcores "
                       "besides the main one, but EAL was given " +
                       std::to_string(lcores_.size()) +
                       "; the main lcore is the control thread, so write for example --lcores "
                       "0@0,1@1, or leave -l and --lcores out"};
    }
    lcores_.resize(config_.stack.workers);
    return true;
}

outcome runtime_impl::open_ports() {
    if (config_.port.ring_pair) {
        const auto most = config_.port.queues != 0 ? config_.port.queues : config_.stack.workers;
        if (const auto made = make_ring_pair(std::min(most, config_.stack.workers)); !made) {
            return made;
        }
    }
    const auto ids = port_ids();
    if (ids.empty()) {
        return failure{no_port_message()};
    }
    if (const auto good = check_addresses(config_.stack, ids.size()); !good) {
        return good;
    }
    const bool spread = std::all_of(ids.begin(), ids.end(), [this](std::uint16_t id) {
        return can_spread(id, config_.port, config_.stack.workers);
    });
    auto made = make_pools(plan_, config_.stack.workers > 1 && !spread);
    if (!made) {
        return failure{made.error()};
    }
    pools_ = std::move(*made);
    for (const auto id : ids) {
        auto opened = open_port(id, config_.port, pools_);
        if (!opened) {
            return failure{opened.error()};
        }
        ports_.push_back(*opened);
    }
    return config_.kernel.interface.empty() ? outcome(true) : bring_up_kernel_side(config_.kernel);
}

outcome runtime_impl::make_stacks() {
    const auto& file = config_.values.secret_file;
    const auto key = file.empty() ? random_secret() : secret_from_file(std::string(file.view()));
    if (!key) {
        return failure{key.error()};
    }
    const auto base = clock_base_us();
    const auto stacks = static_cast<std::uint32_t>(config_.stack.workers * ports_.size());
    const auto part = share(config_.values, stacks);
    const auto pages = plan_.hugepages ? page_size::huge : page_size::normal;
    if (auto room = check_tables(part, stacks, reservable_bytes(pages)); !room) {
        return room;
    }
    for (unsigned i = 0; i < config_.stack.workers; ++i) {
        workers_.push_back(std::make_unique<lcore_worker>(i, steering_, base));
        auto make = [&]() -> outcome {
            for (std::size_t p = 0; p < ports_.size(); ++p) {
                const auto index = static_cast<std::uint32_t>(i * ports_.size() + p);
                const stack::core_config config{
                    ports_[p].link,
                    addresses_of(config_.stack, p),
                    gateway_of(config_.stack, p),
                    part,
                    pools_[i],
                    pages,
                    {index, stacks},
                    *key,
                    ports_[p].exchange ? &ports_[p].exchange->owners() : nullptr,
                    i};
                if (auto done = workers_[i]->attach(ports_[p], config); !done) {
                    return done;
                }
            }
            return true;
        };
        // One lcore after the other: each faults its memory in, near itself.
        struct call {
            decltype(make)& function;
            outcome done = true;
        } c{make};
        rte_eal_remote_launch(
            [](void* argument) {
                auto& one = *static_cast<call*>(argument);
                one.done = one.function();
                return 0;
            },
            &c, lcores_[i]);
        rte_eal_wait_lcore(lcores_[i]);
        if (!c.done) {
            return c.done;
        }
    }
    return true;
}

outcome runtime_impl::start_logging() {
    std::vector<worker_rings*> rings;
    for (const auto& w : workers_) {
        rings.push_back(&w->rings());
    }
    logging_.emplace(rings);
    if (!options_.capture.empty()) {
        auto opened = capture_file::open(options_.capture, port_names());
        if (!opened) {
            return failure{opened.error()};
        }
        logging_->begin_capture(std::move(*opened));
        for (auto* r : rings) {
            r->capturing = true;
        }
    }
    if (!options_.foreign_settings().empty()) {
        std::string names;
        for (const auto& name : options_.foreign_settings()) {
            names += (names.empty() ? "" : ", ") + name;
        }
        log(log_level::info, "--sysctl-file: not settings of this stack, ignored: " + names);
    }
    return true;
}

std::vector<std::string> runtime_impl::port_names() const {
    std::vector<std::string> names;
    for (const auto& p : ports_) {
        names.push_back(p.name);
    }
    return names;
}

std::string runtime_impl::describe() const {
    std::string addresses, wires, cores;
    for (const auto& a : config_.stack.addresses) {
        addresses += (addresses.empty() ? "" : ", ") + to_string(a.prefix.address) + "/" +
                     std::to_string(a.prefix.length);
    }
    for (const auto& p : ports_) {
        wires += (wires.empty() ? "" : ", ") + p.name + " " + to_string(p.link.mac);
    }
    for (const auto lcore : lcores_) {
        cores += (cores.empty() ? "" : ",") + std::to_string(lcore);
    }
    return options_.program + ": " + addresses + " on " + wires + "; worker lcores " + cores +
           "; memory " + std::to_string(resident_mib()) + " MiB" +
           (plan_.hugepages ? " with hugepages" : " without hugepages") + "; room for " +
           std::to_string(config_.values.connections) + " connections and " +
           std::to_string(config_.values.time_wait_records) + " in TIME_WAIT";
}

}  // namespace dpdk
}  // namespace lastack
