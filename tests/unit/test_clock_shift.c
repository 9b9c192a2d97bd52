/* SPDX-License-Identifier: MIT
 * Rows that bear dates, and a machine's clock that is set: what waits keeps the time that it still had to wait. */
#include "base/clock.h"
#include "store/clock_shift.h"
#include "store/statements.h"
#include "store_fixture.h"
#include <sqlite3.h>

#define NOW 1700000000 /* 2023-11-14 22:13:20, by the clock as it was */
#define HOUR 3600
#define DAY 86400

static char path[64];
static struct database *database;
static sqlite3 *by_hand;

static int start(void **state) {
    struct buffer error;
    (void)state;
    buffer_init(&error, 1024);
    (void)snprintf(path, sizeof path, "/tmp/parcelpost-clock-XXXXXX");
    (void)close(mkstemp(path));
    database = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(database);
    assert_int_equal(sqlite3_open(path, &by_hand), SQLITE_OK);
    buffer_free(&error);
    return 0;
}

static int end(void **state) {
    (void)state;
    sqlite3_close(by_hand);
    database_close(database);
    (void)unlink(path);
    return 0;
}

static void run(const char *words) {
    while (words[0] != '\0') {
        sqlite3_stmt *statement;
        assert_int_equal(sqlite3_prepare_v2(by_hand, words, -1, &statement, &words), SQLITE_OK);
        if (sqlite3_step(statement) != SQLITE_DONE) {
            fail_msg("%s", sqlite3_errmsg(by_hand));
        }
        sqlite3_finalize(statement);
    }
}

/* Seconds from NOW of a column of the only row; -1 with *is_date false for what is none. */
static int64_t read_date(const char *table, const char *column, bool *is_date) {
    char words[128];
    sqlite3_stmt *row;
    time_t when = 0;
    (void)snprintf(words, sizeof words, "SELECT %s FROM %s", column, table);
    assert_int_equal(sqlite3_prepare_v2(by_hand, words, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(row, 0);
    *is_date = text != NULL && clock_parse(text, &when);
    sqlite3_finalize(row);
    return *is_date ? (int64_t)when - NOW : -1;
}

static void expect(const char *row, const char *table, const char *column, int64_t expected) {
    bool is_date;
    int64_t found = read_date(table, column, &is_date);
    if (!is_date || found != expected) {
        fail_msg("%s: %s.%s is %lld, not %lld", row, table, column, (long long)found, (long long)expected);
    }
}

static char *date(int64_t from_now) {
    static char dates[8][CLOCK_TEXT_SIZE];
    static unsigned next;
    char *text = dates[next++ % 8];
    clock_text((time_t)(NOW + from_now), text);
    return text;
}

static void shift(int64_t seconds) {
    assert_true(clock_shift_begin(database, seconds, NOW + seconds, 0));
    while (clock_shift_goes_on(database)) {
        assert_true(clock_shift_step(database));
    }
}

/* ---- a piece at a time ---- */

#define MAILS 1000
#define FILL(first, number)                                                                                            \
    "WITH RECURSIVE n(i) AS (SELECT " first " UNION ALL SELECT i + 1 FROM n WHERE i < " number ") INSERT INTO mails"   \
    " (mail_id, place, received_at, size, role, local_port, remote_ip, remote_name, ehlo, from_url, protocol, tls,"    \
    " account, verdicts, message_id) SELECT printf('1aBcDe-%06d-Zz', i), 'file', '2023-11-14 21:00:00', 1, 'mx', 25, " \
    "'', '', '', '', '', '', '', '', '' FROM n"
#define FILL_PARCELS(first, number)                                                                                    \
    "INSERT INTO parcels (mail_id, recipient, from_url, to_url, target, domain, delivery, state, retry_at, "           \
    "expires_at,"                                                                                                      \
    " created_at, updated_at) SELECT mail_id, r, '', '', '', '', 'remote', CASE r WHEN 0 THEN 'held' ELSE 'deferred'"  \
    " END, '2023-11-14 23:00:00', '2023-11-16 00:00:00', '', '' FROM mails JOIN (SELECT 0 AS r UNION SELECT 1 UNION"   \
    " SELECT 2) WHERE substr(mail_id, 8, 6) BETWEEN " first " AND " number

static void reopen(void) {
    struct buffer error;
    buffer_init(&error, 1024);
    database_close(database);
    database = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(database);
    assert_true(clock_shift_learn(database));
    buffer_free(&error);
}

#define MOVED_PARCELS "SELECT count(*) FROM parcels WHERE expires_at = '2023-11-26 00:00:00'"

static void rows_are_moved_a_piece_at_a_time_and_once_though_the_server_ends_in_between(void **state) {
    unsigned pieces = 0;
    (void)state;
    run(FILL("1", "1000"));
    run(FILL_PARCELS("'000001'", "'001000'"));
    assert_true(clock_shift_begin(database, 10 * DAY, NOW + 10 * DAY, 0));
    assert_int_equal(fixture_number(by_hand, MOVED_PARCELS), 0);
    /* what comes now bears the new time, wherever its id stands */
    run(FILL("1001", "1010"));
    run(FILL_PARCELS("'001001'", "'001010'"));
    for (; clock_shift_goes_on(database); pieces++) {
        int64_t before = fixture_number(by_hand, MOVED_PARCELS);
        assert_true(clock_shift_step(database));
        assert_in_range(fixture_number(by_hand, MOVED_PARCELS) - before, 0, MAILS);
        reopen();
    }
    assert_true(pieces > 3);
    assert_int_equal(fixture_number(by_hand, MOVED_PARCELS), 3 * MAILS);
    assert_int_equal(fixture_number(by_hand, "SELECT count(*) FROM parcels WHERE retry_at = '2023-11-24 23:00:00'"),
                     2 * MAILS);
    assert_int_equal(fixture_number(by_hand, "SELECT count(*) FROM mails WHERE received_at = '2023-11-24 21:00:00'"),
                     MAILS);
    assert_int_equal(fixture_number(by_hand, "SELECT count(*) FROM clock_move"), 0);
}

static void what_is_written_during_a_move_says_what_it_should_in_the_end(void **state) {
    const char *moved = "1aBcDe-000001-Zz", *waits = "1aBcDe-001000-Zz";
    (void)state;
    run(FILL("1", "1000"));
    run(FILL_PARCELS("'000001'", "'001000'"));
    assert_true(clock_shift_begin(database, -DAY, NOW - DAY, 0));
    assert_true(clock_shift_step(database));
    assert_int_equal(clock_shift_before(database, moved, 1, NOW), NOW);
    assert_int_equal(clock_shift_before(database, waits, 3000, NOW), NOW + DAY);
    assert_int_equal(clock_shift_before(database, waits, 3001, NOW), NOW); /* put in since */
    while (clock_shift_goes_on(database)) {
        assert_true(clock_shift_step(database));
    }
    assert_int_equal(clock_shift_before(database, waits, 3000, NOW), NOW);
}

/* ---- parcels ---- */

static const struct row {
    const char *name, *state;
    int64_t retry, expires, release /* 0: its sender named no time */, seconds, retry_then, expires_then;
} rows[] = {
    {"forward: what waits", "deferred", HOUR, DAY, 0, 10 * DAY, 10 * DAY + HOUR, 11 * DAY},
    {"back: what waits", "deferred", HOUR, DAY, 0, -10 * DAY, HOUR - 10 * DAY, -9 * DAY},
    {"back: what is due stays due", "queued", -5, DAY, 0, -10 * DAY, -5 - 10 * DAY, -9 * DAY},
    {"forward: what is due stays due", "queued", -5, DAY, 0, 10 * DAY, 10 * DAY - 5, 11 * DAY},
    {"back: patience that was over stays over", "deferred", HOUR, -HOUR, 0, -2 * HOUR, -HOUR, -HOUR},
    {"forward: what a right clock wrote before", "deferred", 730 * DAY + HOUR, 732 * DAY, 0, 730 * DAY,
     730 * DAY + HOUR, 732 * DAY},
    {"forward: what its sender wants released later", "queued", 2 * DAY, 7 * DAY, 2 * DAY, HOUR, 2 * DAY, 7 * DAY},
    {"forward beyond the time of its release", "queued", 2 * DAY, 7 * DAY, 2 * DAY, 10 * DAY, 2 * DAY, 7 * DAY},
    {"back before the time of its release, which was over", "deferred", HOUR, 4 * DAY, -DAY, -2 * DAY, HOUR - 2 * DAY,
     2 * DAY},
    {"forward: what is held", "held", -HOUR, DAY, 0, 10 * DAY, -HOUR, 11 * DAY},
    {"what has ended", "failed", HOUR, DAY, 0, 10 * DAY, HOUR, DAY},
};

static void put_parcel(const struct row *row) {
    char words[1024];
    run("DELETE FROM mails; DELETE FROM parcels");
    (void)snprintf(words, sizeof words,
                   "INSERT INTO parcels (mail_id, from_url, to_url, target, domain, delivery, state, retry_at,"
                   " expires_at, created_at, updated_at) VALUES ('m', '', '', '', '', 'remote', '%s', '%s', '%s', '', "
                   "'')",
                   row->state, date(row->retry), date(row->expires));
    run(words);
    run("INSERT INTO mails (mail_id, place, received_at, size, role, local_port, remote_ip, remote_name, ehlo, "
        "from_url,"
        " protocol, tls, account, verdicts, message_id)"
        " VALUES ('m', 'file', '', 1, '', 0, '', '', '', '', '', '', '', '', '')");
    if (row->release != 0) {
        (void)snprintf(words, sizeof words, "UPDATE mails SET hold_until = '%s'", date(row->release));
        run(words);
    }
}

static void parcels_wait_as_long_as_they_had_to(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_parcel(&rows[i]);
        shift(rows[i].seconds);
        expect(rows[i].name, "parcels", "retry_at", rows[i].retry_then);
        expect(rows[i].name, "parcels", "expires_at", rows[i].expires_then);
    }
}

/* When it is released the time since then does not count. */
static void what_is_held_is_held_as_long_as_it_was(void **state) {
    char words[128];
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool held = strcmp(rows[i].state, "held") == 0;
        put_parcel(&rows[i]);
        (void)snprintf(words, sizeof words, "UPDATE parcels SET updated_at = '%s'", date(-HOUR));
        run(words);
        shift(rows[i].seconds);
        expect(rows[i].name, "parcels", "updated_at", held ? rows[i].seconds - HOUR : -HOUR);
    }
}

/* datetime() makes NULL of it, and a parcel without a time is never due. */
static void what_is_no_date_stays(void **state) {
    bool is_date;
    (void)state;
    put_parcel(&rows[0]);
    run("UPDATE parcels SET retry_at = '2023-11-15 9:00'");
    shift(DAY);
    (void)read_date("parcels", "retry_at", &is_date);
    assert_false(is_date);
    expect("patience beside it", "parcels", "expires_at", 2 * DAY);
    run("UPDATE parcels SET retry_at = retry_at || ' is still there' WHERE retry_at = '2023-11-15 9:00'");
    assert_int_equal(sqlite3_changes(by_hand), 1);
}

static void set_reception(const char *received, const char *release) {
    char words[256];
    (void)snprintf(words, sizeof words, "UPDATE mails SET received_at = '%s', hold_until = '%s'", received, release);
    run(words);
}

/* From it the lifetime of a route block counts, and when a delay is told. */
static void mail_that_waits_came_in_as_long_ago_as_it_did(void **state) {
    (void)state;
    put_parcel(&rows[0]);
    set_reception(date(-HOUR), date(-60));
    shift(10 * DAY);
    expect("forward: reception", "mails", "received_at", 10 * DAY - HOUR);
    expect("forward: release", "mails", "hold_until", 10 * DAY - 60);
    expect("forward: the next attempt of what was released", "parcels", "retry_at", 10 * DAY + HOUR);
    put_parcel(&rows[0]);
    set_reception(date(-HOUR), date(2 * HOUR));
    shift(-10 * DAY);
    expect("back: reception", "mails", "received_at", -10 * DAY - HOUR);
    expect("back: what its sender wants released later", "mails", "hold_until", 2 * HOUR);
    put_parcel(&rows[sizeof rows / sizeof rows[0] - 1]);
    set_reception(date(-HOUR), date(-60));
    shift(10 * DAY);
    expect("what has ended", "mails", "received_at", -HOUR);
}

/* ---- the others ---- */

static void rests_lockouts_greylisting_and_locked_accounts_keep_their_time(void **state) {
    char words[512];
    (void)state;
    run("DELETE FROM contacts; DELETE FROM destinations; DELETE FROM greylist; DELETE FROM logins");
    (void)snprintf(words, sizeof words,
                   "INSERT INTO destinations (destination, failures, retry_at, updated_at) VALUES ('d', 1, '%s', '');"
                   "INSERT INTO contacts (remote_ip, violations, expires_at, locked_at, created_at, updated_at)"
                   " VALUES ('192.0.2.1', 3, '%s', '%s', '', '')",
                   date(-5), date(HOUR), date(-HOUR));
    run(words);
    (void)snprintf(words, sizeof words,
                   "INSERT INTO greylist (network, sender, recipient, expires_at, created_at, updated_at)"
                   " VALUES ('n', 's', 'r', '%s', '%s', '');"
                   "INSERT INTO logins (account, contact, failures, failed_at, succeeded_at, updated_at)"
                   " VALUES ('a', 'c', 9, '%s', '%s', '')",
                   date(DAY), date(-60), date(-60), date(-DAY));
    run(words);
    shift(-10 * DAY);
    expect("a rest that is over", "destinations", "retry_at", -5 - 10 * DAY);
    expect("a lockout", "contacts", "expires_at", HOUR - 10 * DAY);
    expect("its beginning", "contacts", "locked_at", -HOUR - 10 * DAY);
    expect("a first try", "greylist", "created_at", -60 - 10 * DAY);
    expect("it is forgotten", "greylist", "expires_at", -9 * DAY);
    expect("what locks an account", "logins", "failed_at", -60 - 10 * DAY);
    expect("when it was used", "logins", "succeeded_at", -DAY);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_moved_a_piece_at_a_time_and_once_though_the_server_ends_in_between,
                                        start, end),
        cmocka_unit_test_setup_teardown(what_is_written_during_a_move_says_what_it_should_in_the_end, start, end),
        cmocka_unit_test_setup_teardown(parcels_wait_as_long_as_they_had_to, start, end),
        cmocka_unit_test_setup_teardown(what_is_held_is_held_as_long_as_it_was, start, end),
        cmocka_unit_test_setup_teardown(what_is_no_date_stays, start, end),
        cmocka_unit_test_setup_teardown(mail_that_waits_came_in_as_long_ago_as_it_did, start, end),
        cmocka_unit_test_setup_teardown(rests_lockouts_greylisting_and_locked_accounts_keep_their_time, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
