/* SPDX-License-Identifier: MIT
 * Signature schemes, and what may be signed with them. scheme_signs is called by the signer on bytes of a receiver that
 * may have been taken over: it reads a bounded content to its end and says yes or no. */
#include "tls/scheme.h"
#include <openssl/objects.h>
#include <string.h>

static const struct scheme schemes[] = {
    {0x0804, "RSA", NID_sha256, true, true},
    {0x0805, "RSA", NID_sha384, true, true},
    {0x0806, "RSA", NID_sha512, true, true},
    {0x0401, "RSA", NID_sha256, false, false},
    {0x0501, "RSA", NID_sha384, false, false},
    {0x0601, "RSA", NID_sha512, false, false},
    {0x0301, "RSA", NID_sha224, false, false},
    {0x0201, "RSA", NID_sha1, false, false},
    {SCHEME_RSA_MD5_SHA1, "RSA", NID_md5_sha1, false, false},
    {0x0809, "RSA-PSS", NID_sha256, true, true},
    {0x080a, "RSA-PSS", NID_sha384, true, true},
    {0x080b, "RSA-PSS", NID_sha512, true, true},
    {0x0403, "EC", NID_sha256, false, true},
    {0x0503, "EC", NID_sha384, false, true},
    {0x0603, "EC", NID_sha512, false, true},
    {0x0303, "EC", NID_sha224, false, false},
    {0x0203, "EC", NID_sha1, false, false},
    {0x0807, "ED25519", NID_undef, false, true},
    {0x0808, "ED448", NID_undef, false, true},
};
#define SCHEMES (sizeof schemes / sizeof schemes[0])

const struct scheme *scheme_of_code(uint32_t code) {
    for (size_t i = 0; i < SCHEMES; i++)
        if (schemes[i].code == code)
            return &schemes[i];
    return NULL;
}

const struct scheme *scheme_find(const char *type, int digest, bool pss) {
    for (size_t i = 0; i < SCHEMES; i++)
        if (strcmp(schemes[i].type, type) == 0 && schemes[i].digest == digest && schemes[i].pss == pss)
            return &schemes[i];
    return NULL;
}

bool scheme_has_digest(const char *type, int digest) {
    return scheme_find(type, digest, false) != NULL || scheme_find(type, digest, true) != NULL;
}

bool scheme_is_allowed(const struct scheme *scheme, enum tls_preset preset) {
    return preset == TLS_PRESET_OLD || (scheme->digest != NID_sha1 && scheme->digest != NID_md5_sha1);
}

/* ---- contents ---- */

#define SPACES 64 /* RFC 8446 4.4.3: so that no content of an earlier version can be taken for one of this */
#define RANDOM 32 /* RFC 5246 7.4.1.2 */
#define NAMED_CURVE 3
/* What a client of TLS 1.2 signs is all that was said before, and he chooses much of its beginning: whatever is taken
 * for a point or a value at the end must be too short for two certificates. P-521; 4096 bits. */
#define POINT_MAXIMUM 133
#define PRIME_MAXIMUM 512

/* What a server says, never what a client would; the hash is that of the cipher suite. */
static bool is_certificate_verify(struct text content) {
    static const char context[] = "TLS 1.3, server CertificateVerify"; /* its NUL stands before the hash */

    if (content.length != SPACES + sizeof context + 32 && content.length != SPACES + sizeof context + 48)
        return false;
    for (size_t i = 0; i < SPACES; i++)
        if (content.data[i] != ' ')
            return false;
    return memcmp(content.data + SPACES, context, sizeof context) == 0;
}

/* Takes a length of so many bytes, and as many bytes; false for none, or when they are not there. */
static bool take_vector(struct text *rest, size_t size, struct text *taken) {
    size_t length = 0;

    if (rest->length < size)
        return false;
    for (size_t i = 0; i < size; i++)
        length = length << 8 | (unsigned char)rest->data[i];
    *rest = text_from(*rest, size);
    *taken = text_first(*rest, length);
    *rest = text_from(*rest, taken->length);
    return length > 0 && taken->length == length;
}

/* RFC 8422 5.4: the type, the curve's number, a point. */
static bool is_named_curve(struct text parameters) {
    struct text rest = text_from(parameters, 3), point;

    return parameters.length > 3 && (unsigned char)parameters.data[0] == NAMED_CURVE && take_vector(&rest, 1, &point) &&
           rest.length == 0 && point.length <= POINT_MAXIMUM;
}

/* RFC 5246 7.4.3: prime, generator, public value; those that OpenSSL has built in. */
static bool is_finite_field(struct text parameters) {
    struct text prime, generator, value;

    return take_vector(&parameters, 2, &prime) && take_vector(&parameters, 2, &generator) &&
           take_vector(&parameters, 2, &value) && parameters.length == 0 && prime.length <= PRIME_MAXIMUM &&
           text_equal(generator, TEXT("\x02")) && value.length <= prime.length;
}

bool scheme_signs(const struct scheme *scheme, struct text content) {
    struct text parameters = text_from(content, 2 * (size_t)RANDOM);

    return (scheme->tls13 && is_certificate_verify(content)) || is_named_curve(parameters) ||
           (strncmp(scheme->type, "RSA", 3) == 0 && is_finite_field(parameters));
}
