// SPDX-License-Identifier: BSD-3-Clause
// How a script's shell commands speak to the stack: two FIFOs in a directory named by process.
//
//   ${TMPDIR:-/tmp}/lastack-packetdrill.PID/{ask,answer}
//
// A question is one line; the answer is text that ends with the file:
//   set KEY VALUE    nothing, or "error: " and a sentence
//   get KEY          the value, or "error: " and a sentence
//   counters         NAME VALUE, a line each
// packetdrill waits for a command while it runs, so one question comes at a time.
#pragma once

#include <string>
#include <thread>

#include "packetdrill/world.hpp"

namespace lastack::packetdrill {

class control {
  public:
    explicit control(world&);
    ~control();
    control(const control&) = delete;
    control& operator=(const control&) = delete;

    // Why there is none; empty when all is well.
    const std::string& error() const { return error_; }

  private:
    void serve();
    std::string answer_to(const std::string& question);

    world& world_;
    std::string directory_;
    std::string error_;
    std::thread thread_;
};

}  // namespace lastack::packetdrill
