/* SPDX-License-Identifier: BSD-3-Clause */
/* What same.c needs of the world it runs in: this machine's kernel, or two stacks joined by a wire
 * under a virtual clock (same_lastack.cpp). Under lastack each call's name means lastack's. */
#ifndef LASTACK_TESTS_SOCKET_SAME_H
#define LASTACK_TESTS_SOCKET_SAME_H

#ifdef __cplusplus
extern "C" {
#endif

/* Which end makes the calls that follow: the two stacks have descriptors of their own. */
enum end { CLIENT, SERVER };
void at(enum end which);
/* The address that SERVER's sockets have. */
const char *server_address(void);
/* Lets what is under way arrive, a delayed ACK too: 60 ms. */
void settle(void);

int same_main(void);

#ifdef __cplusplus
}
#endif

#endif
