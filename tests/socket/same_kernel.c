/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's world for same.c: loopback, both ends in one process. */
#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>

#include "same.h"

void at(enum end which) {
    (void)which;
}
const char *server_address(void) {
    return "127.0.0.1";
}
void settle(void) {
    usleep(60000);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* lastack raises none */
    return same_main();
}
