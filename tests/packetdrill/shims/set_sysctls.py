#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# set_sysctls.py /proc/sys/FILE=VALUE...: the same as sysctl, in the words of some scripts. They end with a call of the
# file that would put the old values back; here a process has a stack of its own, so there is nothing to put back.
restore=/tmp/sysctl_restore_${PACKETDRILL_PID:?is set by packetdrill for its commands}.sh
printf '#!/bin/sh\nrm -f "$0"\n' >"$restore" && chmod u+x "$restore"
for word in "$@"; do
    shift
    set -- "$@" "${word#/proc/sys/}"
done
exec "$(dirname "$0")/sysctl" "$@"
