#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What scripts call as ../common/defaults.sh: the settings that they take for granted, in so far as they are settings
# here; of Fast Open's bits those of the client. Of the others, the stack always acts as they want it (no ECN, SACK with
# duplicate SACKs accepted) or has no such thing (congestion control by name, pacing, ways of forming large segments).
exec "$(dirname "$0")/sysctl" -q \
    net.ipv4.tcp_rmem="4096 540000 15728640" \
    net.ipv4.tcp_wmem="4096 262144 4194304" \
    net.ipv4.tcp_timestamps=1 \
    net.ipv4.tcp_syn_retries=5 \
    net.ipv4.tcp_synack_retries=5 \
    net.ipv4.tcp_sack=1 \
    net.ipv4.tcp_slow_start_after_idle=0 \
    net.ipv4.tcp_early_retrans=3 \
    net.ipv4.tcp_fastopen=1
