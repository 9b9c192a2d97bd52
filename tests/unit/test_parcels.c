/* SPDX-License-Identifier: MIT
 * Rows of parcels as the queue runner and people see them: what is due, states, refused recipients, the purge by age.
 */
#include "one_store.h"
#include "store/destinations.h"
#include "store/history.h"
#include "store/schedule.h"
#include <sqlite3.h>

static char due[512];

static bool note(void *context, struct schedule_parcel *parcel) {
    size_t length = strlen(due);
    (void)context;
    assert_int_equal(schedule_facts(fixture.spool->database, parcel), SCHEDULE_FOUND);
    assert_true(parcel->parcel_id > 0 && parcel->size > 0 && parcel->expires_at > parcel->received_at);
    assert_string_equal(parcel->domain, "example.test");
    assert_int_equal(parcel->delivery, DELIVERY_LOCAL);
    (void)snprintf(due + length, sizeof due - length, "%s:%u ", parcel->mail_id + 12, parcel->recipient);
    return true;
}

/* What is due at this time, "id-end:recipient …". */
static const char *due_at(int64_t now, const char *mail_id) {
    const struct schedule_query query = {.choice = SCHEDULE_ALL, .until = now, .limit = 100};
    due[0] = '\0';
    assert_true(mail_id != NULL ? schedule_mail(fixture.spool->database, mail_id, 100, note, NULL)
                                : schedule_due(fixture.spool->database, &query, note, NULL));
    return due;
}

static void new_parcels_are_due_at_once_and_deferred_ones_later(void **state) {
    int64_t now = time(NULL) + 1, next;
    char id[MAIL_ID_SIZE];
    (void)state;
    fixture_add(&fixture, 1, 2, 100);
    fixture_finish(&fixture);
    assert_string_equal(due_at(now, NULL), "1-Zz:0 1-Zz:1 ");
    fixture_result(&fixture, 1, 0, SPOOL_DEFERRED, "451 later");
    assert_string_equal(due_at(now, NULL), "1-Zz:1 ");
    fixture_result(&fixture, 1, 1, SPOOL_DELIVERED, "250 OK");
    assert_string_equal(due_at(now, NULL), "");
    assert_true(schedule_next(fixture.spool->database, 0, &next));
    assert_in_range(next, now + 290, now + 310);
    assert_string_equal(due_at(now + 400, NULL), "1-Zz:0 ");
    fixture_id(1, id);
    assert_string_equal(due_at(now, id), "1-Zz:0 ");
    fixture_result(&fixture, 1, 0, SPOOL_ENDED_FAILED, "550 no");
    assert_true(schedule_next(fixture.spool->database, 0, &next));
    assert_int_equal(next, CLOCK_NEVER);
}

static void every_attempt_leaves_a_row(void **state) {
    char id[MAIL_ID_SIZE];
    unsigned rows = 0;
    (void)state;
    fixture_add(&fixture, 1, 1, 100);
    fixture_finish(&fixture);
    fixture_result(&fixture, 1, 0, SPOOL_DEFERRED, "451 4.7.1 greylisted");
    fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 2.0.0 OK");
    fixture_id(1, id);
    struct sqlite3_stmt *row =
        statement_query(fixture.spool->database, STATEMENT_REPORT_MAIL_ATTEMPTS, BINDS(bind_string(id)));
    while (statement_step(row) == STATEMENT_ROW) {
        assert_string_equal(column_string(row, 2), "lmtp");
        assert_string_equal(column_string(row, 6), rows == 0 ? "451 4.7.1 greylisted" : "250 2.0.0 OK");
        rows++;
    }
    statement_end(row);
    assert_int_equal(rows, 2);
}

static void a_refused_recipient_is_a_row_that_is_never_due(void **state) {
    const struct parcels_refused refused = {
        0,    TEXT("1aBcDe-000001-Zz"), TEXT("a@remote.test"), TEXT("b@example.test"), TEXT("550 5.1.1 no such user"),
        false};
    (void)state;
    assert_true(parcels_add_refused(fixture.spool->database, &refused, time(NULL)));
    assert_string_equal(due_at(time(NULL) + 1000, NULL), "");
    struct sqlite3_stmt *row =
        statement_query(fixture.spool->database, STATEMENT_REPORT_ADDRESS, BINDS(bind_string("b@example.test")));
    assert_int_equal(statement_step(row), STATEMENT_ROW);
    assert_string_equal(column_string(row, 4), "refused");
    assert_string_equal(column_string(row, 6), "550 5.1.1 no such user");
    statement_end(row);
}

static void a_place_reads_back_as_it_was_written(void **state) {
    static const struct {
        const char *text;
        bool good;
    } rows[] = {{"journal 12 345", true}, {"file", true}, {"gone", true},     {"journal 12", false},
                {"journal x 1", false},   {"", false},    {"journal", false}, {"elsewhere", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum place_kind kind;
        struct journal_place place;
        char text[PLACE_SIZE];
        assert_int_equal(place_parse(rows[i].text, &kind, &place), rows[i].good);
        if (rows[i].good) {
            place_format(kind, place, text);
            assert_string_equal(text, rows[i].text);
        }
    }
}

static void history_is_purged_by_age_and_what_waits_never_is(void **state) {
    bool more;
    struct history history = {.before = time(NULL) - 1000, .tls_before = time(NULL) - 1000};
    struct database *database = fixture.spool->database;
    struct destinations_row row;
    (void)state;
    assert_true(destinations_failed(database, TEXT("dead.test"), time(NULL) + 60, TEXT("451 no"), time(NULL)));
    assert_true(destinations_answered(database, TEXT("safe.test"), DESTINATIONS_TLS_VERIFIED, time(NULL)));
    fixture_add(&fixture, 1, 1, 100);
    fixture_add(&fixture, 2, 1, 100);
    fixture_finish(&fixture);
    fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 OK");
    assert_true(history_purge(database, &history, &more));
    assert_string_equal(fixture_states(&fixture, 1), "delivered");
    assert_int_equal(destinations_find(database, TEXT("dead.test"), &row), DESTINATIONS_YES);
    history.before = time(NULL) + 1000;
    assert_true(history_purge(database, &history, &more));
    assert_false(more);
    assert_int_equal(destinations_find(database, TEXT("dead.test"), &row), DESTINATIONS_NO);
    assert_int_equal(destinations_find(database, TEXT("SAFE.test"), &row), DESTINATIONS_YES); /* for longer */
    assert_string_equal(fixture_states(&fixture, 1), "");
    assert_string_equal(fixture_place(&fixture, 1), "");
    assert_string_equal(fixture_states(&fixture, 2), "queued");
    assert_string_equal(fixture_place(&fixture, 2), "journal");
}

static void history_goes_in_bounded_steps(void **state) {
    bool more = true;
    char name[32];
    struct history history = {.before = time(NULL) + 1000, .tls_before = 0};
    struct destinations_row row;
    struct database *database = fixture.spool->database;
    (void)state;
    for (int i = 0; i < 450; i++) {
        (void)snprintf(name, sizeof name, "d%d.test", i);
        assert_true(destinations_failed(database, text_of(name), 1, TEXT_NONE, time(NULL)));
    }
    for (int step = 0; step < 3; step++) {
        assert_true(more);
        assert_true(history_purge(database, &history, &more));
    }
    assert_false(more);
    for (int i = 0; i < 450; i++) {
        (void)snprintf(name, sizeof name, "d%d.test", i);
        assert_int_equal(destinations_find(database, text_of(name), &row), DESTINATIONS_NO);
    }
}

static void local_domains_follow_the_configuration_and_rows_added_by_hand_stay(void **state) {
    static const char *const others[] = {"Other.test", "third.test"};
    static const struct {
        const char *domain;
        bool local;
    } rows[] = {{"example.test", false}, {"other.TEST", true}, {"third.test", true}, {"by-hand.test", true}};
    (void)state;
    fixture.options.local_domains = others;
    fixture.options.local_domain_count = 2;
    spool_set_options(fixture.spool, &fixture.options);
    assert_true(statement_run(fixture.spool->database, STATEMENT_DOMAIN_ADD, BINDS(bind_string("by-hand.test"))));
    struct sqlite3_stmt *by_hand = NULL;
    assert_int_equal(sqlite3_prepare_v2(fixture.spool->database->handle,
                                        "UPDATE domains SET configured = 0 WHERE domain = 'by-hand.test'", -1, &by_hand,
                                        NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(by_hand), SQLITE_DONE);
    sqlite3_finalize(by_hand);
    assert_true(spool_sync_domains(fixture.spool));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqlite3_stmt *row =
            statement_query(fixture.spool->database, STATEMENT_USERS_LOCAL_DOMAIN, BINDS(bind_string(rows[i].domain)));
        if ((statement_step(row) == STATEMENT_ROW) != rows[i].local) {
            fail_msg("%s", rows[i].domain);
        }
        statement_end(row);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
static void begin_at(const char *id, int64_t at) {
    char words[128], text[CLOCK_TEXT_SIZE];
    clock_text((time_t)at, text);
    (void)snprintf(words, sizeof words, "UPDATE mails SET hold_until = '%s' WHERE mail_id = '%s' RETURNING 1", text,
                   id);
    assert_int_equal(fixture_number(fixture.spool->database->handle, words), 1);
}

/* Whoever lets it go wants it to be tried. */
static void the_time_that_a_parcel_was_held_does_not_count(void **state) {
    static const struct {
        const char *what;
        int64_t begins, released, moved; /* seconds after the hold */
    } rows[] = {
        {"a week", 0, 604800, 604800},
        {"released at once", 0, 0, 0},
        {"the clock was set back meanwhile", 0, -604800, 0},
        {"its time began a day later", 86400, 604800, 518400},
        {"its time has not begun", 864000, 604800, 0},
    };
    struct database *database = fixture.spool->database;
    const int64_t now = time(NULL);
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct parcels_deferral late = {.at = now + 90, .reply = TEXT("451 later"), .retry_at = now + 390};
        struct parcels_row before, after;
        char id[MAIL_ID_SIZE];
        fixture_id(i, id);
        fixture_add(&fixture, i, 1, 100);
        fixture_finish(&fixture);
        assert_int_equal(parcels_find(database, id, 0, &before), PARCELS_YES);
        if (rows[i].begins > 0) {
            begin_at(id, now + rows[i].begins);
        }
        assert_true(parcels_change(database, id, 0, PARCEL_HOLD, now, TEXT_NONE));
        assert_true(parcels_defer(database, id, 0, &late)); /* by an agent that had it in hand */
        assert_true(parcels_change(database, id, 0, PARCEL_RELEASE, now + rows[i].released, TEXT_NONE));
        assert_int_equal(parcels_find(database, id, 0, &after), PARCELS_YES);
        if (after.expires_at - before.expires_at != rows[i].moved) {
            fail_msg("%s: moved by %lld", rows[i].what, (long long)(after.expires_at - before.expires_at));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(new_parcels_are_due_at_once_and_deferred_ones_later),
        TEST(every_attempt_leaves_a_row),
        TEST(a_refused_recipient_is_a_row_that_is_never_due),
        TEST(a_place_reads_back_as_it_was_written),
        TEST(history_is_purged_by_age_and_what_waits_never_is),
        TEST(history_goes_in_bounded_steps),
        TEST(the_time_that_a_parcel_was_held_does_not_count),
        TEST(local_domains_follow_the_configuration_and_rows_added_by_hand_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
