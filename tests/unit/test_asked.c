/* SPDX-License-Identifier: MIT
 * What holds of a sender's NOTIFY and ORCPT for each recipient, once aliases and lists are followed (RFC 3461 5.2). */
#include "runner/asked.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

struct row {
    const char *to_url, *target, *sender, *notify, *orcpt;
    const char *handed_notify, *handed_orcpt, *addressee;
    bool failure, delay, success, expansion;
};

/* One envelope from <me@far.test>; the order matters: what one RCPT became stands together. */
static const struct row rows[] = {
    {"a@x.test", "a@x.test", "", "", "", "", "", "me@far.test", true, true, false, false},
    {"b@x.test", "b@x.test", "", "SUCCESS", "", "SUCCESS", "", "me@far.test", false, false, true, false},
    {"c@x.test", "c@x.test", "", "NEVER", "rfc822;c@o", "NEVER", "rfc822;c@o", "me@far.test", false, false, false,
     false},
    {"d@x.test", "d+@y.test", "", "FAILURE", "", "FAILURE", "rfc822;d@x.test", "me@far.test", true, false, false,
     false},
    {"e+@x.test", "e@y.test", "SRS0=aa=bb=far.test=me@x.test", "SUCCESS,DELAY", "", "SUCCESS,DELAY",
     "rfc822;e+2B@x.test", "me@far.test", false, true, true, false},
    {"all@x.test", "f@x.test", "", "SUCCESS", "", "NEVER", "rfc822;all@x.test", "me@far.test", false, false, false,
     true},
    {"all@x.test", "g@x.test", "", "SUCCESS", "", "NEVER", "rfc822;all@x.test", "me@far.test", false, false, false,
     false},
    {"more@x.test", "h@x.test", "", "SUCCESS,FAILURE", "rfc822;o@o", "FAILURE", "rfc822;o@o", "me@far.test", true,
     false, false, true},
    {"more@x.test", "i@x.test", "", "SUCCESS,FAILURE", "rfc822;o@o", "FAILURE", "rfc822;o@o", "me@far.test", true,
     false, false, false},
    {"list@x.test", "j@x.test", "owner@x.test", "SUCCESS", "rfc822;o@o", "", "", "owner@x.test", true, true, false,
     true},
    {"list@x.test", "k@x.test", "owner@x.test", "SUCCESS", "rfc822;o@o", "", "", "owner@x.test", true, true, false,
     false},
    {"quiet@x.test", "l@x.test", "owner@x.test", "NEVER", "", "", "", "owner@x.test", true, true, false, false},
    {"postmaster", "p@x.test", "", "", "", "", "", "me@far.test", true, true, false, false},
};

static void fill(struct envelope *envelope) {
    envelope_init(envelope);
    envelope_set(&envelope->from_url, TEXT("me@far.test"));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct envelope_recipient *added =
            envelope_add(envelope, text_of(rows[i].to_url), text_of(rows[i].target), DELIVERY_LOCAL);
        envelope_set(&added->sender, text_of(rows[i].sender));
        envelope_set(&added->notify, text_of(rows[i].notify));
        envelope_set(&added->orcpt, text_of(rows[i].orcpt));
    }
}

static void what_was_asked_holds_as_far_as_the_sender_knows_the_way(void **state) {
    struct envelope envelope;
    char room[DSN_ORCPT_MAXIMUM + 1];
    (void)state;
    fill(&envelope);
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s to %s, NOTIFY=%s\n", rows[i].to_url, rows[i].target, rows[i].notify);
        assert_string_equal(dsn_notify_text(asked_notify(&envelope, i)), rows[i].handed_notify);
        assert_string_equal(asked_orcpt(&envelope, i, room), rows[i].handed_orcpt);
        assert_string_equal(asked_addressee(&envelope, i), rows[i].addressee);
        assert_int_equal(asked_wants(&envelope, i, DSN_FAILURE), rows[i].failure);
        assert_int_equal(asked_wants(&envelope, i, DSN_DELAY), rows[i].delay);
        assert_int_equal(asked_wants(&envelope, i, DSN_SUCCESS), rows[i].success);
        assert_int_equal(asked_wants_expansion(&envelope, i), rows[i].expansion);
    }
    envelope_free(&envelope);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_asked_holds_as_far_as_the_sender_knows_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
