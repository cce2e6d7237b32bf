// SPDX-License-Identifier: BSD-3-Clause
#include "config/configuration.hpp"
#include "config/options.hpp"
#include "dpdk/eal.hpp"
#include "lastack/options.hpp"

#include <utility>

namespace lastack {

using outcome = result<bool, std::string>;

runtime_options::runtime_options()
    : values_(std::make_unique<config::configuration>(config::built_in())) {}
runtime_options::~runtime_options() = default;
runtime_options::runtime_options(const runtime_options& other)
    : program(other.program),
      run_for(other.run_for),
      stats(other.stats),
      capture(other.capture),
      quiet(other.quiet),
      values_(std::make_unique<config::configuration>(*other.values_)),
      driver_chosen_(other.driver_chosen_),
      foreign_settings_(other.foreign_settings_) {}
runtime_options::runtime_options(runtime_options&&) noexcept = default;
runtime_options& runtime_options::operator=(const runtime_options& other) {
    return *this = runtime_options(other);
}
runtime_options& runtime_options::operator=(runtime_options&&) noexcept = default;

outcome runtime_options::set(std::string_view key, std::string_view value) {
    return config::set(values_->values, key, value);
}

outcome runtime_options::set_assignment(std::string_view assignment) {
    return config::set_assignment(values_->values, assignment);
}

outcome runtime_options::read_driver_config(const std::string& path) {
    auto next = *values_;
    config::forget_driver(next);
    auto done = config::read_toml_file(next, path);
    if (done) {
        *values_ = std::move(next);
        driver_chosen_ = true;
    }
    return done;
}

outcome runtime_options::read_config(const std::string& path) {
    const auto eal_before = values_->eal;
    auto done = config::read_toml_file(*values_, path);
    driver_chosen_ = driver_chosen_ || values_->eal != eal_before;
    if (values_->port.ring_pair) {
        forget_default_device();
    }
    return done;
}

outcome runtime_options::read_sysctl_file(const std::string& path) {
    const auto foreign = config::read_sysctl_file(values_->values, path);
    if (!foreign) {
        return failure{foreign.error()};
    }
    foreign_settings_ = *foreign;
    return true;
}

outcome runtime_options::set_addresses(std::span<const std::string> texts) {
    std::vector<config::interface_address> parsed;
    for (const auto& text : texts) {
        const auto one = config::parse_interface_address(text);
        if (!one) {
            return failure{one.error()};
        }
        parsed.push_back(*one);
    }
    values_->stack.addresses = std::move(parsed);
    values_->stack.addresses_given = true;
    return true;
}

outcome runtime_options::set_gateway(std::string_view address) {
    const auto parsed = parse_ipv4(address);
    if (!parsed) {
        return failure{"gateway '" + std::string(address) + "' is not an IPv4 address"};
    }
    values_->stack.gateway = parsed;
    return true;
}

void runtime_options::set_listen(std::vector<std::uint16_t> tcp_ports) {
    values_->stack.listen = std::move(tcp_ports);
}

void runtime_options::add_eal_arguments(const std::vector<std::string>& arguments) {
    if (dpdk::names_device(arguments)) {
        forget_default_device();
    }
    values_->eal.insert(values_->eal.end(), arguments.begin(), arguments.end());
}

void runtime_options::set_mtu(std::uint32_t octets) {
    values_->port.mtu = octets;
}

void runtime_options::use_ring_pair() {
    forget_default_device();
    values_->port.ring_pair = true;
}

// Words that came since stay.
void runtime_options::forget_default_device() {
    if (!std::exchange(driver_chosen_, true)) {
        std::erase(values_->eal, config::built_in().eal.front());
        values_->kernel = {};
    }
}

void runtime_options::set_workers(std::uint32_t count) {
    values_->stack.workers = count;
}

const std::vector<std::uint16_t>& runtime_options::listen() const {
    return values_->stack.listen;
}

bool runtime_options::addresses_given() const {
    return values_->stack.addresses_given;
}

std::uint32_t runtime_options::workers() const {
    return values_->stack.workers;
}

std::vector<ip_address> runtime_options::addresses(unsigned port) const {
    std::vector<ip_address> found;
    for (const auto& a : values_->stack.addresses) {
        if (a.port == port) {
            found.push_back(a.prefix.address);
        }
    }
    return found;
}

}  // namespace lastack
