// SPDX-License-Identifier: BSD-3-Clause
#include "support/environment.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

namespace lastack::test {
namespace {

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "test environment: %s\n", why.c_str());
    std::exit(2);
}

// "0@(0,1)": one lcore that may run wherever this process may, so that EAL pins nothing.
std::string floating_lcore() {
    cpu_set_t cpus;
    std::string list;
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) {
        for (int i = 0; i < CPU_SETSIZE; ++i) {
            if (CPU_ISSET(i, &cpus)) {
                list += (list.empty() ? "" : ",") + std::to_string(i);
            }
        }
    }
    return "--lcores=0@(" + (list.empty() ? "0" : list) + ")";
}

class running_eal {
  public:
    explicit running_eal(unsigned memory_mib) {
        std::string pattern = (std::filesystem::temp_directory_path() / "lastack-test-XXXXXX");
        if (mkdtemp(pattern.data()) == nullptr) {
            give_up("cannot make a directory in " +
                    std::filesystem::temp_directory_path().string());
        }
        directory_ = pattern;
        setenv("RUNTIME_DIRECTORY", directory_.c_str(), 1);
        std::vector<std::string> words{"test",
                                       "--no-huge",
                                       "--no-pci",
                                       "--no-shconf",
                                       "--no-telemetry",
                                       "--iova-mode=va",
                                       "--log-level=error",
                                       "-m",
                                       std::to_string(memory_mib),
                                       "--file-prefix=lastack-test-" + std::to_string(getpid()),
                                       floating_lcore()};
        std::vector<char*> argv;
        for (auto& word : words) {
            argv.push_back(word.data());
        }
        argv.push_back(nullptr);
        if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0) {
            remove_directory();
            give_up(std::string("EAL did not start: ") + rte_strerror(rte_errno));
        }
    }
    ~running_eal() {
        rte_eal_cleanup();
        remove_directory();
    }

  private:
    void remove_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    std::filesystem::path directory_;
};

rte_mempool* make_pool(const char* kind, std::uint32_t mbufs, std::uint16_t room) {
    static std::atomic<unsigned> serial{0};
    const std::string name = std::string(kind) + std::to_string(serial.fetch_add(1));
    rte_mempool* pool = rte_pktmbuf_pool_create(name.c_str(), mbufs, 0, 0, room, SOCKET_ID_ANY);
    if (pool == nullptr) {
        give_up("no room for a pool of " + std::to_string(mbufs) +
                " mbufs: " + rte_strerror(rte_errno));
    }
    return pool;
}

std::string missing(const char* name, const rte_mempool* pool) {
    const unsigned in_use = pool->size - rte_mempool_avail_count(pool);
    return in_use == 0 ? "" : std::to_string(in_use) + " mbufs of the " + name + " pool are out; ";
}

}  // namespace

void environment::start(unsigned memory_mib) {
    static const running_eal eal(memory_mib);
}

test_pools::test_pools(const pool_sizes& sizes) {
    environment::start();
    pools_.data = make_pool("data", sizes.data, RTE_MBUF_DEFAULT_BUF_SIZE);
    pools_.control = make_pool("control", sizes.control, RTE_PKTMBUF_HEADROOM + 128);
    pools_.indirect = make_pool("indirect", sizes.indirect, 0);
}

test_pools::~test_pools() {
    rte_mempool_free(pools_.data);
    rte_mempool_free(pools_.control);
    rte_mempool_free(pools_.indirect);
}

std::string test_pools::leaks() const {
    return missing("data", pools_.data) + missing("control", pools_.control) +
           missing("indirect", pools_.indirect);
}

rte_mbuf* make_frame(rte_mempool* pool, std::span<const std::uint8_t> bytes) {
    rte_mbuf* m = rte_pktmbuf_alloc(pool);
    if (m == nullptr) {
        return nullptr;
    }
    char* room = bytes.size() <= UINT16_MAX
                     ? rte_pktmbuf_append(m, static_cast<std::uint16_t>(bytes.size()))
                     : nullptr;
    if (room == nullptr) {
        rte_pktmbuf_free(m);
        return nullptr;
    }
    std::memcpy(room, bytes.data(), bytes.size());
    return m;
}

std::string frame_bytes(const rte_mbuf* frame) {
    std::string all;
    for (const rte_mbuf* m = frame; m != nullptr; m = m->next) {
        all.append(rte_pktmbuf_mtod(m, const char*), m->data_len);
    }
    return all;
}

}  // namespace lastack::test
