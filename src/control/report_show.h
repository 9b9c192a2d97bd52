/* SPDX-License-Identifier: MIT
 * A report of parcelpost.db as a table or as JSON on standard output: what every list of `parcelpost` is. */
#ifndef CONTROL_REPORT_SHOW_H
#define CONTROL_REPORT_SHOW_H
#include "control/control.h"
#include "store/report.h"
/* key: what the report is about, or NULL. titles: NULL-terminated. nothing: said when there is no row, which is
 * EXIT_STATUS_NO_USER where a key was given. Returns the exit status. */
int report_show(struct control *control, enum report_kind kind, const char *key, const char *const *titles,
                const char *nothing);
/* The same for a subcommand whose one word may be --json. */
int report_show_words(struct control *control, enum report_kind kind, int count, char **arguments,
                      const char *const *titles, const char *nothing);
/* The report as a table under a heading; nothing is printed without rows. False on a database error. */
bool report_show_part(struct database *database, enum report_kind kind, const char *key, const char *head,
                      const char *const *titles);
#endif
