/* SPDX-License-Identifier: MIT
 * The provider's signature (provider-signature(7)): OpenSSL says digest and padding, then what it wants signed, all at
 * once, as the handshakes of every version do; the scheme of RFC 8446 that this comes to goes to the process's signer
 * with the content as it is. Called within handshakes in receivers, confined, and at the listener's rehearsal. A signer
 * that is gone or refuses fails the handshake. */
#include "base/buffer.h"
#include "base/memory.h"
#include "tls/keys.h"
#include "tls/provider.h"
#include "tls/scheme.h"
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTION(function) ((void (*)(void))(function))

static struct {
    tls_sign_function *sign;
    int channel;
} signer;

void tls_set_signer(tls_sign_function *sign, int channel) {
    signer.sign = sign;
    signer.channel = channel;
}

struct signing {
    const struct delegated_key *key;
    int digest; /* NID */
    bool pss;
};

static void *signing_new(void *provider, const char *properties) {
    (void)provider;
    (void)properties;
    return memory_new(1, sizeof(struct signing));
}

static void signing_free(void *data) {
    free(data);
}

/* A name ("PSS") or OpenSSL's number; anything else than the two paddings of signatures is not ours. */
static bool take_padding(const OSSL_PARAM *parameter, bool *pss) {
    int number = 0;
    char words[32] = "", *text = words;

    if (parameter->data_type == OSSL_PARAM_UTF8_STRING) {
        if (OSSL_PARAM_get_utf8_string(parameter, &text, sizeof words) != 1)
            return false;
        number = strcmp(words, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0       ? RSA_PKCS1_PSS_PADDING
                 : strcmp(words, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING
                                                                      : 0;
    } else if (OSSL_PARAM_get_int(parameter, &number) != 1) {
        return false;
    }
    *pss = number == RSA_PKCS1_PSS_PADDING;
    return *pss || number == RSA_PKCS1_PADDING;
}

/* The schemes know one length of salt, that of the digest. */
static bool is_digest_length(const OSSL_PARAM *parameter) {
    int number = 0;
    char words[32] = "", *text = words;

    if (parameter->data_type == OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_get_utf8_string(parameter, &text, sizeof words) == 1 &&
               strcmp(words, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
    return OSSL_PARAM_get_int(parameter, &number) == 1 && number == RSA_PSS_SALTLEN_DIGEST;
}

static int signing_set(void *data, const OSSL_PARAM parameters[]) {
    struct signing *signing = data;
    const OSSL_PARAM *padding =
        parameters != NULL ? OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
    const OSSL_PARAM *salt =
        parameters != NULL ? OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) : NULL;

    return (padding == NULL || take_padding(padding, &signing->pss)) && (salt == NULL || is_digest_length(salt));
}

static const OSSL_PARAM *signing_settable(void *data, void *provider) {
    static const OSSL_PARAM settable[] = {OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
                                          OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
                                          OSSL_PARAM_END};

    (void)data;
    (void)provider;
    return settable;
}

/* A digest that no scheme of this key has is refused here, where OpenSSL asks before it chooses one. */
static int signing_begin(void *data, const char *digest, void *key, const OSSL_PARAM parameters[]) {
    struct signing *signing = data;

    if (key != NULL)
        signing->key = key;
    if (signing->key == NULL || !signing->key->signs)
        return 0;
    signing->pss = strcmp(signing->key->type, "RSA-PSS") == 0;
    signing->digest = digest != NULL && digest[0] != '\0' ? EVP_MD_get_type(EVP_get_digestbyname(digest)) : NID_undef;
    return scheme_has_digest(signing->key->type, signing->digest) && signing_set(data, parameters);
}

/* signature NULL: how long one may become. */
static int signing_sign(void *data, unsigned char *signature, size_t *length, size_t room, const unsigned char *content,
                        size_t content_length) {
    const struct signing *signing = data;
    const struct scheme *scheme = scheme_find(signing->key->type, signing->digest, signing->pss);
    struct buffer made;

    if (signature == NULL) {
        *length = (size_t)EVP_PKEY_get_size(signing->key->public);
        return 1;
    }
    if (scheme == NULL || signer.sign == NULL)
        return 0;
    buffer_init(&made, TLS_SIGNATURE_MAXIMUM);
    bool good = signer.sign(signer.channel, signing->key->number, scheme->code,
                            (struct text){(const char *)content, content_length}, &made) &&
                made.length <= room;
    if (good) {
        memcpy(signature, made.data, made.length);
        *length = made.length;
    }
    buffer_free(&made);
    return good;
}

const OSSL_DISPATCH provider_signature[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, FUNCTION(signing_new)},
    {OSSL_FUNC_SIGNATURE_FREECTX, FUNCTION(signing_free)},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, FUNCTION(signing_begin)},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, FUNCTION(signing_sign)},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, FUNCTION(signing_set)},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, FUNCTION(signing_settable)},
    {0, NULL},
};
