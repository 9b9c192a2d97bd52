/* SPDX-License-Identifier: MIT
 * SRS: the test vectors of PostSRSd (which come from libsrs2), our longer hash, age, forgeries, lengths. */
#include "lookup/srs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1577836860 /* 2020-01-01 00:01:00 UTC */
#define DAY 86400
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct srs paper = {.secrets = {"tops3cr3t"}, .secret_count = 1, .hash_length = 4, .domain = "example.com"};
static struct srs ours = {.secrets = {"tops3cr3t"}, .secret_count = 1, .hash_length = 6, .domain = "example.com"};

static const struct {
    const char *sentence, *sender, *rewritten;
} vectors[] = {
    {"an ordinary sender", "test@otherdomain.com", "SRS0=vmyz=2W=otherdomain.com=test@example.com"},
    {"a longer one", "testing@otherdomain.com", "SRS0=rNNq=2W=otherdomain.com=testing@example.com"},
    {"what another forwarder made leads back past him", "SRS0=opaque+string@otherdomain.com",
     "SRS1=chaI=otherdomain.com==opaque+string@example.com"},
    {"what a third one made, too", "SRS1=X=thirddomain.com==opaque+string@otherdomain.com",
     "SRS1=JIBX=thirddomain.com==opaque+string@example.com"},
};

static void senders_are_rewritten_as_the_other_implementations_do(void **state) {
    char rewritten[SRS_ADDRESS_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        print_message("  %s\n", vectors[i].sentence);
        assert_true(srs_forward(&paper, text_of(vectors[i].sender), NOW, rewritten));
        assert_string_equal(rewritten, vectors[i].rewritten);
    }
}

static const struct {
    const char *sentence, *address;
    enum srs_outcome outcome;
    const char *original;
} readings[] = {
    {"ours leads back", "SRS0=vmyz=2W=otherdomain.com=test@example.com", SRS_BACK, "test@otherdomain.com"},
    {"so does yesterday's", "SRS0=XjO9=2V=otherdomain.com=test@example.com", SRS_BACK, "test@otherdomain.com"},
    {"so does SRS1", "SRS1=JIBX=thirddomain.com==opaque+string@example.com", SRS_BACK,
     "SRS0=opaque+string@thirddomain.com"},
    {"a server may have changed its case", "srs0=VMYZ=2w=otherdomain.com=test@EXAMPLE.com", SRS_BACK,
     "test@otherdomain.com"},
    {"another domain's is not ours", "SRS0=vmyz=2W=otherdomain.com=test@example.net", SRS_NONE, ""},
    {"an ordinary address is none", "test@example.com", SRS_NONE, ""},
    {"a name that begins so is none", "SRS0x@example.com", SRS_NONE, ""},
    {"another hash is forged", "SRS0=vmyx=2W=otherdomain.com=test@example.com", SRS_FORGED, ""},
    {"a shorter hash is forged", "SRS0=vmy=2W=otherdomain.com=test@example.com", SRS_FORGED, ""},
    {"no hash is forged", "SRS0==2W=otherdomain.com=test@example.com", SRS_FORGED, ""},
    {"another user is forged", "SRS0=vmyz=2W=otherdomain.com=tests@example.com", SRS_FORGED, ""},
    {"another domain is forged", "SRS0=vmyz=2W=otherdomain.org=test@example.com", SRS_FORGED, ""},
    {"another day is forged", "SRS0=vmyz=2X=otherdomain.com=test@example.com", SRS_FORGED, ""},
    {"too few parts are forged", "SRS0=vmyz=2W=otherdomain.com@example.com", SRS_FORGED, ""},
    {"SRS1 with another host is forged", "SRS1=JIBX=victim.com==opaque+string@example.com", SRS_FORGED, ""},
    {"SRS1 without a rest is forged", "SRS1=JIBX=thirddomain.com@example.com", SRS_FORGED, ""},
    {"nothing behind the tag is forged", "SRS0=@example.com", SRS_FORGED, ""},
};

static void only_what_we_made_leads_back(void **state) {
    char original[SRS_ADDRESS_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT(readings); i++) {
        print_message("  %s\n", readings[i].sentence);
        assert_int_equal(srs_reverse(&paper, text_of(readings[i].address), NOW, original), readings[i].outcome);
        if (readings[i].outcome != SRS_FORGED) {
            assert_string_equal(original, readings[i].original);
        }
    }
}

static void it_leads_back_for_three_weeks(void **state) {
    char rewritten[SRS_ADDRESS_SIZE], original[SRS_ADDRESS_SIZE];
    (void)state;
    for (int64_t begin = NOW; begin < NOW + 1024 * (int64_t)DAY; begin += 97 * (int64_t)DAY) { /* stamps wrap around */
        assert_true(srs_forward(&ours, TEXT("test@otherdomain.com"), begin, rewritten));
        assert_int_equal(srs_reverse(&ours, text_of(rewritten), begin, original), SRS_BACK);
        assert_int_equal(srs_reverse(&ours, text_of(rewritten), begin + 21 * DAY, original), SRS_BACK);
        assert_int_equal(srs_reverse(&ours, text_of(rewritten), begin + 22 * DAY, original), SRS_OLD);
        assert_int_equal(srs_reverse(&ours, text_of(rewritten), begin - DAY, original), SRS_OLD);
    }
}

static void a_former_secret_is_still_believed(void **state) {
    struct srs changed = {
        .secrets = {"new", "tops3cr3t"}, .secret_count = 2, .hash_length = 6, .domain = "example.com"};
    char rewritten[SRS_ADDRESS_SIZE], original[SRS_ADDRESS_SIZE];
    (void)state;
    assert_true(srs_forward(&ours, TEXT("test@otherdomain.com"), NOW, rewritten));
    assert_int_equal(srs_reverse(&changed, text_of(rewritten), NOW, original), SRS_BACK);
    assert_true(srs_forward(&changed, TEXT("test@otherdomain.com"), NOW, rewritten));
    assert_int_equal(srs_reverse(&ours, text_of(rewritten), NOW, original), SRS_FORGED);
}

/* Odd ones of other forwarders, too. */
static void whatever_is_rewritten_leads_back(void **state) {
    static const char *const senders[] = {"SRS0=@other.test", "SRS0=HHH=TT=d.test=a@other.test",
                                          "SRS1=H=d.test==@x.test"};
    char rewritten[SRS_ADDRESS_SIZE], original[SRS_ADDRESS_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
        assert_true(srs_forward(&ours, text_of(senders[i]), NOW, rewritten));
        assert_int_equal(srs_reverse(&ours, text_of(rewritten), NOW, original), SRS_BACK);
    }
    assert_false(srs_forward(&ours, TEXT("SRS1=H=d.test=@other.test"), NOW, rewritten));
    assert_false(srs_forward(&ours, TEXT("SRS1=H==rest@other.test"), NOW, rewritten));
}

static void what_cannot_be_rewritten_is_left_alone(void **state) {
    struct srs none = {.hash_length = 6, .domain = "example.com"};
    char rewritten[SRS_ADDRESS_SIZE], original[SRS_ADDRESS_SIZE];
    (void)state;
    assert_false(srs_forward(&none, TEXT("test@otherdomain.com"), NOW, rewritten));
    assert_int_equal(srs_reverse(&none, TEXT("SRS0=vmyz=2W=otherdomain.com=test@example.com"), NOW, original),
                     SRS_FORGED);
    assert_false(srs_forward(&ours, TEXT("no-domain"), NOW, rewritten));
    assert_false(srs_forward(&ours, TEXT("@otherdomain.com"), NOW, rewritten));
    assert_false(srs_forward(&ours, TEXT("test@"), NOW, rewritten));
    assert_false(srs_forward(&ours, TEXT("\"a b\"@otherdomain.com"), NOW, rewritten));
    assert_false(srs_forward(&ours, TEXT("SRS1=onlyhash@otherdomain.com"), NOW, rewritten));
    /* a local part has 64 bytes at most: "SRS0=HHHHHH=TT=d.test=" takes 22 of them */
    assert_true(srs_forward(&ours, TEXT("123456789012345678901234567890123456789012@d.test"), NOW, rewritten));
    assert_false(srs_forward(&ours, TEXT("1234567890123456789012345678901234567890123@d.test"), NOW, rewritten));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(senders_are_rewritten_as_the_other_implementations_do),
        cmocka_unit_test(only_what_we_made_leads_back),
        cmocka_unit_test(it_leads_back_for_three_weeks),
        cmocka_unit_test(a_former_secret_is_still_believed),
        cmocka_unit_test(whatever_is_rewritten_leads_back),
        cmocka_unit_test(what_cannot_be_rewritten_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
