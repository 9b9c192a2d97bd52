/* SPDX-License-Identifier: MIT
 * Mail ids: "SSSSSS-RRRRRR-MM" in base 62 (or 36 for case-insensitive file systems). S: seconds since 1970; R and M:
 * 47 random bits, so that ids are unique across processes, hosts and clock steps (the ledger refuses a second one). */
#ifndef MAIL_MAIL_ID_H
#define MAIL_MAIL_ID_H
#include "base/text.h"
#include <stdbool.h>
#define MAIL_ID_SIZE 17 /* 16 characters and NUL */
/* base: 62 or 36. */
void mail_id_make(unsigned base, char id[MAIL_ID_SIZE]);
/* The id of the notice about `about`: derived, so that making it twice gives the same one. attempt: 0, 1, … kind: e.g.
 * "failed". */
void mail_id_derive(const char *about, unsigned attempt, const char *kind, unsigned base, char id[MAIL_ID_SIZE]);
bool mail_id_is_valid(struct text id);
#endif
