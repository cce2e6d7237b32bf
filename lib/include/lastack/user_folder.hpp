// SPDX-License-Identifier: BSD-3-Clause
// Where a process keeps what belongs to its user, and who that is.
//
// In a user namespace (unshare -U) everybody is uid 0, and /tmp is shared with those outside. What
// is named by the uid that the process sees would be named alike for all users who do that; so
// names are made of the uid outside.
#pragma once

#include <unistd.h>

#include <fstream>
#include <istream>
#include <string>

namespace lastack {

// The uid outside of the namespace that `uid_map` (/proc/self/uid_map) describes. `uid` itself when
// it is not in there.
inline uid_t outer_uid(std::istream& uid_map, uid_t uid) {
    unsigned long inside = 0;
    unsigned long outside = 0;
    unsigned long count = 0;
    while (uid_map >> inside >> outside >> count) {
        if (uid >= inside && uid - inside < count) {
            return static_cast<uid_t>(outside + (uid - inside));
        }
    }
    return uid;
}
inline uid_t outer_uid() {
    std::ifstream uid_map("/proc/self/uid_map");
    return outer_uid(uid_map, ::getuid());
}

// The folder in which a stack of this user keeps its sockets where the system offers none.
inline std::string user_folder() {
    return "/tmp/lastack-" + std::to_string(outer_uid());
}

}  // namespace lastack
