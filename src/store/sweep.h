/* SPDX-License-Identifier: MIT
 * A look at all mails and waiting parcels, for what rows that were edited by hand have left behind. A bounded step at a
 * time that follows an index, so that a million parcels hold nobody up. */
#ifndef STORE_SWEEP_H
#define STORE_SWEEP_H
#include "base/clock.h"
#include "mail/mail_id.h"
#include "mail/place.h"
#include "store/database.h"

struct sweep {           /* how far it is */
    bool mails, parcels; /* there is more */
    char place[PLACE_SIZE], mail_id[MAIL_ID_SIZE], retry_at[CLOCK_TEXT_SIZE];
    int64_t parcel;
};
#define SWEEP_MAILS 64
/* One step, if there is more. Gives how many mails it has found that lie somewhere although all recipients have ended.
 */
size_t sweep_mails(struct database *database, struct sweep *sweep, char ids[SWEEP_MAILS][MAIL_ID_SIZE]);
/* One step, if there is more. Ends parcels without a message; what cannot be is logged. */
void sweep_parcels(struct database *database, struct sweep *sweep, int64_t now);
#endif
