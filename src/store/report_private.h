/* SPDX-License-Identifier: MIT
 * What the files report*.c share. */
#ifndef STORE_REPORT_PRIVATE_H
#define STORE_REPORT_PRIVATE_H
#include "store/report.h"
#include "store/statements.h"
/* Visits every row of a query and ends it; false on a database error. */
bool report_rows(struct sqlite3_stmt *statement, report_visit *visit, void *context);
#endif
