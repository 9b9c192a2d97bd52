/* SPDX-License-Identifier: MIT
 * The messages of OAUTHBEARER, by the examples of RFC 7628 4, and of XOAUTH2. */
#include "smtp/bearer_message.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define OAUTH                                                                                                          \
    "n,a=user@example.com,\001host=server.example.com\001port=143\001auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHR=\001\001"

static void the_examples_of_the_standard_are_read(void **state) {
    struct bearer bearer;
    (void)state;
    assert_true(bearer_parse_oauthbearer(TEXT(OAUTH), &bearer));
    assert_string_equal(bearer.user, "user@example.com");
    assert_true(text_equal(bearer.token, TEXT("vF9dft4qmTc2Nvb3RlckBhbHR=")));
    assert_true(bearer_parse_oauthbearer(TEXT("n,,\001auth=bearer x\001\001"), &bearer));
    assert_string_equal(bearer.user, "");
    assert_true(bearer_parse_xoauth2(TEXT("user=someuser@example.com\001auth=Bearer ya29.vF9\001\001"), &bearer));
    assert_string_equal(bearer.user, "someuser@example.com");
    assert_true(text_equal(bearer.token, TEXT("ya29.vF9")));
}

static void what_is_neither_is_refused(void **state) {
    static const char *const bad[] = {
        "",
        "\001",
        "n,,",
        "n,,\001",
        "n,,\001\001",
        "n\001auth=Bearer x\001\001",
        "n,a=x\001auth=Bearer x\001\001",
        "n,b=x,\001auth=Bearer x\001\001",
        "p=tls-exporter,,\001auth=Bearer x\001\001",
        "n,,\001auth=Bearer x\001",
        "n,,\001auth=Bearer x\001\001\001",
        "n,,\001auth=Bearer \001\001",
        "n,,\001auth=Basic x\001\001",
        "n,,\001auth=Bearer a b\001\001",
        "n,,\001auth=Bearer a\nb\001\001",
        "n,a=x\ny,\001auth=Bearer x\001\001",
        "n,a=\377,\001auth=Bearer x\001\001",
    };
    struct bearer bearer;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(bearer_parse_oauthbearer(text_of(bad[i]), &bearer));
    assert_false(bearer_parse_xoauth2(TEXT(OAUTH), &bearer));
    assert_false(bearer_parse_xoauth2(TEXT("user=x\001\001"), &bearer));
    assert_false(bearer_parse_xoauth2(TEXT("auth=Bearer x\001\001"), &bearer));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard_are_read),
        cmocka_unit_test(what_is_neither_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
