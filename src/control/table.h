/* SPDX-License-Identifier: MIT
 * Rows with aligned columns for people. Bytes outside printable ASCII are shown as \xNN: what strangers wrote must not
 * steer a terminal. */
#ifndef CONTROL_TABLE_H
#define CONTROL_TABLE_H
#include "store/report.h"
#include <stdio.h>
struct table;
/* titles: NULL-terminated, at most REPORT_COLUMNS_MAXIMUM, borrowed. */
struct table *table_new(const char *const *titles);
void table_free(struct table *table);
/* As many values as titles; copied. */
void table_add(struct table *table, const char *const *values);
/* A report's row whose columns are the table's, in order (report_visit). */
bool table_add_row(void *table, const struct report_row *row);
size_t table_count(const struct table *table);
/* Nothing when there are no rows. */
void table_print(const struct table *table, FILE *out);
/* "name: value" lines of a report's row, without the empty ones (report_visit; context: a FILE). */
bool table_print_fields(void *out, const struct report_row *row);
#endif
