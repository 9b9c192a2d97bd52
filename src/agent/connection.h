/* SPDX-License-Identifier: MIT
 * Connecting to one address, without blocking longer than a limit. Called by the session. */
#ifndef AGENT_CONNECTION_H
#define AGENT_CONNECTION_H
#include "base/network.h"
/* A connected close-on-exec socket (TCP or Unix), or -1 with the errno in *problem (ETIMEDOUT after milliseconds). */
int connection_open(const struct network_address *address, long milliseconds, int *problem);
/* "1.2.3.4:25", "[::1]:25", or the path of a Unix socket. */
void connection_text(const struct network_address *address, char *text, size_t size);
#endif
