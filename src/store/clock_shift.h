/* SPDX-License-Identifier: MIT
 * The machine's clock was set: what waits keeps the time that it still had to wait. Called by the ledger. A million
 * parcels take minutes, so theirs are moved a piece at a time: how far that is stands in the table clock_move, in the
 * transaction of each piece, and whoever opens the database next goes on from there. */
#ifndef STORE_CLOCK_SHIFT_H
#define STORE_CLOCK_SHIFT_H
#include "store/database.h"
/* Begins to move the next attempt and the end of patience of every parcel that waits, the reception of its mail (from
 * which the lifetime of a route block counts), the rest of every destination, the lockout of every contact, what
 * greylisting has put off and the failed logins that lock accounts by so many seconds (below 0: the clock was set
 * back). Not what was still to be released, by the clock as it was, at a time that its sender named; and not patience
 * that was over by it, or what is further away than 31 days: that was written by a clock that went right before. now:
 * by the new clock; clock: what it is known by (clock_offset). All but parcels and mails is moved when this returns,
 * or, false on a database error, nothing. Not while another move goes on. */
bool clock_shift_begin(struct database *database, int64_t seconds, int64_t now, int64_t clock);
bool clock_shift_goes_on(const struct database *database);
/* By how many seconds the one that goes on, or went on last, moves rows, and by which clock they are right then. */
int64_t clock_shift_seconds(const struct database *database);
int64_t clock_shift_clock(const struct database *database);
/* Moves the next piece, one transaction. False on a database error: it is to be tried again. */
bool clock_shift_step(struct database *database);
/* What the row of this parcel has to say for it to be `at` when it has been moved. */
int64_t clock_shift_before(const struct database *database, const char *mail_id, int64_t parcel_id, int64_t at);
/* Reads whether a move goes on: once the database is open, or, where another process moves the rows, each time. */
bool clock_shift_learn(struct database *database);
#endif
