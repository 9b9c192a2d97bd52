/* SPDX-License-Identifier: MIT
 * Private keys that are elsewhere: which kinds of keys shake hands through the provider in which versions, what is
 * never signed, and what is left when the signer is gone. */
#include "base/file.h"
#include "tls/keys.h"
#include "tls/provider.h"
#include "tls/scheme.h"
#include "tls/server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>

static char directory[] = "/tmp/parcelpost-keys-XXXXXX";

struct kind {
    const char *name, *file;
    EVP_PKEY *(*make)(void);
    bool tls12;
};

static EVP_PKEY *make_by_name(const char *name) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, name, NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_generate(context, &key), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}
static EVP_PKEY *make_rsa(void) {
    return EVP_RSA_gen(2048);
}
static EVP_PKEY *make_rsa_pss(void) {
    return make_by_name("RSA-PSS");
}
static EVP_PKEY *make_p256(void) {
    return EVP_EC_gen("P-256");
}
static EVP_PKEY *make_p384(void) {
    return EVP_EC_gen("P-384");
}
static EVP_PKEY *make_ed25519(void) {
    return make_by_name("ED25519");
}
static EVP_PKEY *make_ed448(void) {
    return make_by_name("ED448");
}

static const struct kind kinds[] = {
    {"RSA", "rsa", make_rsa, true},
    {"RSA-PSS", "pss", make_rsa_pss, true},
    {"P-256", "p256", make_p256, true},
    {"P-384", "p384", make_p384, true},
    {"Ed25519", "ed25519", make_ed25519, true},
    {"Ed448", "ed448", make_ed448, true},
};
#define KINDS (sizeof kinds / sizeof kinds[0])
static char certificates[KINDS][64], private_keys[KINDS][64];

static void write_pair(const struct kind *kind, const char *certificate_file, const char *key_file) {
    EVP_PKEY *key = kind->make();
    X509 *certificate = X509_new();
    FILE *stream = fopen(key_file, "w");

    (void)fchmod(fileno(stream), 0600);
    assert_int_equal(PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(stream);
    (void)X509_set_version(certificate, 2);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                     (const unsigned char *)kind->file, -1, -1, 0);
    (void)X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, strncmp(kind->file, "ed", 2) == 0 ? NULL : EVP_sha256()) > 0);
    stream = fopen(certificate_file, "w");
    assert_int_equal(PEM_write_X509(stream, certificate), 1);
    (void)fclose(stream);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* The provider is there before any key is: what is made from here on must not become one of its keys. */
static int set_up(void **state) {
    (void)state;
    if (!provider_load() || mkdtemp(directory) == NULL)
        return -1;
    for (size_t i = 0; i < KINDS; i++) {
        (void)snprintf(certificates[i], sizeof certificates[i], "%s/%s.crt", directory, kinds[i].file);
        (void)snprintf(private_keys[i], sizeof private_keys[i], "%s/%s.key", directory, kinds[i].file);
        write_pair(&kinds[i], certificates[i], private_keys[i]);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        (void)unlink(certificates[i]);
        (void)unlink(private_keys[i]);
    }
    return rmdir(directory);
}

/* ---- a server with all of them, each its own name ---- */

static const char *paths[2][KINDS];
static struct tls_identity identities[KINDS];

static struct tls_settings all_kinds(enum tls_preset preset) {
    for (size_t i = 0; i < KINDS; i++) {
        paths[0][i] = certificates[i];
        paths[1][i] = private_keys[i];
        identities[i] = (struct tls_identity){.name = i == 0 ? "" : kinds[i].file,
                                              .certificates = &paths[0][i],
                                              .private_keys = &paths[1][i],
                                              .count = 1};
    }
    return (struct tls_settings){.identities = identities,
                                 .count = KINDS,
                                 .own_name = "mail.example.test",
                                 .client_ca = "",
                                 .preset = preset,
                                 .session_lifetime = 0};
}

static struct tls_keys *read_keys(const struct tls_settings *settings) {
    struct buffer self_signed, error;

    buffer_init(&self_signed, 4096);
    buffer_init(&error, 4096);
    struct tls_keys *keys = tls_keys_read(settings, &self_signed, &error);
    if (keys == NULL)
        fail_msg("%s", buffer_string(&error));
    assert_int_equal(self_signed.length, 0);
    buffer_free(&self_signed);
    buffer_free(&error);
    return keys;
}

static struct tls_server *make_server(const struct tls_settings *settings) {
    struct buffer error;

    buffer_init(&error, 4096);
    struct tls_server *server = tls_server_new(settings, &error);
    if (server == NULL)
        fail_msg("%s", buffer_string(&error));
    buffer_free(&error);
    return server;
}

/* The scheme that signed, or NULL when there was no handshake. The client checks the signature. */
static const char *shake(SSL_CTX *context, int version, const char *schemes) {
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    SSL *ours = SSL_new(context), *theirs = SSL_new(client);
    BIO *up = NULL, *down = NULL;
    int hash = NID_undef;
    const char *name = NULL;

    assert_int_equal(BIO_new_bio_pair(&up, 0, &down, 0), 1);
    SSL_set_security_level(theirs, 0);
    SSL_set_bio(ours, up, up);
    SSL_set_bio(theirs, down, down);
    SSL_set_accept_state(ours);
    SSL_set_connect_state(theirs);
    assert_int_equal(SSL_set_min_proto_version(theirs, version), 1);
    assert_int_equal(SSL_set_max_proto_version(theirs, version), 1);
    if (schemes != NULL)
        assert_int_equal(SSL_set1_sigalgs_list(theirs, schemes), 1);
    if (version < TLS1_2_VERSION)
        assert_int_equal(SSL_set_cipher_list(theirs, "ALL:@SECLEVEL=0"), 1);
    for (int i = 0; i < 20 && !(SSL_is_init_finished(ours) && SSL_is_init_finished(theirs)); i++) {
        (void)SSL_do_handshake(theirs);
        (void)SSL_do_handshake(ours);
    }
    if (SSL_is_init_finished(ours) && SSL_is_init_finished(theirs))
        name = SSL_get_peer_signature_nid(theirs, &hash) == 1 ? OBJ_nid2sn(hash) : "none";
    SSL_free(ours);
    SSL_free(theirs);
    SSL_CTX_free(client);
    ERR_clear_error();
    return name;
}

static void every_kind_of_key_signs_in_every_version(void **state) {
    struct tls_settings settings = all_kinds(TLS_PRESET_INTERMEDIATE);
    struct tls_keys *keys = read_keys(&settings);

    (void)state;
    tls_keys_use(keys);
    struct tls_server *server = make_server(&settings);
    for (size_t i = 0; i < KINDS; i++) {
        print_message("  %s\n", kinds[i].name);
        assert_non_null(shake(server->contexts[i], TLS1_3_VERSION, NULL));
        assert_non_null(shake(server->contexts[i], TLS1_2_VERSION, NULL));
    }
    tls_server_free(server);
    tls_keys_free(keys);
}

static void the_client_chooses_padding_and_digest(void **state) {
    static const struct {
        size_t kind;
        int version;
        const char *scheme, *digest;
    } rows[] = {
        {0, TLS1_3_VERSION, "rsa_pss_rsae_sha256", "SHA256"},
        {0, TLS1_3_VERSION, "rsa_pss_rsae_sha512", "SHA512"},
        {0, TLS1_2_VERSION, "rsa_pss_rsae_sha384", "SHA384"},
        {0, TLS1_2_VERSION, "RSA+SHA256", "SHA256"},
        {0, TLS1_2_VERSION, "RSA+SHA512", "SHA512"},
        {0, TLS1_2_VERSION, "RSA+SHA224", "SHA224"},
        {0, TLS1_2_VERSION, "RSA+SHA1", "SHA1"},
        {1, TLS1_3_VERSION, "rsa_pss_pss_sha384", "SHA384"},
        {2, TLS1_2_VERSION, "ECDSA+SHA384", "SHA384"},
        {2, TLS1_3_VERSION, "ECDSA+SHA256", "SHA256"},
    };
    struct tls_settings settings = all_kinds(TLS_PRESET_OLD);
    struct tls_keys *keys = read_keys(&settings);

    (void)state;
    tls_keys_use(keys);
    struct tls_server *server = make_server(&settings);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *digest = shake(server->contexts[rows[i].kind], rows[i].version, rows[i].scheme);
        if (digest == NULL || strcmp(digest, rows[i].digest) != 0)
            fail_msg("%s: %s", rows[i].scheme, digest != NULL ? digest : "no handshake");
    }
    assert_non_null(shake(server->contexts[0], TLS1_1_VERSION, NULL)); /* two digests in one */
    assert_non_null(shake(server->contexts[2], TLS1_VERSION, NULL));
    tls_server_free(server);
    tls_keys_free(keys);
}

static void keys_come_back_from_their_file(void **state) {
    struct tls_settings settings = all_kinds(TLS_PRESET_INTERMEDIATE);
    struct tls_keys *keys = read_keys(&settings);
    int fd = file_memory("keys");

    (void)state;
    assert_true(tls_keys_store(keys, fd));
    tls_keys_free(keys);
    for (int i = 0; i < 2; i++) { /* as each signer does, from one descriptor */
        keys = tls_keys_load(fd, TLS_PRESET_INTERMEDIATE);
        assert_non_null(keys);
        assert_int_equal(tls_keys_count(keys), KINDS);
        tls_keys_use(keys);
        struct tls_server *server = make_server(&settings);
        tls_server_free(server);
        tls_keys_free(keys);
    }
    assert_int_equal(ftruncate(fd, file_size(fd) - 1), 0);
    assert_null(tls_keys_load(fd, TLS_PRESET_INTERMEDIATE));
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_null(tls_keys_load(fd, TLS_PRESET_INTERMEDIATE));
    close(fd);
}

/* ---- what is signed ---- */

static struct buffer content;

static struct text verify(const char *context, char blank, size_t hash) {
    buffer_clear(&content);
    for (size_t i = 0; i < 64; i++)
        (void)buffer_append_byte(&content, blank);
    (void)buffer_append(&content, context, strlen(context) + 1);
    for (size_t i = 0; i < hash; i++)
        (void)buffer_append_byte(&content, (char)i);
    return buffer_text(&content);
}

/* Two randoms, then these bytes. */
static struct text exchange(struct text parameters) {
    buffer_clear(&content);
    for (size_t i = 0; i < 64; i++)
        (void)buffer_append_byte(&content, (char)(7 * i));
    (void)buffer_append_text(&content, parameters);
    return buffer_text(&content);
}

#define SERVER_VERIFY "TLS 1.3, server CertificateVerify"

static void only_what_a_server_signs_is_signed(void **state) {
    const struct scheme *pss = scheme_of_code(0x0804), *pkcs1 = scheme_of_code(0x0401), *ec = scheme_of_code(0x0403);

    (void)state;
    buffer_init(&content, 8192);
    assert_true(scheme_signs(pss, verify(SERVER_VERIFY, ' ', 32)) && scheme_signs(ec, verify(SERVER_VERIFY, ' ', 48)));
    assert_false(scheme_signs(pkcs1, verify(SERVER_VERIFY, ' ', 32))); /* RFC 8446 4.2.3 */
    assert_false(scheme_signs(pss, verify(SERVER_VERIFY, ' ', 31)));
    assert_false(scheme_signs(pss, verify(SERVER_VERIFY, ' ', 64)));
    assert_false(scheme_signs(pss, verify(SERVER_VERIFY, 'x', 32)));
    assert_false(scheme_signs(pss, verify("TLS 1.3, client CertificateVerify", ' ', 32)));
    assert_true(scheme_signs(pkcs1, exchange(TEXT("\x03\x00\x17\x04\x04xyz"))));
    assert_false(scheme_signs(pkcs1, exchange(TEXT("\x03\x00\x17\x04\x04xyz!"))));
    assert_false(scheme_signs(pkcs1, exchange(TEXT("\x03\x00\x17\x05\x04xyz"))));
    assert_false(scheme_signs(pkcs1, exchange(TEXT("\x03\x00\x17\x00"))));
    assert_false(scheme_signs(pkcs1, exchange(TEXT("\x03\x00"))));
    assert_false(scheme_signs(pkcs1, exchange(TEXT_NONE)));
    assert_true(scheme_signs(pkcs1, exchange(TEXT("\x00\x04pppp\x00\x01\x02\x00\x03yyy"))));
    assert_false(scheme_signs(pkcs1, exchange(TEXT("\x00\x04pppp\x00\x01\x02\x00\x03yyyy"))));
    assert_false(scheme_signs(pkcs1, exchange(TEXT("\x00\x04pppp\x00\x01\x02\x00\x04yyy"))));
    assert_false(scheme_signs(pkcs1, exchange(TEXT("\x00\x02pp\x00\x01\x02\x00\x03yyy"))));
    assert_false(scheme_signs(pkcs1, exchange(TEXT("\x00\x04pppp\x00\x01\x03\x00\x03yyy"))));
    assert_false(
        scheme_signs(ec, exchange(TEXT("\x00\x04pppp\x00\x01\x02\x00\x03yyy")))); /* RFC 5246 7.4.3: RSA alone */
    assert_false(scheme_signs(pkcs1, TEXT("from:Coco <coco@example.test>\r\ndkim-signature:v=1; a=rsa-sha256; b=")));
    assert_false(scheme_signs(pkcs1, TEXT("0123456789abcdef0123456789abcdef")));
    assert_false(scheme_signs(pss, TEXT_NONE));
    buffer_free(&content);
}

/* Handshakes of TLS 1.2 in which a client shows a certificate, up to his signature over all of them: their beginning is
 * his, and reads like a server's parameters with the certificates of both in the last. */
static void what_a_client_with_a_certificate_signs_is_refused(void **state) {
    static const char certificates_of_both[900] = "\x02\x00\x00\x60\x03\x03";
    static const unsigned char generator_and_length[] = {0, 1, 2, sizeof certificates_of_both >> 8,
                                                         sizeof certificates_of_both & 0xff};
    static const unsigned char longest_point[] = {3, 0, 0x17, 0xff};
    struct buffer parameters;

    (void)state;
    buffer_init(&content, 8192);
    buffer_init(&parameters, 8192);
    for (unsigned prime = 64; prime <= 2048; prime *= 2) {
        static const char suites[2048];
        const unsigned char length[] = {(unsigned char)(prime >> 8), (unsigned char)(prime & 0xff)};
        buffer_clear(&parameters);
        (void)buffer_append(&parameters, length, sizeof length);
        (void)buffer_append(&parameters, suites, prime);
        (void)buffer_append(&parameters, generator_and_length, sizeof generator_and_length);
        (void)buffer_append(&parameters, certificates_of_both, sizeof certificates_of_both);
        assert_false(scheme_signs(scheme_of_code(0x0401), exchange(buffer_text(&parameters))));
    }
    buffer_clear(&parameters);
    (void)buffer_append(&parameters, longest_point, sizeof longest_point);
    (void)buffer_append(&parameters, certificates_of_both, 0xff);
    assert_false(scheme_signs(scheme_of_code(0x0403), exchange(buffer_text(&parameters))));
    buffer_free(&parameters);
    buffer_free(&content);
}

static void sha1_is_signed_with_the_old_preset_alone(void **state) {
    static const enum tls_preset presets[] = {TLS_PRESET_MODERN, TLS_PRESET_INTERMEDIATE, TLS_PRESET_OLD};
    struct buffer signature;

    (void)state;
    buffer_init(&content, 8192);
    buffer_init(&signature, 4 * TLS_SIGNATURE_MAXIMUM);
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        struct tls_settings settings = all_kinds(presets[i]);
        struct tls_keys *keys = read_keys(&settings);
        enum tls_signed wanted = presets[i] == TLS_PRESET_OLD ? TLS_SIGNED : TLS_SIGN_REFUSED;
        struct text good = exchange(TEXT("\x03\x00\x17\x04\x04xyz"));
        assert_int_equal(tls_keys_sign(keys, 0, 0x0201, good, &signature), wanted);
        assert_int_equal(tls_keys_sign(keys, 0, SCHEME_RSA_MD5_SHA1, good, &signature), wanted);
        assert_int_equal(tls_keys_sign(keys, 2, 0x0203, good, &signature), wanted);
        assert_int_equal(tls_keys_sign(keys, 0, 0x0401, good, &signature), TLS_SIGNED);
        buffer_clear(&signature);
        tls_keys_free(keys);
    }
    buffer_free(&signature);
    buffer_free(&content);
}

static void no_other_key_and_no_other_scheme(void **state) {
    struct tls_settings settings = all_kinds(TLS_PRESET_INTERMEDIATE);
    struct tls_keys *keys = read_keys(&settings);
    struct buffer signature;

    (void)state;
    buffer_init(&content, 8192);
    buffer_init(&signature, TLS_SIGNATURE_MAXIMUM);
    struct text good = verify(SERVER_VERIFY, ' ', 32);
    assert_int_equal(tls_keys_sign(keys, 0, 0x0804, good, &signature), TLS_SIGNED);
    assert_int_equal(signature.length, 256);
    buffer_clear(&signature);
    assert_int_equal(tls_keys_sign(keys, KINDS, 0x0804, good, &signature), TLS_SIGN_REFUSED);
    assert_int_equal(tls_keys_sign(keys, UINT32_MAX, 0x0804, good, &signature), TLS_SIGN_REFUSED);
    assert_int_equal(tls_keys_sign(keys, 2, 0x0804, good, &signature), TLS_SIGN_REFUSED); /* an EC key */
    assert_int_equal(tls_keys_sign(keys, 0, 0x0809, good, &signature), TLS_SIGN_REFUSED); /* no RSA-PSS key */
    assert_int_equal(tls_keys_sign(keys, 0, 0, good, &signature), TLS_SIGN_REFUSED);
    assert_int_equal(tls_keys_sign(keys, 0, 0x0804, text_from(good, 1), &signature), TLS_SIGN_REFUSED);
    assert_int_equal(signature.length, 0);
    buffer_free(&signature);
    buffer_free(&content);
    tls_keys_free(keys);
}

/* ---- the provider ---- */

static int refusals;
static bool refuse(int channel, uint32_t key, uint32_t scheme, struct text what, struct buffer *signature) {
    (void)channel;
    (void)key;
    (void)scheme;
    (void)what;
    (void)signature;
    refusals++;
    return false;
}

static void a_signer_that_is_gone_fails_the_handshake_and_nothing_else(void **state) {
    struct tls_settings settings = all_kinds(TLS_PRESET_INTERMEDIATE);
    struct tls_keys *keys = read_keys(&settings);

    (void)state;
    tls_keys_use(keys);
    struct tls_server *server = make_server(&settings);
    for (size_t i = 0; i < KINDS; i++) {
        refusals = 0;
        tls_set_signer(refuse, -1);
        assert_null(shake(server->contexts[i], TLS1_3_VERSION, NULL));
        assert_null(shake(server->contexts[i], TLS1_2_VERSION, NULL));
        assert_int_equal(refusals, 2);
        tls_set_signer(NULL, -1);
        assert_null(shake(server->contexts[i], TLS1_3_VERSION, NULL));
        tls_keys_use(keys);
        assert_non_null(shake(server->contexts[i], TLS1_3_VERSION, NULL));
    }
    tls_server_free(server);
    tls_keys_free(keys);
}

static int take_nothing(const OSSL_PARAM parameters[], void *context) {
    (void)parameters;
    (void)context;
    return 1;
}

static void a_key_of_the_provider_gives_nothing_away(void **state) {
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        FILE *stream = fopen(certificates[i], "r");
        X509 *certificate = PEM_read_X509(stream, NULL, NULL, NULL);
        EVP_PKEY *key = provider_key(certificate, (uint32_t)i);
        BIGNUM *number = NULL;
        unsigned char bytes[128];
        size_t length = sizeof bytes;
        (void)fclose(stream);
        assert_non_null(key);
        assert_int_equal(X509_check_private_key(certificate, key), 1);
        assert_int_equal(EVP_PKEY_export(key, EVP_PKEY_PUBLIC_KEY, take_nothing, NULL), 1);
        assert_int_equal(EVP_PKEY_export(key, EVP_PKEY_KEYPAIR, take_nothing, NULL), 0);
        assert_int_equal(EVP_PKEY_get_bn_param(key, "d", &number), 0);
        assert_int_equal(EVP_PKEY_get_bn_param(key, "priv", &number), 0);
        assert_int_equal(EVP_PKEY_get_raw_private_key(key, bytes, &length), 0);
        X509 *other = X509_dup(certificate);
        EVP_PKEY *stranger = kinds[i].make();
        assert_int_equal(X509_set_pubkey(other, stranger), 1);
        EVP_PKEY_free(stranger);
        assert_int_equal(X509_check_private_key(other, key), 0);
        X509_free(other);
        X509_free(certificate);
        EVP_PKEY_free(key);
        ERR_clear_error();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_key_signs_in_every_version),
        cmocka_unit_test(the_client_chooses_padding_and_digest),
        cmocka_unit_test(keys_come_back_from_their_file),
        cmocka_unit_test(only_what_a_server_signs_is_signed),
        cmocka_unit_test(what_a_client_with_a_certificate_signs_is_refused),
        cmocka_unit_test(sha1_is_signed_with_the_old_preset_alone),
        cmocka_unit_test(no_other_key_and_no_other_scheme),
        cmocka_unit_test(a_signer_that_is_gone_fails_the_handshake_and_nothing_else),
        cmocka_unit_test(a_key_of_the_provider_gives_nothing_away),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
