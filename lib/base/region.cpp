// SPDX-License-Identifier: BSD-3-Clause
#include "base/region.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string_view>

namespace lastack {

namespace {

constexpr std::size_t small_page_bytes = 4096;
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) {
    return (bytes + to - 1) / to * to;
}

// MADV_POPULATE_WRITE (Linux 5.14) faults everything in with one call and reports lack of memory
// as an error, where touching would end in a signal. Older kernels and headers: touch.
bool populate(void* data, std::size_t bytes) {
#ifdef MADV_POPULATE_WRITE
    if (madvise(data, bytes, MADV_POPULATE_WRITE) == 0) {
        return true;
    }
    if (errno != EINVAL) {
        return false;
    }
#endif
    for (std::size_t at = 0; at < bytes; at += small_page_bytes) {
        static_cast<volatile std::byte*>(data)[at] = std::byte{0};
    }
    return true;
}

void* map_populated(std::size_t bytes, int extra_flags, bool advise_huge) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | extra_flags, -1, 0);
    if (p == MAP_FAILED) {
        return nullptr;
    }
    if (advise_huge) {
        madvise(p, bytes, MADV_HUGEPAGE);  // only advice: refused where THP is off
    }
    if (!populate(p, bytes)) {
        munmap(p, bytes);
        return nullptr;
    }
    return p;
}

std::string mebibytes(std::size_t bytes) {
    return std::to_string((bytes + (std::size_t{1} << 20) - 1) >> 20) + " MiB";
}

// A line of /proc/meminfo, as it stands there; zero when there is none of that name.
std::size_t meminfo(std::string_view wanted) {
    std::ifstream file("/proc/meminfo");
    std::string name;
    std::size_t value = 0;
    for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        if (fields >> name >> value && name == wanted) {
            return value;
        }
    }
    return 0;
}

// What could be had without swapping.
std::size_t available_bytes() {
    return meminfo("MemAvailable:") << 10;
}

}  // namespace

std::size_t reservable_bytes(page_size preference) {
    const std::size_t available = available_bytes();
    if (preference != page_size::huge || available == 0 ||
        meminfo("Hugepagesize:") << 10 != huge_page_bytes) {
        return available;
    }
    return available + meminfo("HugePages_Free:") * huge_page_bytes;
}

region::~region() {
    if (data_ != nullptr) {
        munmap(data_, mapped_bytes_);
    }
}

result<region, std::string> region::map(std::size_t bytes, page_size preference) {
    const std::size_t asked = bytes == 0 ? 1 : bytes;
    region made;
    made.size_ = bytes;
    if (preference == page_size::huge && asked <= ~std::size_t{0} - huge_page_bytes) {
        made.mapped_bytes_ = round_up(asked, huge_page_bytes);
        // MAP_HUGETLB reserves the pages in mmap() itself, so too few of them fail here and not
        // as SIGBUS on first use.
        if (void* p = map_populated(made.mapped_bytes_, MAP_HUGETLB, false)) {
            made.data_ = static_cast<std::byte*>(p);
            made.huge_ = true;
            return made;
        }
    }
    // Asking for more than there is would not fail in mmap() but call the OOM killer while
    // populating.
    const std::size_t available = available_bytes();
    const bool fits = available == 0 || asked <= available;
    if (fits) {
        made.mapped_bytes_ = round_up(asked, small_page_bytes);
        if (void* p = map_populated(made.mapped_bytes_, 0, asked >= huge_page_bytes)) {
            made.data_ = static_cast<std::byte*>(p);
            return made;
        }
    }
    made.mapped_bytes_ = 0;
    return failure{"cannot reserve " + mebibytes(asked) + " of memory (" + std::to_string(asked) +
                   " bytes; " + mebibytes(available) +
                   " are free): lower the capacity that needs it, or free memory"};
}

}  // namespace lastack
