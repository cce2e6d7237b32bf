// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/eal.hpp"

#include <fcntl.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>

namespace lastack::dpdk {
namespace {

// What this process is called in EAL's runtime directory, unless the words say otherwise.
std::string own_prefix(int pid) {
    return "lastack-" + std::to_string(pid);
}

// What follows the short ones may stand in the same word.
constexpr std::array<std::string_view, 12> short_options{"-a", "-b", "-c", "-d", "-l", "-m",
                                                         "-n", "-r", "-s", "-S", "-v", "-w"};
constexpr std::array<std::string_view, 39> long_options{"--allow",
                                                        "--base-virtaddr",
                                                        "--block",
                                                        "--coremask",
                                                        "--create-uio-dev",
                                                        "--driver-path",
                                                        "--file-prefix",
                                                        "--force-max-simd-bitwidth",
                                                        "--huge-dir",
                                                        "--huge-unlink",
                                                        "--huge-worker-stack",
                                                        "--in-memory",
                                                        "--iova-mode",
                                                        "--lcores",
                                                        "--legacy-mem",
                                                        "--log-level",
                                                        "--main-lcore",
                                                        "--match-allocations",
                                                        "--mbuf-pool-ops-name",
                                                        "--memory",
                                                        "--no-hpet",
                                                        "--no-huge",
                                                        "--no-pci",
                                                        "--no-shconf",
                                                        "--no-telemetry",
                                                        "--numa-mem",
                                                        "--proc-type",
                                                        "--single-file-segments",
                                                        "--socket-limit",
                                                        "--socket-mem",
                                                        "--syslog",
                                                        "--telemetry",
                                                        "--trace",
                                                        "--trace-bufsz",
                                                        "--trace-dir",
                                                        "--trace-mode",
                                                        "--vdev",
                                                        "--vfio-intr",
                                                        "--vmware-tsc-map"};

// The long ones that no word follows.
constexpr std::array<std::string_view, 14> flags{
    "--create-uio-dev", "--huge-unlink",       "--huge-worker-stack", "--in-memory",
    "--legacy-mem",     "--match-allocations", "--no-hpet",           "--no-huge",
    "--no-pci",         "--no-shconf",         "--no-telemetry",      "--single-file-segments",
    "--telemetry",      "--vmware-tsc-map"};

// The word after this one is its value.
bool takes_next(std::string_view word) {
    return word.starts_with("--") ? word.find('=') == word.npos &&
                                        std::find(flags.begin(), flags.end(), word) == flags.end()
                                  : word.size() == 2 && word != "-v";
}

bool has_any(const std::vector<std::string>& words, std::initializer_list<std::string_view> any) {
    return std::any_of(any.begin(), any.end(),
                       [&](std::string_view option) { return has_option(words, option); });
}

std::string lcore_map(std::uint32_t workers, const std::vector<unsigned>& cpus) {
    std::string all;
    for (const unsigned cpu : cpus) {
        all += (all.empty() ? "" : ",") + std::to_string(cpu);
    }
    std::string map = "0@(" + all + ")";
    for (std::uint32_t i = 0; i < workers; ++i) {
        map += "," + std::to_string(i + 1) + "@" + std::to_string(cpus[cpus.size() - 1 - i]);
    }
    return map;
}

void add_memory_words(std::vector<std::string>& words, const eal_request& request,
                      const machine& m) {
    const bool chosen = has_any(request.words, {"-m", "--socket-mem", "--huge-dir", "--in-memory",
                                                "--legacy-mem", "--huge-unlink", "--proc-type"});
    const bool no_huge = has_option(request.words, "--no-huge") ||
                         (!chosen && m.free_hugepage_bytes < request.hugepage_bytes);
    if (no_huge) {
        if (!has_option(request.words, "--no-huge")) {
            words.emplace_back("--no-huge");
        }
        if (!has_any(request.words, {"-m", "--socket-mem"})) {
            words.emplace_back("-m");
            words.push_back(std::to_string((request.page_bytes >> 20) + 1));
        }
        // Nobody can join this memory, so the files that would describe it are not made either.
        if (!has_any(request.words, {"--no-shconf", "--proc-type"})) {
            words.emplace_back("--no-shconf");
        }
    } else if (!has_any(request.words, {"--in-memory", "--huge-unlink", "--legacy-mem"})) {
        // A second process cannot join an --in-memory one, so whoever names a directory or a type
        // of process gets files, which are unlinked at once.
        words.emplace_back(has_any(request.words, {"--huge-dir", "--proc-type"})
                               ? "--huge-unlink=always"
                               : "--in-memory");
    }
}

// The first line that complains; what follows only says what failed because of it.
std::string& complaint() {
    static std::string text;
    return text;
}

void keep_complaint(std::string_view log) {
    constexpr std::array<std::string_view, 12> complaining{
        "annot",    "ailed",       "nable",     "rror",    "nvalid",      "ouldn't",
        "ould not", "unavailable", "not found", "No such", "ncompatible", "denied"};
    // What nobody misses: legacy telemetry, VFIO's module, net_tap's flow rules, and physical
    // addresses, which an ordinary user cannot see.
    constexpr std::array<std::string_view, 6> harmless{"TELEMETRY", "VFIO",     "vfio",
                                                       "multiq",    "rte flow", "Physical addr"};
    const auto any = [](std::string_view line, auto& words) {
        return std::any_of(words.begin(), words.end(),
                           [line](auto word) { return line.find(word) != line.npos; });
    };
    for (std::size_t start = 0; start < log.size();) {
        const auto end = std::min(log.find('\n', start), log.size());
        auto line = log.substr(start, end - start);
        start = end + 1;
        if (any(line, complaining) && !any(line, harmless)) {
            // Drivers begin with "function(): ", EAL with "EAL: ".
            const auto function = line.find("(): ");
            line.remove_prefix(function == line.npos ? 0 : function + 4);
            line.remove_prefix(line.starts_with("EAL: ") ? 5 : 0);
            complaint() = line.substr(0, line.find_last_not_of(". ") + 1);
            return;
        }
    }
}

// EAL prints its whole usage to standard output when it dislikes a word, and 'FATAL' to standard
// error past its own log.
class muted {
  public:
    muted(int stream, bool mute) : stream_(stream) {
        std::fflush(nullptr);
        const int nowhere = mute ? ::open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
        if (nowhere >= 0) {
            former_ = ::fcntl(stream_, F_DUPFD_CLOEXEC, 3);
            ::dup2(nowhere, stream_);
            ::close(nowhere);
        }
    }
    ~muted() {
        std::fflush(nullptr);
        if (former_ >= 0) {
            ::dup2(former_, stream_);
            ::close(former_);
        }
    }
    muted(const muted&) = delete;

  private:
    int stream_;
    int former_ = -1;
};

// EAL leaves its sockets behind. Only a directory whose name we chose is removed: under one that
// the words chose another process may run.
void remove_runtime_directory() {
    const std::filesystem::path directory = rte_eal_get_runtime_dir();
    if (directory.filename() == own_prefix(::getpid())) {
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
}

std::string advice(const std::string& why) {
    const auto says = [&why](std::string_view word) { return why.find(word) != why.npos; };
    if (says("ugepage") || says("ugetlbfs")) {
        return "reserve hugepages (dpdk-hugepages.py --setup 1G) or pass --no-huge";
    }
    if (says("runtime directory") || says("lock")) {
        return "set RUNTIME_DIRECTORY to a directory this user can write, or pass another "
               "--file-prefix";
    }
    if (says("memory") || says("allocate")) {
        return "free memory, lower lastack.mbufs and lastack.connections, or pass a smaller -m";
    }
    if (says("lcore") || says("core")) {
        return "name CPUs this process may use, or leave -l and --lcores out";
    }
    return "check the EAL arguments (docs: EAL parameters)";
}

}  // namespace

bool has_option(const std::vector<std::string>& words, std::string_view option) {
    const bool is_long = option.starts_with("--");
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        return word == option ||
               (word.starts_with(option) && (is_long ? word[option.size()] == '=' : true));
    });
}

bool is_eal_word(std::string_view word) {
    if (word.starts_with("--")) {
        const auto name = word.substr(0, word.find('='));
        return std::find(long_options.begin(), long_options.end(), name) != long_options.end();
    }
    return word.size() >= 2 && std::find(short_options.begin(), short_options.end(),
                                         word.substr(0, 2)) != short_options.end();
}

bool names_device(const std::vector<std::string>& words) {
    return has_any(words, {"--vdev", "-a", "--allow"});
}

std::vector<std::string> tap_interfaces(const std::vector<std::string>& words) {
    constexpr std::string_view option = "iface=";
    std::vector<std::string> found;
    for (const std::string_view word : words) {
        const auto device = word.substr(word.starts_with("--vdev=") ? word.find('=') + 1 : 0);
        if (!device.starts_with("net_tap")) {
            continue;
        }
        for (auto rest = device; rest.find(',') != rest.npos;) {
            rest.remove_prefix(rest.find(',') + 1);
            if (rest.starts_with(option)) {
                found.emplace_back(rest.substr(option.size(), rest.find(',') - option.size()));
            }
        }
    }
    return found;
}

result<std::vector<std::string>, std::string> eal_arguments(const eal_request& request,
                                                            const machine& m) {
    bool is_value = false;
    for (const auto& word : request.words) {
        const bool option = word.starts_with('-');
        if (option ? !is_eal_word(word) : !is_value) {
            return failure{"'" + word +
                           "' is not an argument of EAL; an application's own go after the --"};
        }
        if (option && is_value) {
            return failure{"EAL's option before '" + word + "' lacks its value"};
        }
        is_value = option && takes_next(word);
    }
    if (is_value) {
        return failure{"EAL's option '" + request.words.back() + "' lacks its value"};
    }
    std::vector<std::string> words{request.program};
    words.insert(words.end(), request.words.begin(), request.words.end());
    if (!has_any(request.words, {"-l", "-c", "-s", "-S", "--lcores", "--coremask"})) {
        if (request.workers > m.cpus.size()) {
            return failure{std::to_string(request.workers) + " workers need as many CPUs, but " +
                           std::to_string(m.cpus.size()) +
                           " can be used here; lower --workers, or place lcores with EAL's "
                           "--lcores"};
        }
        words.push_back("--lcores=" + lcore_map(request.workers, m.cpus));
    }
    const bool on_pci = has_any(request.words, {"-a", "--allow", "-b", "--block"});
    if (!on_pci && !has_option(request.words, "--no-pci")) {
        words.emplace_back("--no-pci");
    }
    if (!on_pci && !has_option(request.words, "--iova-mode")) {
        words.emplace_back("--iova-mode=va");  // no device that would need physical addresses
    }
    add_memory_words(words, request, m);
    if (!has_option(request.words, "--file-prefix")) {
        words.push_back("--file-prefix=" + own_prefix(m.pid));
    }
    return words;
}

result<bool, std::string> start_eal(const std::vector<std::string>& arguments) {
    std::vector<std::string> words = arguments;
    std::vector<char*> argv;
    for (auto& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);

    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* kept = ::open_memstream(&text, &size);
    const bool quiet = !has_option(arguments, "--log-level");
    if (quiet) {
        rte_openlog_stream(kept);
    }
    int used = 0;
    {
        const muted output(STDOUT_FILENO, quiet);
        const muted errors(STDERR_FILENO, quiet);
        used = rte_eal_init(static_cast<int>(words.size()), argv.data());
    }
    const int error = rte_errno;
    if (quiet) {
        rte_openlog_stream(stderr);
        rte_log_set_global_level(RTE_LOG_ERR);
        // net_tap complains at each start and stop that there is no secondary process to tell. What
        // does go wrong with a port is in what its calls return.
        rte_log_set_level_pattern("pmd.net.tap", RTE_LOG_CRIT);
    }
    std::fclose(kept);
    keep_complaint({text, size});
    std::free(text);
    if (used < 0) {
        remove_runtime_directory();
        const auto why = complaint().empty() ? std::string(rte_strerror(error)) : complaint();
        return failure{"EAL did not start: " + why + "; " + advice(why)};
    }
    return true;
}

const std::string& first_complaint() {
    return complaint();
}

void stop_eal() {
    rte_eal_cleanup();
    remove_runtime_directory();
}

}  // namespace lastack::dpdk
