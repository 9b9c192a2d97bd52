/* SPDX-License-Identifier: MIT
 * See clock_shift.h. Called by the ledger between two transactions of its own. */
#include "store/clock_shift.h"
#include "store/statements.h"
#include <string.h>

#define FURTHEST (31L * 86400) /* what ends later was not written by a clock that was wrong by more */
#define MAILS_A_PIECE 50

static const enum statement_name small[] = {STATEMENT_SHIFT_CONTACTS, STATEMENT_SHIFT_DESTINATIONS,
                                            STATEMENT_SHIFT_GREYLIST, STATEMENT_SHIFT_LOGINS};

#define TIME_BINDS(before, seconds)                                                                                    \
    bind_integer(seconds), bind_time(before), bind_time((before) + FURTHEST), bind_time((before)-FURTHEST)

static bool end_transaction(struct database *database, bool good) {
    if (good && database_commit(database)) {
        return true;
    }
    database_rollback(database);
    return false;
}

bool clock_shift_learn(struct database *database) {
    struct sqlite3_stmt *row = statement_query(database, STATEMENT_CLOCK_MOVE, BINDS_NONE);
    enum statement_result result = statement_step(row);
    struct clock_move *move = &database->move;
    *move = (struct clock_move){.goes_on = result == STATEMENT_ROW};
    if (move->goes_on) {
        move->seconds = column_integer(row, 0);
        move->before = column_integer(row, 1);
        move->clock = column_integer(row, 2);
        move->last_parcel = column_integer(row, 3);
        (void)text_copy(move->after_mail, sizeof move->after_mail, text_of(column_string(row, 4)));
    }
    statement_end(row);
    return result != STATEMENT_ERROR;
}

bool clock_shift_goes_on(const struct database *database) {
    return database->move.goes_on;
}

int64_t clock_shift_seconds(const struct database *database) {
    return database->move.seconds;
}

int64_t clock_shift_clock(const struct database *database) {
    return database->move.clock;
}

bool clock_shift_begin(struct database *database, int64_t seconds, int64_t now, int64_t clock) {
    int64_t before = now - seconds;
    const struct bind binds[] = {TIME_BINDS(before, seconds)};
    bool good = database_begin(database);
    for (size_t i = 0; good && i < sizeof small / sizeof small[0]; i++) {
        good = statement_run(database, small[i], binds, 4);
    }
    good = good && statement_run(database, STATEMENT_CLOCK_MOVE_BEGIN,
                                 BINDS(bind_integer(seconds), bind_integer(before), bind_integer(clock)));
    return end_transaction(database, good) && clock_shift_learn(database);
}

/* The last mail of the next piece; "" when that is the last. */
static bool find_end(struct database *database, char end[MAIL_ID_SIZE]) {
    struct sqlite3_stmt *row =
        statement_query(database, STATEMENT_CLOCK_MOVE_NEXT,
                        BINDS(bind_string(database->move.after_mail), bind_integer(MAILS_A_PIECE - 1)));
    enum statement_result result = statement_step(row);
    end[0] = '\0';
    if (result == STATEMENT_ROW && !text_copy(end, MAIL_ID_SIZE, text_of(column_string(row, 0)))) {
        end[0] = '\0'; /* put in by hand, and no id: the rest at once */
    }
    statement_end(row);
    return result != STATEMENT_ERROR;
}

/* Mails last: parcels ask theirs when it was to be released. */
static bool move_piece(struct database *database, const char *end) {
    const struct clock_move *move = &database->move;
    const struct bind binds[] = {TIME_BINDS(move->before, move->seconds), bind_string(move->after_mail),
                                 bind_string(end[0] != '\0' ? end : NULL), bind_integer(move->last_parcel)};
    const size_t count = sizeof binds / sizeof binds[0];
    return statement_run(database, STATEMENT_SHIFT_PARCELS, binds, count) &&
           statement_run(database, STATEMENT_SHIFT_HELD, binds, count) &&
           statement_run(database, STATEMENT_SHIFT_MAILS, binds, count) &&
           (end[0] != '\0' ? statement_run(database, STATEMENT_CLOCK_MOVE_STEP, BINDS(bind_string(end)))
                           : statement_run(database, STATEMENT_CLOCK_MOVE_END, BINDS_NONE));
}

bool clock_shift_step(struct database *database) {
    char end[MAIL_ID_SIZE] = "";
    bool good = database_begin(database) && find_end(database, end) && move_piece(database, end);
    if (!end_transaction(database, good)) {
        return false;
    }
    memcpy(database->move.after_mail, end, MAIL_ID_SIZE);
    database->move.goes_on = end[0] != '\0';
    return true;
}

int64_t clock_shift_before(const struct database *database, const char *mail_id, int64_t parcel_id, int64_t at) {
    const struct clock_move *move = &database->move;
    return move->goes_on && parcel_id <= move->last_parcel && strcmp(mail_id, move->after_mail) > 0 ? at - move->seconds
                                                                                                    : at;
}
