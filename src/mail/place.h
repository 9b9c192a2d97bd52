/* SPDX-License-Identifier: MIT
 * Where a message lies: in a segment of the journal, in a file of its own, or nowhere any more. A value. */
#ifndef MAIL_PLACE_H
#define MAIL_PLACE_H
#include "base/text.h"

struct journal_place {
    uint64_t segment, offset;
};
enum place_kind { PLACE_JOURNAL, PLACE_FILE, PLACE_GONE };
#define PLACE_SIZE 64

/* As in mails.place, "journal 7 4096", "file", "gone". */
void place_format(enum place_kind kind, struct journal_place place, char text[PLACE_SIZE]);
/* False when it is none of these. */
bool place_parse(const char *text, enum place_kind *kind, struct journal_place *place);
#endif
