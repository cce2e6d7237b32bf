// SPDX-License-Identifier: BSD-3-Clause
// docs/close-fsm.md and docs/close-fsm.dot as text, made from the table itself, so that the pages
// cannot say what the stack does not do. Used by print_close_fsm and by the test that compares them
// with the committed files.
#pragma once

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "teardown/fsm.hpp"
#include "teardown/names.hpp"

namespace lastack::teardown::docs {

inline const cell& at(std::size_t s, std::size_t e) {
    return lookup(static_cast<state>(s), static_cast<event>(e));
}

inline std::string actions_in_words(action set) {
    std::string words;
    for (const action_row& row : action_rows) {
        if (has(set, row.id)) {
            words += (words.empty() ? "" : ", ") + std::string(row.sentence);
        }
    }
    return words;
}

// "`a`, `b`" of one kind in one state.
inline std::string list_of(std::size_t s, kind wanted) {
    std::string list;
    for (std::size_t e = 0; e < event_count; ++e) {
        if (at(s, e).what == wanted) {
            list += (list.empty() ? "`" : ", `") + std::string(name(at(s, e).on)) + "`";
        }
    }
    return list.empty() ? "none" : list;
}

inline void print_rows(std::ostream& out, std::size_t s, kind wanted) {
    for (std::size_t e = 0; e < event_count; ++e) {
        const cell& c = at(s, e);
        if (c.what != wanted) {
            continue;
        }
        const bool moves = c.what == kind::transition;
        out << "| `" << name(c.on) << "` | "
            << (moves ? "**" + std::string(name(c.next)) + "**" : "") << " | "
            << actions_in_words(c.actions) << " | "
            << (c.outcome == close_outcome::none ? "" : "`" + std::string(name(c.outcome)) + "`")
            << " | " << c.rule << " |\n";
    }
}

// One line a reason, in the order in which the reasons first occur.
inline void print_impossible(std::ostream& out, std::size_t s) {
    std::vector<std::pair<std::string, std::string>> lines;  // reason, events
    for (std::size_t e = 0; e < event_count; ++e) {
        const cell& c = at(s, e);
        if (c.what != kind::impossible) {
            continue;
        }
        const std::string event_name = "`" + std::string(name(c.on)) + "`";
        const auto line = std::find_if(lines.begin(), lines.end(),
                                       [&](const auto& l) { return l.first == c.rule; });
        if (line == lines.end()) {
            lines.emplace_back(c.rule, event_name);
        } else {
            line->second += ", " + event_name;
        }
    }
    for (const auto& [reason, events] : lines) {
        out << "- " << reason << ": " << events << "\n";
    }
}

// True for what is drawn: the ways between the states. Whatever else leads to CLOSED (RST,
// time-outs, limits, aborts) would be an arrow from nearly every state, and is left to the tables.
inline bool drawn(const cell& c) {
    return c.what == kind::transition &&
           (c.next != state::closed || is_clean(c.outcome) || c.on == event::time_wait_expired);
}

inline std::string dot() {
    std::map<std::pair<std::size_t, std::size_t>, std::string> labels;  // by state and next state
    for (std::size_t s = 0; s < state_count; ++s) {
        for (std::size_t e = 0; e < event_count; ++e) {
            const cell& c = at(s, e);
            if (!drawn(c)) {
                continue;
            }
            // Spaces keep the text off the arrow.
            std::string& label = labels[{s, static_cast<std::size_t>(c.next)}];
            label += (label.empty() ? " " : "\\n ") + std::string(name(c.on)) + " ";
            if (c.outcome != close_outcome::none) {
                label += "\\n (" + std::string(name(c.outcome)) + ") ";
            }
        }
    }
    std::ostringstream out;
    out << "// Printed from the close FSM's table by print_close_fsm; scripts/make-docs renders "
           "it.\n"
           "digraph close_fsm {\n"
           "  rankdir=TB; nodesep=0.9; ranksep=0.75; bgcolor=white;\n"
           "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#eef3fb\", "
           "color=\"#34568b\",\n"
           "        fontname=\"Helvetica\", fontsize=14, margin=\"0.22,0.12\"];\n"
           "  edge [fontname=\"Helvetica\", fontsize=11, color=\"#34568b\", arrowsize=0.8];\n";
    for (std::size_t s = 0; s < state_count; ++s) {
        out << "  " << state_names[s];
        if (static_cast<state>(s) == state::closed) {
            out << " [fillcolor=\"#34568b\", fontcolor=white]";
        } else if (static_cast<state>(s) == state::time_wait) {
            out << " [fillcolor=\"#fdf0d5\", color=\"#b5651d\"]";
        }
        out << ";\n";
    }
    // The end of the picture is CLOSED again, drawn a second time so that arrows need not go back.
    out << "  ENDED [label=\"CLOSED\", fillcolor=\"#34568b\", fontcolor=white];\n"
           "  { rank=same; LISTEN; SYN_SENT; }\n"
           "  { rank=same; FIN_WAIT_1; CLOSE_WAIT; }\n"
           "  { rank=same; FIN_WAIT_2; CLOSING; LAST_ACK; }\n";
    for (const auto& [ends, label] : labels) {
        const auto to = static_cast<state>(ends.second);
        out << "  " << state_names[ends.first] << " -> "
            << (to == state::closed ? "ENDED" : name(to)) << " [label=\"" << label << "\"];\n";
    }
    out << "}\n";
    return out.str();
}

inline std::string markdown() {
    std::ostringstream out;
    out << "# The close FSM\n\n"
           "This page is printed from the table the stack runs on (`lib/teardown/fsm_*.hpp`) by\n"
           "`scripts/make-docs`; a test fails when it is out of date.\n\n"
           "![State diagram: the ways through the states](close-fsm.svg)\n\n"
           "The picture shows the ways from state to state. What cuts a connection off (RST, "
           "time-out,\n"
           "abort, a limit) leads to CLOSED from nearly everywhere and is left to the tables.\n\n"
           "Events are decided facts: sequence numbers, timestamps and flags have been judged\n"
           "(`lib/teardown/classify.hpp`) before the table is asked. A segment that passes brings\n"
           "`rx_acceptable` and then what it carries, in this order: `rx_ack_of_syn`,\n"
           "`rx_ack_of_fin`, `rx_data_unreadable`, `rx_fin`. A FIN that also acknowledges ours\n"
           "therefore goes FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT.\n\n"
           "*Ignored* events can happen and change nothing. *Impossible* ones cannot happen, for "
           "the\n"
           "reason given. R numbers are requirements, listed in\n"
           "[compliance.md](compliance.md); other rules are paragraphs of RFC 9293.\n";
    for (std::size_t s = 0; s < state_count; ++s) {
        out << "\n## " << state_names[s] << "\n\n"
            << "| event | next state | actions | outcome | rule |\n"
            << "|---|---|---|---|---|\n";
        print_rows(out, s, kind::transition);
        print_rows(out, s, kind::stays);
        out << "\nIgnored: " << list_of(s, kind::ignored) << ".\n\n"
            << "<details><summary>Impossible</summary>\n\n";
        print_impossible(out, s);
        out << "\n</details>\n";
    }
    out << "\n## Events\n\n| event | meaning |\n|---|---|\n";
    for (const event_row& row : event_rows) {
        out << "| `" << row.name << "` | " << row.sentence << " |\n";
    }
    out << "\n## Outcomes\n\n"
           "What the application is told, once, when its connection has ended.\n\n"
           "| outcome | meaning |\n|---|---|\n";
    for (const close_outcome_row& row : close_outcomes) {
        if (row.outcome != close_outcome::none) {
            out << "| `" << row.name << "` | " << row.sentence << " |\n";
        }
    }
    return out.str();
}

}  // namespace lastack::teardown::docs
