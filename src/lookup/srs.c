/* SPDX-License-Identifier: MIT
 * SRS addresses made and read, as srs.h says. Called by forward.c in lookup, as parcelpost-auth, on senders and
 * recipients of strangers. Fails only by return value. Hashes are compared in constant time and without case, because
 * some servers change the case of a local part; six characters leave a guesser one chance in three thousand million. */
#include "lookup/srs.h"
#include "mail/address.h"
#include "tls/keyed_hash.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY 86400
#define DAYS 1024 /* a time stamp has two characters of 5 bits */
#define TAG_LENGTH 4
#define HASHED_MAXIMUM 1024

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* The '/' and '+' of base64 would make a local part that looks like a path or a tag. */
static void make_hash(const struct srs *srs, unsigned secret, const char *data, char *hash) {
    unsigned char bytes[KEYED_HASH_SIZE];
    char lower[HASHED_MAXIMUM];
    (void)text_copy(lower, sizeof lower, text_of(data));
    text_lower(lower);
    keyed_hash(text_of(srs->secrets[secret]), text_of(lower), bytes);
    for (unsigned i = 0; i < srs->hash_length; i++) {
        unsigned bit = i * 6, byte = bit / 8, pair = (unsigned)bytes[byte] << 8 | bytes[byte + 1];
        hash[i] = base64[pair >> (10 - bit % 8) & 63];
    }
    hash[srs->hash_length] = '\0';
}

static bool hash_is_right(const struct srs *srs, struct text claimed, const char *data) {
    bool right = false;
    for (unsigned secret = 0; secret < srs->secret_count; secret++) {
        char hash[KEYED_HASH_SIZE + 1], given[KEYED_HASH_SIZE + 1];
        unsigned char difference = claimed.length != srs->hash_length;
        make_hash(srs, secret, data, hash);
        (void)text_copy(given, sizeof given, claimed);
        text_lower(hash);
        text_lower(given);
        for (unsigned i = 0; i < srs->hash_length && i < claimed.length; i++) {
            difference |= (unsigned char)(hash[i] ^ given[i]);
        }
        right = right || difference == 0;
    }
    return right;
}

static void stamp_of(int64_t now, char stamp[3]) {
    unsigned day = (unsigned)(now / DAY % DAYS);
    stamp[0] = base32[day >> 5];
    stamp[1] = base32[day & 31];
    stamp[2] = '\0';
}

static bool stamp_is_recent(struct text stamp, int64_t now) {
    unsigned day = 0;
    for (size_t i = 0; i < 2 && stamp.length == 2; i++) {
        const char *digit = strchr(base32, stamp.data[i] & ~0x20);
        digit = stamp.data[i] >= '2' && stamp.data[i] <= '7' ? strchr(base32, stamp.data[i]) : digit;
        if (digit == NULL || *digit == '\0') {
            return false;
        }
        day = day << 5 | (unsigned)(digit - base32);
    }
    unsigned age = ((unsigned)(now / DAY % DAYS) + DAYS - day) % DAYS;
    return stamp.length == 2 && age <= SRS_VALID_DAYS;
}

/* "SRS0=" or "SRS1=" with one of the paper's separators; 0 when it is none. */
static char kind_of(struct text local) {
    bool tagged = local.length > TAG_LENGTH && text_starts_nocase(local, TEXT("SRS")) &&
                  strchr("=+-", local.data[TAG_LENGTH]) != NULL && local.data[TAG_LENGTH] != '\0';
    return tagged && (local.data[3] == '0' || local.data[3] == '1') ? local.data[3] : '\0';
}

static bool split_address(struct text address, struct text *local, struct text *domain) {
    size_t at = address_at(address);
    *local = text_first(address, at);
    *domain = address_domain_of(address);
    return local->length > 0 && domain->length > 0;
}

/* SRS1=HASH=domain<rest>: rest is the other forwarder's local part from its separator on. */
static int make_srs1(const struct srs *srs, struct text domain, struct text rest, char *made, size_t size) {
    char data[HASHED_MAXIMUM], hash[KEYED_HASH_SIZE + 1];
    (void)snprintf(data, sizeof data, "%.*s%.*s", TEXT_ARGS(domain), TEXT_ARGS(rest));
    make_hash(srs, 0, data, hash);
    return snprintf(made, size, "SRS1=%s=%.*s=%.*s", hash, TEXT_ARGS(domain), TEXT_ARGS(rest));
}

static int make_srs0(const struct srs *srs, struct text domain, struct text local, int64_t now, char *made,
                     size_t size) {
    char data[HASHED_MAXIMUM], hash[KEYED_HASH_SIZE + 1], stamp[3];
    stamp_of(now, stamp);
    (void)snprintf(data, sizeof data, "%s%.*s%.*s", stamp, TEXT_ARGS(domain), TEXT_ARGS(local));
    make_hash(srs, 0, data, hash);
    return snprintf(made, size, "SRS0=%s=%s=%.*s=%.*s", hash, stamp, TEXT_ARGS(domain), TEXT_ARGS(local));
}

/* The first part before '=' and what follows it; false when there is no '='. */
static bool take_part(struct text *rest, struct text *part) {
    size_t end = text_find(*rest, '=');
    *part = text_first(*rest, end);
    bool more = end < rest->length;
    *rest = text_from(*rest, end + 1);
    return more;
}

bool srs_forward(const struct srs *srs, struct text sender, int64_t now, char rewritten[SRS_ADDRESS_SIZE]) {
    struct text local, domain, hash, host, rest;
    int length = -1;
    if (srs->secret_count == 0 || srs->domain == NULL || srs->domain[0] == '\0' || sender.length >= SRS_ADDRESS_SIZE ||
        !split_address(sender, &local, &domain) || local.data[0] == '"') {
        return false;
    }
    char kind = kind_of(local);
    if (kind == '0') {
        length = make_srs1(srs, domain, text_from(local, TAG_LENGTH), rewritten, SRS_ADDRESS_SIZE);
    } else if (kind == '1') {
        rest = text_from(local, TAG_LENGTH + 1);
        if (!take_part(&rest, &hash) || !take_part(&rest, &host) || host.length == 0 || rest.length == 0) {
            return false;
        }
        length = make_srs1(srs, host, rest, rewritten, SRS_ADDRESS_SIZE);
    } else {
        length = make_srs0(srs, domain, local, now, rewritten, SRS_ADDRESS_SIZE);
    }
    size_t room = SRS_ADDRESS_SIZE - (size_t)length;
    return length <= ADDRESS_LOCAL_MAXIMUM && (size_t)snprintf(rewritten + length, room, "@%s", srs->domain) < room;
}

static enum srs_outcome read_srs0(const struct srs *srs, struct text rest, int64_t now, char *original) {
    struct text hash, stamp, domain;
    char data[HASHED_MAXIMUM];
    if (!take_part(&rest, &hash) || !take_part(&rest, &stamp) || !take_part(&rest, &domain) || rest.length == 0) {
        return SRS_FORGED;
    }
    (void)snprintf(data, sizeof data, "%.*s%.*s%.*s", TEXT_ARGS(stamp), TEXT_ARGS(domain), TEXT_ARGS(rest));
    if (!hash_is_right(srs, hash, data)) {
        return SRS_FORGED;
    }
    (void)snprintf(original, SRS_ADDRESS_SIZE, "%.*s@%.*s", TEXT_ARGS(rest), TEXT_ARGS(domain));
    return stamp_is_recent(stamp, now) ? SRS_BACK : SRS_OLD;
}

static enum srs_outcome read_srs1(const struct srs *srs, struct text rest, char *original) {
    struct text hash, domain;
    char data[HASHED_MAXIMUM];
    if (!take_part(&rest, &hash) || !take_part(&rest, &domain) || rest.length == 0) {
        return SRS_FORGED;
    }
    (void)snprintf(data, sizeof data, "%.*s%.*s", TEXT_ARGS(domain), TEXT_ARGS(rest));
    if (!hash_is_right(srs, hash, data)) {
        return SRS_FORGED;
    }
    (void)snprintf(original, SRS_ADDRESS_SIZE, "SRS0%.*s@%.*s", TEXT_ARGS(rest), TEXT_ARGS(domain));
    return SRS_BACK;
}

enum srs_outcome srs_reverse(const struct srs *srs, struct text address, int64_t now, char original[SRS_ADDRESS_SIZE]) {
    struct text local, domain;
    original[0] = '\0';
    if (srs->domain == NULL || srs->domain[0] == '\0' || address.length >= SRS_ADDRESS_SIZE ||
        !split_address(address, &local, &domain) || !text_equal_nocase(domain, text_of(srs->domain))) {
        return SRS_NONE;
    }
    struct text rest = text_from(local, TAG_LENGTH + 1);
    switch (kind_of(local)) {
    case '0':
        return read_srs0(srs, rest, now, original);
    case '1':
        return read_srs1(srs, rest, original);
    default:
        return SRS_NONE;
    }
}
