// SPDX-License-Identifier: BSD-3-Clause
// Finding a running stack and asking it: DPDK telemetry's socket (SOCK_SEQPACKET, a command out, a
// JSON object back, at most 16 KiB).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "lastack/result.hpp"

namespace ctl {

// "/lastack/states" or "/lastack/explain,..." -> what it answers; the error is a sentence, from the
// stack or about reaching it. What commands are given, so that tests can play the stack.
using ask_function =
    std::function<lastack::result<nlohmann::json, std::string>(const std::string&)>;

// Where EAL may have put its sockets, in order: $RUNTIME_DIRECTORY, the runtime's own folder,
// /var/run/dpdk, $XDG_RUNTIME_DIR/dpdk, /tmp/dpdk; without doubles.
std::vector<std::string> search_directories();

class connection {
  public:
    // The stack that runs under `prefix`, or, when it is empty, the only one there is. The error
    // says how it looked and how to point it elsewhere.
    static lastack::result<connection, std::string> open(const std::string& prefix,
                                                         const std::vector<std::string>& where);

    lastack::result<nlohmann::json, std::string> ask(const std::string& command);
    // Names the process: another run under the same prefix has another.
    const std::string& identity() const { return identity_; }

  private:
    struct close_file {
        void operator()(const int* fd) const;
    };
    std::unique_ptr<int, close_file> fd_;
    std::string identity_;
    std::size_t reply_max_ = 16384;
};

}  // namespace ctl
