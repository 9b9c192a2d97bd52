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
                                    .retry_at = column_time(row, 1),
                                    .expires_at = column_time(row, 2),
                                    .mail_id = column_string(row, 3),
                                    .from_url = column_string(row, 4),
                                    .target = column_string(row, 5),
                                    .to_url = column_string(row, 6),
                                    .domain = column_string(row, 7),
                                    .recipient = (uint32_t)column_integer(row, 8),
                                    .attempts = (uint32_t)column_integer(row, 9),
                                    .delivery = delivery_of(column_string(row, 10)),
                                    .bounce = column_string(row, 11),
                                    .delayed_at = column_time(row, 12),
                                    .account = ""};
}

static bool visit_rows(struct sqlite3_stmt *rows, schedule_visit *visit, void *context) {
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

bool schedule_due(struct database *database, const struct schedule_query *query, schedule_visit *visit, void *context) {
    static const enum statement_name names[] = {[SCHEDULE_ALL] = STATEMENT_SCHEDULE_DUE,
                                                [SCHEDULE_DOMAIN] = STATEMENT_SCHEDULE_DOMAIN,
                                                [SCHEDULE_LOCAL] = STATEMENT_SCHEDULE_LOCAL,
                                                [SCHEDULE_WAITING] = STATEMENT_SCHEDULE_WAITING};
    const struct bind binds[] = {
        bind_time(query->until), bind_time(query->from > 0 ? query->from : 1), bind_integer((int64_t)query->limit),
        query->choice == SCHEDULE_ALL ? bind_integer(query->after_id) : bind_text(query->domain)};
    return visit_rows(statement_query(database, names[query->choice], binds, query->choice == SCHEDULE_LOCAL ? 3 : 4),
                      visit, context);
}

bool schedule_mail(struct database *database, const char *mail_id, size_t limit, schedule_visit *visit, void *context) {
    return visit_rows(
        statement_query(database, STATEMENT_SCHEDULE_MAIL, BINDS(bind_string(mail_id), bind_integer((int64_t)limit))),
        visit, context);
}

enum schedule_found schedule_facts(struct database *database, struct schedule_parcel *parcel) {
    static char account[1024];
    struct sqlite3_stmt *row = statement_query(database, STATEMENT_SCHEDULE_FACTS, BINDS(bind_string(parcel->mail_id)));
    enum statement_result result = statement_step(row);
    if (result == STATEMENT_ROW) {
        parcel->size = column_integer(row, 0);
        parcel->received_at = column_time(row, 1);
        (void)text_copy(account, sizeof account, text_of(column_string(row, 2)));
        parcel->account = account;
        parcel->auto_generated = (uint32_t)column_integer(row, 3);
    }
    statement_end(row);
    return result == STATEMENT_ROW ? SCHEDULE_FOUND : result == STATEMENT_DONE ? SCHEDULE_NO_MAIL : SCHEDULE_ERROR;
}

bool schedule_waits(struct database *database, int64_t parcel_id) {
    struct sqlite3_stmt *row = statement_query(database, STATEMENT_SCHEDULE_WAITS, BINDS(bind_integer(parcel_id)));
    enum statement_result result = statement_step(row);
    statement_end(row);
    return result != STATEMENT_DONE;
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
