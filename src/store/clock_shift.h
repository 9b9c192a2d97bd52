/* SPDX-License-Identifier: MIT
 * The machine's clock was set: what waits keeps the time that it still had to wait. Called by the ledger. */
#ifndef STORE_CLOCK_SHIFT_H
#define STORE_CLOCK_SHIFT_H
#include "store/database.h"
/* Moves the next attempt and the end of patience of every parcel that waits, the reception of its mail (from which the
 * lifetime of a route block counts), the rest of every destination, the lockout
 * of every contact, what greylisting has put off and the failed logins that lock accounts by so many seconds (below 0:
 * the clock was set back). Not what was still to be released, by the clock as it was, at a time that its sender named;
 * and not patience that was over by it, or what is further away than furthest (seconds): that was written by a clock
 * that went right before. now: by the new clock. One transaction; false on a database error, and then nothing has
 * moved. */
bool clock_shift(struct database *database, int64_t seconds, int64_t now, int64_t furthest);
#endif
