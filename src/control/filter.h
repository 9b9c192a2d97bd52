/* SPDX-License-Identifier: MIT
 * Which parcels `parcelpost queue …` is about: mail ids, "all", or filters as NAME=VALUE. Words of the command line,
 * read into what store/report_parcels.h takes. */
#ifndef CONTROL_FILTER_H
#define CONTROL_FILTER_H
#include "control/control.h"
#include "store/report_parcels.h"
#define FILTER_STATES_SIZE 128
#define FILTER_WORDS_SIZE 400
struct filter {
    struct report_filter report; /* borrows from the words and from below */
    char states[FILTER_STATES_SIZE];
    char words[FILTER_WORDS_SIZE]; /* the filters as they were given, for the record of a change */
    bool json, all;                /* --json, "all" */
    bool limited;                  /* limit= was given */
    char **mail_ids;               /* those of the command line, in their order */
    int mail_id_count;
    const char *text; /* of "--message TEXT": a bounce's words; NULL */
};
/* Takes the words apart, in place: mail_ids points into them. False after saying what is wrong. */
bool filter_parse(struct filter *filter, int count, char **arguments);
/* True when anything was named: mail ids, filters or "all". */
bool filter_names_something(const struct filter *filter);
/* "90", "15m", "2h", "3d", "1w" in seconds; false when it is something else. */
bool filter_duration(const char *word, int64_t *seconds);
#endif
