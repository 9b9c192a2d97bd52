/* SPDX-License-Identifier: MIT
 * DKIM (RFC 6376, 8463) with libopendkim; the only folder that includes its header. Signing runs in the signer,
 * verifying in receivers; DNS goes through the caller's function. */
#ifndef DKIM_DKIM_H
#define DKIM_DKIM_H
#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>
/* Makes everything that the libraries need from the file system (OpenSSL's configuration) or build on first use: call
 * it before a chroot or a sandbox, best before the fork. */
void dkim_prepare(void);
struct dkim_key; /* a private key read into memory */
/* Reads a PEM key, RSA (1024 bits or more) or Ed25519. NULL with a sentence in error. */
struct dkim_key *dkim_key_read(const char *file, const char *domain, const char *selector, struct buffer *error);
void dkim_key_free(struct dkim_key *key);
const char *dkim_key_domain(const struct dkim_key *key);
const char *dkim_key_selector(const struct dkim_key *key);
/* How the message is handed over: header section with the added headers first, then the body in pieces. */
struct dkim_source {
    struct text headers; /* complete fields with CRLF */
    int fd;              /* -1: body holds all of it; else body is at this offset of fd */
    uint64_t offset, length;
    struct text body;
};
/* Appends one DKIM-Signature field with its CRLF. False when libopendkim failed (logged), or there is no From field. */
bool dkim_sign_message(const struct dkim_key *key, const struct dkim_source *source, struct buffer *header);
enum dkim_dns { DKIM_DNS_FOUND, DKIM_DNS_NONE, DKIM_DNS_TEMPFAIL };
/* Looks a TXT record up; record gets the joined strings. */
typedef enum dkim_dns dkim_lookup(void *context, const char *name, struct buffer *record);
/* Appends the method results for Authentication-Results (RFC 8601 2.7.1), "dkim=pass header.d=… header.s=…; dkim=…" or
 * "dkim=none". False only when libopendkim could not be used at all. */
bool dkim_verify_message(const struct dkim_source *source, dkim_lookup *lookup, void *context, struct buffer *results);
/* Makes a new key pair: PEM private key, and the value of its TXT record. kind: "rsa" (2048 bits) or "ed25519". */
bool dkim_key_generate(const char *kind, struct buffer *pem, struct buffer *record, struct buffer *error);
/* The TXT value for an existing PEM key. */
bool dkim_key_record(const char *file, struct buffer *record, struct buffer *error);
#endif
