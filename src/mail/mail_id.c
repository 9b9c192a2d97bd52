/* SPDX-License-Identifier: MIT
 * Making and checking mail ids. Called by receivers (new mail) and the ledger (notices); any privilege; an unknown base
 * is a bug, nothing else fails. */
#include "mail/mail_id.h"
#include "base/log.h"
#include "base/random.h"
#include <string.h>
#include <time.h>

#define SECONDS_DIGITS 6
#define UNIQUE_DIGITS 8 /* RRRRRR and MM */

/* In the order of ASCII, so that ids of later seconds sort later. The first 36 are base 36. */
static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void put_number(char *at, unsigned count, unsigned base, uint64_t number) {
    for (unsigned i = count; i-- > 0;) {
        at[i] = digits[number % base];
        number /= base;
    }
}

static uint64_t unique_values(unsigned base) {
    uint64_t values = 1;
    if (base != 62 && base != 36) {
        die_panic("mail ids of base %u", base);
    }
    for (unsigned i = 0; i < UNIQUE_DIGITS; i++) {
        values *= base;
    }
    return values;
}

static void put_unique(char *id, unsigned base, uint64_t unique) {
    char all[UNIQUE_DIGITS];
    put_number(all, UNIQUE_DIGITS, base, unique);
    id[6] = '-';
    memcpy(id + 7, all, 6);
    id[13] = '-';
    memcpy(id + 14, all + 6, 2);
    id[16] = '\0';
}

void mail_id_make(unsigned base, char id[MAIL_ID_SIZE]) {
    uint64_t unique = random_below(unique_values(base));
    put_number(id, SECONDS_DIGITS, base, (uint64_t)time(NULL));
    put_unique(id, base, unique);
}

/* FNV-1a, 64 bits, over the string and its NUL, so that neighbouring fields cannot run into each other. */
static uint64_t hash_string(uint64_t hash, const char *string) {
    do {
        hash = (hash ^ (unsigned char)*string) * UINT64_C(0x100000001b3);
    } while (*string++ != '\0');
    return hash;
}

/* FNV's low digits are weak; every bit should count in them. (The finaliser of MurmurHash3.) */
static uint64_t mix(uint64_t hash) {
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

void mail_id_derive(const char *about, unsigned attempt, const char *kind, unsigned base, char id[MAIL_ID_SIZE]) {
    char number[16] = "";
    if (!mail_id_is_valid(text_of(about))) {
        die_panic("a notice about something that is no mail id");
    }
    put_number(number, 10, 10, attempt);
    uint64_t hash = hash_string(UINT64_C(0xcbf29ce484222325), about);
    hash = hash_string(hash_string(hash, number), kind);
    uint64_t unique = mix(hash) % unique_values(base);
    memmove(id, about, SECONDS_DIGITS); /* the caller may pass one array for both */
    put_unique(id, base, unique);
}

bool mail_id_is_valid(struct text id) {
    if (id.length != MAIL_ID_SIZE - 1) {
        return false;
    }
    for (size_t i = 0; i < id.length; i++) {
        bool hyphen = i == 6 || i == 13;
        if (hyphen ? id.data[i] != '-' : id.data[i] == '\0' || strchr(digits, id.data[i]) == NULL) {
            return false;
        }
    }
    return true;
}
