/* SPDX-License-Identifier: MIT
 * The operator's rules as the listener reads and checks them, before anything that would ask them is started. */
#ifndef LISTENER_RULES_H
#define LISTENER_RULES_H
#include "base/exit_status.h"
#include "config/config.h"
#include "listener/startup.h"
#include "mail/sql_rule.h"
/* Reads rules_directory and checks every statement, as the user who will ask them. On an error *rules is empty and
 * error says file, line and what; also when that user cannot read users_database or srs_secret_file. */
enum exit_status rules_load(const struct config *config, const struct system_users *users, struct sql_rules *rules,
                            struct buffer *error);
#endif
