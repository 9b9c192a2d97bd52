/* SPDX-License-Identifier: MIT
 * A report of parcelpost.db as a table on standard output: what every list of `parcelpost` is. */
#ifndef CONTROL_REPORT_SHOW_H
#define CONTROL_REPORT_SHOW_H
#include "control/control.h"
#include "store/report.h"
/* key: what the report is about, or NULL. titles: NULL-terminated. nothing: said when there is no row, which is
 * EXIT_STATUS_NO_USER where a key was given. Returns the exit status. */
int report_show(struct control *control, enum report_kind kind, const char *key, const char *const *titles,
                const char *nothing);
#endif
