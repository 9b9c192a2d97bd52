/* SPDX-License-Identifier: MIT
 * Connections that come through a proxy (listen block, proxy = yes): who the client is says its header. */
#ifndef RECEIVER_PROXY_H
#define RECEIVER_PROXY_H
#include "ipc/messages.h"
#include <stdbool.h>
struct session;
/* Reads the header, before anything is said to the client; from then on client and server address are those that it
 * names. False: there was none, or a bad one; nothing is to be answered. */
bool proxy_read_header(struct session *session);
/* After the contact was opened: true when it has more connections through proxies than contact_connection_limit, or
 * its rate is used up; the client was told. */
bool proxy_refuses(struct session *session, const struct contact_state *state);
#endif
