// SPDX-License-Identifier: BSD-3-Clause
#include "config/file_text.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace lastack::config {

result<std::string, std::string> read_text_file(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                               std::fclose);
    std::string text;
    std::array<char, 4096> piece;
    std::size_t n = 0;
    while (file && (n = std::fread(piece.data(), 1, piece.size(), file.get())) > 0) {
        text.append(piece.data(), n);
    }
    if (!file || std::ferror(file.get()) != 0) {  // a directory opens and fails here
        return failure{path + ": cannot be read: " + std::strerror(errno)};
    }
    return text;
}

}  // namespace lastack::config
