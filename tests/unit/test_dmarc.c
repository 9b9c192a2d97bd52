/* SPDX-License-Identifier: MIT
 * Unit test of spf/dmarc: which record holds, what is aligned, and what the domain wants done. */
#include "spf/dmarc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name, *record; /* NULL: nobody can say */
} zone[] = {
    {"_dmarc.example.co.uk", "v=DMARC1; p=reject; sp=quarantine; adkim=s"},
    {"_dmarc.own.example.co.uk", "v=DMARC1;p=none"},
    {"_dmarc.strict.example", "v=DMARC1; p=quarantine; aspf=s; adkim=s"},
    {"_dmarc.two.example", "v=DMARC1; p=reject"},
    {"_dmarc.two.example", "v=DMARC1; p=none"},
    {"_dmarc.other.example", "v=spf1 -all"},
    {"_dmarc.bad.example", "v=DMARC1; p=perhaps"},
    {"_dmarc.empty.example", "v=DMARC1"},
    {"_dmarc.silent.example", NULL},
    {"_dmarc.odd.example", " v = DMARC1 ; P=Reject; x=y ; rua=mailto:a@odd.example"},
};

static enum spf_dns look_up(void *context, const char *name, enum spf_type type, struct buffer *values) {
    enum spf_dns found = SPF_DNS_NONE;
    (void)context;
    assert_int_equal(type, SPF_TYPE_TXT);
    for (size_t i = 0; i < sizeof zone / sizeof zone[0]; i++) {
        if (strcmp(zone[i].name, name) != 0)
            continue;
        if (zone[i].record == NULL)
            return SPF_DNS_FAILED;
        assert_true(spf_add_value(values, text_of(zone[i].record)));
        found = SPF_DNS_FOUND;
    }
    return found;
}

static const struct {
    const char *sentence, *from, *spf, *dkim;
    enum dmarc_result result;
    enum dmarc_policy policy;
} rows[] = {
    {"SPF of the same domain", "example.co.uk", "example.co.uk", "dkim=none", DMARC_PASS, DMARC_POLICY_REJECT},
    {"SPF of a domain below, relaxed", "Example.co.uk", "mail.EXAMPLE.co.uk", "dkim=none", DMARC_PASS,
     DMARC_POLICY_REJECT},
    {"SPF of another registrant under the same suffix", "example.co.uk", "other.co.uk", "dkim=none", DMARC_FAIL,
     DMARC_POLICY_REJECT},
    {"a signature of the domain", "example.co.uk", "", "dkim=pass header.d=example.co.uk header.s=a", DMARC_PASS,
     DMARC_POLICY_REJECT},
    {"a signature from below, strict", "example.co.uk", "", "dkim=pass header.d=mail.example.co.uk", DMARC_FAIL,
     DMARC_POLICY_REJECT},
    {"a signature that fails", "example.co.uk", "", "dkim=fail header.d=example.co.uk", DMARC_FAIL,
     DMARC_POLICY_REJECT},
    {"the second of two signatures", "example.co.uk", "",
     "dkim=pass header.d=list.example; dkim=pass header.d=example.co.uk", DMARC_PASS, DMARC_POLICY_REJECT},
    {"a signature that calls itself what looks like one of the domain", "example.co.uk", "",
     "dkim=pass header.d=evil.example header.i=\"a\\\"; dkim=pass header.d=example.co.uk @evil.example\"", DMARC_FAIL,
     DMARC_POLICY_REJECT},
    {"behind one that has a semicolon in its name", "example.co.uk", "",
     "dkim=pass header.d=evil.example header.i=\"a\\\\;\\\"b@evil.example\"; dkim=pass header.d=example.co.uk",
     DMARC_PASS, DMARC_POLICY_REJECT},
    {"below, by the organisation's record", "a.b.example.co.uk", "bad.example", "dkim=none", DMARC_FAIL,
     DMARC_POLICY_QUARANTINE},
    {"below, by its own record", "own.example.co.uk", "", "dkim=none", DMARC_FAIL, DMARC_POLICY_NONE},
    {"SPF from below, strict", "strict.example", "mail.strict.example", "dkim=none", DMARC_FAIL,
     DMARC_POLICY_QUARANTINE},
    {"no record", "plain.example", "plain.example", "dkim=pass header.d=plain.example", DMARC_NONE, DMARC_POLICY_NONE},
    {"two records", "two.example", "two.example", "dkim=none", DMARC_NONE, DMARC_POLICY_NONE},
    {"a record of something else", "other.example", "", "dkim=none", DMARC_NONE, DMARC_POLICY_NONE},
    {"a policy that is none", "bad.example", "bad.example", "dkim=none", DMARC_PERMERROR, DMARC_POLICY_NONE},
    {"no policy", "empty.example", "empty.example", "dkim=none", DMARC_PERMERROR, DMARC_POLICY_NONE},
    {"DNS that does not answer", "silent.example", "silent.example", "dkim=none", DMARC_TEMPERROR, DMARC_POLICY_NONE},
    {"blanks, case and unknown tags", "odd.example", "", "dkim=none", DMARC_FAIL, DMARC_POLICY_REJECT},
    {"no From domain", "", "example.co.uk", "dkim=none", DMARC_NONE, DMARC_POLICY_NONE},
};

static void verdicts_follow_records_and_alignment(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct dmarc_question question = {
            .from = rows[i].from, .spf = rows[i].spf, .dkim_results = text_of(rows[i].dkim), .look_up = look_up};
        enum dmarc_policy policy;
        enum dmarc_result result = dmarc_check(&question, &policy);
        if (result != rows[i].result || policy != rows[i].policy)
            fail_msg("%s: %s, p=%s", rows[i].sentence, dmarc_result_names[result], dmarc_policy_names[policy]);
    }
}

static void organisations_are_what_is_below_a_public_suffix(void **state) {
    (void)state;
    assert_string_equal(dmarc_organisation("a.b.example.co.uk"), "example.co.uk");
    assert_string_equal(dmarc_organisation("example.com"), "example.com");
    assert_string_equal(dmarc_organisation("co.uk"), "co.uk");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(verdicts_follow_records_and_alignment),
                                       cmocka_unit_test(organisations_are_what_is_below_a_public_suffix)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
