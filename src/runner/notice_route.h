/* SPDX-License-Identifier: MIT
 * Where a notice goes: the receiver found out where mail to its sender and to owners of lists leads; what it could not
 * find out, and what mail from an older spool does not say, is followed through aliases here. */
#ifndef RUNNER_NOTICE_ROUTE_H
#define RUNNER_NOTICE_ROUTE_H
#include "base/buffer.h"
#include "config/config.h"
#include "store/database.h"

#define NOTICE_ROUTE_MAXIMUM 4096u /* bytes */

/* Appends where mail to the address is delivered, as envelope->sender_targets has it: through aliases to addresses and
 * transports, the first ones where they are many. Never empty: an address of ours that leads nowhere stays itself. */
void notice_route(const struct config *config, struct database *database, const char *address, struct buffer *targets);
/* Appends where the receiver found that mail to this owner is delivered, which stands in envelope->owner_targets.
 * False: it says nothing of him. */
bool notice_route_of_owner(struct text owner_targets, const char *owner, struct buffer *targets);
/* Takes the next one off such a list. False at its end. */
bool notice_route_next(struct text *targets, struct text *one);
#endif
