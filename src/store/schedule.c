/* SPDX-License-Identifier: MIT
 * Which parcels are due. Called by the queue runner over a read-only connection; false on a database error. */
#include "store/schedule.h"
#include "base/clock.h"
#include "mail/envelope.h"
#include "store/statements.h"
#include <string.h>

static uint32_t delivery_of(const char *name) {
    static const enum envelope_delivery all[] = {DELIVERY_NONE, DELIVERY_LOCAL, DELIVERY_REMOTE};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(name, envelope_delivery_name(all[i])) == 0) {
            return (uint32_t)all[i];
        }
    }
    return DELIVERY_NONE;
}

static struct schedule_parcel read_parcel(struct sqlite3_stmt *row) {
    return (struct schedule_parcel){.parcel_id = column_integer(row, 0),
                                    .size = column_integer(row, 1),
                                    .received_at = column_time(row, 2),
                                    .retry_at = column_time(row, 3),
                                    .expires_at = column_time(row, 4),
                                    .mail_id = column_string(row, 5),
                                    .from_url = column_string(row, 6),
                                    .account = column_string(row, 7),
                                    .target = column_string(row, 8),
                                    .to_url = column_string(row, 9),
                                    .domain = column_string(row, 10),
                                    .recipient = (uint32_t)column_integer(row, 11),
                                    .attempts = (uint32_t)column_integer(row, 12),
                                    .delivery = delivery_of(column_string(row, 13)),
                                    .auto_generated = (uint32_t)column_integer(row, 14),
                                    .delayed_at = column_time(row, 15)};
}

bool schedule_due(struct database *database, int64_t now, const char *mail_id, size_t limit, schedule_visit *visit,
                  void *context) {
    struct sqlite3_stmt *rows =
        mail_id == NULL
            ? statement_query(database, STATEMENT_SCHEDULE_DUE, BINDS(bind_time(now), bind_integer((int64_t)limit)))
            : statement_query(database, STATEMENT_SCHEDULE_MAIL,
                              BINDS(bind_string(mail_id), bind_integer((int64_t)limit)));
    enum statement_result result;
    while ((result = statement_step(rows)) == STATEMENT_ROW) {
        struct schedule_parcel parcel = read_parcel(rows);
        if (!visit(context, &parcel)) {
            result = STATEMENT_DONE;
            break;
        }
    }
    statement_end(rows);
    return result == STATEMENT_DONE;
}

bool schedule_next(struct database *database, int64_t after, int64_t *next) {
    struct sqlite3_stmt *row =
        statement_query(database, STATEMENT_SCHEDULE_NEXT, BINDS(bind_time(after > 0 ? after : 1)));
    bool good = statement_step(row) == STATEMENT_ROW;
    *next = CLOCK_NEVER;
    if (good) {
        int64_t at = column_time(row, 0);
        *next = at != 0 ? at : CLOCK_NEVER;
    }
    statement_end(row);
    return good;
}
