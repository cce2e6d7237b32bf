// SPDX-License-Identifier: BSD-3-Clause
// One telemetry reply being written: an object of numbers, strings, and arrays and objects of them.
#pragma once

#include <rte_telemetry.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lastack::dpdk {

class reply {
  public:
    using numbers = std::vector<std::pair<std::string, std::uint64_t>>;

    explicit reply(rte_tel_data* data) : data_(data) { rte_tel_data_start_dict(data); }

    void add(const std::string& name, std::uint64_t value) {
        rte_tel_data_add_dict_u64(data_, name.c_str(), value);
    }
    void add(const std::string& name, std::string_view text) {
        rte_tel_data_add_dict_string(data_, name.c_str(), std::string(text).c_str());
    }
    void add(const std::string& name, std::span<const std::string> texts) {
        rte_tel_data* const inner = rte_tel_data_alloc();
        rte_tel_data_start_array(inner, RTE_TEL_STRING_VAL);
        for (const auto& text : texts) {
            rte_tel_data_add_array_string(inner, text.c_str());
        }
        rte_tel_data_add_dict_container(data_, name.c_str(), inner, 0);
    }
    void add(const std::string& name, const numbers& values) {
        rte_tel_data* const inner = rte_tel_data_alloc();
        rte_tel_data_start_dict(inner);
        for (const auto& [key, value] : values) {
            rte_tel_data_add_dict_u64(inner, key.c_str(), value);
        }
        rte_tel_data_add_dict_container(data_, name.c_str(), inner, 0);
    }
    void fail(std::string_view sentence) {
        // A string holds 127 characters, a sentence may be longer.
        rte_tel_data_start_dict(data_);
        add("error", sentence.substr(0, 120));
        for (std::size_t at = 120, part = 1; at < sentence.size(); at += 120, ++part) {
            add("error" + std::to_string(part), sentence.substr(at, 120));
        }
    }

  private:
    rte_tel_data* data_;
};

}  // namespace lastack::dpdk
