/* SPDX-License-Identifier: MIT
 * DNS answers, byte by byte: what a message says about a name, and that broken ones are failures. */
#include "dns/message.h"
#include "dns/name.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns_builder.h"

static void an_address_is_read_through_its_cname_chain(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0x20, 4, 0);
    put_question(&m, "www.test", DNS_ASK_A);
    put_record(&m, "b.test", DNS_ASK_A, 300, "\x7f\0\0\x02", 4);
    put_record(&m, "WWW.test", 5, 200, "\1a\4test", 8);
    put_record(&m, "a.test", 5, 100, "\1b\4test", 8);
    put_record(&m, "other.test", DNS_ASK_A, 5, "\x7f\0\0\x09", 4);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "www.test", DNS_ASK_A);
    assert_int_equal(reply->outcome, DNS_OUTCOME_FOUND);
    assert_int_equal(reply->count, 1);
    assert_true(text_equal(reply->items[0].value, TEXT("127.0.0.2")));
    assert_int_equal(reply->ttl, 100);
    assert_true(reply->authentic);
    dns_reply_free(reply);
}

/* A server that contradicts itself: the records used to be counted, and had no bytes. */
static void records_beside_nxdomain_are_a_failure_without_records(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 3, 1, 0);
    put_question(&m, "a.test", DNS_ASK_A);
    put_record(&m, "a.test", DNS_ASK_A, 300, "\x7f\0\0\x02", 4);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "a.test", DNS_ASK_A);
    assert_int_equal(reply->outcome, DNS_OUTCOME_FAILED);
    assert_int_equal(reply->count, 0);
    dns_reply_free(reply);
}

static void records_of_a_truncated_answer_are_not_taken_for_all(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0x200, 1, 0);
    put_question(&m, "a.test", DNS_ASK_A);
    put_record(&m, "a.test", DNS_ASK_A, 300, "\x7f\0\0\x02", 4);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "a.test", DNS_ASK_A);
    assert_int_equal(reply->outcome, DNS_OUTCOME_FAILED);
    assert_int_equal(reply->count, 0);
    dns_reply_free(reply);
}

static void a_null_mx_is_one_record_with_a_dot(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 1, 0);
    put_question(&m, "null.test", DNS_ASK_MX);
    put_record(&m, "null.test", DNS_ASK_MX, 300, "\0\0\0", 3);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "null.test", DNS_ASK_MX);
    assert_int_equal(reply->outcome, DNS_OUTCOME_FOUND);
    assert_int_equal(reply->count, 1);
    assert_int_equal(reply->items[0].preference, 0);
    assert_true(text_equal(reply->items[0].value, TEXT(".")));
    dns_reply_free(reply);
}

static void strings_of_a_text_record_are_joined_and_keep_every_byte(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 2, 0);
    put_question(&m, "t.test", DNS_ASK_TXT);
    put_record(&m, "t.test", DNS_ASK_TXT, 300, "\3v=s\0\5\xff\0 -a", 11);
    put_record(&m, "t.test", DNS_ASK_TXT, 300, "\1x", 2);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "t.test", DNS_ASK_TXT);
    assert_int_equal(reply->count, 2);
    assert_int_equal(reply->items[0].value.length, 8);
    assert_memory_equal(reply->items[0].value.data, "v=s\xff\0 -a", 8);
    assert_true(text_equal(reply->items[1].value, TEXT("x")));
    dns_reply_free(reply);
}

static void preferences_and_compressed_names_are_read(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 2, 0);
    put_question(&m, "d.test", DNS_ASK_MX);
    put_record(&m, "d.test", DNS_ASK_MX, 300, "\1\2\2mx\xc0\x0c", 7);
    put_record(&m, "d.test", DNS_ASK_MX, 300, "\0\5\xc0\x0e", 4);
    struct dns_reply *reply = dns_message_read(m.bytes, m.length, "d.test", DNS_ASK_MX);
    assert_int_equal(reply->count, 2);
    assert_int_equal(reply->items[0].preference, 258);
    assert_true(text_equal(reply->items[0].value, TEXT("mx.d.test")));
    assert_true(text_equal(reply->items[1].value, TEXT("test")));
    dns_reply_free(reply);
}

struct negative_row {
    const char *sentence;
    unsigned flags; /* AA 0x400, TC 0x200, rcode */
    bool soa, servers, chain;
    unsigned soa_ttl, soa_minimum;
    enum dns_outcome outcome;
    uint32_t ttl;
};
static const struct negative_row negative_rows[] = {
    {"NXDOMAIN is no name", 3, true, false, false, 600, 900, DNS_OUTCOME_NO_NAME, 600},
    {"an empty answer is no data", 0, true, false, false, 900, 300, DNS_OUTCOME_NO_DATA, 300},
    {"a negative answer without SOA lives a minute", 3, false, false, false, 0, 0, DNS_OUTCOME_NO_NAME, 60},
    {"an alias that leads nowhere is no name", 3, true, false, true, 70, 900, DNS_OUTCOME_NO_NAME, 70},
    {"an alias without such data is no data", 0, true, false, true, 70, 900, DNS_OUTCOME_NO_DATA, 70},
    {"a referral proves nothing", 0, false, true, false, 0, 0, DNS_OUTCOME_FAILED, 60},
    {"an empty answer with authority is no data", 0x400, false, true, false, 0, 0, DNS_OUTCOME_NO_DATA, 60},
    {"an empty answer that is truncated proves nothing", 0x600, true, false, false, 900, 300, DNS_OUTCOME_FAILED, 0},
    {"NXDOMAIN that is truncated proves nothing", 0x603, true, false, false, 900, 300, DNS_OUTCOME_FAILED, 0},
    {"SERVFAIL is a failure", 2, false, false, false, 0, 0, DNS_OUTCOME_FAILED, 0},
    {"REFUSED is a failure", 5, false, false, false, 0, 0, DNS_OUTCOME_FAILED, 0},
    {"FORMERR is a failure", 1, false, false, false, 0, 0, DNS_OUTCOME_FAILED, 0},
};

static void ways_of_not_finding_are_never_mixed_up(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof negative_rows / sizeof *negative_rows; i++) {
        const struct negative_row *row = &negative_rows[i];
        struct message m;
        print_message("  %s\n", row->sentence);
        put_start(&m, row->flags, row->chain, row->soa + row->servers);
        put_question(&m, "x.test", DNS_ASK_A);
        if (row->chain) {
            put_record(&m, "x.test", 5, 5, "\1b\4test", 8);
        }
        if (row->soa) {
            put_soa(&m, row->soa_ttl, row->soa_minimum);
        }
        if (row->servers) {
            put_record(&m, "test", 2, 600, "\2ns\4test", 9);
        }
        struct dns_reply *reply = dns_message_read(m.bytes, m.length, "x.test", DNS_ASK_A);
        assert_int_equal(reply->outcome, row->outcome);
        assert_int_equal(reply->ttl, row->ttl);
        assert_int_equal(reply->count, 0);
        dns_reply_free(reply);
    }
}

static void what_is_no_answer_or_one_about_others_is_a_failure_and_not_absence(void **state) {
    static const struct {
        const char *sentence;
        unsigned char kind; /* QR and OPCODE, changed by this */
        const char *owner;
    } rows[] = {
        {"our question, sent back", 0x80, NULL},
        {"another opcode", 0x28, NULL},
        {"an address of another name", 0, "y.test"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct message m;
        print_message("  %s\n", rows[i].sentence);
        put_start(&m, 0x400, rows[i].owner != NULL, 0);
        put_question(&m, "x.test", DNS_ASK_A);
        if (rows[i].owner != NULL) {
            put_record(&m, rows[i].owner, DNS_ASK_A, 60, "\x7f\0\0\1", 4);
        }
        m.bytes[2] ^= rows[i].kind;
        struct dns_reply *reply = dns_message_read(m.bytes, m.length, "x.test", DNS_ASK_A);
        assert_int_equal(reply->outcome, DNS_OUTCOME_FAILED);
        assert_int_equal(reply->count, 0);
        dns_reply_free(reply);
    }
}

struct broken_row {
    const char *sentence;
    const char *data;
    size_t length;
    unsigned type;
};
static const struct broken_row broken_rows[] = {
    {"an address of three bytes", "\x7f\0\0", 3, DNS_ASK_A},
    {"an MX without a name", "\0\1", 2, DNS_ASK_MX},
    {"a name that points at itself", "\0\1\xc0\x2c", 4, DNS_ASK_MX},
    {"a name that points forward", "\0\1\xc0\x7f", 4, DNS_ASK_MX},
    {"a name that leaves its record", "\0\1\5abc", 6, DNS_ASK_MX},
    {"a name with a dot inside a label", "\0\1\3a.b\0", 7, DNS_ASK_MX},
    {"a name with a NUL", "\0\1\3a\0b\0", 7, DNS_ASK_MX},
    {"a string longer than its record", "\5abc", 4, DNS_ASK_TXT},
};

static void broken_records_are_failures_and_not_absence(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof broken_rows / sizeof *broken_rows; i++) {
        const struct broken_row *row = &broken_rows[i];
        struct message m;
        print_message("  %s\n", row->sentence);
        put_start(&m, 0, 1, 0);
        put_question(&m, "x.test", row->type);
        put_record(&m, "x.test", row->type, 300, row->data, row->length);
        struct dns_reply *reply = dns_message_read(m.bytes, m.length, "x.test", (enum dns_question_type)row->type);
        assert_int_equal(reply->outcome, DNS_OUTCOME_FAILED);
        assert_int_equal(reply->count, 0);
        dns_reply_free(reply);
    }
}

static void a_cut_message_at_any_place_is_a_failure(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 2, 0);
    put_question(&m, "x.test", DNS_ASK_MX);
    put_record(&m, "x.test", 5, 200, "\1a\4test", 8);
    put_record(&m, "a.test", DNS_ASK_MX, 300, "\0\1\2mx\xc0\x0c", 7);
    for (size_t length = 0; length < m.length; length++) {
        unsigned char *exact = malloc(length > 0 ? length : 1); /* so that the sanitizer sees a byte too far */
        memcpy(exact, m.bytes, length);
        struct dns_reply *reply = dns_message_read(exact, length, "x.test", DNS_ASK_MX);
        assert_int_equal(reply->outcome, DNS_OUTCOME_FAILED);
        dns_reply_free(reply);
        free(exact);
    }
}

static void changed_bytes_never_crash_the_reader(void **state) {
    (void)state;
    struct message m;
    put_start(&m, 0, 2, 1);
    put_question(&m, "x.test", DNS_ASK_MX);
    put_record(&m, "x.test", 5, 200, "\1a\xc0\x0e", 4);
    put_record(&m, "a.test", DNS_ASK_MX, 300, "\0\1\2mx\xc0\x0c", 7);
    put_soa(&m, 5, 6);
    for (size_t at = 0; at < m.length; at++) {
        for (unsigned value = 0; value < 256; value += 3) {
            struct message changed = m;
            changed.bytes[at] = (unsigned char)value;
            dns_reply_free(dns_message_read(changed.bytes, changed.length, "x.test", DNS_ASK_MX));
        }
    }
}

struct name_row {
    const char *sentence, *name, *prepared; /* NULL: refused */
};
static const struct name_row name_rows[] = {
    {"a name is compared in lower case", "WWW.Example.TEST", "www.example.test"},
    {"a final dot goes", "a.test.", "a.test"},
    {"one label may be asked", "localhost", "localhost"},
    {"an underscore may be asked", "s._domainkey.test", "s._domainkey.test"},
    {"nothing is no name", "", NULL},
    {"the root is not asked", ".", NULL},
    {"an empty label is no name", "a..test", NULL},
    {"a leading dot is no name", ".test", NULL},
    {"a blank is no name", "a b.test", NULL},
    {"a backslash is no name", "a\\046b.test", NULL},
    {"eight-bit bytes are no name", "m\xc3\xbcller.test", NULL},
    {"a label of 63 bytes is a name", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg.test",
     "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg.test"},
    {"a label of 64 bytes is not", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg.test", NULL},
};

static void names_are_checked_before_they_are_asked(void **state) {
    (void)state;
    char prepared[DNS_NAME_SIZE], long_name[300];
    for (size_t i = 0; i < sizeof name_rows / sizeof *name_rows; i++) {
        const struct name_row *row = &name_rows[i];
        print_message("  %s\n", row->sentence);
        assert_int_equal(dns_name_prepare(text_of(row->name), prepared), row->prepared != NULL);
        if (row->prepared != NULL) {
            assert_string_equal(prepared, row->prepared);
        }
    }
    for (size_t i = 0; i < sizeof long_name; i++) {
        long_name[i] = i % 2 == 0 ? 'a' : '.';
    }
    assert_true(dns_name_prepare((struct text){long_name, 253}, prepared));
    assert_false(dns_name_prepare((struct text){long_name, 255}, prepared));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_through_its_cname_chain),
        cmocka_unit_test(records_beside_nxdomain_are_a_failure_without_records),
        cmocka_unit_test(records_of_a_truncated_answer_are_not_taken_for_all),
        cmocka_unit_test(a_null_mx_is_one_record_with_a_dot),
        cmocka_unit_test(strings_of_a_text_record_are_joined_and_keep_every_byte),
        cmocka_unit_test(preferences_and_compressed_names_are_read),
        cmocka_unit_test(ways_of_not_finding_are_never_mixed_up),
        cmocka_unit_test(what_is_no_answer_or_one_about_others_is_a_failure_and_not_absence),
        cmocka_unit_test(broken_records_are_failures_and_not_absence),
        cmocka_unit_test(a_cut_message_at_any_place_is_a_failure),
        cmocka_unit_test(changed_bytes_never_crash_the_reader),
        cmocka_unit_test(names_are_checked_before_they_are_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
