/* SPDX-License-Identifier: MIT
 * What was asked of a database before, kept as long as the file's version stands. Private to store/: the typed wrappers
 * of what is asked for every message use it. It holds only between database_read_begin and database_read_end (see
 * database.h); elsewhere nothing is known and nothing is kept. */
#ifndef STORE_KNOWN_H
#define STORE_KNOWN_H
#include "store/statements.h"
#define KNOWN_MAXIMUM 1024u /* bytes of a key and its answer together; longer ones are asked for again */
enum known { KNOWN_NOT, KNOWN_NO, KNOWN_YES };
/* KNOWN_YES: *answer is what was kept, borrowed until the next known_end. KNOWN_NO: SQLite found nothing. KNOWN_NOT:
 * ask it, between known_ask and known_end. */
enum known known_find(const struct database *database, enum statement_name name, struct text key, struct text *answer);
void known_ask(struct database *database);
/* Behind statement_end. what: what SQLite said; KNOWN_NOT for an error, which is not kept. */
void known_end(struct database *database, enum statement_name name, struct text key, enum known what,
               struct text answer);
void known_free(struct database *database);
#endif
