// SPDX-License-Identifier: BSD-3-Clause
#include "site.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace httpd {
namespace fs = std::filesystem;

namespace {

// A redirect to a path takes up to three octets for each of its own.
constexpr std::size_t path_octets_max = 5000;
static_assert(3 * path_octets_max + 256 < fields_octets_max);

constexpr std::string_view built_in_page =
    "<!doctype html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>lastack</title></head>\n"
    "<body><h1>It works</h1>\n"
    "<p>This page came through lastack, a TCP stack in user space on DPDK.</p>\n"
    "<p>Start lastack-httpd with <code>--root DIR</code> to serve files.</p>\n"
    "</body></html>\n";

struct mime_row {
    std::string_view extension;
    std::string_view type;
};
constexpr std::array mime_rows{
    mime_row{".html", "text/html; charset=utf-8"},
    mime_row{".htm", "text/html; charset=utf-8"},
    mime_row{".css", "text/css; charset=utf-8"},
    mime_row{".js", "text/javascript; charset=utf-8"},
    mime_row{".mjs", "text/javascript; charset=utf-8"},
    mime_row{".txt", "text/plain; charset=utf-8"},
    mime_row{".md", "text/markdown; charset=utf-8"},
    mime_row{".json", "application/json"},
    mime_row{".xml", "application/xml"},
    mime_row{".svg", "image/svg+xml"},
    mime_row{".png", "image/png"},
    mime_row{".jpg", "image/jpeg"},
    mime_row{".jpeg", "image/jpeg"},
    mime_row{".gif", "image/gif"},
    mime_row{".webp", "image/webp"},
    mime_row{".ico", "image/vnd.microsoft.icon"},
    mime_row{".woff", "font/woff"},
    mime_row{".woff2", "font/woff2"},
    mime_row{".pdf", "application/pdf"},
    mime_row{".wasm", "application/wasm"},
    mime_row{".gz", "application/gzip"},
    mime_row{".zip", "application/zip"},
    mime_row{".mp4", "video/mp4"},
};

std::runtime_error unreadable(const fs::path& what) {
    return std::runtime_error("--root: cannot read " + what.string() +
                              ": check its permissions, or take it out of the directory");
}

std::string read_whole(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in.is_open() || in.bad()) {
        throw unreadable(file);
    }
    return text;
}

bool is_below(const fs::path& root, const fs::path& file) {
    return std::mismatch(root.begin(), root.end(), file.begin(), file.end()).first == root.end();
}

}  // namespace

std::string_view mime_type(std::string_view file_name) {
    const std::size_t dot = file_name.rfind('.');
    if (dot != std::string_view::npos) {
        std::string extension(file_name.substr(dot));
        std::ranges::transform(extension, extension.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        });
        const auto found = std::ranges::find(mime_rows, extension, &mime_row::extension);
        if (found != mime_rows.end()) {
            return found->type;
        }
    }
    return "application/octet-stream";
}

site::site() {
    add("/", make_resource("text/html; charset=utf-8", std::string(built_in_page)));
}

site::site(const fs::path& root) {
    std::error_code ec;
    const fs::path base = fs::canonical(root, ec);
    if (ec || !fs::is_directory(base)) {
        throw std::runtime_error("--root: " + root.string() +
                                 " is not a directory: give one that holds the files to serve");
    }
    fs::path last = base;  // whose own entries are read next, if it is a directory
    for (fs::recursive_directory_iterator at(base, ec), end; !ec && at != end; at.increment(ec)) {
        last = at->path();
        add(base, *at);
    }
    if (ec) {
        throw unreadable(last);
    }
}

void site::add(const fs::path& base, const fs::directory_entry& entry) {
    std::error_code ignored;
    if (!entry.is_regular_file(ignored)) {
        links_refused_ += entry.is_symlink();
        return;
    }
    if (entry.is_symlink() && !is_below(base, fs::canonical(entry.path()))) {
        ++links_refused_;
        return;
    }
    const std::string path = "/" + entry.path().lexically_relative(base).generic_string();
    add(path, make_resource(mime_type(path), read_whole(entry.path())));
}

void site::add(const std::string& path, resource r) {
    ++files_;
    octets_ += r.body.size();
    if (path.size() > path_octets_max) {
        throw std::runtime_error("--root: the path is too long: " + path);
    }
    const resource& stored = resources_.insert_or_assign(path, std::move(r)).first->second;
    by_path_[path] = &stored;
    constexpr std::string_view index = "/index.html";
    if (path.ends_with(index)) {
        const std::string directory = path.substr(0, path.size() - index.size());
        by_path_[directory + "/"] = &stored;
        if (!directory.empty()) {
            auto [redirect, added] =
                resources_.try_emplace(directory, make_redirect(directory + "/"));
            by_path_[directory] = &redirect->second;
        }
    }
}

}  // namespace httpd
