// SPDX-License-Identifier: BSD-3-Clause
// What the server has to offer: all files below a directory, read at start, or one built-in page.
//
// A path is looked up among those that were found at start, never in the file system, so no
// spelling of `..` leads out of the root. A link is followed at start, if it leads to a file inside
// the root.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "http.hpp"

namespace httpd {

class site {
  public:
    // The built-in page, at /.
    site();
    // Every regular file below `root`; DIR/index.html also as DIR/, and DIR redirects there.
    // Throws std::runtime_error with a line that says what is wrong.
    explicit site(const std::filesystem::path& root);

    // nullptr if there is none.
    const resource* find(std::string_view path) const {
        const auto found = by_path_.find(path);
        return found == by_path_.end() ? nullptr : found->second;
    }
    std::size_t files() const { return files_; }
    std::size_t octets() const { return octets_; }
    std::size_t links_refused() const { return links_refused_; }

  private:
    struct hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    void add(const std::filesystem::path& base, const std::filesystem::directory_entry& entry);
    void add(const std::string& path, resource r);

    // Node-based, so that a resource stays where it is.
    std::unordered_map<std::string, resource> resources_;
    std::unordered_map<std::string, const resource*, hash, std::equal_to<>> by_path_;
    std::size_t files_ = 0;
    std::size_t octets_ = 0;
    std::size_t links_refused_ = 0;
};

// By the extension, "application/octet-stream" if it is unknown.
std::string_view mime_type(std::string_view file_name);

}  // namespace httpd
