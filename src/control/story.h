/* SPDX-License-Identifier: MIT
 * What the stories of `parcelpost why` share: words for times, values that are safe to print, rows by column name. */
#ifndef CONTROL_STORY_H
#define CONTROL_STORY_H
#include "control/control.h"
#include "store/report.h"
#define STORY_NEWEST 100000 /* parcels that a search without an index looks through */

/* Printable and bounded; lasts until STORY_SHOWN further calls of this and the next two. */
#define STORY_SHOWN 16
const char *story_shown(const char *value);
/* "2026-11-22 01:02:03 UTC (3 h ago)", or "(in 4 min)"; "never" for "". */
const char *story_time(const char *utc);
/* A span of seconds in its largest unit: "4 min", "3 h", "5 days". */
const char *story_span(int64_t seconds);
/* The column's value as it is, "" when there is no such column. */
const char *story_raw(const struct report_row *row, const char *column);
/* The same, printable. */
const char *story_value(const struct report_row *row, const char *column);
/* True when the UTC text lies ahead. */
bool story_is_ahead(const char *utc);

/* The stories: what is known of the word, on standard output. *found: was anything? False on a database error. */
struct story {
    struct control *control;
    struct database *database;
    const char *word;
    bool found;
    unsigned rows;                 /* of a list under way */
    const struct report_row *mail; /* of its message, borrowed */
};
bool story_mail(struct story *story);
bool story_address(struct story *story);
bool story_domain(struct story *story);
bool story_contact(struct story *story);
/* One line about the destination of a row when it rests; domain "" is local mail. */
bool story_destination(struct story *story, const char *domain);
#endif
