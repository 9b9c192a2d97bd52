/* SPDX-License-Identifier: MIT
 * SQLite, opened as this project wants it: WAL, synchronous NORMAL, busy timeout, foreign keys; statements are a closed
 * list (statements.c), prepared on first use, values bound. The ledger alone opens for writing (and `parcelpost` on
 * users.db, and while no daemon runs). */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H
#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>
struct database;
enum database_mode { DATABASE_WRITE /* creates and migrates */, DATABASE_READ };
enum database_kind { DATABASE_MAIN /* parcelpost.db */, DATABASE_USERS /* users.db */ };
/* NULL with a sentence in error: cannot open, newer version than this program, malformed, … */
struct database *database_open(const char *path, enum database_kind kind, enum database_mode mode,
                               struct buffer *error);
void database_close(struct database *database);
/* What SQLite puts aside (a large sort, what a statement may have to undo) goes into this directory from now on; NULL:
 * what is opened from now on keeps it in memory. A confined process reaches no other directory. Once, before any is
 * opened. */
void database_put_aside(const char *directory);
/* One reading, of what is asked for every message (users_local_domain, users_find, aliases_targets): all that SQLite is
 * asked of parcelpost.db in it is as of one moment, and while nothing was written there since an earlier reading, what
 * that one found is answered from memory. Short: it holds up who folds the log back. */
void database_read_begin(struct database *database);
void database_read_end(struct database *database);
/* Transactions; false with the reason in database_error. */
bool database_begin(struct database *database);
bool database_commit(struct database *database);
void database_rollback(struct database *database);
const char *database_error(const struct database *database);
/* Adds to a sentence with database_error what helps, where a rebuild does. */
void database_advise(const struct database *database, struct buffer *error);
/* PRAGMA data_version: changes when another connection wrote. */
int64_t database_data_version(struct database *database);
/* What was committed survives a power failure from now on: flushes the write-ahead log. False: it may not. */
bool database_flush(const struct database *database);
/* Gives back the pages that it keeps of the file: they come again with the next question. */
void database_rest(struct database *database);
/* Pages in the write-ahead log after the last commit through this connection (main database, writing). */
int database_wal_pages(const struct database *database);
/* Folds back as much of the log as can be without waiting for anybody. *pages: in the log; *folded: of these, now or
 * earlier. Both stay as they are when it cannot be told. */
bool database_fold_wal(struct database *database, int *pages, int *folded);
/* Folds back what is left of the log, outside a transaction, so that the next commit begins it anew. Waits for nobody:
 * false while somebody reads or folds. */
bool database_restart_wal(struct database *database);
/* True when the last error was the value's fault (a constraint), so that trying again would not help. */
bool database_refused_value(const struct database *database);
#endif
