/* SPDX-License-Identifier: MIT
 * Where notices go: through the aliases of list owners, of the postmaster and of older mail's senders. */
#include "runner/notice_route.h"
#include "store/aliases.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const aliases[][2] = {
    {"owner@example.test", "coco@example.test"},      {"team@example.test", "coco@example.test"},
    {"team@example.test", "friend@far.test"},         {"team@example.test", "|archive"},
    {"self@example.test", "self@example.test"},       {"self@example.test", "friend@far.test"},
    {"second@example.test", "owner@example.test"},    {"circle@example.test", "round@example.test"},
    {"round@example.test", "circle@example.test"},    {"file@example.test", "/etc/list"},
    {"postmaster@example.test", "boss@example.test"},
};

static void names_are_followed_to_where_mail_is_delivered(void **state) {
    static const struct {
        const char *address, *targets;
    } rows[] = {
        {"coco@example.test", "local:coco@example.test"},
        {"COCO@EXAMPLE.TEST", "local:COCO@EXAMPLE.TEST"},
        {"me@far.test", "remote:me@far.test"},
        {"owner@example.test", "local:coco@example.test"},
        {"second@example.test", "local:coco@example.test"},
        {"team@example.test", "local:coco@example.test remote:friend@far.test local:|archive"},
        {"self@example.test", "local:self@example.test remote:friend@far.test"},
        {"file@example.test", "local:file@example.test"},
        {"coco+tag@example.test", "local:coco@example.test"},
        {"owner+tag@example.test", "local:coco@example.test"},
        {"\"coco+tag\"@example.test", "local:\"coco+tag\"@example.test"},
        {"me+tag@far.test", "remote:me+tag@far.test"},
        {"postmaster", "local:boss@example.test"},
        {"postmaster@example.test", "local:boss@example.test"},
        {"Postmaster@other.test", "local:boss@example.test"},
    };
    static char plus[] = "+", lmtp[] = "lmtp";
    static char postmaster[] = "postmaster@example.test", domain[] = "example.test", other[] = "other.test";
    char *domains[] = {domain, other};
    struct config config = {.postmaster = postmaster, .local_domains = {domains, 2}, .recipient_delimiter = plus};
    struct buffer text;
    (void)state;
    buffer_init(&text, NOTICE_ROUTE_MAXIMUM);
    struct database *database = database_open(":memory:", DATABASE_MAIN, DATABASE_WRITE, &text);
    assert_non_null(database);
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        assert_true(aliases_add(database, aliases[i][0], aliases[i][1], "", 1000000000));
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].address);
        buffer_clear(&text);
        notice_route(&config, database, rows[i].address, &text);
        assert_string_equal(buffer_string(&text), rows[i].targets);
    }
    config.local_transport = lmtp;
    buffer_clear(&text);
    notice_route(&config, database, "coco+tag@example.test", &text);
    assert_string_equal(buffer_string(&text), "local:coco+tag@example.test");
    buffer_clear(&text);
    notice_route(&config, database, "circle@example.test", &text);
    assert_true(text.length > 0); /* it ends */
    database_close(database);
    buffer_free(&text);
}

static void what_the_receiver_found_out_about_an_owner_is_his_alone(void **state) {
    static const char found[] =
        "owner:a@example.test local:coco@example.test remote:me@far.test owner:none@example.test"
        " owner:\"b\"@example.test local:|archive";
    static const struct {
        const char *owner, *targets;
    } rows[] = {
        {"a@example.test", "local:coco@example.test remote:me@far.test"},
        {"\"b\"@example.test", "local:|archive"},
        {"none@example.test", ""},
        {"A@example.test", ""},
        {"", ""},
    };
    struct buffer text;
    (void)state;
    buffer_init(&text, NOTICE_ROUTE_MAXIMUM);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buffer_clear(&text);
        bool known = notice_route_of_owner(text_of(found), rows[i].owner, &text);
        assert_string_equal(buffer_string(&text), rows[i].targets);
        assert_int_equal(known, rows[i].targets[0] != '\0');
        assert_false(notice_route_of_owner(TEXT_NONE, rows[i].owner, &text));
    }
    buffer_free(&text);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_followed_to_where_mail_is_delivered),
        cmocka_unit_test(what_the_receiver_found_out_about_an_owner_is_his_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
