/* SPDX-License-Identifier: MIT
 * SCRAM-SHA-256: the keys and the messages, by the example of RFC 7677 3, and SASLprep by those of RFC 4013 3. */
#include "mail/saslprep.h"
#include "smtp/scram_message.h"
#include "tls/scram.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT_FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define SERVER_FIRST "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define CLIENT_FINAL_BARE "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define CLIENT_PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_SIGNATURE "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
#define AUTH_MESSAGE "n=user,r=rOprNGfwEbeRWgbNEkqO," SERVER_FIRST "," CLIENT_FINAL_BARE

static struct text decode(const char *encoded, char *bytes, size_t size) {
    size_t length;
    assert_true(text_base64_decode(text_of(encoded), bytes, size, &length));
    return (struct text){bytes, length};
}

static void make_verifier(const char *password, struct scram_verifier *verifier) {
    char salt[32];
    scram_make(text_of(password), decode("W22ZaJ0SNY7soEsUEjb6gQ==", salt, sizeof salt), 4096, verifier);
}

static void the_example_of_the_standard_is_accepted_and_signed(void **state) {
    struct scram_verifier verifier;
    unsigned char signature[SCRAM_KEY_SIZE];
    char proof[64], encoded[64];
    (void)state;
    make_verifier("pencil", &verifier);
    assert_true(scram_check(&verifier, TEXT(AUTH_MESSAGE), decode(CLIENT_PROOF, proof, sizeof proof), signature));
    assert_true(text_base64_encode((struct text){(const char *)signature, sizeof signature}, encoded, sizeof encoded));
    assert_string_equal(encoded, SERVER_SIGNATURE);
}

static void nothing_else_is_accepted(void **state) {
    struct scram_verifier verifier, other;
    unsigned char signature[SCRAM_KEY_SIZE];
    char bytes[64];
    struct text proof = decode(CLIENT_PROOF, bytes, sizeof bytes);
    (void)state;
    make_verifier("pencil", &verifier);
    make_verifier("Pencil", &other);
    assert_false(scram_check(&other, TEXT(AUTH_MESSAGE), proof, signature));
    assert_false(scram_check(&verifier, TEXT(AUTH_MESSAGE "x"), proof, signature));
    assert_false(scram_check(&verifier, TEXT(AUTH_MESSAGE), text_first(proof, 31), signature));
    assert_false(scram_check(&verifier, TEXT(AUTH_MESSAGE), TEXT_NONE, signature));
    bytes[0] ^= 1;
    assert_false(scram_check(&verifier, TEXT(AUTH_MESSAGE), proof, signature));
}

static void a_verifier_is_stored_and_read_back(void **state) {
    static const char stored[] =
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    static const char *const bad[] = {
        "",
        "SCRAM-SHA-1$4096:W22Z$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$0:W22Z$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:W22Z$WG5d:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:W22Z$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
    };
    struct scram_verifier verifier, again;
    char text[SCRAM_TEXT_SIZE];
    (void)state;
    make_verifier("pencil", &verifier);
    scram_format(&verifier, text);
    assert_string_equal(text, stored);
    assert_true(scram_parse(text_of(text), &again));
    assert_memory_equal(&again, &verifier, sizeof again);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(scram_parse(text_of(bad[i]), &again));
}

static void a_false_salt_belongs_to_its_name(void **state) {
    struct scram_verifier first, again, other, elsewhere;
    (void)state;
    scram_make_false(TEXT("secret"), TEXT("nobody@example.test"), 4096, &first);
    scram_make_false(TEXT("secret"), TEXT("nobody@example.test"), 4096, &again);
    scram_make_false(TEXT("secret"), TEXT("nobody2@example.test"), 4096, &other);
    scram_make_false(TEXT("another"), TEXT("nobody@example.test"), 4096, &elsewhere);
    assert_int_equal(first.salt_length, SCRAM_SALT_SIZE);
    assert_memory_equal(first.salt, again.salt, SCRAM_SALT_SIZE);
    assert_memory_not_equal(first.salt, other.salt, SCRAM_SALT_SIZE);
    assert_memory_not_equal(first.salt, elsewhere.salt, SCRAM_SALT_SIZE);
}

/* ---- messages ---- */

static const struct first_row {
    const char *message, *user; /* user NULL: malformed */
    enum scram_binding_flag binding;
    const char *kind, *identity, *header;
} first_rows[] = {
    {CLIENT_FIRST, "user", SCRAM_BINDING_NONE, "", "", "n,,"},
    {"y,,n=user,r=abc", "user", SCRAM_BINDING_UNSEEN, "", "", "y,,"},
    {"p=tls-exporter,,n=user,r=abc", "user", SCRAM_BINDING_REQUIRED, "tls-exporter", "", "p=tls-exporter,,"},
    {"n,a=other,n=user,r=abc", "user", SCRAM_BINDING_NONE, "", "other", "n,a=other,"},
    {"n,,n=a=2Cb=3Dc,r=abc", "a,b=c", SCRAM_BINDING_NONE, "", "", "n,,"},
    {"n,,n=user,r=abc,x=later", "user", SCRAM_BINDING_NONE, "", "", "n,,"},
    {"", NULL, 0, "", "", ""},
    {"n", NULL, 0, "", "", ""},
    {"n,", NULL, 0, "", "", ""},
    {"n,,", NULL, 0, "", "", ""},
    {"x,,n=user,r=abc", NULL, 0, "", "", ""},
    {"p=,,n=user,r=abc", NULL, 0, "", "", ""},
    {"n,n=user,r=abc", NULL, 0, "", "", ""},
    {"n,,m=must,n=user,r=abc", NULL, 0, "", "", ""},
    {"n,,n=us=er,r=abc", NULL, 0, "", "", ""},
    {"n,,n=,r=abc", NULL, 0, "", "", ""},
    {"n,,n=\xff,r=abc", NULL, 0, "", "", ""},
    {"n,,n=user", NULL, 0, "", "", ""},
    {"n,,n=user,r=", NULL, 0, "", "", ""},
    {"n,,n=user,r=a b", NULL, 0, "", "", ""},
    {"n,a=,n=user,r=abc", "user", SCRAM_BINDING_NONE, "", "", "n,a=,"},
    {"n,a==,n=user,r=abc", NULL, 0, "", "", ""},
};

static void first_messages_are_taken_apart(void **state) {
    struct scram_first first;
    (void)state;
    for (size_t i = 0; i < sizeof first_rows / sizeof first_rows[0]; i++) {
        const struct first_row *row = &first_rows[i];
        print_message("  %s\n", row->message);
        assert_int_equal(scram_parse_first(text_of(row->message), &first), row->user != NULL);
        if (row->user == NULL)
            continue;
        assert_string_equal(first.user, row->user);
        assert_string_equal(first.identity, row->identity);
        assert_int_equal(first.binding, row->binding);
        assert_true(text_equal(first.binding_name, text_of(row->kind)));
        assert_true(text_equal(first.gs2_header, text_of(row->header)));
        assert_int_equal(first.bare.length, strlen(row->message) - strlen(row->header));
    }
    char longest[SCRAM_NONCE_MAXIMUM + 32] = "n,,n=user,r=";
    memset(longest + strlen(longest), 'x', SCRAM_NONCE_MAXIMUM + 1);
    assert_false(scram_parse_first(text_of(longest), &first));
    longest[strlen(longest) - 1] = '\0';
    assert_true(scram_parse_first(text_of(longest), &first));
}

static void final_messages_are_taken_apart(void **state) {
    static const char *const bad[] = {"",           "c=biws",        "c=biws,r=abc",        "r=abc,c=biws,p=eA==",
                                      "c=,r=a,p=x", "c=biws,p=eA==", "c=biws,r=abc,x=eA==", "c=biws,r=abc,p="};
    struct scram_final final;
    (void)state;
    assert_true(scram_parse_final(TEXT(CLIENT_FINAL_BARE ",p=" CLIENT_PROOF), &final));
    assert_true(text_equal(final.channel_binding, TEXT("biws")));
    assert_true(text_equal(final.without_proof, TEXT(CLIENT_FINAL_BARE)));
    assert_true(text_equal(final.proof, TEXT(CLIENT_PROOF)));
    assert_true(scram_parse_final(TEXT("c=biws,r=abc,x=more,p=eA=="), &final));
    assert_true(text_equal(final.without_proof, TEXT("c=biws,r=abc,x=more")));
    assert_true(text_equal(final.nonce, TEXT("abc")));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        print_message("  %s\n", bad[i]);
        assert_false(scram_parse_final(text_of(bad[i]), &final));
    }
}

/* ---- SASLprep ---- */

static void names_and_passwords_have_one_form(void **state) {
    static const struct {
        const char *given, *prepared; /* NULL: none */
    } rows[] = {
        {"I\xc2\xadX", "IX"},      /* a soft hyphen is mapped to nothing */
        {"user", "user"},          /* no change */
        {"USER", "USER"},          /* case is kept */
        {"\xc2\xaa", "a"},         /* NFKC */
        {"\xe2\x85\xa8", "IX"},    /* NFKC: the Roman numeral nine */
        {"\x07", NULL},            /* a control character */
        {"\xd8\xa7\x31", NULL},    /* right to left, then a digit */
        {"u\xcc\x88", "\xc3\xbc"}, /* u and a diaeresis are one letter */
        {"a\xc2\xa0z", "a z"},     /* a blank is a blank */
        {"", NULL},
        {"\xff", NULL},
    };
    char prepared[SASLPREP_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(saslprep(text_of(rows[i].given), prepared), rows[i].prepared != NULL);
        assert_string_equal(prepared, rows[i].prepared != NULL ? rows[i].prepared : "");
    }
    assert_false(saslprep(TEXT("a\0b"), prepared));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_standard_is_accepted_and_signed),
        cmocka_unit_test(nothing_else_is_accepted),
        cmocka_unit_test(a_verifier_is_stored_and_read_back),
        cmocka_unit_test(a_false_salt_belongs_to_its_name),
        cmocka_unit_test(first_messages_are_taken_apart),
        cmocka_unit_test(final_messages_are_taken_apart),
        cmocka_unit_test(names_and_passwords_have_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
