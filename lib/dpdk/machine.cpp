// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/machine.hpp"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "lastack/user_folder.hpp"

namespace lastack::dpdk {
namespace {

// Asked of the machine itself, since EAL's limit on lcores is no limit on CPU numbers.
std::vector<unsigned> usable_cpus() {
    constexpr std::size_t most = 4096;
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(most),
                                                               [](cpu_set_t* s) { CPU_FREE(s); });
    const auto size = CPU_ALLOC_SIZE(most);
    std::vector<unsigned> cpus;
    if (::sched_getaffinity(0, size, set.get()) == 0) {
        for (unsigned cpu = 0; cpu < most; ++cpu) {
            if (CPU_ISSET_S(cpu, size, set.get())) {
                cpus.push_back(cpu);
            }
        }
    }
    return cpus.empty() ? std::vector<unsigned>{0} : cpus;
}

std::uint64_t free_hugepage_bytes() {
    namespace fs = std::filesystem;
    std::uint64_t bytes = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/sys/kernel/mm/hugepages", ignored)) {
        // hugepages-2048kB
        const auto kilobytes = std::strtoull(entry.path().filename().c_str() + 10, nullptr, 10);
        std::uint64_t pages = 0;
        std::ifstream(entry.path() / "free_hugepages") >> pages;
        bytes += pages * kilobytes * 1024;
    }
    return bytes;
}

bool can_write_var_run() {
    struct stat info {};
    if (::stat("/var/run/dpdk", &info) == 0) {
        return ::access("/var/run/dpdk", W_OK) == 0;
    }
    return ::access("/var/run", W_OK) == 0;
}

}  // namespace

machine look_at_machine() {
    return {usable_cpus(), free_hugepage_bytes(), ::getpid()};
}

result<bool, std::string> prepare_runtime_directory() {
    if (std::getenv("RUNTIME_DIRECTORY") != nullptr || (::getuid() == 0 && can_write_var_run())) {
        return true;
    }
    const char* session = std::getenv("XDG_RUNTIME_DIR");
    std::string directory = session == nullptr ? "" : session;
    if (directory.empty() || ::access(directory.c_str(), W_OK) != 0) {
        directory = user_folder();
        struct stat info {};
        // /tmp is open to all: someone else's directory or link must not get our sockets.
        if ((::mkdir(directory.c_str(), 0700) != 0 && ::lstat(directory.c_str(), &info) == 0 &&
             (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid())) ||
            ::access(directory.c_str(), W_OK) != 0) {
            return failure{directory +
                           " is not a directory of this user; set RUNTIME_DIRECTORY "
                           "to one for EAL's sockets"};
        }
    }
    ::setenv("RUNTIME_DIRECTORY", directory.c_str(), 1);
    return true;
}

}  // namespace lastack::dpdk
