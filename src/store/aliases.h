/* SPDX-License-Identifier: MIT
 * The tables aliases and vacations: read by lookup and the queue runner, written by the ledger. Times in seconds. */
#ifndef STORE_ALIASES_H
#define STORE_ALIASES_H
#include "base/text.h"
#include "store/database.h"

enum aliases_found { ALIASES_YES, ALIASES_NO, ALIASES_ERROR };
/* Targets of an address ("local@domain", or "@domain"), in the order they were added: "target\towner\n" each appended.
 * limit: rows at most. ALIASES_ERROR also when they do not fit. One indexed query. */
enum aliases_found aliases_targets(struct database *database, struct text address, unsigned limit, struct buffer *rows);
/* A target more; one that is there gets this owner ("" for none). False on a database error. */
bool aliases_add(struct database *database, const char *address, const char *target, const char *owner, int64_t now);
/* target NULL: all of them. */
bool aliases_remove(struct database *database, const char *address, const char *target, int64_t *changed);

struct vacation_row { /* strings in the caller's buffer */
    const char *subject, *message;
    int64_t days;
};
/* Who is away now. text holds the strings and must outlive them. */
enum aliases_found vacations_find(struct database *database, struct text address, int64_t now, struct buffer *text,
                                  struct vacation_row *row);
/* Has this correspondent been answered in that account's name since then? */
enum aliases_found vacations_answered(struct database *database, struct text account, struct text correspondent,
                                      int64_t since);
struct vacation_setting {
    const char *address, *subject, *message;
    int64_t starts_at, ends_at; /* 0: now, until it is taken away */
    int64_t days;
};
bool vacations_set(struct database *database, const struct vacation_setting *setting, int64_t now);
bool vacations_remove(struct database *database, const char *address, int64_t *changed);
#endif
