/* SPDX-License-Identifier: MIT
 * Fuzz target: DKIM signatures of strangers and the keys that their DNS gives: a library's code, with our own allocator
 * around its known faults. The first piece is the key record, the rest the message; one letter in place of a record
 * stands for what the letters' table says. What we sign ourselves is a good signature. */
#include "base/file.h"
#include "dkim/dkim.h"
#include "fuzz_directory.h"
#include "mail/header.h"

#define FIELDS 2000 /* more than libopendkim is given */

struct own { /* a key of ours */
    struct dkim_key *key;
    struct buffer record;
};

static struct own rsa, ed25519;

static void make_key(struct own *own, const char *kind) {
    char path[96];
    struct buffer pem, error;

    buffer_init(&pem, 8192);
    buffer_init(&own->record, 4096);
    buffer_init(&error, 1024);
    (void)snprintf(path, sizeof path, "%s/key", fuzz_directory);
    FUZZ_CHECK(dkim_key_generate(kind, &pem, &own->record, &error));
    fuzz_write_file(path, buffer_text(&pem));
    own->key = dkim_key_read(path, "us.test", "s", &error);
    FUZZ_CHECK(own->key != NULL);
    buffer_free(&pem);
    buffer_free(&error);
}

static void fuzz_start(void) {
    fuzz_make_directory();
    dkim_prepare();
    make_key(&rsa, "rsa");
    make_key(&ed25519, "ed25519");
}

enum letter {
    LETTER_RSA = 'r', /* signed by us, and its record */
    LETTER_ED25519 = 'e',
    LETTER_OTHER = 'o',    /* the record of another key */
    LETTER_TEMPFAIL = 't', /* DNS fails */
    LETTER_LONG = 'l',     /* a record longer than libopendkim takes */
    LETTER_SHORT = 's',    /* to be signed by us, and the body is shorter than was said */
    LETTER_MANY = 'm'      /* to be signed by us, all fields many times */
};

static enum dkim_dns give_key(void *context, const char *name, struct buffer *record) {
    const struct text *key = context;

    (void)name;
    if (key->length == 0)
        return DKIM_DNS_NONE;
    switch (key->length == 1 ? (unsigned char)key->data[0] : 0) {
    case LETTER_RSA:
    case LETTER_SHORT:
    case LETTER_OTHER:
        return buffer_append_text(record, buffer_text(&rsa.record)) ? DKIM_DNS_FOUND : DKIM_DNS_TEMPFAIL;
    case LETTER_ED25519:
        return buffer_append_text(record, buffer_text(&ed25519.record)) ? DKIM_DNS_FOUND : DKIM_DNS_TEMPFAIL;
    case LETTER_TEMPFAIL:
        return DKIM_DNS_TEMPFAIL;
    case LETTER_LONG:
        FUZZ_CHECK(buffer_reserve(record, 40000) != NULL);
        memset(buffer_reserve(record, 40000), 'x', 40000);
        buffer_advance(record, 40000);
        return DKIM_DNS_FOUND;
    default:
        return buffer_append_text(record, *key) ? DKIM_DNS_FOUND : DKIM_DNS_TEMPFAIL;
    }
}

/* Signs; what is signed stands in front of the fields. Then a verifier agrees, unless it is given another key. */
static void sign(const struct own *own, struct text key, const struct dkim_source *source) {
    struct dkim_source signed_source = *source;
    struct buffer headers, results;

    buffer_init(&headers, 1u << 20);
    buffer_init(&results, 24u * 1024);
    if (dkim_sign_message(own->key, source, &headers)) {
        FUZZ_CHECK(buffer_append_text(&headers, source->headers));
        signed_source.headers = buffer_text(&headers);
        signed_source.fd = file_memory("body"); /* as large messages come */
        signed_source.offset = 3;
        FUZZ_CHECK(file_pwrite_all(signed_source.fd, source->body.data, source->length, 3));
        FUZZ_CHECK(dkim_verify_message(&signed_source, give_key, &key, &results));
        FUZZ_CHECK(
            text_starts_nocase(buffer_text(&results), key.data[0] == LETTER_OTHER ? TEXT("dkim=") : TEXT("dkim=pass")));
        (void)close(signed_source.fd);
    }
    buffer_free(&headers);
    buffer_free(&results);
}

/* What cannot be signed gets no field; what cannot be verified gets a verdict. */
static void sign_impossible(char letter, struct text key, const struct dkim_source *source) {
    struct dkim_source other = *source;
    struct buffer headers, field, results;

    buffer_init(&headers, 1u << 21);
    buffer_init(&field, 1u << 16);
    buffer_init(&results, 24u * 1024);
    if (letter == LETTER_SHORT) {
        other.fd = file_memory("body");
        other.length = source->length + 10;
        FUZZ_CHECK(file_pwrite_all(other.fd, source->body.data, source->length, 0));
        FUZZ_CHECK(!dkim_sign_message(rsa.key, &other, &field) && field.length == 0);
    }
    for (unsigned i = 0; letter == LETTER_MANY && i < FIELDS; i++) /* From stands behind those that are read */
        (void)buffer_append_string(&headers, "X:\r\n");
    for (unsigned i = 0; i < (letter == LETTER_MANY ? 32 : 1); i++)
        (void)buffer_append_text(&headers, source->headers);
    other.headers = buffer_text(&headers);
    if (letter == LETTER_MANY)
        FUZZ_CHECK(!dkim_sign_message(rsa.key, &other, &field) && field.length == 0);
    if (!dkim_sign_message(ed25519.key, &other, &field))
        FUZZ_CHECK(field.length == 0);
    FUZZ_CHECK(dkim_verify_message(&other, give_key, &key, &results));
    if (other.fd >= 0)
        (void)close(other.fd);
    buffer_free(&headers);
    buffer_free(&field);
    buffer_free(&results);
}

static void fuzz_one(struct text input) {
    struct text key = fuzz_piece(&input);
    size_t header = header_section_length(input);
    struct text body = text_from(input, header);
    struct buffer results;
    char letter = key.length == 1 ? key.data[0] : '\0';

    if (text_starts_nocase(body, TEXT("\r\n")))
        body = text_from(body, 2);
    const struct dkim_source source = {
        .headers = text_first(input, header), .fd = -1, .body = body, .length = body.length};
    if (letter == LETTER_RSA || letter == LETTER_ED25519 || letter == LETTER_OTHER)
        sign(letter == LETTER_RSA ? &rsa : &ed25519, key, &source);
    if (letter == LETTER_SHORT || letter == LETTER_MANY)
        sign_impossible(letter, key, &source);
    buffer_init(&results, letter == LETTER_LONG ? 100 : 24u * 1024);
    if (dkim_verify_message(&source, give_key, &key, &results))
        FUZZ_CHECK((results.length > 0 || letter == LETTER_LONG) &&
                   text_find(buffer_text(&results), '\n') == results.length);
    buffer_free(&results);
}
