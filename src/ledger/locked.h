/* SPDX-License-Identifier: MIT
 * The contacts that are locked out, as the ledger has told the listener, or has yet to tell. Values, no I/O. */
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
    enum locked_news news;
    bool seen; /* in the database, while it is read anew */
};
struct locked { /* sorted by contact */
    struct locked_contact *items;
    size_t count, room;
    size_t untold;
};
/* A lockout begins, or its end moves. True when the contact was not locked out before. */
bool locked_put(struct locked *locked, const char *contact, int64_t until, int64_t began);
/* A lockout ends. True when there was one. */
bool locked_end(struct locked *locked, const char *contact);
/* Reading anew: begin, locked_see for each that the database has (true: it is new), then locked_sweep ends the others,
 * calling back for each. */
void locked_begin(struct locked *locked);
bool locked_see(struct locked *locked, const char *contact, int64_t until, int64_t began);
typedef void locked_ended(void *context, const char *contact);
void locked_sweep(struct locked *locked, locked_ended *ended, void *context);
/* Hands out what is untold until tell returns false; ends that were told are forgotten. */
typedef bool locked_tell(void *context, const struct locked_contact *contact);
void locked_tell_all(struct locked *locked, locked_tell *tell, void *context);
void locked_free(struct locked *locked);
#endif
