/* SPDX-License-Identifier: MIT
 * Ed25519 signatures (RFC 8463). Called by sign.c in the signer, sandboxed. libopendkim 2.11 never frees the key of
 * such a signature, so it only canonicalizes and hashes here, as a verifier of a field that we compose, once for the
 * body and once for the header; OpenSSL signs the hash. A failure is logged and returned. */
#include "dkim/sign_ed25519.h"
#include "base/log.h"
#include "mail/header.h"
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#define HASH_SIZE 32u
#define HASH_TEXT_SIZE 45u      /* in base64, and NUL */
#define SIGNATURE_SIZE 64u      /* RFC 8032 5.1.6 */
#define SIGNATURE_TEXT_SIZE 89u /* in base64, and NUL */
#define LINE_WIDTH 70u
#define LIST_MAXIMUM 4000u /* of h=: libopendkim reads no more than 4095 bytes of it */
#define COMPOSED_MAXIMUM (2u << 20)

struct selection {        /* what of the header section is signed */
    struct buffer names;  /* the value of h= */
    struct buffer fields; /* complete fields */
};
struct hashes {
    unsigned char header[HASH_SIZE], body[HASH_SIZE];
};

static bool is_signed(struct text name) {
    for (size_t i = 0; library_signed_fields[i] != NULL; i++) {
        if (text_equal_nocase(name, text_of(library_signed_fields[i]))) {
            return true;
        }
    }
    return false;
}

/* Appends a name to h=, on a new line when this one is full. */
static bool add_name(struct buffer *names, size_t *line_start, struct text name) {
    if (names->length > 0 && !buffer_append_byte(names, ':')) {
        return false;
    }
    if (names->length - *line_start + name.length > LINE_WIDTH) {
        if (!buffer_append_string(names, "\r\n\t ")) {
            return false;
        }
        *line_start = names->length;
    }
    return buffer_append_text(names, name);
}

/* Every field of the list that is there, and From once more (RFC 6376 8.15). */
static bool select_fields(struct text headers, struct selection *selection) {
    struct header_field field;
    size_t line_start = 0;
    while (header_next(&headers, &field)) {
        if (is_signed(field.name) && (!add_name(&selection->names, &line_start, field.name) ||
                                      !buffer_append_text(&selection->fields, field.whole))) {
            return false;
        }
    }
    return add_name(&selection->names, &line_start, TEXT("From"));
}

/* RFC 6376 3.5. The signature comes last, so that it can be put on a line or two of its own. */
static bool compose(const struct dkim_key *key, const struct selection *selection, time_t now, const char *body_hash,
                    const char *signature, struct buffer *field) {
    int half = (int)(SIGNATURE_TEXT_SIZE / 2);
    return buffer_format(field,
                         "%s: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n\td=%s; s=%s; t=%lld;\r\n\th=%.*s;\r\n"
                         "\tbh=%s;\r\n\tb=%.*s",
                         DKIM_SIGNHEADER, key->domain, key->selector, (long long)now,
                         TEXT_ARGS(buffer_text(&selection->names)), body_hash, half, signature) &&
           (strlen(signature) <= (size_t)half || buffer_format(field, "\r\n\t %s", signature + half)) &&
           buffer_append_string(field, "\r\n");
}

static enum dkim_dns no_key(void *context, const char *name, struct buffer *record) {
    (void)context;
    (void)name;
    (void)record;
    return DKIM_DNS_NONE;
}

static bool take_hashes(DKIM *dkim, struct hashes *hashes) {
    DKIM_SIGINFO **list = NULL;
    int count = 0;
    void *header = NULL, *body = NULL;
    size_t header_length = 0, body_length = 0;
    if (dkim_getsiglist(dkim, &list, &count) != DKIM_STAT_OK || count != 1 ||
        dkim_sig_gethashes(list[0], &header, &header_length, &body, &body_length) != DKIM_STAT_OK ||
        header_length != HASH_SIZE || body_length != HASH_SIZE) {
        return false;
    }
    memcpy(hashes->header, header, HASH_SIZE);
    memcpy(hashes->body, body, HASH_SIZE);
    return true;
}

/* What a verifier would hash for this field over these fields and this body. */
static bool hash_as_verifier(const struct buffer *field, const struct selection *selection,
                             const struct dkim_source *body, struct hashes *hashes) {
    DKIM_LIB *library = library_for_verifying();
    DKIM_STAT status = DKIM_STAT_OK;
    struct library_lookup asking = {no_key, NULL};
    unsigned signatures = 0, fields = 0;
    DKIM *dkim = library != NULL ? dkim_verify(library, (const unsigned char *)"hash", NULL, &status) : NULL;
    if (dkim == NULL) {
        return false;
    }
    (void)dkim_set_user_context(dkim, &asking);
    bool good = library_feed_headers(dkim, buffer_text(field), &signatures) &&
                library_feed_headers(dkim, buffer_text(&selection->fields), &fields) && signatures == 1 &&
                dkim_eoh(dkim) == DKIM_STAT_OK && library_feed_body(dkim, body);
    if (good) {
        (void)dkim_eom(dkim, NULL); /* finds no key, as meant; the hashes are there */
        good = take_hashes(dkim, hashes);
    }
    (void)dkim_free(dkim);
    return good;
}

/* RFC 8463 3: the signature is over the SHA-256 hash, as the message of PureEdDSA. */
static bool sign_hash(const struct dkim_key *key, const unsigned char hash[HASH_SIZE], char text[SIGNATURE_TEXT_SIZE]) {
    unsigned char signature[SIGNATURE_SIZE];
    size_t length = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key->openssl_key) == 1 &&
                EVP_DigestSign(context, signature, &length, hash, HASH_SIZE) == 1 &&
                text_base64_encode((struct text){(const char *)signature, length}, text, SIGNATURE_TEXT_SIZE);
    EVP_MD_CTX_free(context);
    return good;
}

static bool sign(const struct dkim_key *key, const struct dkim_source *source, const struct selection *selection,
                 struct buffer *field) {
    static const char any_hash[] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const struct dkim_source no_body = {.fd = -1, .body = TEXT_NONE};
    struct hashes hashes;
    char body_hash[HASH_TEXT_SIZE], signature[SIGNATURE_TEXT_SIZE];
    time_t now = time(NULL);
    if (!compose(key, selection, now, any_hash, "AAAA", field) ||
        !hash_as_verifier(field, selection, source, &hashes) ||
        !text_base64_encode((struct text){(const char *)hashes.body, HASH_SIZE}, body_hash, sizeof body_hash)) {
        return false;
    }
    buffer_clear(field);
    if (!compose(key, selection, now, body_hash, "AAAA", field) ||
        !hash_as_verifier(field, selection, &no_body, &hashes) || !sign_hash(key, hashes.header, signature)) {
        return false;
    }
    buffer_clear(field);
    return compose(key, selection, now, body_hash, signature, field);
}

bool ed25519_sign_message(const struct dkim_key *key, const struct dkim_source *source, struct buffer *header) {
    struct selection selection;
    struct buffer field;
    buffer_init(&selection.names, LIST_MAXIMUM);
    buffer_init(&selection.fields, COMPOSED_MAXIMUM);
    buffer_init(&field, DKIM_SIGNATURE_FIELD_MAXIMUM);
    bool good = select_fields(source->headers, &selection) && sign(key, source, &selection, &field) &&
                buffer_append_text(header, buffer_text(&field));
    if (!good) {
        log_error("DKIM: cannot sign for %s with the Ed25519 key of selector %s", key->domain, key->selector);
    }
    buffer_free(&field);
    buffer_free(&selection.fields);
    buffer_free(&selection.names);
    return good;
}
