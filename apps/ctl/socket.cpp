// SPDX-License-Identifier: BSD-3-Clause
#include "socket.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lastack/user_folder.hpp"

namespace ctl {
namespace {

namespace fs = std::filesystem;
using lastack::failure;
using lastack::result;

constexpr std::string_view socket_name = "dpdk_telemetry.v2";

// Sockets in DIRECTORY/PREFIX/, of every prefix when `prefix` is empty. A second process under the
// same prefix (--in-memory) has ":1" at its socket's end.
std::vector<std::string> sockets_in(const std::string& directory, const std::string& prefix) {
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& folder : fs::directory_iterator(directory, ignored)) {
        if (!prefix.empty() && folder.path().filename() != prefix) {
            continue;
        }
        for (const auto& file : fs::directory_iterator(folder.path(), ignored)) {
            if (file.path().filename().string().starts_with(socket_name)) {
                found.push_back(file.path());
            }
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

int connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    std::copy(path.begin(), path.end(), address.sun_path);
    const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const timeval limit{5, 0};
    if (fd >= 0) {
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            const int error = errno;
            ::close(fd);
            errno = error;
            return -1;
        }
    }
    return fd;
}

std::string joined(const std::vector<std::string>& words) {
    std::string all;
    for (const auto& w : words) {
        all += (all.empty() ? "" : ", ") + w;
    }
    return all;
}

}  // namespace

void connection::close_file::operator()(const int* fd) const {
    ::close(*fd);
    delete fd;
}

std::vector<std::string> search_directories() {
    std::vector<std::string> all;
    const auto add = [&all](const std::string& directory) {
        if (std::find(all.begin(), all.end(), directory) == all.end()) {
            all.push_back(directory);
        }
    };
    const auto add_base = [&add](const char* base) {
        if (base != nullptr && *base != '\0') {
            add(std::string(base) + "/dpdk");
            add(base);
        }
    };
    add_base(std::getenv("RUNTIME_DIRECTORY"));
    add_base(lastack::user_folder().c_str());
    add("/var/run/dpdk");
    if (const char* session = std::getenv("XDG_RUNTIME_DIR"); session != nullptr) {
        add(std::string(session) + "/dpdk");
    }
    add("/tmp/dpdk");
    return all;
}

result<connection, std::string> connection::open(const std::string& prefix,
                                                 const std::vector<std::string>& where) {
    std::vector<connection> stacks;
    std::vector<std::string> prefixes, silent;
    for (const auto& directory : where) {
        for (const auto& path : sockets_in(directory, prefix)) {
            connection c;
            const int fd = connect_to(path);
            if (fd < 0) {
                if (errno != ECONNREFUSED) {  // what a process that is gone has left
                    silent.push_back(path + " (" + std::strerror(errno) + ")");
                }
                continue;
            }
            c.fd_.reset(new int(fd));
            std::string hello(1024, '\0');
            const auto n = ::recv(fd, hello.data(), hello.size(), 0);
            const auto greeting = nlohmann::json::parse(
                hello.substr(0, n > 0 ? static_cast<std::size_t>(n) : 0), nullptr, false);
            if (greeting.is_object()) {
                c.reply_max_ = greeting.value("max_output_len", c.reply_max_);
            }
            // Other DPDK programs do not know the command.
            const auto about = c.ask("/lastack/about");
            if (!about) {
                continue;
            }
            c.identity_ = fs::path(path).parent_path().filename().string() + "." +
                          std::to_string(about->value("pid", 0));
            prefixes.push_back(fs::path(path).parent_path().filename());
            stacks.push_back(std::move(c));
        }
    }
    if (stacks.size() == 1) {
        return std::move(stacks.front());
    }
    if (stacks.size() > 1) {
        return failure{"more than one stack is running (" + joined(prefixes) +
                       "); name one with --file-prefix"};
    }
    return failure{
        "no running stack" + (prefix.empty() ? std::string() : " under --file-prefix " + prefix) +
        "; looked for " + (prefix.empty() ? "*" : prefix) + "/" + std::string(socket_name) +
        " in " + joined(where) + (silent.empty() ? "" : "; could not open " + joined(silent)) +
        "; set RUNTIME_DIRECTORY as the stack has it" +
        (prefix.empty() ? "" : ", or leave --file-prefix out")};
}

result<nlohmann::json, std::string> connection::ask(const std::string& command) {
    if (::send(*fd_, command.data(), command.size(), MSG_NOSIGNAL) < 0) {
        return failure{std::string("the stack has gone: ") + std::strerror(errno)};
    }
    std::string text(reply_max_ + 1024, '\0');
    const auto n = ::recv(*fd_, text.data(), text.size(), 0);
    if (n <= 0) {
        return failure{n == 0 ? std::string("the stack has gone")
                              : std::string("the stack does not answer: ") + std::strerror(errno)};
    }
    const auto reply =
        nlohmann::json::parse(text.substr(0, static_cast<std::size_t>(n)), nullptr, false);
    const auto name = command.substr(0, command.find(','));
    if (!reply.is_object() || !reply.contains(name) || !reply[name].is_object()) {
        return failure{"the stack does not know " + name + " (is it of another version?)"};
    }
    const auto& answer = reply[name];
    if (answer.contains("error")) {
        std::string sentence = answer["error"];
        for (int part = 1; answer.contains("error" + std::to_string(part)); ++part) {
            sentence += answer["error" + std::to_string(part)].get<std::string>();
        }
        return failure{sentence};
    }
    return answer;
}

}  // namespace ctl
