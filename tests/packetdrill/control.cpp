// SPDX-License-Identifier: BSD-3-Clause
#include "packetdrill/control.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace lastack::packetdrill {

control::control(world& w)
    : world_(w),
      directory_(std::filesystem::temp_directory_path() /
                 ("lastack-packetdrill." + std::to_string(getpid()))) {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);  // of an earlier process of this number
    if (mkdir(directory_.c_str(), 0700) != 0 || mkfifo((directory_ + "/ask").c_str(), 0600) != 0 ||
        mkfifo((directory_ + "/answer").c_str(), 0600) != 0) {
        error_ = "cannot make FIFOs in " + directory_ + ": " + std::strerror(errno);
        return;
    }
    thread_ = std::thread([this] { serve(); });
}

control::~control() {
    if (thread_.joinable()) {
        std::ofstream(directory_ + "/ask") << "end\n";
        thread_.join();
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

void control::serve() {
    for (;;) {
        std::ifstream ask(directory_ + "/ask");  // until somebody asks
        std::string question;
        if (!std::getline(ask, question)) {
            continue;
        }
        ask.close();
        if (question == "end") {
            return;
        }
        std::ofstream(directory_ + "/answer") << answer_to(question);
    }
}

std::string control::answer_to(const std::string& question) {
    std::istringstream words(question);
    std::string verb;
    std::string key;
    std::string value;
    words >> verb >> key >> std::ws;
    std::getline(words, value);
    if (verb == "set") {
        const std::string wrong = world_.change_setting(key, value);
        return wrong.empty() ? "" : "error: " + wrong + "\n";
    }
    if (verb == "get") {
        const auto text = world_.read_setting(key);
        return text ? *text + "\n" : "error: " + text.error() + "\n";
    }
    if (verb == "counters") {
        return world_.counter_lines();
    }
    return "error: unknown question: " + question + "\n";
}

}  // namespace lastack::packetdrill
