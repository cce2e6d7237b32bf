// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/secret.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace lastack::dpdk {
namespace {

constexpr std::size_t digits = 32;

failure<std::string> wrong(const std::string& path, const std::string& what) {
    return failure{"lastack.secret_file " + path + ": " + what};
}

result<secret, std::string> make_file(const std::string& path) {
    const auto made = random_secret();
    if (!made) {
        return made;
    }
    char text[digits + 2];
    std::snprintf(text, sizeof text, "%016llx%016llx\n",
                  static_cast<unsigned long long>((*made)[0]),
                  static_cast<unsigned long long>((*made)[1]));
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        return wrong(path, std::string("cannot be made: ") + std::strerror(errno));
    }
    const bool written = ::write(file, text, digits + 1) == digits + 1;
    const bool kept = ::fsync(file) == 0;
    ::close(file);
    if (!written || !kept) {
        ::unlink(path.c_str());
        return wrong(path, "cannot be written; is the disk full?");
    }
    return made;
}

}  // namespace

result<secret, std::string> random_secret() {
    secret made{};
    if (::getrandom(made.data(), sizeof made, 0) != static_cast<ssize_t>(sizeof made)) {
        return failure{std::string("no random numbers from the kernel: ") + std::strerror(errno)};
    }
    return made;
}

result<secret, std::string> secret_from_file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO waits
    if (file < 0) {
        return errno == ENOENT ? make_file(path)
                               : result<secret, std::string>(wrong(
                                     path, std::string("cannot be read: ") + std::strerror(errno)));
    }
    struct stat info {};
    char text[digits + 2] = "";
    const bool known = ::fstat(file, &info) == 0;
    const auto length = ::read(file, text, sizeof text);
    ::close(file);
    if (known && !S_ISREG(info.st_mode)) {
        return wrong(path, "is not a regular file");
    }
    if (!known || (info.st_mode & 077) != 0) {
        return wrong(path,
                     "others may read it; run chmod 600 on it, or remove it to get a new one");
    }
    secret found{};
    const auto parse = [&text](std::size_t from, std::uint64_t& into) {
        const auto [end, error] = std::from_chars(text + from, text + from + 16, into, 16);
        return error == std::errc{} && end == text + from + 16;
    };
    if (length < static_cast<ssize_t>(digits) ||
        (length > static_cast<ssize_t>(digits) && text[digits] != '\n') || !parse(0, found[0]) ||
        !parse(16, found[1])) {
        return wrong(path, "does not hold 32 hexadecimal digits; remove it to get a new one");
    }
    return found;
}

}  // namespace lastack::dpdk
