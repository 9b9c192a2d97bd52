/* SPDX-License-Identifier: MIT
 * Lists of parcels, see report_parcels.h. Called by `parcelpost`: the choice of statements, one for each index. */
#include "store/report_parcels.h"
#include "base/memory.h"
#include "store/report_private.h"
#include <stdlib.h>
#include <string.h>

struct listing {
    const struct report_filter *filter;
    int64_t now, left; /* rows that may still be shown; -1: any number */
    char *domain, *domain_pattern, *sender, *recipient;
    report_visit *visit;
    void *context;
    bool stopped;
};

/* For LIKE … ESCAPE '\': '*' stands for anything, everything else for itself. NULL stays NULL; the caller frees. */
static char *like_pattern(const char *pattern) {
    if (pattern == NULL) {
        return NULL;
    }
    char *like = memory_new(2, strlen(pattern) + 1), *end = like;
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '%' || *pattern == '_' || *pattern == '\\') {
            *end++ = '\\';
        }
        *end++ = *pattern == '*' ? '%' : *pattern;
    }
    *end = '\0';
    return like;
}

static bool count_row(void *context, const struct report_row *row) {
    struct listing *listing = context;
    listing->left -= listing->left > 0;
    listing->stopped = !listing->visit(listing->context, row) || listing->left == 0;
    return !listing->stopped;
}

static bool run(struct listing *listing, struct database *database, enum statement_name name) {
    const struct report_filter *filter = listing->filter;
    const char *states = filter->states != NULL ? filter->states : REPORT_WAITING;
    if (listing->stopped) {
        return true;
    }
    return report_rows(
        statement_query(database, name,
                        BINDS(bind_string(listing->domain), bind_string(listing->sender),
                              bind_string(listing->recipient), bind_time(filter->before), bind_time(filter->after),
                              bind_string(filter->reason), bind_string(listing->domain_pattern), bind_string(states),
                              bind_time(listing->now), bind_string(filter->mail_id), bind_integer(listing->left))),
        count_row, listing);
}

static bool has_state(const struct listing *listing, const char *state) {
    return listing->filter->states == NULL || strstr(listing->filter->states, state) != NULL;
}

static bool has_ended(const struct listing *listing) {
    static const char *const ended[] = {",delivered,", ",failed,", ",expired,", ",refused,", ",removed,"};
    for (size_t i = 0; listing->filter->states != NULL && i < sizeof ended / sizeof ended[0]; i++) {
        if (strstr(listing->filter->states, ended[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static bool run_all(struct listing *listing, struct database *database) {
    bool queued = has_state(listing, ",queued,"), deferred = has_state(listing, ",deferred,");
    bool held = has_state(listing, ",held,");
    if (listing->filter->mail_id != NULL) {
        return run(listing, database, STATEMENT_LIST_MAIL);
    }
    if (has_ended(listing)) {
        return run(listing, database, STATEMENT_LIST_ALL);
    }
    if (listing->domain != NULL) {
        return (!queued || (run(listing, database, STATEMENT_LIST_DOMAIN_QUEUED) &&
                            run(listing, database, STATEMENT_LIST_LATER))) &&
               (!(deferred || held) || run(listing, database, STATEMENT_LIST_DOMAIN_WAITING));
    }
    return (!(queued || deferred) || run(listing, database, deferred ? STATEMENT_LIST_DUE : STATEMENT_LIST_QUEUED)) &&
           (!queued || deferred || run(listing, database, STATEMENT_LIST_LATER)) &&
           (!held || run(listing, database, STATEMENT_LIST_HELD));
}

bool report_parcels(struct database *database, const struct report_filter *filter, int64_t now, report_visit *visit,
                    void *context) {
    struct listing listing = {.filter = filter,
                              .now = now,
                              .left = filter->limit > 0 ? filter->limit : -1,
                              .sender = like_pattern(filter->sender),
                              .recipient = like_pattern(filter->recipient),
                              .visit = visit,
                              .context = context};
    if (filter->domain != NULL && strchr(filter->domain, '*') == NULL && !has_ended(&listing)) {
        listing.domain = memory_string(text_of(filter->domain));
        text_lower(listing.domain); /* rows have it so */
    } else {
        listing.domain_pattern = like_pattern(filter->domain);
    }
    bool good = run_all(&listing, database);
    free(listing.domain);
    free(listing.domain_pattern);
    free(listing.sender);
    free(listing.recipient);
    return good;
}
