/* SPDX-License-Identifier: MIT
 * crypt(3) with libxcrypt. Called by login.c in lookup, as parcelpost-auth. Passwords are wiped after use and never
 * logged; results are compared in constant time. Nothing here fails but by its return value. */
#include "lookup/password.h"
#include "base/memory.h"
#include <crypt.h>
#include <stdlib.h>
#include <string.h>

/* A made-up hash of the default method, so that a server without users takes as long as one with. */
static const char dummy_hash[] = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC";

static const char *const methods[] = {"$5$", "$6$", "$y$", "$2b$"};

static bool is_known(const char *hash) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strncmp(hash, methods[i], strlen(methods[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Every byte of the longer one is looked at, whatever differs. */
static bool equal_in_constant_time(const char *a, const char *b) {
    size_t a_length = strlen(a), b_length = strlen(b);
    size_t length = a_length > b_length ? a_length : b_length;
    volatile unsigned char difference = a_length != b_length;
    for (size_t i = 0; i < length; i++) {
        difference |= (unsigned char)((i < a_length ? a[i] : 0) ^ (i < b_length ? b[i] : 0));
    }
    return difference == 0;
}

/* A password that crypt cannot take, too long or with a NUL, is hashed as another one: it takes the time, and is wrong.
 */
static bool prepare(struct text password, char passphrase[CRYPT_MAX_PASSPHRASE_SIZE]) {
    bool usable =
        text_find(password, '\0') == password.length && text_copy(passphrase, CRYPT_MAX_PASSPHRASE_SIZE, password);
    if (!usable) {
        passphrase[0] = '\0';
    }
    return usable;
}

enum password_outcome password_check(struct text password, const char *hash) {
    char passphrase[CRYPT_MAX_PASSPHRASE_SIZE];
    enum password_outcome outcome = PASSWORD_UNKNOWN_METHOD;
    if (!is_known(hash)) {
        return outcome;
    }
    struct crypt_data *data = memory_new(1, sizeof *data);
    bool usable = prepare(password, passphrase);
    const char *computed = crypt_r(passphrase, hash, data);
    if (computed != NULL && computed[0] != '*') {
        bool equal = equal_in_constant_time(computed, hash);
        outcome = equal && usable ? PASSWORD_RIGHT : PASSWORD_WRONG;
    }
    explicit_bzero(passphrase, sizeof passphrase);
    explicit_bzero(data, sizeof *data);
    free(data);
    return outcome;
}

const char *password_usable(const char *hash) {
    return is_known(hash) ? hash : dummy_hash;
}
