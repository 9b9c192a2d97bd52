/* SPDX-License-Identifier: MIT
 * Address lists of To, Cc and Bcc (RFC 5322 3.4), as sendmail -t reads them. */
#include "control/address_list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *says, *list;
    const char *found; /* addresses with a blank between; NULL: malformed */
};
static const struct row rows[] = {
    {"one bare address", "coco@example.test", "coco@example.test"},
    {"two addresses", "a@b.test, c@d.test", "a@b.test c@d.test"},
    {"a display name", "Coco <coco@example.test>", "coco@example.test"},
    {"a quoted display name with a comma", "\"Chanel, Coco\" <coco@example.test>, b@c.test",
     "coco@example.test b@c.test"},
    {"a comment, nested, with a comma", "coco@example.test (me, (really)), b@c.test", "coco@example.test b@c.test"},
    {"a comment with an escaped bracket", "a@b.test (\\) , x@y.test)", "a@b.test"},
    {"a folded list", "a@b.test,\r\n\tc@d.test\r\n", "a@b.test c@d.test"},
    {"a local name without a domain", "root", "root"},
    {"a quoted local part", "\"a, b\"@c.test", "\"a, b\"@c.test"},
    {"a folded quoted local part is unfolded", "\"a\r\n b\\\r\n c\"@c.test", "\"a b\\ c\"@c.test"},
    {"a group", "Friends: a@b.test, C <c@d.test>;, e@f.test", "a@b.test c@d.test e@f.test"},
    {"an empty group", "undisclosed-recipients:;", ""},
    {"an old route is skipped", "<@relay.test,@other.test:a@b.test>", "a@b.test"},
    {"empty places", ",, a@b.test ,,", "a@b.test"},
    {"nothing at all", " \r\n ", ""},
    {"an IPv6 literal keeps its colons", "<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"},
    {"also without brackets", "a@[IPv6:2001:db8::1], b@c.test", "a@[IPv6:2001:db8::1] b@c.test"},
    {"blanks around the dots and the @", "coco @ example . test, <a @b.test>", "coco@example.test a@b.test"},
    {"a name that is two words", "a b@c.test", NULL},
    {"a name and an address without brackets", "Coco coco@example.test", NULL},
    {"two words within brackets", "Coco <a b@c.test>", NULL},
    {"a comment between two words", "a(x)b@c.test", NULL},
    {"a bracket that does not end", "Coco <coco@example.test", NULL},
    {"a comment that does not end", "a@b.test (oh", NULL},
    {"a quoted string that does not end", "\"a@b.test", NULL},
    {"two brackets", "<a@b.test><c@d.test>", NULL},
    {"a bracket that ends only", "a@b.test>", NULL},
};

static bool collect(void *context, const char *address) {
    char *found = context;
    size_t length = strlen(found);
    snprintf(found + length, 1024 - length, length > 0 ? " %s" : "%s", address);
    return true;
}

static void each_list_gives_its_mailboxes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char found[1024] = "";
        bool good = address_list_each(text_of(rows[i].list), collect, found);
        if (good != (rows[i].found != NULL) || (good && strcmp(found, rows[i].found) != 0)) {
            fail_msg("%s: found \"%s\"", rows[i].says, found);
        }
    }
}

static void an_address_with_a_nul_is_refused(void **state) {
    (void)state;
    char found[1024] = "";
    assert_false(address_list_each(TEXT("root\0@other.test"), collect, found));
    assert_string_equal(found, "");
}

static void an_address_without_end_is_refused(void **state) {
    (void)state;
    char list[4096], found[1024] = "";
    memset(list, 'a', sizeof(list));
    assert_false(address_list_each((struct text){list, sizeof(list)}, collect, found));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_list_gives_its_mailboxes),
        cmocka_unit_test(an_address_with_a_nul_is_refused),
        cmocka_unit_test(an_address_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
