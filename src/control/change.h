/* SPDX-License-Identifier: MIT
 * Changes: orders (orders/order.h) asked of the ledger, the only writer; while no server runs, carried out here under
 * the spool's lock and as the spool's user. */
#ifndef CONTROL_CHANGE_H
#define CONTROL_CHANGE_H
#include "control/control.h"
struct change; /* a connection to the ledger, or the spool opened here: any number of orders one after the other */
/* NULL after saying why, with *status. */
struct change *change_open(struct control *control, int *status);
/* Its exit status; answer gets the sentence, *affected how many parcels, contacts or rows it touched. Orders with the
 * same verb and argument, one behind the other, are one change on record. */
int change_step(struct change *change, const char *verb, const char *argument, const char *detail,
                struct buffer *answer, int64_t *affected);
void change_close(struct change *change);
/* One order: prints what was done; the exit status. */
int change_ask(struct control *control, const char *verb, const char *argument, const char *detail);
/* Puts on record what `parcelpost` has changed itself; says so when that cannot be done. Before there is a database
 * there is nowhere to put it. The last thing that a subcommand does: without a server the process becomes the spool's
 * user. */
void change_note(struct control *control, const char *verb, const char *argument);
/* Makes the database anew from the spool; the server must be stopped. */
int change_rebuild(struct control *control);
#endif
