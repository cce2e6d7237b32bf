/* SPDX-License-Identifier: BSD-3-Clause */
/* Uses the socket calls from C; no lcore is started, so each of them is refused. */
#include <errno.h>
#include <lastack/socket.h>
#include <stdio.h>

int main(void) {
    errno = 0;
    const int fd = lastack_socket(AF_INET, SOCK_STREAM, 0);
    printf("socket: %d, refused: %d\n", fd, errno == EPERM);
    return fd == -1 && errno == EPERM ? 0 : 1;
}
