/* SPDX-License-Identifier: MIT
 * DKIM signing (RFC 6376, relaxed/relaxed) with RSA keys; Ed25519 keys go to sign_ed25519.c. Called by the signer,
 * sandboxed, with a key in memory. A failure of libopendkim is logged and returned. */
#include "base/log.h"
#include "dkim/library.h"
#include "dkim/sign_ed25519.h"
#include "mail/header.h"

static const char name_text[] = DKIM_SIGNHEADER ": ";

static bool run(DKIM *dkim, const struct dkim_source *source, DKIM_STAT *status) {
    unsigned signatures;
    *status = DKIM_STAT_NORESOURCE;
    if (!library_feed_headers(dkim, source->headers, &signatures)) {
        return false;
    }
    *status = dkim_eoh(dkim);
    if (*status != DKIM_STAT_OK) {
        return false;
    }
    if (!library_feed_body(dkim, source)) {
        *status = DKIM_STAT_INTERNAL;
        return false;
    }
    *status = dkim_eom(dkim, NULL);
    return *status == DKIM_STAT_OK;
}

static bool append_field(DKIM *dkim, struct buffer *header, DKIM_STAT *status) {
    u_char *value = NULL;
    size_t length = 0;
    *status = dkim_getsighdr_d(dkim, sizeof name_text - 1, &value, &length);
    return *status == DKIM_STAT_OK && buffer_append_string(header, name_text) && buffer_append(header, value, length) &&
           buffer_append_string(header, "\r\n");
}

static bool rsa_sign_message(const struct dkim_key *key, const struct dkim_source *source, struct buffer *header) {
    DKIM_LIB *library = library_for_signing();
    DKIM_STAT status = DKIM_STAT_OK;
    size_t before = header->length;
    if (library == NULL) {
        return false;
    }
    DKIM *dkim = dkim_sign(library, (const unsigned char *)"sign", NULL, (dkim_sigkey_t)key->pem,
                           (const unsigned char *)key->selector, (const unsigned char *)key->domain, DKIM_CANON_RELAXED,
                           DKIM_CANON_RELAXED, DKIM_SIGN_RSASHA256, -1, &status);
    if (dkim == NULL) {
        log_error("DKIM: signing for %s cannot start: %s", key->domain, dkim_getresultstr(status));
        return false;
    }
    bool good = run(dkim, source, &status) && append_field(dkim, header, &status);
    if (!good) {
        const char *reason = dkim_geterror(dkim);
        log_error("DKIM: cannot sign for %s with selector %s: %s%s%s", key->domain, key->selector,
                  dkim_getresultstr(status), reason != NULL ? ": " : "", reason != NULL ? reason : "");
        header->length = before;
    }
    (void)dkim_free(dkim);
    return good;
}

bool dkim_sign_message(const struct dkim_key *key, const struct dkim_source *source, struct buffer *header) {
    struct header_field from;
    if (!header_find(source->headers, "From", &from)) {
        return false;
    }
    return key->openssl_key != NULL ? ed25519_sign_message(key, source, header) : rsa_sign_message(key, source, header);
}
