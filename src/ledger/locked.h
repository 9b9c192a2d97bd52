/* SPDX-License-Identifier: MIT
 * The contacts that are locked out, as the ledger has told the listener, or has yet to tell, and the commands that
 * are due for them. Values, no I/O. */
#ifndef LEDGER_LOCKED_H
#define LEDGER_LOCKED_H
#include "base/network.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum locked_news { LOCKED_TOLD, LOCKED_TELL, LOCKED_TELL_END };
struct locked_contact {
    char contact[NETWORK_IP_SIZE];
    int64_t until, began;
    enum locked_news news;    /* HUB_LOCKED or HUB_UNLOCKED is due */
    enum locked_news command; /* lock_command or unlock_command is due */
    bool over;                /* kept until all of it is told */
    bool seen;                /* in the database, while it is read anew */
};
struct locked { /* sorted by contact */
    struct locked_contact *items;
    size_t count, room;
    size_t untold; /* items with anything due */
};
/* A lockout begins, or its end moves. True when the contact was not locked out before. */
bool locked_put(struct locked *locked, const char *contact, int64_t until, int64_t began);
/* A lockout ends. True when there was one. */
bool locked_end(struct locked *locked, const char *contact);
/* A lockout that a former run of the ledger left ended before this one began: only its end is told. */
void locked_put_over(struct locked *locked, const char *contact);
/* Reading anew: begin, locked_see for each that the database has (true: it is new), then locked_sweep ends the others,
 * calling back for each. */
void locked_begin(struct locked *locked);
bool locked_see(struct locked *locked, const char *contact, int64_t until, int64_t began);
typedef void locked_ended(void *context, const char *contact);
void locked_sweep(struct locked *locked, locked_ended *ended, void *context);
/* Hands out what is due until a callback returns false, for each contact its news, then its command: the callback
 * looks at `over`. Ends that were told are forgotten. */
typedef bool locked_tell(void *context, const struct locked_contact *contact);
void locked_tell_all(struct locked *locked, locked_tell *tell, locked_tell *tell_command, void *context);
void locked_free(struct locked *locked);
#endif
