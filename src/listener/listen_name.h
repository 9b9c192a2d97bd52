/* SPDX-License-Identifier: MIT
 * Host names in listen blocks become all their addresses, before the ports are opened. */
#ifndef LISTENER_LISTEN_NAME_H
#define LISTENER_LISTEN_NAME_H
#include "base/exit_status.h"
#include "config/config.h"
#include "listener/startup.h"
/* Fills the addresses of every block that names a host. On an error error says which, and why. */
enum exit_status listen_names_find(struct config *config, const struct system_users *users, struct buffer *error);
#endif
