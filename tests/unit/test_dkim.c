/* SPDX-License-Identifier: MIT
 * DKIM: what is signed verifies, what was changed does not, strangers' signatures get results of their own, and
 * published test vectors (PARCELPOST_TESTDATA or ../shared/testdata, skipped when missing) give the results they
 * should. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "dkim/dkim.h"
#include "mail/header.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char headers_text[] = "Received: from a.test by b.test; Sun, 22 Nov 2026 01:02:03 +0000\r\n"
                                   "From: Coco <coco@example.test>\r\n"
                                   "To: mike@example.test,\r\n\tnobody@other.test\r\n"
                                   "Subject: caf\xc3\xa9\r\n"
                                   "Date: Sun, 22 Nov 2026 01:02:03 +0000\r\n"
                                   "Message-ID: <1@example.test>\r\n";
static const char body_text[] = "Hello,\r\n\r\n  it is  me.\r\n.\r\n\r\n\r\n";

struct fixture { /* keys and what DNS would say about them */
    char directory[32];
    struct dkim_key *rsa, *ed25519;
    struct buffer rsa_record, ed25519_record;
    enum dkim_dns answer;
    unsigned asked;
};

static struct dkim_key *make_key(struct fixture *f, const char *kind, struct buffer *record) {
    struct buffer pem, error;
    char path[64];
    buffer_init(&pem, 16384);
    buffer_init(&error, 1024);
    buffer_init(record, 4096);
    (void)snprintf(path, sizeof path, "%s/%s.pem", f->directory, kind);
    assert_true(dkim_key_generate(kind, &pem, record, &error));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file_write_all(fd, pem.data, pem.length));
    close(fd);
    struct dkim_key *key = dkim_key_read(path, "Example.test", kind, &error);
    assert_non_null(key);
    buffer_free(&pem);
    buffer_free(&error);
    return key;
}

static int set_up(void **state) {
    static struct fixture f;
    (void)snprintf(f.directory, sizeof f.directory, "/tmp/test_dkim.XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    dkim_prepare();
    f.rsa = make_key(&f, "rsa", &f.rsa_record);
    f.ed25519 = make_key(&f, "ed25519", &f.ed25519_record);
    f.answer = DKIM_DNS_FOUND;
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {"rsa.pem", "ed25519.pem", "bad.pem"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", f->directory, names[i]);
        (void)unlink(path);
    }
    dkim_key_free(f->rsa);
    dkim_key_free(f->ed25519);
    buffer_free(&f->rsa_record);
    buffer_free(&f->ed25519_record);
    return rmdir(f->directory);
}

static enum dkim_dns look_up(void *context, const char *name, struct buffer *record) {
    struct fixture *f = context;
    f->asked++;
    if (f->answer != DKIM_DNS_FOUND) {
        return f->answer;
    }
    const struct buffer *found = strcmp(name, "rsa._domainkey.example.test") == 0       ? &f->rsa_record
                                 : strcmp(name, "ed25519._domainkey.example.test") == 0 ? &f->ed25519_record
                                                                                        : NULL;
    return found != NULL && buffer_append(record, found->data, found->length) ? DKIM_DNS_FOUND : DKIM_DNS_NONE;
}

static struct dkim_source source_of(const struct buffer *headers, struct text body) {
    return (struct dkim_source){.headers = buffer_text(headers), .fd = -1, .body = body, .length = body.length};
}

/* Signs the message above; signed_headers gets the signature and then the message's own fields. */
static void sign(const struct dkim_key *key, struct buffer *signed_headers) {
    struct buffer headers;
    buffer_init(&headers, 65536);
    buffer_init(signed_headers, 1 << 20);
    assert_true(buffer_append_string(&headers, headers_text));
    struct dkim_source source = source_of(&headers, text_of(body_text));
    assert_true(dkim_sign_message(key, &source, signed_headers));
    assert_true(buffer_append_string(signed_headers, headers_text));
    buffer_free(&headers);
}

static void verify(struct fixture *f, const struct buffer *headers, struct text body, char *results, size_t size) {
    struct buffer found;
    struct dkim_source source = source_of(headers, body);
    buffer_init(&found, 8192);
    assert_true(dkim_verify_message(&source, look_up, f, &found));
    assert_true(text_copy(results, size, buffer_text(&found)));
    buffer_free(&found);
}

static void replace(struct buffer *headers, const char *from, const char *to) {
    char *whole = memory_string(buffer_text(headers));
    char *at = strstr(whole, from);
    assert_non_null(at);
    buffer_clear(headers);
    assert_true(buffer_append(headers, whole, (size_t)(at - whole)));
    assert_true(buffer_append_string(headers, to));
    assert_true(buffer_append_string(headers, at + strlen(from)));
    free(whole);
}

static void what_is_signed_verifies_with_both_kinds_of_keys(void **state) {
    struct fixture *f = *state;
    struct dkim_key *const keys[] = {f->rsa, f->ed25519};
    for (size_t i = 0; i < 2; i++) {
        struct buffer headers;
        char results[1024], wanted[128];
        sign(keys[i], &headers);
        verify(f, &headers, text_of(body_text), results, sizeof results);
        (void)snprintf(wanted, sizeof wanted,
                       "dkim=pass header.d=example.test header.s=%s header.b=", dkim_key_selector(keys[i]));
        assert_true(strncmp(results, wanted, strlen(wanted)) == 0);
        assert_null(strchr(results, ';'));
        buffer_free(&headers);
    }
}

static void the_signature_field_is_well_formed(void **state) {
    struct fixture *f = *state;
    struct buffer headers;
    struct header_field field;
    sign(f->rsa, &headers);
    struct text rest = buffer_text(&headers);
    assert_true(header_next(&rest, &field));
    assert_true(text_equal(field.name, TEXT("DKIM-Signature")));
    char value[4096];
    assert_true(header_value(&field, value, sizeof value));
    assert_non_null(strstr(value, "v=1;"));
    assert_non_null(strstr(value, "a=rsa-sha256;"));
    assert_non_null(strstr(value, "c=relaxed/relaxed;"));
    assert_non_null(strstr(value, "d=example.test;"));
    assert_non_null(strcasestr(value, "From"));
    assert_null(strcasestr(value, "Received"));
    for (struct text line, lines = field.whole; text_split(&lines, '\n', &line);) {
        assert_true(line.length <= 79 && line.data[line.length - 1] == '\r');
    }
    assert_true(text_starts_nocase(rest, TEXT("Received:")));
    buffer_free(&headers);
}

struct change_row {
    const char *sentence, *from, *to; /* in the headers; NULL: none */
    const char *body;                 /* NULL: as signed */
    const char *result;
};
static const struct change_row change_rows[] = {
    {"a changed subject is noticed", "caf", "cafe", NULL, "fail"},
    {"a second From is noticed", "Date: Sun", "From: mallory@evil.test\r\nDate: Sun", NULL, "fail"},
    {"a second From above the first is noticed", "Received: from", "From: mallory@evil.test\r\nReceived: from", NULL,
     "fail"},
    {"a changed body is noticed", NULL, NULL, "Hello,\r\n\r\n  it is not me.\r\n", "fail"},
    {"an emptied body is noticed", NULL, NULL, "", "fail"},
    {"folding and blanks may change", "To: mike@example.test,\r\n\tnobody", "to:  mike@example.test, nobody", NULL,
     "pass"},
    {"trailing empty lines may go", NULL, NULL, "Hello,\r\n\r\n it is me.\r\n.\r\n", "pass"},
    {"a field that is not signed may come", "Date: Sun", "X-Other: x\r\nDate: Sun", NULL, "pass"},
    {"a Received field may come", "Received:", "Received: by c.test; now\r\nReceived:", NULL, "pass"},
    {"another selector has no key", "s=rsa", "s=other", NULL, "permerror"},
    {"a signature without v=1 does not pass", "v=1;", "", NULL, "permerror"},
    {"a version that is not 1 does not pass", "v=1;", "v=2;", NULL, "permerror"},
    {"rsa-sha1 does not pass", "a=rsa-sha256", "a=rsa-sha1", NULL, "permerror"},
    {"an unknown algorithm does not pass", "a=rsa-sha256", "a=rsa-sha3", NULL, "permerror"},
    {"an unknown canonicalization is a syntax error", "c=relaxed", "c=nofws", NULL, "neutral"},
    {"an identity outside the domain does not pass", "d=example.test;", "d=example.test; i=@other.test;", NULL,
     "permerror"},
    {"an expired signature does not pass", "v=1;", "v=1; t=1; x=2;", NULL, "fail"},
    {"a query method that is not DNS does not pass", "v=1;", "v=1; q=carrier/pigeon;", NULL, "neutral"},
    {"a broken list of tags is a syntax error", "v=1;", "v=1;;;=;", NULL, "neutral"},
};

static void changes_are_noticed_where_they_matter(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof change_rows / sizeof *change_rows; i++) {
        const struct change_row *row = &change_rows[i];
        struct buffer headers;
        char results[1024], wanted[64];
        print_message("  %s\n", row->sentence);
        sign(f->rsa, &headers);
        if (row->from != NULL) {
            replace(&headers, row->from, row->to);
        }
        verify(f, &headers, text_of(row->body != NULL ? row->body : body_text), results, sizeof results);
        (void)snprintf(wanted, sizeof wanted, "dkim=%s ", row->result);
        if (strncmp(results, wanted, strlen(wanted)) != 0) {
            fail_msg("%s: wanted %s, got %s", row->sentence, wanted, results);
        }
        buffer_free(&headers);
    }
}

static void a_second_from_breaks_ed25519_signatures_too(void **state) {
    struct fixture *f = *state;
    struct buffer headers;
    char results[1024];
    sign(f->ed25519, &headers);
    replace(&headers, "Received: from", "From: mallory@evil.test\r\nReceived: from");
    verify(f, &headers, text_of(body_text), results, sizeof results);
    assert_true(strncmp(results, "dkim=fail ", 10) == 0);
    buffer_free(&headers);
}

static void dns_answers_are_told_apart(void **state) {
    struct fixture *f = *state;
    struct buffer headers;
    char results[1024];
    sign(f->rsa, &headers);
    f->answer = DKIM_DNS_TEMPFAIL;
    verify(f, &headers, text_of(body_text), results, sizeof results);
    assert_true(strncmp(results, "dkim=temperror ", 15) == 0);
    f->answer = DKIM_DNS_NONE;
    verify(f, &headers, text_of(body_text), results, sizeof results);
    assert_true(strncmp(results, "dkim=permerror ", 15) == 0);
    f->answer = DKIM_DNS_FOUND;
    buffer_free(&headers);
}

static void every_signature_gets_its_result_and_the_eleventh_is_ignored(void **state) {
    struct fixture *f = *state;
    struct buffer headers, many;
    char results[8192];
    unsigned passes = 0;
    sign(f->rsa, &headers);
    struct text rest = buffer_text(&headers);
    struct header_field field;
    assert_true(header_next(&rest, &field));
    buffer_init(&many, 1 << 20);
    for (int i = 0; i < 14; i++) {
        assert_true(buffer_append_text(&many, field.whole));
    }
    assert_true(buffer_append_text(&many, rest));
    f->asked = 0;
    verify(f, &many, text_of(body_text), results, sizeof results);
    for (const char *at = results; (at = strstr(at, "dkim=pass")) != NULL; at++) {
        passes++;
    }
    assert_int_equal(passes, 10);
    assert_true(f->asked <= 10);
    buffer_free(&many);
    buffer_free(&headers);
}

static void a_message_without_signature_is_none(void **state) {
    struct fixture *f = *state;
    struct buffer headers;
    char results[64];
    buffer_init(&headers, 65536);
    assert_true(buffer_append_string(&headers, headers_text));
    verify(f, &headers, text_of(body_text), results, sizeof results);
    assert_string_equal(results, "dkim=none");
    buffer_clear(&headers);
    verify(f, &headers, TEXT_NONE, results, sizeof results);
    assert_string_equal(results, "dkim=none");
    buffer_free(&headers);
}

static void tags_of_strangers_cannot_forge_results(void **state) {
    struct fixture *f = *state;
    struct buffer headers;
    char results[1024];
    buffer_init(&headers, 65536);
    assert_true(buffer_append_string(&headers,
                                     "DKIM-Signature: v=1; a=rsa-sha256; d=evil.test; s=x\" dkim=pass\\(; h=from;\r\n"
                                     " i=\"a b\"@evil.test; bh=aaaa; b=ab\r\n cd/+gefgh\r\nFrom: a@evil.test\r\n"));
    verify(f, &headers, text_of(body_text), results, sizeof results);
    assert_true(strncmp(results, "dkim=permerror ", 15) == 0);
    assert_null(strstr(results, "header.s="));
    assert_non_null(strstr(results, "header.b=\"abcd/+ge\""));
    replace(&headers, "s=x\" dkim=pass\\(;", "s=(x);");
    verify(f, &headers, text_of(body_text), results, sizeof results);
    assert_non_null(strstr(results, "header.s=\"(x)\""));
    replace(&headers, "i=\"a b\"@evil.test;", "i=x=3B=20dmarc=3Dpass=20header.from=3Dbank.test=3By@evil.test;");
    verify(f, &headers, text_of(body_text), results, sizeof results);
    assert_non_null(strstr(results, "header.d=evil.test header.s="));
    buffer_free(&headers);
}

/* libopendkim 2.11 writes past a list when every field is named and more: the sanitizer would see it without our slack.
 */
static void naming_every_field_and_more_does_not_overrun(void **state) {
    struct fixture *f = *state;
    struct buffer headers;
    char results[1024];
    buffer_init(&headers, 65536);
    assert_true(buffer_append_string(&headers, "DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=rsa; bh=aaaa;\r\n"
                                               " h=dkim-signature:from:to:from:to:cc:cc:cc:cc; b=abcd\r\n"
                                               "From: a@example.test\r\nTo: b@example.test\r\n"));
    verify(f, &headers, text_of(body_text), results, sizeof results);
    assert_true(strncmp(results, "dkim=fail ", 10) == 0);
    buffer_free(&headers);
}

static void broken_headers_never_crash(void **state) {
    struct fixture *f = *state;
    struct buffer headers;
    char results[8192];
    sign(f->rsa, &headers);
    size_t length = headers.length;
    for (size_t at = 0; at < length; at += 7) {
        struct buffer changed;
        buffer_init(&changed, 1 << 20);
        assert_true(buffer_append(&changed, headers.data, length));
        changed.data[at] = (char)(at * 31);
        verify(f, &changed, text_of(body_text), results, sizeof results);
        changed.length = at;
        verify(f, &changed, text_of(body_text), results, sizeof results);
        buffer_free(&changed);
    }
    buffer_free(&headers);
}

static void a_body_from_a_file_is_the_same_as_from_memory(void **state) {
    struct fixture *f = *state;
    struct buffer headers, signature, results;
    size_t length = (size_t)78 * 4000;
    char *body = memory_new(length, 1);
    for (size_t i = 0; i < length; i++) {
        body[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : (char)('a' + i % 26);
    }
    int fd = file_memory("body");
    assert_true(file_write_all(fd, "before", 6) && file_write_all(fd, body, length));
    buffer_init(&headers, 1 << 20);
    buffer_init(&signature, 1 << 20);
    buffer_init(&results, 8192);
    assert_true(buffer_append_string(&headers, headers_text));
    struct dkim_source from_file = {
        .headers = buffer_text(&headers), .fd = fd, .offset = 6, .length = length, .body = TEXT_NONE};
    assert_true(dkim_sign_message(f->ed25519, &from_file, &signature));
    assert_true(buffer_append_string(&signature, headers_text));
    struct dkim_source from_memory = source_of(&signature, (struct text){body, length});
    assert_true(dkim_verify_message(&from_memory, look_up, f, &results));
    assert_true(text_starts_nocase(buffer_text(&results), TEXT("dkim=pass ")));
    from_file.length++; /* more than there is */
    buffer_clear(&headers);
    assert_false(dkim_sign_message(f->ed25519, &from_file, &headers));
    assert_int_equal(headers.length, 0);
    buffer_free(&headers);
    buffer_free(&signature);
    buffer_free(&results);
    free(body);
    close(fd);
}

struct bad_key_row {
    const char *sentence, *content, *words;
};
static const struct bad_key_row bad_key_rows[] = {
    {"an empty file is no key", "", "no private key"},
    {"text is no key", "hello\n", "no private key"},
    {"a public key is no private key",
     "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
     "-----END PUBLIC KEY-----\n",
     "no private key"},
    {"a key of another kind cannot sign",
     "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
     "-----END PRIVATE KEY-----\n",
     "cannot sign mail"},
};

static void a_file_that_is_no_key_is_refused_with_a_sentence(void **state) {
    struct fixture *f = *state;
    char path[64];
    struct buffer error;
    buffer_init(&error, 1024);
    (void)snprintf(path, sizeof path, "%s/bad.pem", f->directory);
    for (size_t i = 0; i < sizeof bad_key_rows / sizeof *bad_key_rows; i++) {
        const struct bad_key_row *row = &bad_key_rows[i];
        print_message("  %s\n", row->sentence);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(file_write_all(fd, row->content, strlen(row->content)));
        close(fd);
        buffer_clear(&error);
        assert_null(dkim_key_read(path, "example.test", "s", &error));
        assert_non_null(strstr(buffer_string(&error), path));
        assert_non_null(strstr(buffer_string(&error), row->words));
    }
    buffer_clear(&error);
    assert_null(dkim_key_read("/nonexistent/key.pem", "example.test", "s", &error));
    assert_non_null(strstr(buffer_string(&error), "No such file"));
    assert_false(dkim_key_generate("dsa", &error, &error, &error));
    buffer_free(&error);
}

static void the_record_of_a_key_file_is_the_one_it_was_made_with(void **state) {
    struct fixture *f = *state;
    struct buffer record, error;
    char path[64];
    buffer_init(&record, 4096);
    buffer_init(&error, 1024);
    (void)snprintf(path, sizeof path, "%s/ed25519.pem", f->directory);
    assert_true(dkim_key_record(path, &record, &error));
    assert_string_equal(buffer_string(&record), buffer_string(&f->ed25519_record));
    assert_true(strncmp(record.data, "v=DKIM1; k=ed25519; p=", 22) == 0);
    assert_int_equal(record.length, 22 + 44);
    buffer_free(&record);
    buffer_free(&error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_verifies_with_both_kinds_of_keys),
        cmocka_unit_test(the_signature_field_is_well_formed),
        cmocka_unit_test(changes_are_noticed_where_they_matter),
        cmocka_unit_test(a_second_from_breaks_ed25519_signatures_too),
        cmocka_unit_test(dns_answers_are_told_apart),
        cmocka_unit_test(every_signature_gets_its_result_and_the_eleventh_is_ignored),
        cmocka_unit_test(a_message_without_signature_is_none),
        cmocka_unit_test(tags_of_strangers_cannot_forge_results),
        cmocka_unit_test(naming_every_field_and_more_does_not_overrun),
        cmocka_unit_test(broken_headers_never_crash),
        cmocka_unit_test(a_body_from_a_file_is_the_same_as_from_memory),
        cmocka_unit_test(a_file_that_is_no_key_is_refused_with_a_sentence),
        cmocka_unit_test(the_record_of_a_key_file_is_the_one_it_was_made_with),
    };
    log_start(2, "test_dkim", LOG_LEVEL_WARN);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
