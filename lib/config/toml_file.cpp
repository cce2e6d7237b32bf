// SPDX-License-Identifier: BSD-3-Clause
// Configuration files. Each section is a list of entries {name, reader}; an unknown name gets the
// nearest known one, every error the place where it stands.
#include <toml++/toml.h>
#include <algorithm>
#include <functional>

#include "config/configuration.hpp"
#include "config/file_text.hpp"
#include "config/options.hpp"
#include "config/suggest.hpp"

namespace lastack::config {
namespace {

using outcome = result<bool, std::string>;

// What a reader was given, and how to complain about it.
struct entry {
    const toml::node& node;
    const std::string& file;
    std::string name;  // section.key

    std::string at(const toml::source_region& where) const {
        return file + ":" + std::to_string(where.begin.line) + ":" +
               std::to_string(where.begin.column) + ": ";
    }
    failure<std::string> wrong(const std::string& what) const {
        return failure{at(node.source()) + name + " " + what};
    }
};

using reader = std::function<outcome(const entry&)>;
struct member {
    std::string_view name;
    reader read;
};

reader read_number(std::uint32_t& into, std::int64_t min, std::int64_t max) {
    return [&into, min, max](const entry& e) -> outcome {
        const auto value = e.node.value_exact<std::int64_t>();
        if (!value || *value < min || *value > max) {
            return e.wrong("takes a whole number, " + std::to_string(min) + " to " +
                           std::to_string(max));
        }
        into = static_cast<std::uint32_t>(*value);
        return true;
    };
}

reader read_flag(bool& into) {
    return [&into](const entry& e) -> outcome {
        const auto value = e.node.value_exact<bool>();
        if (!value) {
            return e.wrong("takes true or false");
        }
        into = *value;
        return true;
    };
}

// A list of one kind of value, with at least `least` of them; `append` gets each.
template <class Value>
reader read_list(std::string what, std::function<outcome(const Value&)> append,
                 std::function<void()> clear, std::size_t least = 0) {
    return [what, append, clear, least](const entry& e) -> outcome {
        const auto* list = e.node.as_array();
        if (list == nullptr) {
            return e.wrong("takes a list of " + what + ", in [ ]");
        }
        if (list->size() < least) {
            return e.wrong("cannot be empty: it takes a list of " + what);
        }
        clear();
        for (const auto& node : *list) {
            const entry one{node, e.file, e.name};
            const auto value = node.value_exact<Value>();
            if (!value) {
                return one.wrong("takes a list of " + what);
            }
            if (const auto done = append(*value); !done) {
                return one.wrong(done.error());
            }
        }
        return true;
    };
}

reader read_text(std::string what, std::function<outcome(const std::string&)> use) {
    return [what, use](const entry& e) -> outcome {
        const auto value = e.node.value_exact<std::string>();
        if (!value) {
            return e.wrong("takes " + what + ", in quotes");
        }
        const auto done = use(*value);
        return done ? done : outcome(e.wrong(done.error()));
    };
}

// The text that set() takes: numbers, booleans and words as they are, lists joined by blanks.
std::optional<std::string> setting_text(const toml::node& node) {
    if (const auto number = node.value_exact<std::int64_t>()) {
        return std::to_string(*number);
    }
    if (const auto flag = node.value_exact<bool>()) {
        return *flag ? "1" : "0";
    }
    if (const auto* list = node.as_array()) {
        std::string text;
        for (const auto& one : *list) {
            const auto part = one.is_array() ? std::nullopt : setting_text(one);
            if (!part) {
                return std::nullopt;
            }
            text += (text.empty() ? "" : " ") + *part;
        }
        return text;
    }
    return node.value_exact<std::string>();
}

// [settings] may hold "net.ipv4.tcp_sack" = true, or nested tables, which TOML makes of the same
// name without quotes.
outcome read_settings(settings& into, const toml::table& table, const std::string& prefix,
                      const std::string& file) {
    for (const auto& [name, node] : table) {
        const auto key = prefix + std::string(name.str());
        const entry e{node, file, key};
        if (const auto* inner = node.as_table()) {
            if (const auto done = read_settings(into, *inner, key + ".", file); !done) {
                return done;
            }
            continue;
        }
        const auto text = setting_text(node);
        if (!text) {
            return e.wrong("takes a number, true or false, a word in quotes, or a list of them");
        }
        if (const auto done = set(into, key, *text); !done) {
            return failure{e.at(node.source()) + done.error()};
        }
    }
    return true;
}

outcome read_section(const toml::table& table, const std::string& section,
                     const std::vector<member>& members, const std::string& file) {
    for (const auto& [name, node] : table) {
        const auto found =
            std::find_if(members.begin(), members.end(),
                         [&key = name](const member& m) { return m.name == key.str(); });
        const entry e{node, file, section + "." + std::string(name.str())};
        if (found == members.end()) {
            std::vector<std::string_view> known;
            for (const auto& m : members) {
                known.push_back(m.name);
            }
            return failure{e.at(name.source()) + "unknown name '" + std::string(name.str()) +
                           "' in [" + section + "]; the nearest is '" +
                           std::string(nearest(name.str(), known)) + "'"};
        }
        if (const auto done = found->read(e); !done) {
            return done;
        }
    }
    return true;
}

std::vector<member> stack_members(stack_config& c) {
    return {
        {"addresses", read_list<std::string>(
                          "addresses such as \"10.0.0.2/24\"",
                          [&c](const std::string& text) -> outcome {
                              const auto parsed = parse_interface_address(text);
                              if (!parsed) {
                                  return failure{": " + parsed.error()};
                              }
                              c.addresses.push_back(*parsed);
                              return true;
                          },
                          [&c] {
                              c.addresses.clear();
                              c.addresses_given = true;
                          },
                          1)},
        {"gateway", read_text("an IPv4 address",
                              [&c](const std::string& text) -> outcome {
                                  c.gateway = parse_ipv4(text);
                                  if (!c.gateway) {
                                      return failure{"cannot be '" + text +
                                                     "': it takes an IPv4 address"};
                                  }
                                  return true;
                              })},
        {"listen", read_list<std::int64_t>(
                       "TCP ports, 1 to 65535",
                       [&c](const std::int64_t& port) -> outcome {
                           if (port < 1 || port > 65535) {
                               return failure{"cannot be " + std::to_string(port) +
                                              ": it takes TCP ports, 1 to 65535"};
                           }
                           c.listen.push_back(static_cast<std::uint16_t>(port));
                           return true;
                       },
                       [&c] { c.listen.clear(); }, 1)},
        {"workers", read_number(c.workers, 1, 127)},
    };
}

std::vector<member> port_members(port_config& c) {
    return {
        {"queues", read_number(c.queues, 0, 127)},
        {"rx_descriptors", read_number(c.rx_descriptors, 32, 32768)},
        {"tx_descriptors", read_number(c.tx_descriptors, 32, 32768)},
        {"mtu", read_number(c.mtu, 576, 9216)},
        {"promiscuous", read_flag(c.promiscuous)},
        {"rss", read_flag(c.rss)},
        {"rx_checksum", read_flag(c.rx_checksum)},
        {"tx_checksum", read_flag(c.tx_checksum)},
        {"tx_multi_segment", read_flag(c.tx_multi_segment)},
        {"ring_pair", read_flag(c.ring_pair)},
    };
}

std::vector<member> eal_members(std::vector<std::string>& args) {
    return {{"args", read_list<std::string>(
                         "EAL arguments in quotes",
                         [&args](const std::string& text) -> outcome {
                             args.push_back(text);
                             return true;
                         },
                         [&args] { args.clear(); })}};
}

std::vector<member> kernel_members(kernel_config& c) {
    return {{"interface", read_text("an interface's name",
                                    [&c](const std::string& text) -> outcome {
                                        if (text.size() > 15) {
                                            return failure{std::string("is longer than 15 octets")};
                                        }
                                        c.interface = text;
                                        return true;
                                    })},
            {"address", read_text("an address such as \"10.0.0.1/24\"",
                                  [&c](const std::string& text) -> outcome {
                                      const auto parsed = parse_interface_address(text);
                                      if (!parsed) {
                                          return failure{": " + parsed.error()};
                                      }
                                      c.address = parsed->prefix;
                                      return true;
                                  })}};
}

outcome read_document(configuration& c, const toml::table& document, const std::string& file) {
    constexpr std::array<std::string_view, 5> sections{"eal", "kernel", "port", "settings",
                                                       "stack"};
    if (document.contains("eal")) {
        c.kernel = {};  // it belonged to the port that another file's EAL arguments made
    }
    for (const auto& [name, node] : document) {
        const entry e{node, file, std::string(name.str())};
        const auto* table = node.as_table();
        outcome done = true;
        if (std::find(sections.begin(), sections.end(), name.str()) == sections.end()) {
            return failure{e.at(name.source()) + "unknown section '" + e.name +
                           "'; the nearest is [" + std::string(nearest(e.name, sections)) + "]"};
        }
        if (table == nullptr) {
            return failure{e.at(name.source()) + "'" + e.name + "' is a section: write [" + e.name +
                           "]"};
        }
        if (e.name == "settings") {
            done = read_settings(c.values, *table, "", file);
        } else if (e.name == "stack") {
            done = read_section(*table, e.name, stack_members(c.stack), file);
        } else if (e.name == "port") {
            done = read_section(*table, e.name, port_members(c.port), file);
        } else if (e.name == "eal") {
            done = read_section(*table, e.name, eal_members(c.eal), file);
        } else {
            done = read_section(*table, e.name, kernel_members(c.kernel), file);
        }
        if (!done) {
            return done;
        }
    }
    return true;
}

}  // namespace

result<bool, std::string> read_toml(configuration& into, std::string_view text,
                                    const std::string& name) {
    toml::table document;
    try {  // Debian's toml++ is built with exceptions only; they end here
        document = toml::parse(text);
    } catch (const toml::parse_error& e) {
        const auto& where = e.source().begin;
        return failure{name + ":" + std::to_string(where.line) + ":" +
                       std::to_string(where.column) + ": " + std::string(e.description())};
    }
    configuration next = into;
    const auto done = read_document(next, document, name);
    if (done) {
        into = std::move(next);
    }
    return done;
}

result<bool, std::string> read_toml_file(configuration& into, const std::string& path) {
    const auto text = read_text_file(path);
    if (!text) {
        return failure{text.error()};
    }
    return read_toml(into, *text, path);
}

}  // namespace lastack::config
