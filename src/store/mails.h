/* SPDX-License-Identifier: MIT
 * Rows of mails: typed wrappers of their statements. Used by the spool inside its transactions; false on a database
 * error, with the reason in database_error. */
#ifndef STORE_MAILS_H
#define STORE_MAILS_H
#include "mail/envelope.h"
#include "mail/place.h"
#include "store/database.h"

enum parcels_found { PARCELS_YES, PARCELS_NO, PARCELS_ERROR };

enum parcels_found mails_place(struct database *database, const char *mail_id, enum place_kind *kind,
                               struct journal_place *place);
bool mails_set_place(struct database *database, const char *mail_id, enum place_kind kind, struct journal_place place);
bool mails_add(struct database *database, const struct envelope *envelope, int64_t contact_id, enum place_kind kind,
               struct journal_place place, uint64_t size);
/* Visits mails that lie in the journal, until a visit says false. */
typedef bool mails_journal_visit(void *context, const char *mail_id, struct journal_place place);
bool mails_in_journal(struct database *database, mails_journal_visit *visit, void *context);
/* Visits mails that lie in files, in the order of their ids. */
bool mails_in_files(struct database *database, void (*visit)(void *context, const char *mail_id), void *context);
#endif
