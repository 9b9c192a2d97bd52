/* SPDX-License-Identifier: MIT
 * The `parcelpost` program: one row a subcommand in control.c, one function each, in the file named for its first word.
 * Runs under the caller's privileges; reads the databases, and asks the ledger for changes. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H
#include "base/exit_status.h"
#include "config/config.h"
#include "store/database.h"
struct control {
    struct config *config;
};
/* arguments: the words after the subcommand, NULL-terminated, as many as its row allows. Returns the exit status. */
typedef int control_command(struct control *control, int count, char **arguments);
int control_main(int argc, char **argv);
/* Tells on standard error what went wrong, after the program's name; returns the status. */
int control_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* parcelpost.db for reading; NULL after saying why. */
struct database *control_database(struct control *control);
/* Tells on standard error of mail that no row shows, because the server was killed. */
void control_tell_unread(struct control *control, struct database *database);

control_command control_queue_list, control_queue_show, control_queue_hold, control_queue_release, control_queue_retry,
    control_queue_bounce, control_queue_remove, control_queue_rebuild;
control_command control_tls_list, control_tls_forgive, control_tls_certificate;
control_command control_hold_rule_add, control_hold_rule_list, control_hold_rule_remove, control_changes;
control_command control_greylist_list;
control_command control_contacts_list, control_contacts_show, control_contacts_lock, control_contacts_forgive;
control_command control_user_add, control_user_passwd, control_user_list, control_user_remove;
control_command control_alias_add, control_alias_remove, control_alias_list, control_alias_test;
control_command control_vacation_set, control_vacation_off, control_vacation_list;
control_command control_check, control_why, control_stats, control_top, control_send;
control_command control_dkim_make, control_dkim_show;
control_command control_dns_query;
control_command control_rules_list, control_rules_facts, control_rules_test, control_rules_replay;
#endif
