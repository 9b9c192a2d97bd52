/* SPDX-License-Identifier: MIT
 * Lists of parcels: what each filter finds, and that each statement is answered from the index that was made for it,
 * whatever is asked. */
#include "one_store.h"
#include "store/report_parcels.h"
#include <sqlite3.h>

/* ---- plans ---- */

static void read_plan(enum statement_name name, char *plan, size_t size) {
    char sql[4096];
    sqlite3_stmt *statement;
    (void)snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", statement_text(name));
    assert_int_equal(sqlite3_prepare_v2(fixture.spool->database->handle, sql, -1, &statement, NULL), SQLITE_OK);
    plan[0] = '\0';
    while (sqlite3_step(statement) == SQLITE_ROW) {
        size_t used = strlen(plan);
        (void)snprintf(plan + used, size - used, "%s; ", (const char *)sqlite3_column_text(statement, 3));
    }
    sqlite3_finalize(statement);
}

static void every_list_uses_the_index_that_was_made_for_it(void **state) {
    static const struct {
        enum statement_name name;
        const char *step;
    } rows[] = {
        {STATEMENT_LIST_DOMAIN_WAITING, "SEARCH p USING INDEX parcels_waiting (domain=?)"},
        {STATEMENT_LIST_DOMAIN_QUEUED, "SEARCH p USING INDEX parcels_due (retry_at<?)"},
        {STATEMENT_LIST_DUE, "SCAN p USING INDEX parcels_due"},
        {STATEMENT_LIST_QUEUED, "SEARCH p USING INDEX parcels_due (retry_at<?)"},
        {STATEMENT_LIST_LATER, "SEARCH p USING INDEX parcels_mail (mail_id=?)"},
        {STATEMENT_LIST_LATER, "SEARCH mails USING COVERING INDEX mails_later (hold_until>"},
        {STATEMENT_LIST_HELD, "SCAN p USING INDEX parcels_held"},
        {STATEMENT_LIST_MAIL, "SEARCH p USING INDEX parcels_mail (mail_id=?)"},
        {STATEMENT_REPORT_MAIL_PARCELS, "SEARCH parcels USING INDEX parcels_mail (mail_id=?)"},
        {STATEMENT_REPORT_MAIL_ATTEMPTS, "SEARCH p USING INDEX parcels_mail (mail_id=?)"},
    };
    char plan[1024];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        read_plan(rows[i].name, plan, sizeof plan);
        if (strstr(plan, rows[i].step) == NULL) {
            fail_msg("%s is not in the plan of %s: %s", rows[i].step, statement_text(rows[i].name), plan);
        }
    }
}

/* ---- what is found ---- */

struct found {
    char text[1024];
};

static bool note(void *context, const struct report_row *row) {
    struct found *found = context;
    size_t used = strlen(found->text);
    (void)snprintf(found->text + used, sizeof found->text - used, "%s%.6s:%s ", row->values[1][0] == 'h' ? "held " : "",
                   row->values[0] + 7, row->values[10]);
    assert_string_equal(row->names[0], "mail_id");
    assert_string_equal(row->names[10], "recipient");
    assert_int_equal(row->kinds[10], REPORT_NUMBER);
    return true;
}

static const char *find(struct report_filter filter) {
    static struct found found;
    found.text[0] = '\0';
    assert_true(report_parcels(fixture.spool->database, &filter, time(NULL) + 1, note, &found));
    return found.text;
}

static void change(unsigned number, uint32_t recipient, enum parcel_change kind) {
    char id[MAIL_ID_SIZE];
    fixture_id(number, id);
    const struct spool_change wanted = {id, kind, &recipient, 1, TEXT_NONE};
    assert_int_equal(spool_add_change(fixture.spool, &wanted, NULL), SPOOL_OK);
    fixture_finish(&fixture);
}

static void filters_leave_what_they_name(void **state) {
    (void)state;
    fixture_add(&fixture, 1, 2, 100);
    fixture_add(&fixture, 2, 1, 100);
    fixture_finish(&fixture);
    fixture_result(&fixture, 1, 0, SPOOL_DEFERRED, "451 4.7.1 Greylisted: 100% later");
    change(2, 0, PARCEL_HOLD);
    assert_string_equal(find((struct report_filter){0}), "000001:1 000001:0 held 000002:0 ");
    assert_string_equal(find((struct report_filter){.domain = "Example.TEST"}), "000001:1 held 000002:0 000001:0 ");
    assert_string_equal(find((struct report_filter){.domain = "other.test"}), "");
    assert_string_equal(find((struct report_filter){.domain = "*.test", .states = ",held,"}), "held 000002:0 ");
    assert_string_equal(find((struct report_filter){.states = ",queued,"}), "000001:1 ");
    assert_string_equal(find((struct report_filter){.domain = "example.test", .states = ",deferred,"}), "000001:0 ");
    assert_string_equal(find((struct report_filter){.reason = "greylisted: 100%"}), "000001:0 ");
    assert_string_equal(find((struct report_filter){.reason = "greylisted%later"}), "");
    assert_string_equal(find((struct report_filter){.recipient = "USER1@*"}), "000001:1 ");
    assert_string_equal(find((struct report_filter){.recipient = "user_@example.test"}), "");
    assert_string_equal(find((struct report_filter){.sender = ""}), "");
    assert_string_equal(find((struct report_filter){.sender = "sender@remote.test", .limit = 1}), "000001:1 ");
    assert_string_equal(find((struct report_filter){.before = time(NULL) - 60}), "");
    assert_string_equal(find((struct report_filter){.after = time(NULL) + 60}), "");
    assert_string_equal(find((struct report_filter){.mail_id = "1aBcDe-000001-Zz"}), "000001:0 000001:1 ");
    fixture_result(&fixture, 1, 1, SPOOL_DELIVERED, "250 OK");
    assert_string_equal(find((struct report_filter){.states = ",delivered,held,"}), "held 000002:0 000001:1 ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_list_uses_the_index_that_was_made_for_it),
        TEST(filters_leave_what_they_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
