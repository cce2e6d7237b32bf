// SPDX-License-Identifier: BSD-3-Clause
// What workers are asked to do on their stacks (core_task.hpp): count, list, explain, take
// settings.
#pragma once

#include <array>
#include <cstdint>

#include "config/settings.hpp"
#include "dpdk/core_task.hpp"
#include "dpdk/lcore_worker.hpp"
#include "stack/census.hpp"
#include "stack/inspect.hpp"

namespace lastack::dpdk {

// Places of a table that one slice looks at.
inline constexpr std::uint32_t slice_places = 256;

class snapshot_task final : public core_task {
  public:
    explicit snapshot_task(snapshot::mbufs held = snapshot::mbufs::not_counted) : held_(held) {}
    bool run(std::span<stack::core* const> stacks) override;
    snapshot taken;

  private:
    snapshot::mbufs held_;
};

class settings_task final : public core_task {
  public:
    explicit settings_task(const config::settings& share) : share_(share) {}
    bool run(std::span<stack::core* const> stacks) override;

  private:
    config::settings share_;  // one stack's
};

// One page of a list; from the place where `at` stands, which moves on.
class list_task final : public core_task {
  public:
    static constexpr std::size_t rows_max = 96;
    struct place {
        std::uint32_t stack = 0;
        stack::table_position position;
    };

    list_task(const place& from, const stack::row_filter& filter) : at(from), filter_(filter) {}
    bool run(std::span<stack::core* const> stacks) override;

    place at;
    bool at_end = false;  // of this worker's tables
    std::array<stack::connection_row, rows_max> rows;
    std::size_t found = 0;

  private:
    stack::row_filter filter_;
    std::uint32_t slices_ = 0;
};

// A walk over everything, into a census.
class census_task final : public core_task {
  public:
    census_task(const stack::row_filter& filter, std::uint32_t overdue_ms)
        : filter_(filter), overdue_ms_(overdue_ms) {}
    bool run(std::span<stack::core* const> stacks) override;
    stack::census counted;

  private:
    stack::row_filter filter_;
    std::uint32_t overdue_ms_;
    list_task::place at_;
    std::array<stack::connection_row, slice_places> rows_;
};

class explain_task final : public core_task {
  public:
    explicit explain_task(const flow::key4& key) : key_(key) {}
    bool run(std::span<stack::core* const> stacks) override;
    bool known() const {
        return answer.found != stack::explanation::found_as::nothing || answer.closes_found > 0;
    }
    stack::explanation answer;

  private:
    flow::key4 key_;
};

}  // namespace lastack::dpdk
