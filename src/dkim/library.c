/* SPDX-License-Identifier: MIT
 * libopendkim's handles and how a message is fed to them. Called by sign.c in the signer and verify.c in receivers,
 * both sandboxed: no temporary files, no DNS of its own. Header fields are bounded; what passes the bounds is left out,
 * which can only make a signature fail. */
#include "dkim/library.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/header.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE (64u * 1024)
/* libopendkim 2.11 writes one pointer past its list when h= names every field of a message and more
 * (dkim_canon_selecthdrs): strangers choose h=, so each of its blocks gets room for that. */
#define BLOCK_SLACK 64u

static void *block_new(void *closure, size_t size) {
    (void)closure;
    return memory_new(1, size + BLOCK_SLACK);
}

static void block_free(void *closure, void *block) {
    (void)closure;
    free(block);
}

static bool set_option(DKIM_LIB *library, dkim_opts_t option, void *value, size_t size) {
    return dkim_options(library, DKIM_OP_SETOPT, option, value, size) == DKIM_STAT_OK;
}

/* RFC 6376 5.4.1, and what mail programs show or act on. */
const char *const library_signed_fields[] = {"From",
                                             "Reply-To",
                                             "Sender",
                                             "Subject",
                                             "Date",
                                             "To",
                                             "Cc",
                                             "Message-ID",
                                             "In-Reply-To",
                                             "References",
                                             "MIME-Version",
                                             "Content-Type",
                                             "Content-ID",
                                             "Content-Description",
                                             "Content-Transfer-Encoding",
                                             "Resent-Date",
                                             "Resent-From",
                                             "Resent-To",
                                             "Resent-Cc",
                                             "Resent-Message-ID",
                                             "List-Id",
                                             "List-Help",
                                             "List-Unsubscribe",
                                             "List-Unsubscribe-Post",
                                             "List-Subscribe",
                                             "List-Post",
                                             "List-Owner",
                                             "List-Archive",
                                             "Autocrypt",
                                             NULL};
/* Signed once more than it is there (RFC 6376 8.15): a second From, added on the way, breaks the signature. */
static const char *const oversigned_fields[] = {"From", NULL};

DKIM_LIB *library_for_signing(void) {
    static DKIM_LIB *library;
    const char **oversigned = (const char **)oversigned_fields;
    if (library != NULL) {
        return library;
    }
    library = dkim_init(block_new, block_free);
    if (library == NULL || !set_option(library, DKIM_OPTS_SIGNHDRS, (void *)library_signed_fields, sizeof(char **)) ||
        !set_option(library, DKIM_OPTS_OVERSIGNHDRS, oversigned, sizeof(char **))) {
        log_error("DKIM: libopendkim cannot start for signing");
        library = NULL;
    }
    return library;
}

DKIM_LIB *library_for_verifying(void) {
    static DKIM_LIB *library;
    unsigned flags = DKIM_LIBFLAGS_DELAYSIGPROC | DKIM_LIBFLAGS_BADSIGHANDLES;
    if (library != NULL) {
        return library;
    }
    library = dkim_init(block_new, block_free);
    if (library == NULL || !set_option(library, DKIM_OPTS_FLAGS, &flags, sizeof flags) ||
        dkim_set_key_lookup(library, library_find_key) != DKIM_STAT_OK ||
        dkim_set_prescreen(library, library_prescreen) != DKIM_STAT_OK) {
        log_error("DKIM: libopendkim cannot start for verifying");
        library = NULL;
    }
    return library;
}

void dkim_prepare(void) {
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                              NULL);
    EVP_MD_free(EVP_MD_fetch(NULL, "SHA256", NULL));
    (void)library_for_signing();
    (void)library_for_verifying();
}

static struct text without_line_end(struct text field) {
    if (field.length > 0 && field.data[field.length - 1] == '\n') {
        field.length--;
    }
    if (field.length > 0 && field.data[field.length - 1] == '\r') {
        field.length--;
    }
    return field;
}

static bool may_be_fed(const struct header_field *field, unsigned fields, unsigned *signatures) {
    if (fields > DKIM_FIELDS_MAXIMUM || field->whole.length > DKIM_FIELD_MAXIMUM) {
        return false;
    }
    if (!text_equal_nocase(field->name, TEXT(DKIM_SIGNHEADER))) {
        return true;
    }
    if (field->whole.length > DKIM_SIGNATURE_FIELD_MAXIMUM) {
        return false;
    }
    return ++*signatures <= DKIM_SIGNATURES_MAXIMUM;
}

bool library_feed_headers(DKIM *dkim, struct text headers, unsigned *signatures) {
    struct header_field field;
    unsigned fields = 0;
    *signatures = 0;
    while (header_next(&headers, &field)) {
        if (!may_be_fed(&field, ++fields, signatures)) {
            continue;
        }
        struct text whole = without_line_end(field.whole);
        /* A field that it finds malformed is its own matter: a bad DKIM-Signature shows in the results. */
        DKIM_STAT status = dkim_header(dkim, (u_char *)whole.data, whole.length);
        if (status == DKIM_STAT_NORESOURCE || status == DKIM_STAT_INTERNAL) {
            return false;
        }
    }
    return true;
}

/* What libopendkim has had of the body. */
struct feeding {
    DKIM *dkim;
    bool some;
    char last[2];
};

static bool feed(struct feeding *feeding, const char *bytes, size_t length) {
    if (length > 0) {
        feeding->some = true;
        feeding->last[0] = length > 1 ? bytes[length - 2] : feeding->last[1];
        feeding->last[1] = bytes[length - 1];
    }
    return length == 0 || dkim_body(feeding->dkim, (u_char *)bytes, length) == DKIM_STAT_OK;
}

/* RFC 6376 3.4.3, 3.4.4: what BDAT brought may end within a line, which counts as if it were whole. */
static bool feed_end(struct feeding *feeding) {
    bool whole = feeding->last[0] == '\r' && feeding->last[1] == '\n';
    return whole || !feeding->some || feed(feeding, "\r\n", 2);
}

bool library_feed_body(DKIM *dkim, const struct dkim_source *source) {
    struct feeding feeding = {.dkim = dkim};
    bool good = true;
    if (source->fd < 0) {
        for (size_t at = 0; good && at < source->body.length; at += CHUNK_SIZE) {
            struct text chunk = text_first(text_from(source->body, at), CHUNK_SIZE);
            good = feed(&feeding, chunk.data, chunk.length);
        }
        return good && feed_end(&feeding);
    }
    char *chunk = memory_new(CHUNK_SIZE, 1);
    for (uint64_t at = 0; good && at < source->length; at += CHUNK_SIZE) {
        size_t length = source->length - at < CHUNK_SIZE ? (size_t)(source->length - at) : CHUNK_SIZE;
        if (!file_pread_all(source->fd, chunk, length, (off_t)(source->offset + at))) {
            log_error("DKIM: the message cannot be read: %s", errno != 0 ? strerror(errno) : "it is shorter than said");
            good = false;
            break;
        }
        good = feed(&feeding, chunk, length);
    }
    free(chunk);
    return good && feed_end(&feeding);
}
