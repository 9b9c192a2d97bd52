/* SPDX-License-Identifier: MIT
 * The provider and its keys (provider-keymgmt(7)), in the listener and, inherited, in receivers: OpenSSL sees a private
 * key of the certificate's kind, and finds out only by having it sign that there is none. Every question about the key
 * is one about its public half, which OpenSSL's own provider answers. Nothing private can be exported from it. */
#include "tls/provider.h"
#include "base/memory.h"
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>

#define NUMBER_PARAMETER "parcelpost-number"
#define FUNCTION(function) ((void (*)(void))(function))

/* ---- keys ---- */

static void *key_new(const char *type) {
    struct delegated_key *key = memory_new(1, sizeof *key);

    key->type = type;
    return key;
}

static void key_free(void *data) {
    struct delegated_key *key = data;

    if (key == NULL)
        return;
    EVP_PKEY_free(key->public);
    free(key);
}

static int key_has(const void *data, int selection) {
    const struct delegated_key *key = data;

    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && !key->signs)
        return 0;
    return key->public != NULL;
}

static int key_match(const void *one, const void *other, int selection) {
    const struct delegated_key *first = one, *second = other;

    (void)selection;
    return EVP_PKEY_eq(first->public, second->public) == 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM parameters[]) {
    struct delegated_key *key = data;
    const OSSL_PARAM *number = OSSL_PARAM_locate_const(parameters, NUMBER_PARAMETER);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, key->type, NULL);
    bool good = context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
                EVP_PKEY_fromdata(context, &key->public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)parameters) == 1;

    (void)selection;
    EVP_PKEY_CTX_free(context);
    key->signs = good && number != NULL && OSSL_PARAM_get_uint32(number, &key->number) == 1;
    return good;
}

/* Who wants all of it wants to sign by himself. */
static int key_export(void *data, int selection, OSSL_CALLBACK *take, void *context) {
    const struct delegated_key *key = data;

    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
        return 0;
    return EVP_PKEY_export(key->public, selection, take, context);
}

/* OpenSSL looks at these lists for names alone. */
static const OSSL_PARAM *key_types(int selection) {
    static const OSSL_PARAM types[] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};

    return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 ? types : NULL;
}

static int key_get(void *data, OSSL_PARAM parameters[]) {
    const struct delegated_key *key = data;

    return EVP_PKEY_get_params(key->public, parameters);
}

static const OSSL_PARAM *key_gettable(void *provider) {
    static const OSSL_PARAM gettable[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                                          OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                                          OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                                          OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
                                          OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
                                          OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                          OSSL_PARAM_END};

    (void)provider;
    return gettable;
}

/* One signature for all kinds, under a name that no other provider has: it is never taken for OpenSSL's. */
static const char *key_operation(int operation) {
    return operation == OSSL_OP_SIGNATURE ? PROVIDER_NAME : NULL;
}

/* ---- what the provider offers ---- */

#define KEY_KIND(kind, type)                                                                                           \
    static void *new_##kind(void *provider) {                                                                          \
        (void)provider;                                                                                                \
        return key_new(type);                                                                                          \
    }                                                                                                                  \
    static const OSSL_DISPATCH kind##_key[] = {{OSSL_FUNC_KEYMGMT_NEW, FUNCTION(new_##kind)},                          \
                                               {OSSL_FUNC_KEYMGMT_FREE, FUNCTION(key_free)},                           \
                                               {OSSL_FUNC_KEYMGMT_HAS, FUNCTION(key_has)},                             \
                                               {OSSL_FUNC_KEYMGMT_MATCH, FUNCTION(key_match)},                         \
                                               {OSSL_FUNC_KEYMGMT_IMPORT, FUNCTION(key_import)},                       \
                                               {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, FUNCTION(key_types)},                  \
                                               {OSSL_FUNC_KEYMGMT_EXPORT, FUNCTION(key_export)},                       \
                                               {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, FUNCTION(key_types)},                  \
                                               {OSSL_FUNC_KEYMGMT_GET_PARAMS, FUNCTION(key_get)},                      \
                                               {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, FUNCTION(key_gettable)},            \
                                               {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, FUNCTION(key_operation)},      \
                                               {0, NULL}};

KEY_KIND(rsa, "RSA")
KEY_KIND(rsa_pss, "RSA-PSS")
KEY_KIND(ec, "EC")
KEY_KIND(ed25519, "ED25519")
KEY_KIND(ed448, "ED448")

#define OURS "provider=" PROVIDER_NAME
/* Names as OpenSSL's own provider has them: they say what a key is. */
static const OSSL_ALGORITHM kinds[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", OURS, rsa_key, NULL},
    {"RSA-PSS:RSASSA-PSS:1.2.840.113549.1.1.10", OURS, rsa_pss_key, NULL},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", OURS, ec_key, NULL},
    {"ED25519:1.3.101.112", OURS, ed25519_key, NULL},
    {"ED448:1.3.101.113", OURS, ed448_key, NULL},
    {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM signatures[] = {{PROVIDER_NAME, OURS, provider_signature, NULL}, {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache) {
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_KEYMGMT ? kinds : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int initialise(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **functions,
                      void **context) {
    static const OSSL_DISPATCH provided[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, FUNCTION(query)}, {0, NULL}};

    (void)handle;
    (void)core;
    *functions = provided;
    *context = (void *)(uintptr_t)provided; /* unused, but NULL is none */
    return 1;
}

/* A library context of its own: in OpenSSL's, every key that anybody in this process makes or reads could become one of
 * this provider's, which has none to make. A key finds its signature by the provider that it is of. */
static OSSL_LIB_CTX *library;

bool provider_load(void) {
    if (library != NULL)
        return true;
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
    if (made != NULL && OSSL_PROVIDER_add_builtin(made, PROVIDER_NAME, initialise) == 1 &&
        OSSL_PROVIDER_load(made, PROVIDER_NAME) != NULL) {
        library = made; /* for good: children inherit it */
        return true;
    }
    OSSL_LIB_CTX_free(made);
    return false;
}

EVP_PKEY *provider_key(const X509 *certificate, uint32_t number) {
    const EVP_PKEY *public = X509_get0_pubkey(certificate);
    const char *type = public != NULL ? EVP_PKEY_get0_type_name(public) : NULL;
    OSSL_PARAM own[] = {OSSL_PARAM_construct_uint32(NUMBER_PARAMETER, &number), OSSL_PARAM_construct_end()};
    OSSL_PARAM *half = NULL, *all = NULL;
    EVP_PKEY_CTX *context = type != NULL ? EVP_PKEY_CTX_new_from_name(library, type, NULL) : NULL;
    EVP_PKEY *key = NULL;

    if (context != NULL && EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &half) == 1 &&
        (all = OSSL_PARAM_merge(half, own)) != NULL && EVP_PKEY_fromdata_init(context) == 1)
        (void)EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, all);
    OSSL_PARAM_free(all);
    OSSL_PARAM_free(half);
    EVP_PKEY_CTX_free(context);
    return key;
}
