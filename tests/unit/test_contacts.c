/* SPDX-License-Identifier: MIT
 * Contacts: the sequence of PARITY.md 1 with a maximum of 3, its mercies, expiry, and what an operator does. Time is a
 * parameter, so nothing here waits. */
#include "store/contacts.h"
#include "store_fixture.h"

#define IP TEXT("192.0.2.7")
#define BEGIN 1700000000

static char path[64];
static struct database *database;
static const struct contacts_policy policy = {
    .prohibited_seconds = 3600, .lockout_maximum = 86400, .history_days = 30, .maximum = 3};
static struct contacts_state seen;

static int start(void **state) {
    struct buffer error;
    (void)state;
    buffer_init(&error, 1024);
    (void)snprintf(path, sizeof path, "/tmp/parcelpost-contacts-XXXXXX");
    int fd = mkstemp(path);
    (void)close(fd);
    database = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(database);
    buffer_free(&error);
    return 0;
}

static int end(void **state) {
    (void)state;
    database_close(database);
    (void)unlink(path);
    return 0;
}

static enum contacts_verdict connect_at(int64_t now) {
    assert_true(contacts_open(database, &policy, IP, false, now, &seen));
    return seen.verdict;
}

static enum contacts_verdict violate(enum contacts_mercy mercy, const char *mail_id, bool allowed, int64_t now) {
    const struct contacts_violation violation = {.contact = IP,
                                                 .verb = TEXT("RCPT"),
                                                 .rule = TEXT("unknown recipient"),
                                                 .reply = TEXT("550 5.1.1 no such user"),
                                                 .account = TEXT_NONE,
                                                 .mail_id = text_of(mail_id),
                                                 .port = 25,
                                                 .mercy = mercy};
    assert_true(contacts_violate(database, &policy, &violation, allowed, now, &seen));
    return seen.verdict;
}

/* "hits violations locks" of the only contact. */
static const char *counts(void) {
    static char text[64];
    struct sqlite3_stmt *row = statement_query(database, STATEMENT_CONTACT_BY_IP, BINDS(bind_text(IP)));
    assert_int_equal(statement_step(row), STATEMENT_ROW);
    (void)snprintf(text, sizeof text, "%lld %lld %lld", (long long)column_integer(row, 2),
                   (long long)column_integer(row, 4), (long long)column_integer(row, 3));
    statement_end(row);
    return text;
}

static void three_violations(int64_t now) {
    for (int i = 0; i < 3; i++) {
        assert_int_equal(violate(CONTACTS_PLAIN, "", false, now), CONTACTS_ADMIT);
    }
}

static void three_violations_a_warning_then_silence(void **state) {
    (void)state;
    assert_int_equal(connect_at(BEGIN), CONTACTS_ADMIT);
    three_violations(BEGIN);
    assert_string_equal(counts(), "1 3 0");
    assert_int_equal(connect_at(BEGIN + 1), CONTACTS_WARN);
    assert_true(seen.locked);
    assert_int_equal(seen.expires_at, BEGIN + 1 + 3600);
    assert_string_equal(counts(), "2 4 1");
    assert_int_equal(connect_at(BEGIN + 2), CONTACTS_CLOSE);
    assert_int_equal(connect_at(BEGIN + 3), CONTACTS_CLOSE);
    assert_string_equal(counts(), "4 4 1");
}

static void the_fourth_violation_of_one_connection_locks_out_at_once(void **state) {
    (void)state;
    connect_at(BEGIN);
    three_violations(BEGIN);
    assert_int_equal(violate(CONTACTS_PLAIN, "", false, BEGIN), CONTACTS_WARN);
    assert_true(seen.locked);
    assert_string_equal(counts(), "1 4 1");
    assert_int_equal(connect_at(BEGIN + 2), CONTACTS_CLOSE);
    /* another connection that was open already ends at its next violation, without a second lock */
    assert_int_equal(violate(CONTACTS_PLAIN, "", false, BEGIN + 3), CONTACTS_WARN);
    assert_false(seen.locked);
    assert_string_equal(counts(), "2 5 1");
}

static void a_lockout_ends_an_hour_after_the_last_attempt(void **state) {
    (void)state;
    three_violations(BEGIN);
    connect_at(BEGIN);
    assert_true(contacts_attempts(database, &policy, IP, 5, BEGIN + 3000, BEGIN + 3000, &seen));
    assert_int_equal(seen.expires_at, BEGIN + 6600);
    assert_true(seen.locked);
    assert_string_equal(counts(), "6 4 1");
    assert_int_equal(connect_at(BEGIN + 6599), CONTACTS_CLOSE);
    assert_int_equal(connect_at(BEGIN + 6599 + 3600), CONTACTS_ADMIT);
    assert_true(seen.unlocked);
    assert_string_equal(counts(), "8 0 1");
}

static void hits_never_extend_a_lockout_past_its_maximum(void **state) {
    bool changed;
    (void)state;
    three_violations(BEGIN);
    connect_at(BEGIN);
    for (int64_t now = BEGIN; now < BEGIN + 86400; now += 1800) {
        assert_true(contacts_attempts(database, &policy, IP, 1, now, now, &seen));
        assert_true(seen.expires_at <= BEGIN + 86400);
    }
    assert_int_equal(seen.expires_at, BEGIN + 86400);
    assert_true(contacts_expire(database, BEGIN + 86399, &changed));
    assert_false(changed);
    assert_true(contacts_expire_due(database, BEGIN + 86400, &changed));
    assert_true(changed);
    assert_int_equal(connect_at(BEGIN + 86401), CONTACTS_ADMIT);
}

static void the_maximum_holds_from_the_beginning(void **state) {
    static const struct contacts_policy hasty = {
        .prohibited_seconds = 3600, .lockout_maximum = 60, .history_days = 30, .maximum = 3};
    (void)state;
    three_violations(BEGIN);
    assert_true(contacts_open(database, &hasty, IP, false, BEGIN, &seen));
    assert_true(seen.locked);
    assert_int_equal(seen.expires_at, BEGIN + 60);
    assert_true(contacts_lock(database, &hasty, IP, BEGIN + 100, &seen)); /* but what an operator says, holds */
    assert_int_equal(seen.expires_at, BEGIN + 3700);
}

static void unknown_recipients_count_once_a_transaction(void **state) {
    (void)state;
    connect_at(BEGIN);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(violate(CONTACTS_UNKNOWN_RECIPIENT, "1aBcDe-000001-Zz", false, BEGIN), CONTACTS_ADMIT);
    }
    assert_string_equal(counts(), "1 1 0");
    violate(CONTACTS_UNKNOWN_RECIPIENT, "1aBcDe-000002-Zz", false, BEGIN);
    assert_string_equal(counts(), "1 2 0");
}

static void a_broken_connection_counts_only_for_strangers_without_accepted_mail(void **state) {
    (void)state;
    connect_at(BEGIN);
    violate(CONTACTS_BROKEN, "", false, BEGIN);
    assert_string_equal(counts(), "1 1 0");
    assert_true(contacts_accepted(database, seen.id, BEGIN));
    assert_string_equal(counts(), "1 0 0");
    violate(CONTACTS_BROKEN, "", false, BEGIN + 86400 * 29);
    assert_string_equal(counts(), "1 0 0");
    violate(CONTACTS_BROKEN, "", false, BEGIN + 86400 * 31);
    assert_string_equal(counts(), "1 1 0");
}

static void a_login_clears(void **state) {
    (void)state;
    connect_at(BEGIN);
    three_violations(BEGIN);
    assert_true(contacts_login(database, seen.id, BEGIN, &seen));
    assert_string_equal(counts(), "1 0 0");
    assert_int_equal(connect_at(BEGIN + 1), CONTACTS_ADMIT);
}

static void an_accepted_message_clears_but_ends_no_lockout(void **state) {
    (void)state;
    connect_at(BEGIN);
    three_violations(BEGIN);
    assert_true(contacts_accepted(database, seen.id, BEGIN));
    assert_string_equal(counts(), "1 0 0");
    three_violations(BEGIN);
    connect_at(BEGIN);
    assert_true(contacts_accepted(database, seen.id, BEGIN + 1));
    assert_int_equal(connect_at(BEGIN + 2), CONTACTS_CLOSE);
}

static void who_is_on_the_allow_list_is_never_locked_out(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(violate(CONTACTS_PLAIN, "", true, BEGIN), CONTACTS_ADMIT);
        assert_true(contacts_open(database, &policy, IP, true, BEGIN, &seen));
        assert_int_equal(seen.verdict, CONTACTS_ADMIT);
    }
    assert_string_equal(counts(), "10 10 0");
}

static void count_locked(void *context, const char *contact, int64_t until, int64_t began) {
    (void)contact;
    (void)until;
    (void)began;
    ++*(unsigned *)context;
}

static unsigned locked_now(int64_t now) {
    unsigned count = 0;
    assert_true(contacts_locked(database, now, count_locked, &count));
    return count;
}

static void an_operator_locks_out_and_forgives(void **state) {
    int64_t changed;
    (void)state;
    assert_true(contacts_lock(database, &policy, IP, BEGIN, &seen));
    assert_true(seen.locked);
    assert_int_equal(locked_now(BEGIN), 1);
    assert_int_equal(connect_at(BEGIN + 1), CONTACTS_CLOSE);
    assert_true(contacts_forgive(database, "192.0.2.8", BEGIN + 2, &changed));
    assert_int_equal(changed, 0);
    assert_true(contacts_forgive(database, NULL, BEGIN + 2, &changed));
    assert_int_equal(changed, 1);
    assert_int_equal(locked_now(BEGIN + 2), 0);
    assert_int_equal(connect_at(BEGIN + 3), CONTACTS_ADMIT);
}

static void who_is_forgiven_while_no_ledger_runs_is_seen_at_its_start(void **state) {
    unsigned over = 0;
    bool expired;
    int64_t changed;
    (void)state;
    assert_true(contacts_lock(database, &policy, IP, BEGIN, &seen));
    assert_true(contacts_over(database, BEGIN + 1, count_locked, &over));
    assert_int_equal(over, 0);
    assert_true(contacts_pardon(database, "192.0.2.8", BEGIN + 1, &changed));
    assert_int_equal(changed, 0);
    assert_true(contacts_pardon(database, "192.0.2.7", BEGIN + 1, &changed));
    assert_int_equal(changed, 1);
    assert_int_equal(locked_now(BEGIN + 2), 0);
    assert_true(contacts_over(database, BEGIN + 2, count_locked, &over));
    assert_int_equal(over, 1);
    assert_true(contacts_expire(database, BEGIN + 2, &expired));
    assert_true(expired);
    assert_true(contacts_over(database, BEGIN + 2, count_locked, &over));
    assert_int_equal(over, 2); /* until unlock_command has run */
    assert_true(contacts_unlocked(database, IP));
    assert_true(contacts_over(database, BEGIN + 2, count_locked, &over));
    assert_int_equal(over, 2);
    assert_int_equal(connect_at(BEGIN + 3), CONTACTS_ADMIT);
    assert_true(contacts_lock(database, &policy, IP, BEGIN + 4, &seen));
    assert_true(contacts_unlocked(database, IP)); /* late news of the former one */
    assert_true(contacts_pardon(database, NULL, BEGIN + 5, &changed));
    assert_int_equal(changed, 1);
    assert_true(contacts_over(database, BEGIN + 5, count_locked, &over));
    assert_int_equal(over, 3);
}

static void every_violation_leaves_its_evidence(void **state) {
    unsigned rows = 0;
    (void)state;
    violate(CONTACTS_UNKNOWN_RECIPIENT, "1aBcDe-000001-Zz", false, BEGIN);
    violate(CONTACTS_UNKNOWN_RECIPIENT, "1aBcDe-000001-Zz", false, BEGIN);
    struct sqlite3_stmt *row = statement_query(database, STATEMENT_REPORT_VIOLATIONS, BINDS(bind_text(IP)));
    while (statement_step(row) == STATEMENT_ROW) {
        assert_string_equal(column_string(row, 2), "RCPT");
        assert_string_equal(column_string(row, 4), "550 5.1.1 no such user");
        assert_int_equal(column_integer(row, 7), rows == 0 ? 0 : 1); /* the newest first: forgiven, counted */
        rows++;
    }
    statement_end(row);
    assert_int_equal(rows, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(three_violations_a_warning_then_silence),
        TEST(the_fourth_violation_of_one_connection_locks_out_at_once),
        TEST(a_lockout_ends_an_hour_after_the_last_attempt),
        TEST(hits_never_extend_a_lockout_past_its_maximum),
        TEST(the_maximum_holds_from_the_beginning),
        TEST(unknown_recipients_count_once_a_transaction),
        TEST(a_broken_connection_counts_only_for_strangers_without_accepted_mail),
        TEST(a_login_clears),
        TEST(an_accepted_message_clears_but_ends_no_lockout),
        TEST(who_is_on_the_allow_list_is_never_locked_out),
        TEST(an_operator_locks_out_and_forgives),
        TEST(who_is_forgiven_while_no_ledger_runs_is_seen_at_its_start),
        TEST(every_violation_leaves_its_evidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
