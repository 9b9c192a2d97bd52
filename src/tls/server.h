/* SPDX-License-Identifier: MIT
 * Private to tls/: the server's side, which is made in the listener and inherited by receivers, and the files. */
#ifndef TLS_SERVER_H
#define TLS_SERVER_H
#include "tls/session.h"

/* A key that tickets are encrypted and signed with, and the name that it has in them (RFC 5077 4). */
struct ticket_key {
    unsigned char name[16], cipher[32], mac[32];
};
struct ticket_keys {
    struct ticket_key keys[2]; /* the one in use, the one before */
    bool has_former;
    int64_t made_at, lifetime; /* clock_now_ms; milliseconds */
    EVP_CIPHER *cipher;        /* looked up once */
};
/* When a certificate is valid, and what was last told of it. */
enum validity { VALIDITY_NOW, VALIDITY_NOT_YET, VALIDITY_OVER };
struct validity_period {
    char *file;
    int64_t begins, ends; /* seconds since 1970 */
    enum validity state;
};
struct tls_server {
    char **names;       /* of the identities */
    SSL_CTX **contexts; /* and theirs; every connection begins with the first */
    size_t count;
    struct ticket_keys tickets;
    struct validity_period *periods; /* of all files */
    size_t period_count;
};

/* ---- certificate.c ---- */
/* Puts a chain (PEM), or one certificate (DER), into a context, with the key of this number elsewhere. */
bool certificate_use_file(SSL_CTX *context, const char *file, uint32_t number, struct buffer *error);
bool certificate_use(SSL_CTX *context, struct text der, uint32_t number, struct buffer *error);
/* The first of a file; NULL with a sentence. A key that is open to everybody is none. */
X509 *certificate_read(const char *file, struct buffer *error);
EVP_PKEY *certificate_read_key(const char *file, struct buffer *error);
/* Of a key with a passphrase: nobody is there to type it. context: a bool that says that one was wanted, or NULL. */
int no_passphrase(char *bytes, int size, int writing, void *context);
bool certificate_is_readable(const char *what, const char *file, struct buffer *error);
/* The subject's or issuer's name as RFC 4514 writes it, cut where it does not fit. */
void certificate_name(const X509_NAME *name, char *text, size_t size);
/* SHA-256 of the whole: "AB:CD:…". */
void certificate_fingerprint(const X509 *certificate, char text[3 * 32]);

/* ---- channel_binding.c ---- */
/* SSL_CTX_set_session_ticket_cb(3): puts into a new ticket what tls_channel_binding needs of it later. */
int channel_binding_keep(SSL *ssl, void *context);

/* ---- self_signed.c ---- */
/* The key; its certificate is appended to der. NULL when OpenSSL fails. */
EVP_PKEY *self_signed_make(const char *name, struct buffer *der);

/* ---- preset.c ---- */
bool preset_apply(SSL_CTX *context, enum tls_preset preset);
bool preset_allows(enum tls_preset preset, int version);

/* ---- random.c ---- */
/* OpenSSL's random bytes are the kernel's from now on, in this process and those it forks. */
bool random_prepare(void);

/* ---- ticket.c ---- */
bool ticket_keys_init(struct ticket_keys *keys, long lifetime);
void ticket_keys_free(struct ticket_keys *keys);
/* How tickets are made on this context; its application data is the struct tls_server. */
bool ticket_prepare(SSL_CTX *context, const struct ticket_keys *keys);

/* ---- client_certificate.c ---- */
/* Asks clients for certificates. The authorities are read once into store, which every context gets. */
bool client_certificate_read(const char *file, X509_STORE **store, STACK_OF(X509_NAME) * *names, struct buffer *error);
bool client_certificate_ask(SSL_CTX *context, X509_STORE *store, const STACK_OF(X509_NAME) * names);
void client_certificate_facts(const SSL *ssl, struct tls_facts *facts);

/* ---- validity.c ---- */
void validity_add(struct tls_server *server, const X509 *certificate, const char *file);
void validity_free(struct tls_server *server);

/* ---- rehearsal.c ---- */
/* A handshake of each version with ourselves. name: the certificate's file, for the sentence. */
bool rehearse(SSL_CTX *context, enum tls_preset preset, const char *name, struct buffer *error);
#endif
