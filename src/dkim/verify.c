/* SPDX-License-Identifier: MIT
 * DKIM verification. Called by receivers, sandboxed, on messages of strangers; keys come through the caller's function.
 * Strict where RFC 6376 and 8301 are: v=1, no rsa-sha1, no RSA key under 1024 bits. A signature that cannot be judged
 * gets a result of its own; only a libopendkim that does not start gives false. */
#include "base/log.h"
#include "dkim/library.h"
#include "dkim/result.h"
#include <string.h>

#define QUERY_NAME_MAXIMUM 253u

static bool has_key_query(DKIM_SIGINFO *signature) {
    const u_char *query = dkim_sig_gettagvalue(signature, false, (u_char *)"q");
    return query == NULL || strstr((const char *)query, "dns/txt") != NULL;
}

DKIM_CBSTAT library_prescreen(DKIM *dkim, DKIM_SIGINFO **signatures, int count) {
    (void)dkim;
    for (int i = 0; i < count; i++) {
        if (dkim_sig_geterror(signatures[i]) == DKIM_SIGERROR_UNKNOWN && !has_key_query(signatures[i])) {
            (void)dkim_sig_seterror(signatures[i], DKIM_SIGERROR_INVALID_Q); /* RFC 6376 3.5 */
        }
    }
    return DKIM_CBSTAT_CONTINUE;
}

static DKIM_CBSTAT take_record(DKIM_SIGINFO *signature, const struct buffer *found, u_char *record, size_t size) {
    if (found->length >= size) {
        (void)dkim_sig_seterror(signature, DKIM_SIGERROR_DNSSYNTAX);
        return DKIM_CBSTAT_ERROR;
    }
    memcpy(record, found->data != NULL ? found->data : "", found->length);
    record[found->length] = '\0';
    return DKIM_CBSTAT_CONTINUE;
}

DKIM_CBSTAT library_find_key(DKIM *dkim, DKIM_SIGINFO *signature, u_char *record, size_t size) {
    const struct library_lookup *asking = dkim_get_user_context(dkim);
    struct buffer name, found;
    DKIM_CBSTAT result = DKIM_CBSTAT_NOTFOUND;
    enum dkim_dns answer = DKIM_DNS_NONE;
    buffer_init(&name, QUERY_NAME_MAXIMUM);
    buffer_init(&found, UINT16_MAX);
    if (buffer_format(&name, "%s." DKIM_DNSKEYNAME ".%s", dkim_sig_getselector(signature),
                      dkim_sig_getdomain(signature))) {
        answer = asking->lookup(asking->context, buffer_string(&name), &found);
    }
    if (answer == DKIM_DNS_FOUND) {
        result = take_record(signature, &found, record, size);
    } else if (answer == DKIM_DNS_TEMPFAIL) {
        (void)dkim_sig_seterror(signature, DKIM_SIGERROR_KEYFAIL);
        result = DKIM_CBSTAT_TRYAGAIN;
    }
    buffer_free(&found);
    buffer_free(&name);
    return result;
}

/* Feeds the message. False when libopendkim gave up on it: then its signatures have no result of their own. */
static bool run(DKIM *dkim, const struct dkim_source *source, unsigned *signatures) {
    if (!library_feed_headers(dkim, source->headers, signatures)) {
        return false;
    }
    if (*signatures == 0) {
        return true;
    }
    DKIM_STAT status = dkim_eoh(dkim);
    if (status == DKIM_STAT_NOSIG) {
        return true;
    }
    if (status != DKIM_STAT_OK || !library_feed_body(dkim, source)) {
        log_info("DKIM: the signatures cannot be judged: %s", dkim_getresultstr(status));
        return false;
    }
    (void)dkim_eom(dkim, NULL); /* the one result it picks; we report every signature's */
    return true;
}

static void report(DKIM *dkim, unsigned signatures, struct buffer *results) {
    DKIM_SIGINFO **list = NULL;
    int count = 0;
    if (signatures == 0) {
        (void)buffer_append_string(results, "dkim=none");
        return;
    }
    if (dkim_getsiglist(dkim, &list, &count) != DKIM_STAT_OK || count <= 0) {
        (void)buffer_append_string(results, "dkim=neutral (no usable signature)");
        return;
    }
    for (int i = 0; i < count; i++) {
        if (!result_append(dkim, list[i], i > 0, results)) {
            return;
        }
    }
}

bool dkim_verify_message(const struct dkim_source *source, dkim_lookup *lookup, void *context, struct buffer *results) {
    DKIM_LIB *library = library_for_verifying();
    DKIM_STAT status = DKIM_STAT_OK;
    struct library_lookup asking = {lookup, context};
    unsigned signatures = 0;
    DKIM *dkim = library != NULL ? dkim_verify(library, (const unsigned char *)"verify", NULL, &status) : NULL;
    if (dkim == NULL) {
        return false;
    }
    (void)dkim_set_user_context(dkim, &asking);
    if (run(dkim, source, &signatures)) {
        report(dkim, signatures, results);
    } else {
        (void)buffer_append_string(results, "dkim=temperror");
    }
    (void)dkim_free(dkim);
    return true;
}
