/* SPDX-License-Identifier: MIT
 * Hold rules: which mail they catch, and what becomes of it in the spool. */
#include "one_store.h"
#include "orders/order.h"
#include "store/hold_rules.h"

/* ---- what they catch ---- */

static void each_kind_catches_what_it_names(void **state) {
    static const struct {
        enum hold_kind kind;
        const char *pattern;
        bool catches;
    } rows[] = {
        {HOLD_SENDER, "SENDER@remote.test", true},
        {HOLD_SENDER, "sender@remote.tes", false},
        {HOLD_SENDER, "*@remote.test", true},
        {HOLD_SENDER, "s*r@*.test", true},
        {HOLD_SENDER, "*x*@remote.test", false},
        {HOLD_SENDER, "<>", false},
        {HOLD_RECIPIENT, "list@example.test", true},
        {HOLD_RECIPIENT, "user@example.net", true},
        {HOLD_RECIPIENT, "@example.net", false},
        {HOLD_DOMAIN, "example.NET", true},
        {HOLD_DOMAIN, "example.test", true},
        {HOLD_DOMAIN, "ample.net", false},
        {HOLD_DOMAIN, "*.net", true},
        {HOLD_ACCOUNT, "coco@example.test", true},
        {HOLD_ACCOUNT, "coco", false},
        {HOLD_IP, "192.0.2.0/24", true},
        {HOLD_IP, "192.0.2.8", false},
        {HOLD_IP, "2001:db8::/32", false},
    };
    struct envelope envelope;
    (void)state;
    envelope_init(&envelope);
    envelope_set(&envelope.from_url, TEXT("sender@remote.test"));
    envelope_set(&envelope.account, TEXT("coco@example.test"));
    envelope_set(&envelope.remote_ip, TEXT("192.0.2.7"));
    (void)envelope_add(&envelope, TEXT("list@example.test"), TEXT("user@example.net"), DELIVERY_REMOTE);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hold_rules rules = {0};
        assert_true(hold_rules_add(fixture.spool->database, rows[i].kind, rows[i].pattern, "why", time(NULL)));
        assert_true(hold_rules_read(fixture.spool->database, &rules));
        assert_int_equal(rules.count, 1);
        if ((hold_rules_find(&rules, &envelope, 0) != NULL) != rows[i].catches) {
            fail_msg("%s %s", hold_kind_name(rows[i].kind), rows[i].pattern);
        }
        int64_t removed;
        assert_true(hold_rules_remove(fixture.spool->database, rows[i].kind, rows[i].pattern, &removed));
        assert_int_equal(removed, 1);
        hold_rules_free(&rules);
    }
    envelope_free(&envelope);
}

static void a_kind_takes_only_what_it_can_be(void **state) {
    enum hold_kind kind;
    (void)state;
    assert_true(hold_pattern_is_valid(HOLD_IP, "192.0.2.0/24") && hold_pattern_is_valid(HOLD_SENDER, "x"));
    assert_false(hold_pattern_is_valid(HOLD_IP, "192.0.2.0/99") || hold_pattern_is_valid(HOLD_SENDER, ""));
    for (enum hold_kind each = 0; each < HOLD_KINDS; each++) {
        assert_true(hold_kind_parse(text_of(hold_kind_name(each)), &kind) && kind == each);
    }
    assert_false(hold_kind_parse(TEXT("colour"), &kind));
}

/* ---- what becomes of it ---- */

static void hold_user(const char *pattern) {
    assert_true(hold_rules_add(fixture.spool->database, HOLD_RECIPIENT, pattern, "", time(NULL)));
    assert_true(spool_read_hold_rules(fixture.spool));
}

static void caught_mail_is_held_in_a_file_before_it_is_answered(void **state) {
    (void)state;
    hold_user("user1@*");
    assert_int_equal(fixture_add(&fixture, 1, 3, 500), SPOOL_OK);
    assert_true(fixture_has_file(&fixture, 1));
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[1], SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "queued,held,queued");
    assert_string_equal(fixture_place(&fixture, 1), "file");
    fixture_same_bytes(&fixture, 1, 3, 500);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "queued,held,queued");
}

static void the_letter_in_the_file_alone_holds_after_a_rebuild(void **state) {
    struct buffer report;
    (void)state;
    hold_user("user0@*");
    assert_int_equal(fixture_add(&fixture, 1, 2, 500), SPOOL_OK);
    fixture_commit_large(&fixture, 2, 100000);
    fixture_finish(&fixture);
    assert_string_equal(fixture_states(&fixture, 2), "held");
    fixture_close(&fixture);
    buffer_init(&report, 4096);
    assert_true(spool_rebuild(&fixture.options, &report));
    buffer_free(&report);
    fixture_open(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "held,queued");
    assert_string_equal(fixture_states(&fixture, 2), "held");
}

static int64_t seconds_left(unsigned number) {
    char id[MAIL_ID_SIZE];
    struct parcels_row row;
    fixture_id(number, id);
    assert_int_equal(parcels_find(fixture.spool->database, id, 0, &row), PARCELS_YES);
    return row.expires_at - (int64_t)time(NULL);
}

static void change(unsigned number, enum parcel_change kind) {
    char id[MAIL_ID_SIZE];
    const uint32_t first = 0;
    fixture_id(number, id);
    assert_int_equal(spool_add_change(fixture.spool, &(struct spool_change){id, kind, &first, 1, TEXT_NONE}, NULL),
                     SPOOL_OK);
    fixture_finish(&fixture);
}

/* When that began stands nowhere but in the rows: as far as anybody knows it was when the mail came. */
static void time_in_hold_does_not_count_after_a_rebuild_either(void **state) {
    struct buffer report;
    (void)state;
    fixture_clock = -10 * (int64_t)86400;
    hold_user("user0@*");
    assert_int_equal(fixture_add(&fixture, 1, 1, 500), SPOOL_OK); /* held when it comes */
    assert_true(hold_rules_remove(fixture.spool->database, HOLD_RECIPIENT, "user0@*", &(int64_t){0}));
    assert_true(spool_read_hold_rules(fixture.spool));
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_OK);
    fixture_finish(&fixture);
    fixture_clock = 0;
    change(2, PARCEL_HOLD);
    fixture_close(&fixture);
    buffer_init(&report, 4096);
    assert_true(spool_rebuild(&fixture.options, &report));
    buffer_free(&report);
    fixture_open(&fixture);
    for (unsigned number = 1; number <= 2; number++) {
        assert_string_equal(fixture_states(&fixture, number), "held");
        change(number, PARCEL_RELEASE);
        assert_in_range(seconds_left(number), 86400 - 60, 86400 + 60);
    }
}

static const char *newest_reason(void) {
    static char reason[256];
    struct sqlite3_stmt *row =
        statement_query(fixture.spool->database, STATEMENT_REPORT_ADDRESS, BINDS(bind_string("user0@example.test")));
    assert_int_equal(statement_step(row), STATEMENT_ROW);
    (void)snprintf(reason, sizeof reason, "%s", column_string(row, 6));
    statement_end(row);
    return reason;
}

static void what_the_receiver_wants_held_is_held_for_everybody(void **state) {
    struct buffer report;
    (void)state;
    fixture_hold = "quarantined by milter x: spam";
    assert_int_equal(fixture_add(&fixture, 1, 2, 500), SPOOL_OK);
    fixture_commit_large(&fixture, 2, 100000);
    fixture_hold = "";
    fixture_finish(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "held,held");
    assert_string_equal(fixture_place(&fixture, 1), "file");
    assert_string_equal(newest_reason(), "quarantined by milter x: spam");
    fixture_close(&fixture);
    buffer_init(&report, 4096);
    assert_true(spool_rebuild(&fixture.options, &report));
    buffer_free(&report);
    fixture_open(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "held,held");
    assert_string_equal(fixture_states(&fixture, 2), "held");
    assert_string_equal(newest_reason(), "quarantined by milter x: spam");
}

static void an_order_without_words_is_refused(void **state) {
    struct buffer answer;
    struct order order = {
        .spool = fixture.spool, .verb = "hold-rule add", .argument = "", .detail = "", .answer = &answer};
    (void)state;
    buffer_init(&answer, 1024);
    assert_int_equal(order_run(&order), EXIT_STATUS_USAGE);
    assert_non_null(strstr(buffer_string(&answer), "\"\" is no kind of hold rule"));
    buffer_free(&answer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_kind_catches_what_it_names),
        TEST(a_kind_takes_only_what_it_can_be),
        TEST(caught_mail_is_held_in_a_file_before_it_is_answered),
        TEST(the_letter_in_the_file_alone_holds_after_a_rebuild),
        TEST(time_in_hold_does_not_count_after_a_rebuild_either),
        TEST(what_the_receiver_wants_held_is_held_for_everybody),
        TEST(an_order_without_words_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
